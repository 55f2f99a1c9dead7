# SPDX-License-Identifier: Apache-2.0
"""Limits of containers."""

import os

from cinder_lvm_driver import naming

from tests.functional import base

FILES = 2 ** 24


class FileLimitTest(base.TestCase):
    pv_sizes = (256 * base.MIB,)

    @classmethod
    def share_daemons(cls, runner):
        """Have the driver start its own: that is what is tested."""

    def limit(self, pid, soft, hard):
        self.root.run('prlimit', '--pid', pid, f'--nofile={soft}:{hard}')

    def test_daemon_of_a_service_that_may_open_millions_of_files(self):
        was = self.root.run('sysctl', '-n', 'fs.nr_open').strip()
        self.root.run('sysctl', '-q', f'fs.nr_open={FILES}')
        self.addCleanup(self.root.run, 'sysctl', '-q', f'fs.nr_open={was}')
        soft, hard = self.root.run(
            'prlimit', '--pid', os.getpid(), '--nofile', '--noheadings',
            '--output', 'SOFT,HARD').split()
        self.limit(os.getpid(), FILES, FILES)
        self.addCleanup(self.limit, os.getpid(), soft, hard)
        before = self.daemons()
        self.make_driver(lvm_type='default')
        new = self.daemons() - before
        self.assertTrue(new)
        for pid in new:
            # sudo may have lowered it further.
            self.assertLessEqual(int(self.root.run(
                'prlimit', '--pid', pid, '--nofile', '--noheadings',
                '--output', 'SOFT')), 65536)

    def daemons(self):
        return set(self.root.try_run(
            'pgrep', '-f', f'{naming.ROOT_PROGRAM} commands').stdout.split())
