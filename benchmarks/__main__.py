# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmark of operations as user cinder."""

import pwd
import sys
import unittest

from tests.functional import root


def main(results, rounds='3'):
    """Print a table; return 0 if all operations succeeded.

    :param results: a folder for the log
    """
    agent = root.split(pwd.getpwnam('cinder'))
    from tests.functional import base
    base.use(agent, results)
    from benchmarks import verbs
    verbs.Rounds.rounds = int(rounds)
    # A suite, because only a suite calls setUpClass.
    outcome = unittest.TextTestRunner().run(
        unittest.TestSuite([verbs.Rounds()]))
    return 0 if outcome.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
