# SPDX-License-Identifier: Apache-2.0
"""Runs the functional tests in one process, as user cinder.

Several test machines share the work where CLAIMS names a folder that they
share: each class of tests is run by the machine that is the first to make a
folder of its name there.
"""

import collections
import faulthandler
import logging
import os
import pwd
import re
import sys
import time
import unittest

from tests.functional import root

_PREFIX = 'tests.functional.'
# In seconds: no test takes as long, unless it hangs.
_MOST_SECONDS = 600


class Result(unittest.TestResult):
    """Prints a line a test as it ends, and failures with their text."""

    def __init__(self):
        super().__init__()
        self.passed = 0

    def startTest(self, test):
        super().startTest(test)
        self._started = time.monotonic()
        logging.getLogger(__name__).info('==== %s', test.id())
        # Tells where a test hangs, before the test machine is stopped.
        faulthandler.dump_traceback_later(_MOST_SECONDS, file=sys.stdout)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)

    def _line(self, word, test):
        print('%-5s %6.1f s  %s' % (
            word, time.monotonic() - self._started,
            test.id().removeprefix(_PREFIX)), flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self._line('ok', test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._line('skip', test)
        print('      ', reason, flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._report(test, self.failures)

    def addError(self, test, err):
        super().addError(test, err)
        # Not a test: the set-up of a class or module.
        self._started = getattr(self, '_started', time.monotonic())
        self._report(test, self.errors)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._report(subtest, self.failures if failed else self.errors)

    def _report(self, test, problems):
        self._line('FAIL', test)
        print(problems[-1][1], flush=True)

    def summary(self):
        failed = (len(self.failures) + len(self.errors)
                  + len(self.unexpectedSuccesses))
        return '%d passed, %d failed, %d skipped' % (
            self.passed, failed, len(self.skipped))


def test_cases(suite):
    """Yield the tests of a suite."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from test_cases(item)
        else:
            yield item


def class_suites(tests):
    """Return the tests by class, those that take longest first."""
    suites = collections.defaultdict(unittest.TestSuite)
    for test in tests:
        suites[type(test)].addTest(test)
    return sorted(
        suites.values(), reverse=True, key=lambda suite: sum(
            getattr(test, 'seconds', 0) for test in suite))


def is_slow(test):
    """Tell whether a test or its class is marked as slow."""
    name = test.id().rpartition('.')[2]
    return (getattr(test, 'slow', False)
            or getattr(getattr(test, name), 'slow', False)
            or name in getattr(test, 'slow_tests', ()))


def is_ours(suite, claims):
    """Tell whether no other test machine runs a class of tests."""
    first = next(iter(suite))
    name = f'{type(first).__module__}.{type(first).__qualname__}'
    try:
        os.mkdir(os.path.join(claims, name))
    except FileExistsError:
        return False
    return True


def main(results, pattern=''):
    """Run the tests whose id matches a pattern, or all that are not slow."""
    claims = os.environ.get('CLAIMS')
    agent = root.split(pwd.getpwnam('cinder'))
    from tests.functional import base
    base.use(agent, results)
    found = unittest.TestLoader().discover('tests/functional',
                                           top_level_dir='.')
    chosen = [test for test in test_cases(found)
              if (re.search(pattern, test.id()) if pattern
                  else not is_slow(test))]
    result = Result()
    if not chosen:
        result.addFailure(unittest.FunctionTestCase(main), (
            AssertionError, AssertionError(f'no test matches {pattern!r}'),
            None))
    for suite in class_suites(chosen):
        if claims is None or is_ours(suite, claims):
            suite.run(result)
    base.write_evidence(results)
    with open(os.path.join(results, 'summary'), 'w') as summary:
        print(result.summary(), file=summary)
    print(result.summary(), flush=True)
    return 0 if result.wasSuccessful() else 1


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
