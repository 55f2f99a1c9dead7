# SPDX-License-Identifier: Apache-2.0
"""The report of checks, and its exit status."""

import argparse
import logging

import ddt
import fixtures

from cinder_lvm_driver.cmd import check
from cinder_lvm_driver.cmd import check_node
from cinder_lvm_driver.cmd import filters
from cinder_lvm_driver.cmd import orphans
from cinder_lvm_driver import errors
from tests import base as tests_base
from tests.unit.cmd import base

LOG = logging.getLogger('cinder_lvm_driver.somewhere')


@ddt.ddt
class TestReport(tests_base.TestCase):

    def add(self, step):
        report = check.Report()
        passed, lines = base.CommandTestCase.printed(
            report.add, 'one', 'VG', step)
        return int(report.worst), passed, lines

    @ddt.data(('vg', 'Success one: VG: vg'), ('', 'Success one: VG'))
    @ddt.unpack
    def test_success(self, said, line):
        self.assertEqual((0, True, [line]), self.add(lambda: said))

    def test_warnings_are_what_the_service_logs(self):
        def step():
            for text in 'slow', 'unsafe', 'slow':
                LOG.warning('It is %s', text)
            LOG.info('It is there')
            return ''

        self.assertEqual((1, True, ['Warning one: VG: It is slow',
                                    'Warning one: VG: It is unsafe']),
                         self.add(step))

    def test_failure_is_one_line(self):
        def step():
            raise errors.ConfigurationError('It is\nwrong')

        self.assertEqual((2, False, ['Failure one: VG: It is wrong']),
                         self.add(step))

    def test_privileged_daemon_that_does_not_start(self):
        def step():
            raise OSError('no fork')

        self.assertEqual(2, self.add(step)[0])

    def test_bug(self):
        self.assertRaises(ZeroDivisionError, self.add, lambda: str(1 / 0))

    def test_worst_counts(self):
        report = check.Report()
        base.CommandTestCase.printed(
            report.add, 'one', 'a', lambda: LOG.warning('odd') or '')
        base.CommandTestCase.printed(report.add, 'one', 'b', lambda: 'fine')
        self.assertEqual(1, report.worst)


class TestRun(base.CommandTestCase):

    settings = {'lvm_type': 'default'}

    def setUp(self):
        super().setUp()
        for module, name, fake in ((filters, 'check', str),
                                   (check_node, 'check_udev', str),
                                   (check_node, 'check_readable', str),
                                   (orphans, 'find', lambda *_: ())):
            self.useFixture(fixtures.MockPatchObject(module, name, fake))

    def run_checks(self):
        return self.printed(check.run, argparse.Namespace(backend=None))

    def test_all_is_well(self):
        self.enable()
        code, lines = self.run_checks()
        self.assertEqual((0, []), (code, [
            line for line in lines if not line.startswith('Success')]))

    def test_nothing_to_check(self):
        self.config.config(enabled_backends=None)
        code, lines = self.run_checks()
        self.assertEqual(2, code)
        self.assertIn('No enabled back end', '\n'.join(lines))

    def test_each_back_end(self):
        names = self.enable(), self.enable(base.IN_TREE)
        _code, lines = self.run_checks()
        for name in names:
            self.assertEqual(9, sum(line.startswith(f'Success {name}: ')
                                    for line in lines), lines)

    def test_no_root(self):
        name = self.enable()
        self.machine.refused = {'lvremove'}
        code, lines = self.run_checks()
        self.assertEqual(2, code)
        self.assertIn(f'Warning {name}: LVM and targets: not checked, because '
                      f'no command can run as root', lines)
        self.assertNotIn('volume group', '\n'.join(lines))
