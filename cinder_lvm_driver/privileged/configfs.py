# SPDX-License-Identifier: Apache-2.0
"""Directories of configfs, through which the kernel's targets are driven.

In configfs ``mkdir`` creates a kernel object, whose attribute files and
default groups then appear by themselves, ``rmdir`` ends it together with
those, and a symbolic link ties two objects together
(Documentation/filesystems/configfs.rst in the kernel's source).
"""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import errno
import logging
import os
import stat
from typing import Any, TypeVar

from cinder_lvm_driver.privileged import errors

LOG = logging.getLogger(__name__)

MOUNT = '/sys/kernel/config'

_Description = TypeVar('_Description')

# The kernel gives an attribute one page and one read: SIMPLE_ATTR_SIZE in
# fs/configfs/file.c, and the size of a page where that is larger.
_ATTRIBUTE_BYTES = 65536

_ROOTS_ALONE = 0o600


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory of configfs: a handle without any memory.

    The only way down is ``/`` with one plain name, so that no text that
    came from outside can lead out of the tree.
    """

    path: str

    def __truediv__(self, name: str) -> 'Directory':
        if name in ('', '.', '..') or '/' in name or '\0' in name:
            raise errors.InvalidArgument(
                repr(name), 'is not a name of one directory')
        return Directory(f'{self.path}/{name}')

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def parent(self) -> 'Directory':
        return Directory(os.path.dirname(self.path))

    def exists(self) -> bool:
        return os.path.isdir(self.path)

    def directories(self) -> list['Directory']:
        """Return the directories inside, none where there is no such path."""
        return [self / name for name in self._names(
            lambda entry: entry.is_dir(follow_symlinks=False))]

    def links(self) -> list[str]:
        """Return the names of the symbolic links inside."""
        return self._names(os.DirEntry.is_symlink)

    def linked(self) -> 'Directory | None':
        """Return what the first link inside points to, None without one."""
        for name in self.links():
            with _named_failure('read the link', f'{self.path}/{name}'):
                target = os.readlink(f'{self.path}/{name}')
            return Directory(
                os.path.normpath(os.path.join(self.path, target)))
        return None

    def make(self) -> bool:
        """Create the directory; False if it was there before."""
        with _named_failure('create', self.path):
            try:
                os.mkdir(self.path)
            except FileExistsError:
                return False
            return True

    def remove(self) -> bool:
        """Remove the directory; False if there was none."""
        with _named_failure('remove', self.path):
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return False
            return True

    def link(self, name: str, target: 'Directory') -> bool:
        """Tie a link to another object; False if the name was there."""
        path = (self / name).path
        with _named_failure('link', path):
            try:
                os.symlink(target.path, path)
            except FileExistsError:
                return False
            return True

    def unlink(self, name: str) -> bool:
        """Remove a link; False if there was none."""
        path = (self / name).path
        with _named_failure('unlink', path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                return False
            return True

    def read(self, attribute: str) -> str:
        """Return the text of an attribute, without the line end."""
        path = (self / attribute).path
        with _named_failure('read', path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                text = os.read(descriptor, _ATTRIBUTE_BYTES)
            finally:
                os.close(descriptor)
        return text.decode(errors='replace').rstrip('\n')

    def write(self, attribute: str, value: str) -> None:
        """Write an attribute, in one call as the kernel wants it.

        The value may be a secret, so it is no part of the error.
        """
        path = (self / attribute).path
        with _named_failure('write', path):
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.write(descriptor, value.encode())
            finally:
                os.close(descriptor)

    def ensure(self, attribute: str, value: str) -> bool:
        """Write an attribute unless it has the value; False if it had."""
        if self.read(attribute) == value:
            return False
        self.write(attribute, value)
        return True

    def hide(self, attribute: str) -> None:
        """Let nobody but root read or write an attribute.

        The kernel keeps that as long as the directory is there.
        """
        path = (self / attribute).path
        with _named_failure('hide', path):
            os.chmod(path, _ROOTS_ALONE)

    def mark(self) -> None:
        """Mark a directory as ours, for as long as it is there.

        Configfs has no place for notes, but keeps the modes of directories;
        the sticky bit changes nothing there.
        """
        with _named_failure('mark', self.path):
            os.chmod(self.path, os.stat(self.path).st_mode | stat.S_ISVTX)

    def is_marked(self) -> bool:
        """Tell whether the directory is there, and ours."""
        with _named_failure('look at', self.path):
            try:
                return bool(os.stat(self.path).st_mode & stat.S_ISVTX)
            except FileNotFoundError:
                return False

    def _names(self, is_wanted: Callable[[os.DirEntry[str]], bool],
               ) -> list[str]:
        with _named_failure('list', self.path):
            try:
                with os.scandir(self.path) as entries:
                    return sorted(
                        entry.name for entry in entries if is_wanted(entry))
            except FileNotFoundError:
                return []


def describe_each(directories: Iterable[Directory],
                  describe: Callable[[Directory], _Description],
                  ) -> dict[str, _Description]:
    """Describe directories by name, but for those that are being removed.

    Other tools than ours take no lock.
    """
    found = {}
    for directory in directories:
        try:
            found[directory.name] = describe(directory)
        except errors.ConfigfsError as exc:
            if exc.errno != errno.ENOENT:
                raise
            LOG.info('%s is not listed, as it is being removed: %s',
                     directory.path, exc)
    return found


class Undo(contextlib.ExitStack):
    """Steps that are taken back at the end of the block, unless kept."""

    def make(self, directory: Directory,
             remove: Callable[[Directory], Any] = Directory.remove) -> None:
        """Create a directory, if there is none."""
        if directory.make():
            self.callback(_quietly, remove, directory)

    def link(self, directory: Directory, name: str,
             target: Directory) -> None:
        """Tie a link to another object, if there is none."""
        if directory.link(name, target):
            self.callback(_quietly, directory.unlink, name)

    def keep(self) -> None:
        """Leave everything as it is now."""
        self.pop_all()


def _quietly(step: Callable[..., Any], *args: Any) -> None:
    """Take a step back; the failure that led here is the one to be told."""
    try:
        step(*args)
    except errors.ConfigfsError as exc:
        LOG.warning('While undoing what could not be completed: %s', exc)


def tree(name: str) -> Directory:
    """Return where a module of the kernel shows what it has."""
    return Directory(f'{MOUNT}/{name}')


@contextlib.contextmanager
def _named_failure(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        kind = (errors.ConfigfsNotThere
                if exc.errno == errno.ENOENT and _is_tree_missing(path)
                else errors.ConfigfsError)
        raise kind(action, path, exc.errno or errno.EIO) from exc


def _is_tree_missing(path: str) -> bool:
    """Tell whether all is missing that a module shows, with a path."""
    below = path.removeprefix(f'{MOUNT}/')
    name = below.partition('/')[0]
    return below != path and not tree(name).exists()
