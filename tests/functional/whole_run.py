# SPDX-License-Identifier: Apache-2.0
"""What can only be said of a whole run: no secret is told.

Runs when all test machines are done, outside of them::

    python -m tests.functional.whole_run RESULTS...

RESULTS are the folders in which they have left their evidence.
"""

import json
import os
import re
import sys
import unittest

from tests.functional import __main__ as runner


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

    def test_no_user_of_the_machine_could_see_a_secret(self):
        for leaks in evidence('leaks'):
            self.assertGreater(leaks['started'], 100)
            self.assertEqual([], leaks['files'])
            # os-brick gives secrets to iscsiadm on the attaching host, and
            # tgt-admin to tgtadm when tgtd starts.
            self.assertEqual([], [
                argv for argv in leaks['argv']
                if not re.search('iscsiadm|tgtadm', argv)])


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
