# SPDX-License-Identifier: Apache-2.0
"""What can only be said of a whole run: its root commands, its log.

Runs when all test machines are done, outside of them::

    python -m tests.functional.whole_run RESULTS...

RESULTS are the folders in which they have left their evidence.
"""

import json
import os
import re
import sys
import tempfile
import unittest

from oslo_rootwrap import wrapper

from tests.functional import __main__ as runner

_FILE = 'etc/cinder/rootwrap.d/lvm-driver.filters'
# Started by oslo.privsep and by the runner itself, not run as a command.
_DAEMONS = (
    ('oslo-rootwrap-daemon', '/etc/cinder/rootwrap.conf'),
    ('privsep-helper', '--config-file', '/etc/cinder/cinder.conf',
     '--privsep_context', 'cinder_lvm_driver.privileged.context',
     '--privsep_sock_path', '/tmp/tmpabc/privsep.sock'),
)
# For machines and settings that the test machine does not have.
_ELSEWHERE = (
    ('modprobe', 'target_core_mod'),
    ('ionice', '-c2', '-n7', 'dd', 'if=a'),
    ('cgexec', '-g', 'blkio:a', 'dd', 'if=a'),
    ('cgexec', '-g', 'blkio:a', 'ionice', '-c3', 'dd', 'if=a'),
    ('cgexec', '-g', 'blkio:a', 'ionice', '-c2', '-n7', 'dd', 'if=a'),
)


class FiltersTest(unittest.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.enterContext(tempfile.TemporaryDirectory())
        with open(_FILE) as source:
            text = source.read()
        with open(os.path.join(folder, 'one.filters'), 'w') as target:
            target.write(text)
        self.filters = wrapper.load_filters([folder])
        self.commands = evidence('commands')

    def matching(self, argv):
        return {one.name for one in self.filters if one.match(list(argv))}

    def test_all_that_was_run_is_allowed(self):
        self.assertGreater(len(self.commands), 20)
        for argv in self.commands:
            self.assertTrue(self.matching(argv), f'not allowed: {argv}')

    def test_no_filter_is_superfluous(self):
        used = set()
        for argv in (*self.commands, *_DAEMONS, *_ELSEWHERE):
            used |= self.matching(argv)
        self.assertEqual({one.name for one in self.filters}, used)


class LogTest(unittest.TestCase):

    def test_no_secret_is_in_the_log_or_in_a_command(self):
        secrets = evidence('secrets')
        self.assertGreater(len(secrets), 10)
        words = re.compile('|'.join(map(re.escape, secrets)))
        for folder in folders:
            with open(os.path.join(folder, 'driver.log')) as log:
                told = [line for line in log if words.search(line)]
            self.assertEqual([], told)
        for argv in evidence('commands'):
            self.assertIsNone(words.search(' '.join(argv)), argv)


def evidence(kind):
    """Return what all test machines have seen of a kind."""
    found = []
    for folder in folders:
        with open(os.path.join(folder, 'evidence.json')) as file:
            found += json.load(file)[kind]
    return found


if __name__ == '__main__':
    folders = sys.argv[1:]
    result = runner.Result()
    unittest.defaultTestLoader.loadTestsFromModule(
        sys.modules[__name__]).run(result)
    print(result.summary(), flush=True)
    sys.exit(0 if result.wasSuccessful() else 1)
