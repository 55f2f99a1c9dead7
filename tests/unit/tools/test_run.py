# SPDX-License-Identifier: Apache-2.0
"""The start of tools/demo, tools/openstack and tools/testvm."""

import os
import shutil
import subprocess

import fixtures
import testtools

from tests.unit import tools


class TestRun(testtools.TestCase):

    def setUp(self):
        super().setUp()
        # The path contains a space.
        self.tools = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'my tools')
        self.bin = os.path.join(self.tools, 'bin')
        os.makedirs(self.bin)
        for name in 'run', 'demo':
            shutil.copy(tools.TOOLS / name, self.tools,
                        follow_symlinks=False)
        for name in 'bash', 'basename', 'dirname', 'readlink', 'cp':
            os.symlink(shutil.which(name), os.path.join(self.bin, name))
        self._write('python', 'printf "%s\\n" "$@"')
        self._write('setup', f'echo "setup $*"; '
                    f'cp "{self.tools}/python" "{self.bin}/python3"')

    def _write(self, name, script):
        path = os.path.join(self.tools, name)
        with open(path, 'w') as file:
            file.write(f'#!/usr/bin/env bash\n{script}\n')
        os.chmod(path, 0o755)

    def _run(self, words='--set "a = b"'):
        return subprocess.run(
            ['bash', '-c', f'"{self.tools}/demo" {words}'], text=True,
            env={'PATH': self.bin}, check=True,
            stdout=subprocess.PIPE).stdout.splitlines()

    def test_machine_without_python(self):
        called = [os.path.join(self.tools, 'demo_lib'), '--set', 'a = b']
        self.assertEqual(['setup packages', *called], self._run())
        self.assertEqual(called, self._run())

    def test_input(self):
        self._write('bin/python3', 'readlink /proc/self/fd/0')
        self.assertEqual(['/dev/null'], self._run('<&-'))
        self.assertEqual(['/dev/zero'], self._run('</dev/zero'))
