# SPDX-License-Identifier: Apache-2.0
"""What follows from the facts about an LV."""

import dataclasses
import decimal

import ddt

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import types
from tests import base

MIB = 2 ** 20
LINEAR = types.LogicalVolume(
    name='a', vg_name='my-vg', size_bytes=8, origin_size_bytes=None,
    segtype='linear', role=frozenset(['public']), origin=None, pool=None,
    active=True, skips_activation=False, is_open=False, data_percent=None,
    metadata_percent=None, tags=frozenset(), is_read_only=False, health=None,
    needs_check=False, zeroes_blocks=False, metadata_size_bytes=None,
    is_invalid=False, is_merging=False, is_suspended=False,
    transaction_id=None)


def volume(role='public', **facts):
    return dataclasses.replace(LINEAR, role=frozenset(role.split(',')),
                               **facts)


@ddt.ddt
class TestLogicalVolume(base.TestCase):

    def test_names(self):
        self.assertEqual(('my-vg/a', '/dev/my-vg/a'),
                         (LINEAR.full_name, LINEAR.path))

    def test_facts_do_not_change(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr, LINEAR,
                          'name', 'b')

    @ddt.data(('linear', False, False), ('thin', True, False),
              ('thin-pool', False, True), ('raid1', False, False))
    @ddt.unpack
    def test_segtype(self, segtype, is_thin, is_thin_pool):
        lv = volume(segtype=segtype)
        self.assertEqual((is_thin, is_thin_pool),
                         (lv.is_thin, lv.is_thin_pool))

    @ddt.data(('linear', 'public', False), ('cache-pool', 'private', True),
              ('thin-pool', 'private', True), ('thin-pool', 'public', True))
    @ddt.unpack
    def test_private(self, segtype, role, is_private):
        lv = volume(segtype=segtype, role=role)
        self.assertIs(is_private, lv.is_private)

    def test_check_not_private(self):
        types.check_not_private(LINEAR)
        error = self.assertRaises(
            lvm.LogicalVolumeOfWrongKind, types.check_not_private,
            volume('private', segtype='thin-pool'))
        self.assertIn('LV my-vg/a is a thin pool (segtype thin-pool)',
                      str(error))
        self.assertIn('lvrename', str(error))

    @ddt.data(('linear', False), ('raid1', True), ('mirror', True))
    @ddt.unpack
    def test_mirrored(self, segtype, is_mirrored):
        self.assertIs(is_mirrored, volume(segtype=segtype).is_mirrored)

    @ddt.data(('public', False, False),
              ('public,snapshot,thicksnapshot', True, False),
              ('public,origin,thickorigin', False, True),
              ('public,origin,thickorigin,multithickorigin', False, True),
              ('public,origin,thinorigin,snapshot,thinsnapshot', False,
               False))
    @ddt.unpack
    def test_role(self, role, is_cow_snapshot, is_cow_origin):
        lv = volume(role)
        self.assertEqual((is_cow_snapshot, is_cow_origin),
                         (lv.is_cow_snapshot, lv.is_cow_origin))

    @ddt.data(('public,origin,thickorigin', 'has COW snapshots'),
              ('public,origin,extthinorigin',
               'lvs -S origin=a my-vg'),
              ('public,origin,extthinorigin,multiextthinorigin',
               'external origin'))
    @ddt.unpack
    def test_lv_that_others_depend_on(self, role, pattern):
        error = self.assertRaises(lvm.LogicalVolumeInUse,
                                  types.check_removable, volume(role))
        self.assertIn(pattern, str(error))

    def test_lv_that_no_other_depends_on(self):
        for role in 'public', 'public,origin,thinorigin':
            types.check_removable(volume(role))

    def test_reader_of_a_cow_snapshot_sees_the_size_of_its_origin(self):
        lv = volume('snapshot,thicksnapshot', origin_size_bytes=4)
        self.assertEqual((8, 4), (lv.size_bytes, lv.virtual_size_bytes))

    @ddt.data((64 * MIB, True), (64 * MIB + 64 * MIB // 256, True),
              (68 * MIB, False))
    @ddt.unpack
    def test_store_of_a_cow_snapshot(self, size_bytes, can_overflow):
        lv = volume('snapshot,thicksnapshot', size_bytes=size_bytes,
                    origin_size_bytes=64 * MIB)
        self.assertIs(can_overflow, lv.can_overflow)

    def test_what_is_no_cow_snapshot_does_not_overflow(self):
        self.assertFalse(LINEAR.can_overflow)

    def test_reader_of_an_origin_sees_its_own_size(self):
        lv = volume('origin,thickorigin', origin_size_bytes=4)
        self.assertEqual(8, lv.virtual_size_bytes)


class TestLogicalVolumes(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvs = types.LogicalVolumes('my-vg', {
            'a': LINEAR, 'pool': volume('private', segtype='thin-pool'),
            'stuck': volume(is_suspended=True)})

    def test_lookup(self):
        self.assertIs(LINEAR, self.lvs['a'])
        self.assertIs(LINEAR, self.lvs.usable('a'))
        self.assertIsNone(self.lvs.get('x'))
        self.assertNotIn('x', self.lvs)

    def test_lv_that_is_not_there(self):
        for look_up in self.lvs.__getitem__, self.lvs.usable:
            error = self.assertRaises(lvm.LogicalVolumeNotFound, look_up, 'x')
            self.assertEqual('LV x was not found in VG my-vg', str(error))

    def test_lv_that_cannot_be_used(self):
        for name, error in (('pool', lvm.LogicalVolumeOfWrongKind),
                            ('stuck', lvm.LogicalVolumeSuspended)):
            self.assertRaises(error, self.lvs.usable, name)


@ddt.ddt
class TestAutoextendPolicy(base.TestCase):

    policy = types.AutoextendPolicy(threshold_percent=80, percent=20)

    def pool(self, data_percent, metadata_percent, **facts):
        return volume('private', segtype='thin-pool', **facts, **{
            name: percent and decimal.Decimal(percent)
            for name, percent in (('data_percent', data_percent),
                                  ('metadata_percent', metadata_percent))})

    @ddt.data(('80.00', '80.00', False, False), ('80.01', '10', True, True),
              ('10', '80.01', True, False), (None, None, False, False))
    @ddt.unpack
    def test_threshold(self, data, metadata, is_due, lacks_data):
        pool = self.pool(data, metadata)
        self.assertEqual((is_due, lacks_data), (
            self.policy.is_due(pool), self.policy.lacks_data(pool)))

    def test_metadata_that_lvm_keeps_in_reserve(self):
        """No LV can be made any more, although the threshold is higher."""
        for size_bytes, is_due in (4 * MIB, True), (64 * MIB, False):
            self.assertIs(is_due, self.policy.is_due(self.pool(
                '10', '76', metadata_size_bytes=size_bytes)))

    @ddt.data(({'health': 'out_of_data'}, True), ({'health': 'failed'}, False),
              ({'health': 'metadata_read_only'}, False),
              ({'needs_check': True}, False))
    @ddt.unpack
    def test_pool_in_trouble(self, facts, is_due):
        self.assertIs(is_due,
                      self.policy.is_due(self.pool('100', '10', **facts)))
