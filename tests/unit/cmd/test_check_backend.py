# SPDX-License-Identifier: Apache-2.0
"""The checks of one back end."""

from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import check_backend
from cinder_lvm_driver.cmd import database
from cinder_lvm_driver.cmd import orphans
from tests.unit.cmd import base


@ddt.ddt
class TestChecks(base.CommandTestCase):

    def setUp(self):
        super().setUp()
        self.orphans = self.useFixture(fixtures.MockPatchObject(
            orphans, 'find', mock.Mock(return_value=[]))).mock

    def test_disagreement_with_the_database(self):
        self.orphans.return_value = [orphans.Orphan(text='Unknown LV')]
        self.assertEqual('', self.results()['database'])
        self.assertIn('Unknown LV', self.log.output)

    def test_no_database(self):
        self.orphans.side_effect = database.Unreachable('gone')
        self.assertEqual('', self.results()['database'])
        self.assertIn('cannot be asked (gone)', self.log.output)

    def results(self, **settings):
        """Return what each check returns, raises or logs."""
        self.enable(**settings)
        found = {}

        def add(name, check):
            try:
                found[name] = check()
            # Whatever the check raises is its result.
            except Exception as exc:  # noqa: BLE001
                found[name] = exc
            return not isinstance(found[name], Exception)

        section, = backends.sections(None)
        check_backend.Checks(section).run(add, is_usable=True)
        return found

    def test_all(self):
        found = self.results(lvm_type='thin')
        self.assertEqual(['options', 'lvm.conf', 'LVs', 'volume group',
                          'names', 'layout', 'target helper', 'portals',
                          'database'],
                         [*found])
        self.assertIn('creates pool vg-pool', found['layout'])
        self.assertEqual('vg has 100.0 GiB, 100.0 GiB free',
                         found['volume group'])
        self.assertEqual(set(), self.machine.names())

    def test_wrong_option(self):
        found = self.results(volume_clear_ionice='-c9')
        self.assertEqual(['options'], [*found])
        self.assertIn('volume_clear_ionice', str(found['options']))

    def test_no_vg(self):
        found = self.results(volume_group='nope')
        self.assertIn('VG nope was not found', str(found['volume group']))
        self.assertFalse({'layout', 'database'} & {*found})
        self.assertIn('portals', found)

    def test_fault_of_the_vg(self):
        self.lvm.metadata_free = 0
        found = self.results()
        self.assertIn('metadata area of VG vg is full',
                      str(found['volume group']))

    def test_complaint_about_the_vg(self):
        self.lvm.metadata_free = 20 * 1024
        self.results()
        self.assertIn('metadata area of VG vg is more than 90 % full',
                      self.log.output)

    def test_fault_and_advice_of_the_layout(self):
        self.lvm.add('vg-pool', 80 * base.backend.GIB, segtype='thin-pool',
                     reported={'zero': ''})
        self.assertIn('thin in pool', str(self.results()['layout']))
        self.assertIn('does not zero blocks', self.log.output)

    @ddt.data('check_for_setup_error', 'fault')
    def test_target(self, verb):
        target = mock.Mock(portals=(), **{
            'fault.return_value': None,
            **({'fault.return_value': 'No address'} if verb == 'fault' else {
                f'{verb}.side_effect': OSError('No module')})})
        with mock.patch('cinder_lvm_driver.targets.load',
                        return_value=target):
            found = self.results()
        self.assertRegex('\n'.join(map(str, found.values())),
                         'No address|No module')
