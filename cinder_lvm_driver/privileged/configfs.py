# SPDX-License-Identifier: Apache-2.0
"""Directories of configfs, through which the kernel's targets are driven.

In configfs ``mkdir`` creates a kernel object, whose attribute files and
default groups then appear by themselves, ``rmdir`` ends it together with
those, and a symbolic link ties two objects together
(Documentation/filesystems/configfs.rst in the kernel's source).
"""

from collections.abc import Callable, Iterator
import contextlib
import errno
import os

from cinder_lvm_driver.privileged import errors


class Directory:
    """A directory of configfs: a handle without any memory.

    The only way down is ``/`` with one plain name, so that no text that
    came from outside can lead out of the tree.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def __truediv__(self, name: str) -> 'Directory':
        if name in ('', '.', '..') or '/' in name or '\0' in name:
            raise errors.InvalidArgument(
                repr(name), 'is not a name of one directory')
        return Directory(f'{self.path}/{name}')

    def __repr__(self) -> str:
        return f'Directory({self.path!r})'

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
        return [self / name for name in self._names(os.DirEntry.is_dir)]

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
        with _named_failure('read', path), open(path) as file:
            return file.read().rstrip('\n')

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

    def _names(self, is_wanted: Callable[[os.DirEntry[str]], bool],
               ) -> list[str]:
        with _named_failure('list', self.path):
            try:
                with os.scandir(self.path) as entries:
                    return sorted(
                        entry.name for entry in entries if is_wanted(entry))
            except FileNotFoundError:
                return []


@contextlib.contextmanager
def _named_failure(action: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise errors.ConfigfsError(
            action, path, exc.errno or errno.EIO) from exc
