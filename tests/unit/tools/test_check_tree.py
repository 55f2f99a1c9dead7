# SPDX-License-Identifier: Apache-2.0
"""The checks of tools/check_tree.py."""

import os
import pathlib

import ddt
import fixtures

import check_tree
from tests import base


@ddt.ddt
class TestFileChecks(base.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder)

    def _problems(self, check, name, content, mode=0o644):
        path = pathlib.Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)
        return list(check_tree.FILE_CHECKS[check](path))

    @ddt.data(
        ('text', 'a.py', b'one\ntwo\n'),
        ('text', 'a.py', b''),
        ('text', 'a.bin', b'\x00 \n'),
        ('text', 'a.bin', b'\xff \n'),
        ('text', 'tests/samples/lvs.txt', b'  LV \n'),
        ('programs', 'a', b'text\n'),
        ('licence', 'LICENSE', b'text\n'),
        ('licence', 'a.json', b'{}\n'),
        ('licence', 'py.typed', b''),
        ('licence', 'a.py', b'# SPDX-License-Identifier: Apache-2.0\n'),
        ('licence', 'releasenotes/notes/a.yaml', b'fixes: []\n'),
        ('names', 'p/group.py', b''),
        ('names', 'tools/check.py', b''),
        ('names', 'p/utils.txt', b''),
    )
    @ddt.unpack
    def test_nothing_to_find(self, check, name, content):
        self.assertEqual([], self._problems(check, name, content))

    @ddt.data(
        ('text', 'a.py', b'one \n', 'a.py:1: blanks'),
        ('text', 'a.py', b'\none\t\n', 'a.py:2: blanks'),
        ('text', 'a.py', b'one\r\n', 'a.py:1: carriage return'),
        ('text', 'a.py', b'one', 'a.py: no newline'),
        ('text', 'a.py', b'one\n\n', 'a.py: empty lines'),
        ('programs', 'a', b'#!/bin/sh\n', 'a: has a shebang'),
        ('licence', 'a.py', b'pass\n', 'a.py: no "SPDX'),
        ('licence', 'doc/a.rst', b'text\n', 'doc/a.rst: no "SPDX'),
        ('names', 'p/utils.py', b'', 'p/utils.py: "utils"'),
        ('names', 'p/_common.py', b'', 'p/_common.py: "common"'),
        ('names', 'p/misc/a.py', b'', 'p/misc/a.py: "misc"'),
    )
    @ddt.unpack
    def test_finds(self, check, name, content, start):
        problems = self._problems(check, name, content)
        self.assertEqual(1, len(problems))
        self.assertEqual(start, problems[0][:len(start)])

    def test_executable_without_shebang(self):
        self.assertEqual(
            ['a: is executable but has no shebang (chmod -x)'],
            self._problems('programs', 'a', b'text\n', mode=0o755))

    def test_executable_with_shebang(self):
        self.assertEqual([], self._problems('programs', 'a', b'#!/bin/sh\n',
                                            mode=0o755))


@ddt.ddt
class TestMirror(base.TestCase):

    def _problems(self, *names):
        return list(check_tree.check_mirror(
            [pathlib.Path(name) for name in names]))

    @ddt.data('test_group.py', 'test_group_create.py')
    def test_mirrored(self, name):
        self.assertEqual([], self._problems(
            'cinder_lvm_driver/lvm/group.py', f'tests/unit/lvm/{name}'))

    @ddt.data('tests/unit/test_group.py', 'tests/unit/lvm/test_groups.py',
              'tests/unit/lvm/group.py')
    def test_not_mirrored(self, name):
        self.assertEqual(
            ['cinder_lvm_driver/lvm/group.py: no unit test '
             'tests/unit/lvm/test_group.py'],
            self._problems('cinder_lvm_driver/lvm/group.py', name))

    def test_private_module(self):
        self.assertEqual([], self._problems(
            'cinder_lvm_driver/_wire.py', 'tests/unit/test_wire.py'))

    @ddt.data('cinder_lvm_driver/lvm/__init__.py', 'tools/check_tree.py',
              'cinder_lvm_driver/py.typed')
    def test_needs_no_mirror(self, name):
        self.assertEqual([], self._problems(name))


class TestPackages(base.TestCase):

    def _problems(self, *names):
        return list(check_tree.check_packages(
            [pathlib.Path(name) for name in names]))

    def test_packages(self):
        self.assertEqual([], self._problems(
            'tests/__init__.py', 'tests/unit/__init__.py',
            'tests/unit/test_a.py', 'tests/samples/lvs.json',
            'tools/check_tree.py', 'doc/source/conf.py'))

    def test_no_package(self):
        self.assertEqual(
            ['tests/unit: has modules but no __init__.py'],
            self._problems('tests/__init__.py', 'tests/unit/lvm/__init__.py',
                           'tests/unit/lvm/test_a.py'))
