# SPDX-License-Identifier: Apache-2.0
import errno
import os
import stat
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from tests import base


@ddt.ddt
class TestDirectory(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).path
        self.root = configfs.Directory(self.path)

    def put(self, name, text):
        with open(f'{self.path}/{name}', 'w') as file:
            file.write(text)

    @ddt.data('', '.', '..', '../x', '/etc', 'a/b', 'a\0b')
    def test_no_way_out(self, name):
        self.assertRaises(errors.InvalidArgument, lambda: self.root / name)
        self.assertRaises(errors.InvalidArgument, self.root.read, name)
        self.assertRaises(errors.InvalidArgument, self.root.write, name, 'x')
        self.assertRaises(errors.InvalidArgument, self.root.unlink, name)
        self.assertRaises(errors.InvalidArgument,
                          self.root.link, name, self.root)
        self.assertEqual([], os.listdir(self.path))

    def test_names(self):
        inner = self.root / 'a' / 'b'
        self.assertEqual(f'{self.path}/a/b', inner.path)
        self.assertEqual('b', inner.name)
        self.assertEqual(f'{self.path}/a', inner.parent.path)
        self.assertEqual(self.root / 'a' / 'b', inner)

    def test_make_and_remove(self):
        inner = self.root / 'a'
        self.assertFalse(inner.exists())
        self.assertTrue(inner.make())
        self.assertFalse(inner.make())
        self.assertTrue(inner.exists())
        self.assertTrue(inner.remove())
        self.assertFalse(inner.remove())

    def test_directories_and_links(self):
        for name in ('b', 'a'):
            (self.root / name).make()
        self.put('file', '')
        self.assertIsNone(self.root.linked())
        self.assertTrue(self.root.link('l', self.root / 'b'))
        self.assertFalse(self.root.link('l', self.root / 'a'))
        self.assertEqual(['a', 'b'],
                         [found.name for found in self.root.directories()])
        self.assertEqual(['l'], self.root.links())
        self.assertEqual(f'{self.path}/b', self.root.linked().path)
        self.assertTrue(self.root.unlink('l'))
        self.assertFalse(self.root.unlink('l'))

    def test_the_kernel_links_relatively(self):
        (self.root / 'a').make()
        os.symlink('../b/c', f'{self.path}/a/l')
        self.assertEqual(f'{self.path}/b/c', (self.root / 'a').linked().path)

    def test_nothing_inside_what_is_not_there(self):
        absent = self.root / 'absent'
        self.assertEqual([], absent.directories())
        self.assertEqual([], absent.links())
        self.assertIsNone(absent.linked())

    def test_attributes(self):
        self.put('enable', '0\n')
        self.assertEqual('0', self.root.read('enable'))
        self.assertTrue(self.root.ensure('enable', '1'))
        self.assertFalse(self.root.ensure('enable', '1'))
        self.assertEqual('1', self.root.read('enable'))

    def test_hide(self):
        self.put('key', 'secret')
        os.chmod(f'{self.path}/key', 0o644)
        self.root.hide('key')
        self.assertEqual(
            0o600, stat.S_IMODE(os.stat(f'{self.path}/key').st_mode))

    def test_mark(self):
        inner = self.root / 'a'
        inner.make()
        mode = os.stat(inner.path).st_mode
        self.assertFalse((self.root / 'absent').is_marked())
        self.assertFalse(inner.is_marked())
        inner.mark()
        self.assertTrue(inner.is_marked())
        self.assertEqual(mode | stat.S_ISVTX, os.stat(inner.path).st_mode)

    @ddt.data(('read', 'absent', ()), ('write', 'absent', ('secret',)),
              ('hide', 'absent', ()))
    @ddt.unpack
    def test_failures_name_the_path(self, action, attribute, arguments):
        error = self.assertRaises(
            errors.ConfigfsError, getattr(self.root, action), attribute,
            *arguments)
        self.assertEqual(
            f'cannot {action} {self.path}/absent: No such file or directory',
            str(error))
        self.assertNotIn('secret', repr(error))

    @ddt.data(('make', 'create', 'mkdir'), ('remove', 'remove', 'rmdir'),
              ('directories', 'list', 'scandir'),
              ('mark', 'mark', 'stat'), ('is_marked', 'look at', 'stat'))
    @ddt.unpack
    def test_failures_name_the_step(self, verb, action, call):
        refusal = OSError(errno.EBUSY, 'whatever')
        with mock.patch.object(os, call, side_effect=refusal):
            error = self.assertRaises(
                errors.ConfigfsError, getattr(self.root / 'a', verb))
        self.assertEqual((action, f'{self.path}/a', errno.EBUSY), error.args)

    def test_a_file_is_left_when_its_write_fails(self):
        self.put('enable', '0')
        with mock.patch.object(os, 'write',
                               side_effect=OSError(errno.EINVAL, 'x')), \
                mock.patch.object(os, 'close', wraps=os.close) as close:
            self.assertRaises(errors.ConfigfsError,
                              self.root.write, 'enable', '1')
        close.assert_called_once()


class TestDescribeEach(base.TestCase):

    def describe(self, number):
        def read(directory):
            if directory.name == 'gone':
                raise errors.ConfigfsError('read', directory.path, number)
            return directory.name.upper()
        return configfs.describe_each(
            [configfs.Directory('/x/a'), configfs.Directory('/x/gone')], read)

    def test_one_that_is_being_removed(self):
        self.assertEqual({'a': 'A'}, self.describe(errno.ENOENT))
        self.assertIn('/x/gone is not listed', self.log.output)

    def test_any_other_failure_is_told(self):
        self.assertRaises(errors.ConfigfsError, self.describe, errno.EACCES)


class TestTree(base.TestCase):
    """What is missing: a directory, or all that a module shows."""

    def setUp(self):
        super().setUp()
        mount = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatchObject(configfs, 'MOUNT', mount))
        self.tree = configfs.Directory(mount) / 'target'

    def failures(self):
        inner = self.tree / 'core' / 'iblock_1'
        for step in (inner.make, lambda: inner.write('control', 'x'),
                     lambda: inner.read('hba_info'),
                     lambda: inner.link('l', self.tree)):
            error = self.assertRaises(errors.ConfigfsError, step)
            self.assertEqual(errno.ENOENT, error.errno)
            yield type(error)

    def test_a_directory(self):
        self.tree.make()
        self.assertEqual({errors.ConfigfsError}, set(self.failures()))

    def test_all(self):
        self.assertEqual({errors.ConfigfsNotThere}, set(self.failures()))

    def test_another_failure(self):
        with mock.patch.object(configfs.os, 'mkdir',
                               side_effect=PermissionError(errno.EPERM, '')):
            error = self.assertRaises(errors.ConfigfsError, self.tree.make)
        self.assertIs(errors.ConfigfsError, type(error))


class TestUndo(base.TestCase):

    def setUp(self):
        super().setUp()
        self.root = configfs.Directory(self.useFixture(
            fixtures.TempDir()).path)
        (self.root / 'old').make()

    def build(self, undo):
        undo.make(self.root / 'old')
        undo.make(self.root / 'new')
        undo.make(self.root / 'new' / 'inner')
        undo.link(self.root / 'new' / 'inner', 'l', self.root / 'old')
        undo.link(self.root / 'new' / 'inner', 'l', self.root / 'old')

    def names(self):
        return [found.name for found in self.root.directories()]

    def test_undone(self):
        with configfs.Undo() as undo:
            self.build(undo)
            self.assertEqual(['new', 'old'], self.names())
        self.assertEqual(['old'], self.names())

    def test_kept(self):
        with configfs.Undo() as undo:
            self.build(undo)
            undo.keep()
        self.assertEqual(['new', 'old'], self.names())

    def test_the_failure_is_told_and_not_that_of_undoing(self):
        def build():
            with configfs.Undo() as undo:
                undo.make(self.root / 'new')
                (self.root / 'new' / 'inner').make()
                raise errors.TargetNotFound('x')
        self.assertRaises(errors.TargetNotFound, build)
        self.assertIn('While undoing what could not be completed: cannot '
                      'remove', self.log.output)
