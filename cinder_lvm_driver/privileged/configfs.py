# SPDX-License-Identifier: Apache-2.0
"""Directories of configfs, through which the kernel's targets are controlled.

In configfs ``mkdir`` creates a kernel object, together with its attribute
files and default groups, ``rmdir`` removes the object with all of these, and
a symbolic link connects two objects
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
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

MOUNT = '/sys/kernel/config'

_Description = TypeVar('_Description')

# One read returns a whole attribute, which is at most a page
# (SIMPLE_ATTR_SIZE in fs/configfs/file.c).
_ATTRIBUTE_BYTES = 65536

_ROOT_ONLY = 0o600


@dataclasses.dataclass(frozen=True)
class Directory:
    """A directory of configfs; it caches nothing.

    The operator ``/`` accepts one plain name only, so that no text from
    outside can lead out of the tree.
    """

    path: str

    def __truediv__(self, name: str) -> 'Directory':
        if name in ('', '.', '..') or '/' in name or '\0' in name:
            raise errors.InvalidArgument(
                repr(name), 'is not the name of a directory')
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
        """Return the directories inside; none if this one does not exist."""
        return [self / name for name in self._names(
            lambda entry: entry.is_dir(follow_symlinks=False))]

    def links(self) -> list[str]:
        """Return the names of the symbolic links inside."""
        return self._names(os.DirEntry.is_symlink)

    def linked(self) -> 'Directory | None':
        """Return the target of the first link inside, None without one."""
        for name in self.links():
            with _named_failure('read the link', f'{self.path}/{name}'):
                target = os.readlink(f'{self.path}/{name}')
            return Directory(
                os.path.normpath(os.path.join(self.path, target)))
        return None

    def make(self) -> bool:
        """Create the directory; return False if it exists."""
        with _named_failure('create', self.path):
            try:
                os.mkdir(self.path)
            except FileExistsError:
                return False
            return True

    def remove(self) -> bool:
        """Remove the directory; return False if it does not exist."""
        with _named_failure('remove', self.path):
            try:
                os.rmdir(self.path)
            except FileNotFoundError:
                return False
            return True

    def link(self, name: str, target: 'Directory') -> bool:
        """Link another object; return False if the name exists."""
        path = (self / name).path
        with _named_failure('link', path):
            try:
                os.symlink(target.path, path)
            except FileExistsError:
                return False
            return True

    def unlink(self, name: str) -> bool:
        """Remove a link; return False if it does not exist."""
        path = (self / name).path
        with _named_failure('unlink', path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                return False
            return True

    def read(self, attribute: str) -> str:
        """Return the text of an attribute, without its line end."""
        path = (self / attribute).path
        with _named_failure('read', path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                text = os.read(descriptor, _ATTRIBUTE_BYTES)
            finally:
                os.close(descriptor)
        return text.decode(errors='replace').rstrip('\n')

    def write(self, attribute: str, value: str) -> None:
        """Write an attribute, in one call as the kernel requires.

        The value may be a secret, so it is never part of an error.
        """
        path = (self / attribute).path
        with _named_failure('write', path):
            descriptor = os.open(path, os.O_WRONLY)
            try:
                os.write(descriptor, value.encode())
            finally:
                os.close(descriptor)

    def ensure(self, attribute: str, value: str) -> bool:
        """Write an attribute; return False if it has the value already."""
        if self.read(attribute) == value:
            return False
        self.write(attribute, value)
        return True

    def hide(self, attribute: str) -> None:
        """Make an attribute accessible to root only.

        The kernel keeps this as long as the directory exists.
        """
        path = (self / attribute).path
        with _named_failure('hide', path):
            os.chmod(path, _ROOT_ONLY)

    def mark(self) -> None:
        """Mark a directory as created by this driver.

        Configfs keeps the modes of directories, and the sticky bit has no
        effect there.
        """
        with _named_failure('mark', self.path):
            os.chmod(self.path, os.stat(self.path).st_mode | stat.S_ISVTX)

    def is_marked(self) -> bool:
        """Tell whether the directory exists and has our mark."""
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
    """Describe directories by name, except for those that are being removed.

    Other tools change configfs without our lock.
    """
    found = {}
    for directory in directories:
        try:
            found[directory.name] = describe(directory)
        except errors.ConfigfsError as exc:
            if exc.errno != errno.ENOENT:
                raise
            LOG.info('%s is not listed, because it is being removed: %s',
                     directory.path, exc)
    return found


class Undo(rollback.Undo):
    """Undoes steps in configfs."""

    def make(self, directory: Directory,
             remove: Callable[[Directory], Any] = Directory.remove) -> bool:
        """Create a directory; return False if it exists."""
        if not directory.make():
            return False
        self.later(remove, directory)
        return True

    def link(self, directory: Directory, name: str,
             target: Directory) -> None:
        """Link another object unless the name exists."""
        if directory.link(name, target):
            self.later(directory.unlink, name)


def tree(name: str) -> Directory:
    """Return the directory of a kernel module."""
    return Directory(f'{MOUNT}/{name}')


@contextlib.contextmanager
def _named_failure(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        failure = (errors.ConfigfsNotThere
                   if exc.errno == errno.ENOENT and _is_tree_missing(path)
                   else errors.ConfigfsError)
        raise failure(action, path, exc.errno or errno.EIO) from exc


def _is_tree_missing(path: str) -> bool:
    """Tell whether the directory of the kernel module is missing, too."""
    below = path.removeprefix(f'{MOUNT}/')
    name = below.partition('/')[0]
    return below != path and not tree(name).exists()
