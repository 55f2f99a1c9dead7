# SPDX-License-Identifier: Apache-2.0
"""A sample of ``tools/torture``: kills and faults of some operations."""

import os
import sys

from tests.functional import base


class TortureTest(base.TestCase):

    seconds = 90
    pv_sizes = (64 * base.MIB,)

    def check(self, *arguments):
        folder = self.root.run('mktemp', '-d').strip()
        self.addCleanup(self.root.run, 'rm', '-r', folder)
        done = self.root.try_run(
            'env', '-C', os.getcwd(), sys.executable, '-W', 'ignore', '-m',
            'tests.torture', folder, *arguments)
        self.assertEqual(0, done.code, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r'(?m)^total +[1-9]')

    def test_sample(self):
        self.check('--minutes', '0.5',
                   'thin LIO: ((create|delete) volume|export)$')

    @base.slow
    def test_exports(self):
        self.check('--minutes', '4', 'thin .*: (remove )?export$')

    @base.slow
    def test_inside_of_lvm(self):
        self.check('--minutes', '4', '--inside', 'thin LIO: create snapshot')
