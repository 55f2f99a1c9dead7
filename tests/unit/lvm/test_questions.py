# SPDX-License-Identifier: Apache-2.0
"""What a VG is asked, and what becomes of the answers."""

import decimal
from unittest import mock

import json

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import questions
from tests import base
from tests.fakes import lvm as fake_lvm
from tests.unit.lvm import test_kernel_thin
from tests.unit.lvm import test_vg

FORM = test_vg.FORM
FIELDS = ('vg_name,lv_name,lv_size,origin_size,segtype,lv_role,origin,'
          'pool_lv,lv_active,lv_device_open,lv_skip_activation,data_percent,'
          'metadata_percent,lv_tags,lv_merging,lv_permissions,'
          'lv_health_status,lv_check_needed,zero,lv_metadata_size,'
          'lv_snapshot_invalid,lv_suspended,transaction_id')
NO_VOLUMES = '{"report": [{"lv": []}]}'


class TestReports(test_vg.CommandTestCase):

    def test_get_physical_volumes(self):
        self.expect('vgs', *FORM, '-o',
                    'pv_name,pv_size,pv_free,pv_allocatable,pv_missing', 'vg',
                    stdout='{"report": [{"vg": []}]}')
        self.assertEqual([], self.vg.get_physical_volumes())

    def test_get_volumes(self):
        self.expect('lvs', *FORM, '-o', FIELDS, 'vg', stdout=NO_VOLUMES)
        self.assertEqual({}, self.vg.get_volumes())
        self.assertEqual([7, 7], self.runner.timeouts)

    def test_has_spare_metadata(self):
        for rows, has_spare in (('', False),
                                ('{"lv_name": "[lvol0_pmspare]"}', True)):
            self.expect('lvs', *FORM, '--all', '-o', 'lv_name', '-S',
                        'lv_role=spare', 'vg',
                        stdout='{"report": [{"lv": [%s]}]}' % rows)
            self.assertIs(has_spare, self.vg.has_spare_metadata())

    def test_get_synchronization(self):
        self.expect('lvs', *FORM, '-o', 'lv_name,sync_percent', 'vg',
                    stdout=json.dumps({'report': [{'lv': [
                        {'lv_name': 'a', 'sync_percent': '12.50'},
                        {'lv_name': 'b', 'sync_percent': ''}]}]}))
        self.assertEqual({'a': decimal.Decimal('12.5')},
                         self.vg.get_synchronization())

    def test_count_copies(self):
        # An LV of several segments has a row for each.
        for rows, copies in (('', 0), ('{"stripes": "1"}', 1),
                             ('{"stripes": "3"}, {"stripes": "3"}', 3)):
            self.expect('lvs', *FORM, '-o', 'stripes', '-S', 'lv_name="a"',
                        'vg', stdout='{"report": [{"lv": [%s]}]}' % rows)
            self.assertEqual(copies, self.vg.count_copies('a'))

    def test_thin_ids(self):
        self.expect('lvs', *FORM, '-o', 'lv_name,thin_id', 'vg',
                    stdout='{"report": [{"lv": ['
                    '{"lv_name": "a", "thin_id": "7"}, '
                    '{"lv_name": "pool", "thin_id": ""}]}]}')
        self.assertEqual({'a': 7}, self.vg.thin_ids())

    def test_extents(self):
        self.expect('lvs', *FORM, '-o', 'seg_pe_ranges', '-S', 'lv_name="a"',
                    'vg', stdout=json.dumps({'report': [{'lv': [
                        {'seg_pe_ranges': '/dev/sda:8-9,/dev/mapper/b:0-0'},
                        {'seg_pe_ranges': '/dev/sda:1-3'}]}]}))
        extents = self.vg.get_extents('a')
        self.assertEqual(['/dev/sda:8-9', '/dev/mapper/b:0-0',
                          '/dev/sda:1-3'], list(map(str, extents)))
        self.assertEqual([2, 1, 3], [each.count for each in extents])

    def test_find_volume(self):
        self.expect('lvs', *FORM, '-o', FIELDS, '-S',
                    'lv_name="a" || segtype="thin-pool"', 'vg',
                    stdout=NO_VOLUMES)
        self.assertIsNone(self.vg.find_volume('a'))
        self.assertEqual([7, 7], self.runner.timeouts)


@ddt.ddt
class TestQuestions(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))

    def test_get_volume(self):
        self.lvm.add('a')
        self.assertEqual('a', self.vg.get_volume('a').name)

    def test_get_volume_that_is_not_there(self):
        error = self.assertRaises(lvm.LogicalVolumeNotFound,
                                  self.vg.get_volume, 'b')
        self.assertEqual('LV b was not found in VG vg', str(error))

    def test_get_volume_that_is_a_pool(self):
        self.lvm.add('p', segtype='thin-pool')
        self.assertRaises(lvm.LogicalVolumeOfWrongKind, self.vg.get_volume,
                          'p')
        self.assertEqual('p', self.vg.get_pool_or_volume('p').name)

    def wait_until_closed(self, name, seconds, meanwhile=None):
        volume = self.lvm.add(name, is_open=True)
        found = self.vg.get_volume(name)
        event = mock.Mock()
        event.wait = lambda seconds: (
            meanwhile() if meanwhile else setattr(volume, 'is_open', False))
        self.useFixture(fixtures.MockPatchObject(
            questions, 'CLOSING_SECONDS', seconds))
        self.useFixture(fixtures.MockPatchObject(
            questions.threading, 'Event', lambda: event))
        return self.vg.wait_until_closed(found)

    def test_volume_that_is_let_go_of_late(self):
        self.assertFalse(self.wait_until_closed('a', 60).is_open)

    def test_volume_that_goes_while_it_is_waited_for(self):
        self.assertRaises(lvm.LogicalVolumeNotFound, self.wait_until_closed,
                          'a', 60, self.lvm.volumes.clear)

    def test_volume_that_stays_open(self):
        volume = self.wait_until_closed('a', 0)
        self.assertTrue(volume.is_open)
        error = self.assertRaises(lvm.LogicalVolumeInUse,
                                  self.vg.require_closed, volume)
        self.assertIn('LV a is in use', str(error))

    def test_volume_that_nobody_has_open(self):
        self.lvm.add('a')
        volume = self.vg.get_volume('a')
        self.assertEqual(volume, self.vg.require_closed(volume))

    def test_get_picture(self):
        self.lvm.add('a')
        picture = self.vg.get_picture()
        self.assertEqual({'a'}, set(picture.lvs))
        self.assertEqual('vg', picture.vg.name)

    @ddt.data('', '.', '..', '-n', '../a', 'vg/a', 'a" || lv_name="b',
              'a\n', 'a b', 'ä', 'snapshot-1', 'pvmove0', 'a_tmeta')
    def test_name_that_no_volume_can_have(self, name):
        def run(*argv, **kwargs):
            self.fail(f'LVM was asked: {argv}')

        self.lvm.run = run
        self.assertIsNone(self.vg.find_volume(name))
        self.assertRaises(lvm.LogicalVolumeNotFound, self.vg.get_volume, name)


class TestCheckChangeable(base.TestCase):
    """A thick LV, one of whose devices is suspended."""

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.lvm.add('a')
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))

    def check(self, *suspended):
        """Check an LV that has these suspended devices at first, then."""
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', side_effect=[[
                test_kernel_thin.device('vg-a'),
                *(test_kernel_thin.device(name, is_suspended=True)
                  for name in names)] for names in suspended]))
        self.vg.check_changeable(self.vg.get_volume('a'))

    def test_suspended(self):
        names = ['vg-a_rimage_0', 'pv-below']
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.check,
                                  names, names)
        self.assertIn('LV vg/a is suspended', str(error))
        self.assertIn('dmsetup resume pv-below vg-a_rimage_0', str(error))

    def test_snapshot_of_an_origin_that_is_suspended(self):
        self.lvm.add('s', origin='a')
        origin = [test_kernel_thin.device('vg-a', is_suspended=True)]
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack',
            lambda name: origin if name == 'vg-a' else []))
        error = self.assertRaises(
            lvm.LogicalVolumeInUse, self.vg.check_changeable,
            self.vg.get_volume('s'))
        self.assertIn('dmsetup resume vg-a', str(error))

    def test_suspended_for_a_moment(self):
        """Another command does that while it changes the LV."""
        self.check(['vg-a_rimage_0'], [])

    def test_others_are_suspended_meanwhile(self):
        self.check(['vg-a_rimage_0'], ['vg-a_rimage_1'])

    def test_not_suspended(self):
        self.check([])
