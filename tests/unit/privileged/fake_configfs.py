# SPDX-License-Identifier: Apache-2.0
"""A folder that behaves like configfs, in which a process can be killed."""

import errno
import os
import re
import shutil


class Killed(BaseException):
    """The process has ended here, with all it had still to do."""


class KillingOs:
    """``os`` for configfs.py, in which a process can be killed.

    :ivar steps_left: after so many changes the process dies; None is never
    :ivar steps: the changes so far
    """

    def __init__(self):
        self.steps = []
        self.steps_left = None

    def __getattr__(self, name):
        return getattr(os, name)

    def step(self, *step):
        if self.steps_left is not None:
            if not self.steps_left:
                raise Killed(*step)
            self.steps_left -= 1
        self.steps.append(step)

    def mkdir(self, path):
        self.step('mkdir', path)
        os.mkdir(path)

    def rmdir(self, path):
        self.step('rmdir', path)
        os.rmdir(path)

    def symlink(self, target, path):
        self.step('symlink', target, path)
        os.symlink(target, path)

    def unlink(self, path):
        self.step('unlink', path)
        os.unlink(path)

    def chmod(self, path, mode):
        self.step('chmod', path, mode)
        os.chmod(path, mode)

    def open(self, path, flags):
        self._path = path
        return os.open(path, flags)

    def write(self, descriptor, data):
        self.step('write', self._path, data.decode())
        return os.write(descriptor, data)


class FakeOs(KillingOs):
    """The kernel's side of a tree.

    :ivar CONTENTS: what a new directory brings with it, by a pattern of its
        path: files with their texts, and folders
    """

    CONTENTS = ()

    def __init__(self, root):
        super().__init__()
        self.root = root

    def mkdir(self, path):
        super().mkdir(path)
        for pattern, contents in self.CONTENTS:
            if re.fullmatch(pattern, os.path.relpath(path, self.root)):
                for name, text in contents.items():
                    self.put(f'{path}/{name}', text)

    def put(self, path, text):
        """Create a file, or a folder if the path ends with a slash."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if not path.endswith('/'):
            with open(path, 'w') as file:
                file.write(f'{text}\n')
            os.chmod(path, 0o644)

    def rmdir(self, path):
        self.step('rmdir', path)
        own = self.contents(path)
        for folder, folders, files in os.walk(path):
            below = os.path.relpath(folder, path)
            if below == '.' or below in own:
                names = folders + files
                if {os.path.normpath(os.path.join(below, name))
                        for name in names} - own:
                    self.fail(errno.ENOTEMPTY)
        if path in self.links().values():
            self.fail(errno.EBUSY)
        shutil.rmtree(path)

    def contents(self, path):
        """Return all names that a new directory brings with it."""
        relative = os.path.relpath(path, self.root)
        names = set()
        for pattern, contents in self.CONTENTS:
            if re.fullmatch(pattern, relative):
                for name in contents:
                    names |= {os.path.normpath(name)}
                    names |= {os.path.dirname(name)} - {''}
        return names

    def links(self):
        """Return where all symbolic links point to."""
        return {os.path.join(folder, name):
                os.readlink(os.path.join(folder, name))
                for folder, folders, _ in os.walk(self.root)
                for name in folders
                if os.path.islink(os.path.join(folder, name))}

    def write(self, descriptor, data):
        """Let the kernel react: a method is named after the attribute."""
        path, text = self._path, data.decode()
        self.step('write', path, text)
        folder, attribute = os.path.split(path)
        react = getattr(self, f'_write_{attribute}', None)
        if react is not None:
            text = react(folder, text)
        os.truncate(path, 0)
        return os.write(descriptor, f'{text}\n'.encode())

    def fail(self, number):
        raise OSError(number, os.strerror(number))


def read(path):
    """Return the text of a file without its line end."""
    with open(path) as file:
        return file.read().rstrip('\n')


class KillingCases:
    """Cases in which a verb dies; give ``self.os``."""

    def kill_at_each_step(self, verb):
        """Call a verb until it ends, dying one step later each time."""
        for steps in range(100):
            self.os.steps_left = steps
            try:
                verb()
            except Killed as died:
                self.os.steps_left = None
                yield died.args
            else:
                self.os.steps_left = None
                self.assertGreater(steps, 4)
                yield None
                return
        self.fail('the verb does not end')
