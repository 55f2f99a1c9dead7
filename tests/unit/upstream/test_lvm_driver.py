# SPDX-License-Identifier: Apache-2.0
"""Cinder's tests of its LVM driver end as the table says."""

import functools
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys

import testtools

from tests import base
from tests.unit.upstream import table

TREE = pathlib.Path(__file__).parents[3]
RELEASE = int(importlib.metadata.version('cinder').partition('.')[0])
EXPECTED = table.expected(RELEASE)
# Seconds; far more than they take. Past this something hangs.
TIMEOUT = 600


@functools.cache
def outcomes():
    """Run all of them once, in a process of their own."""
    done = subprocess.run(
        [sys.executable, '-m', 'tests.unit.upstream.run'], cwd=TREE,
        env={**os.environ, 'PYTHONPATH': str(TREE)}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, timeout=TIMEOUT)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


class TestUpstream(testtools.TestCase):
    """One test here for each of theirs; each name tells its outcome."""

    # Running theirs is no part of the first test that needs an outcome.
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        outcomes()

    def test_every_test_is_listed(self):
        self.assertEqual(set(), set(outcomes()) - set(EXPECTED),
                         'not in tests/unit/upstream/table.py')

    def check_holds(self, _name, outcome):
        self.assertIsNone(outcome['failure'])
        self.assertNotEqual([], outcome['reached'],
                            'the test passes without calling the driver')

    def check_differs(self, name, outcome):
        self.assertIsNotNone(
            outcome['failure'], 'the test holds: say so in the table')
        group, = (group for group in table.GROUPS if name in group.tests)
        self.assertRegex(outcome['failure'], group.shows)

    def check_elsewhere(self, _name, outcome):
        self.assertIsNone(outcome['failure'])
        self.assertEqual([], outcome['reached'],
                         'the test calls the driver: it is not elsewhere')


def _check_of(name, outcome):
    def test(self):
        self.assertIn(name, outcomes(),
                      f'Cinder {RELEASE} has no test of this name')
        getattr(self, f'check_{outcome}')(name, outcomes()[name])
    return test


for _name, _outcome in EXPECTED.items():
    setattr(TestUpstream, f'test_{_outcome}_{_name.replace(".", "_")}',
            _check_of(_name, _outcome))


class TestTable(base.TestCase):

    def test_a_test_is_in_one_group(self):
        names = [name for group in table.GROUPS for name in group.tests]
        self.assertEqual(sorted(set(names)), sorted(names))

    def test_a_reason_is_one_sentence(self):
        for group in table.GROUPS:
            self.assertTrue(group.reason.endswith('.'), group.reason)
            self.assertNotIn('. ', group.reason)

    def test_a_difference_shows(self):
        for group in table.GROUPS:
            self.assertEqual(group.outcome == table.DIFFERS,
                             bool(group.shows))

    def test_outcome_of_an_older_release(self):
        name = 'LVMVolumeDriverTestCase.test_delete_volume_thinlvm_snap'
        self.assertEqual(
            [table.HOLDS, table.DIFFERS],
            [table.expected(release)[name] for release in (27, 28)])
