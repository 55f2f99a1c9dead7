# SPDX-License-Identifier: Apache-2.0
"""Run Cinder's tests of its LVM driver against this one; print outcomes.

usage: python -m tests.unit.upstream.run [NAME...]

A process of its own, because these tests set defaults of options and
replace parts of Cinder for good. The outcomes are a JSON object: name of a
test -> ``reached`` (the verbs that it called) and ``failure`` (a traceback,
or null).
"""

import json
import subprocess
import sys
import traceback
import unittest
import warnings

from tests.unit.upstream import adapter

MODULES = ('cinder.tests.unit.volume.drivers.test_lvm_driver',
           'cinder.tests.compliance.test_volume_drivers')


class Outcomes(unittest.TestResult):
    """Keeps what became of each test, and what it called."""

    def __init__(self):
        super().__init__()
        self.by_name = {}

    def startTest(self, test):
        super().startTest(test)
        self._note(test, None)

    def addError(self, test, error):
        self._note(test, ''.join(traceback.format_exception(*error)))

    addFailure = addError

    def addSkip(self, test, reason):
        self._note(test, f'skipped: {reason}')

    def stopTest(self, test):
        self.by_name[_name(test)]['reached'] = list(adapter.reached)
        super().stopTest(test)

    def _note(self, test, failure):
        self.by_name[_name(test)] = {'reached': [], 'failure': failure}


def _name(test):
    return '.'.join(test.id().split('.')[-2:])


def _refuse(*_args, **_kwargs):
    raise AssertionError('a unit test must not run a process')


def _tests(suite):
    for item in suite:
        yield from _tests(item) if hasattr(item, '__iter__') else [item]


def _forget_setup(case):
    """Count only what a test calls itself, not what its setUp makes."""
    set_up = case.setUp

    def setUp(self):
        set_up(self)
        adapter.reached.clear()
    case.setUp = setUp


def main(names):
    """Run the tests of these names, or all."""
    warnings.simplefilter('ignore')
    adapter.install()
    # Not before the driver is in place: decorators of the tests name it.
    suite = unittest.defaultTestLoader.loadTestsFromNames(MODULES)
    outcomes = Outcomes()
    tests = [test for test in _tests(suite)
             if not names or _name(test) in names]
    for case in {type(test) for test in tests}:
        _forget_setup(case)
    subprocess.Popen.__init__ = _refuse
    for test in tests:
        test.run(outcomes)
    json.dump(outcomes.by_name, sys.stdout)


if __name__ == '__main__':
    main(sys.argv[1:])
