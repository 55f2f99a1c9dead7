# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks as user cinder, with root's help for what they need."""

import pwd
import sys
import unittest

from tests.functional import root


def main(results, rounds='3'):
    """Print a table; return 0 if all verbs worked."""
    agent = root.split(pwd.getpwnam('cinder'))
    from tests.functional import base
    base.use(agent, results)
    from benchmarks import verbs
    verbs.Rounds.rounds = int(rounds)
    # Only a suite sets a class up.
    outcome = unittest.TextTestRunner().run(
        unittest.TestSuite([verbs.Rounds()]))
    return 0 if outcome.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
