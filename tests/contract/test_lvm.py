# SPDX-License-Identifier: Apache-2.0
"""What ``lvm.LVM`` promises, on the fake LVM here and on the real one.

The cases need nothing but ``self.vg``, a VG of 508 MiB that is empty. They
are run on the real LVM by ``tests/functional/test_contract.py``.
"""

from unittest import mock

import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import snapshot_set
from cinder_lvm_driver import naming
from tests import base
from tests.fakes import lvm as fake_lvm

MIB = 2 ** 20
EXTEND = naming.EXTEND_TAG + '1_x-1'
MERGE = naming.MERGE_TAG + 'tag'
REVERT = naming.REVERT_TAG + 'two'


class Looks:
    """What the contracts see of a VG."""

    def wait_until(self, condition):
        """Wait for what LVM does in the background."""
        self.assertTrue(condition())

    def settled(self, volume):
        """Return an LV once udev has let go of it."""
        # A pool is open as long as LVs of it are active.
        return volume if volume.is_thin_pool else (
            self.vg.wait_until_closed(volume))

    def picture(self):
        """Return all LVs once udev has let go of them."""
        return {name: self.settled(volume)
                for name, volume in self.vg.get_volumes().items()}


class LVMContract(Looks):
    """The cases; give ``self.vg``."""

    def facts(self, name, *fields):
        volume = self.vg.get_pool_or_volume(name)
        if 'is_open' in fields:
            volume = self.settled(volume)
        return tuple(getattr(volume, field) for field in fields)

    def assert_all_raise(self, error, *calls):
        for verb, *arguments in calls:
            with self.assertRaises(error, msg=(verb.__name__, arguments)):
                verb(*arguments)

    def snapshot(self, name, origin):
        self.vg.create_cow_snapshot(name, origin,
                                    self.vg.get_volume(origin).size_bytes)

    def make_pool(self):
        self.vg.create_thin_pool('pool')

    def make_small_pool(self):
        """Make a pool of 100 MiB, 92 of which are used."""
        self.vg.create_volume('filler', 400 * MIB)
        self.make_pool()
        self.vg.delete('filler')
        self.vg.create_thin_volume('a', 100 * MIB, 'pool')
        self.fill(self.vg.get_volume('a'), 92 * MIB)
        return self.vg.get_pool_or_volume('pool')

    def test_empty_vg(self):
        self.assertEqual({}, self.vg.get_volumes())
        self.assertFalse(self.vg.has_spare_metadata())
        vg = self.vg.get_vg()
        self.assertEqual((self.vg.vg_name, (), ()),
                         (vg.name, vg.lost_pvs, vg.returned_pvs))
        self.assertEqual(vg.size_bytes, vg.free_bytes)
        self.assertEqual(4 * MIB, vg.extent_size_bytes)

    def test_volume(self):
        free = self.vg.get_vg().free_bytes
        self.vg.create_volume('a', 5 * MIB)
        picture = self.vg.get_picture()
        self.assertEqual(free - 8 * MIB, picture.vg.free_bytes)
        volume = self.settled(picture.lvs['a'])
        self.assertEqual((8 * MIB, 8 * MIB, 'linear', True, False),
                         (volume.size_bytes, volume.virtual_size_bytes,
                          volume.segtype, volume.active, volume.is_open))
        self.assertEqual((None, None, None, set()),
                         (volume.origin, volume.pool, volume.data_percent,
                          volume.tags))
        self.assertFalse(volume.is_cow_origin or volume.is_cow_snapshot)
        self.vg.delete('a')
        self.assertEqual({}, self.vg.get_volumes())
        self.assertEqual(free, self.vg.get_vg().free_bytes)

    def test_volume_is_found_by_its_whole_name_only(self):
        self.vg.create_volume('volume-1', 4 * MIB)
        self.vg.create_volume('volume-10', 8 * MIB)
        self.assertEqual((4 * MIB,), self.facts('volume-1', 'size_bytes'))
        for name in ('volume-', 'olume-1', 'volume-1.', 'VOLUME-1'):
            self.assertIsNone(self.vg.find_volume(name), name)

    def test_extend(self):
        self.vg.create_volume('a', 4 * MIB)
        self.vg.extend_volume('a', 9 * MIB)
        self.assertEqual((12 * MIB,), self.facts('a', 'size_bytes'))
        self.assert_all_raise(
            lvm.LVMError, (self.vg.extend_volume, 'a', 12 * MIB),
            (self.vg.extend_volume, 'a', 4 * MIB))
        self.assertEqual((12 * MIB,), self.facts('a', 'size_bytes'))

    def extend_pool(self, pool, threshold_percent=80):
        """Return the size and the fill level that a pool has then."""
        self.vg.extend_pool(pool, lvm.AutoextendPolicy(
            threshold_percent=threshold_percent, percent=20))
        return self.facts('pool', 'size_bytes', 'data_percent')

    def test_pool_that_fills_up(self):
        pool = self.make_small_pool()
        self.assertEqual((100 * MIB, 92), (pool.size_bytes,
                                           pool.data_percent))
        self.assertEqual((100 * MIB, 92), self.extend_pool(pool, 95))
        size_bytes, percent = self.extend_pool(pool)
        self.assertEqual(120 * MIB, size_bytes)
        self.assertAlmostEqual(76.67, float(percent), 2)

    def test_pool_that_fills_up_in_a_vg_that_is_nearly_full(self):
        pool = self.make_small_pool()
        self.vg.create_volume('filler', self.vg.get_vg().free_bytes
                              - 12 * MIB)
        self.assertEqual(104 * MIB, self.extend_pool(pool)[0])
        self.assert_all_raise(lvm.InsufficientSpace, (self.extend_pool, pool))

    def test_reduce(self):
        self.vg.create_volume('a', 16 * MIB)
        self.vg.reduce_volume('a', 8 * MIB)
        self.assertEqual((8 * MIB,), self.facts('a', 'size_bytes'))

    def test_tags(self):
        self.vg.create_volume('a', 4 * MIB)
        for tag in EXTEND, REVERT:
            self.vg.add_tag('a', tag)
        self.vg.rename_volume('a', 'b')
        self.assertEqual(({EXTEND, REVERT},),
                         self.facts('b', 'tags'))
        self.vg.delete_tag('b', REVERT)
        self.vg.delete_tag('b', MERGE)
        self.assertEqual(({EXTEND},), self.facts('b', 'tags'))

    def test_activation(self):
        for name in 'ab':
            self.vg.create_volume(name, 4 * MIB)
            self.vg.deactivate_lv(name)
        self.vg.deactivate_lv('a')
        self.assertEqual((False, None), self.facts('a', 'active', 'is_open'))
        self.vg.activate_lv('a', 'b')
        self.vg.activate_lv('a')
        for name in 'ab':
            self.assertEqual((True, False),
                             self.facts(name, 'active', 'is_open'))

    def test_cow_snapshot(self):
        self.vg.create_volume('a', 64 * MIB)
        self.snapshot('s', 'a')
        self.assertEqual(
            ('linear', 'a', 64 * MIB, 64 * MIB, True, False, True),
            self.facts('s', 'segtype', 'origin', 'origin_size_bytes',
                       'virtual_size_bytes', 'is_cow_snapshot',
                       'is_cow_origin', 'active'))
        # The store has room for all of the origin and what it notes of it.
        self.assertEqual((68 * MIB, False, False),
                         self.facts('s', 'size_bytes', 'can_overflow',
                                    'is_invalid'))
        self.assertEqual((0,), self.facts('s', 'data_percent'))
        self.assertEqual(
            (None, 64 * MIB, False, True),
            self.facts('a', 'origin', 'virtual_size_bytes',
                       'is_cow_snapshot', 'is_cow_origin'))
        self.vg.delete('s')
        self.assertEqual((False,), self.facts('a', 'is_cow_origin'))

    def test_cow_snapshots_of_one_origin(self):
        self.vg.create_volume('a', 8 * MIB)
        for name in 'st':
            self.snapshot(name, 'a')
        self.assertIn('multithickorigin', self.vg.get_volume('a').role)
        self.assertEqual((True,), self.facts('a', 'is_cow_origin'))
        self.vg.rename_volume('a', 'b')
        self.assertEqual(('b', 'b'), self.facts('s', 'origin')
                         + self.facts('t', 'origin'))
        self.vg.delete('b')
        self.assertEqual({}, self.vg.get_volumes())

    def test_cow_snapshot_and_origin_are_active_together(self):
        self.vg.create_volume('a', 8 * MIB)
        self.snapshot('s', 'a')
        self.vg.deactivate_lv('a')
        self.assertEqual((False, None), self.facts('s', 'active', 'is_open'))
        self.vg.activate_lv('s')
        self.assertEqual((True,), self.facts('a', 'active'))

    def test_extend_origin_of_cow_snapshots(self):
        self.vg.create_volume('a', 8 * MIB)
        self.snapshot('s', 'a')
        self.assert_all_raise(lvm.LogicalVolumeInUse,
                              (self.vg.extend_volume, 'a', 16 * MIB))
        self.vg.deactivate_lv('a')
        self.vg.extend_volume('a', 16 * MIB)
        self.assert_all_raise(lvm.LVMError,
                              (self.vg.reduce_volume, 'a', 8 * MIB))
        self.assertEqual((16 * MIB,), self.facts('a', 'size_bytes'))
        self.assertEqual((8 * MIB,), self.facts('s', 'virtual_size_bytes'))

    def test_split_snapshot(self):
        self.vg.create_volume('a', 8 * MIB)
        # Of inactive ones, the new LV is active some times only (2.03.16).
        for name, active in (('s', True), ('t', False)):
            self.snapshot(name, 'a')
            size = self.vg.get_volume(name).size_bytes
            if not active:
                self.vg.deactivate_lv('a')
            self.vg.split_snapshot(name)
            self.assertEqual(
                (None, None, size, False),
                self.facts(name, 'origin', 'origin_size_bytes', 'size_bytes',
                           'is_cow_snapshot'))
            self.assertGreaterEqual(self.facts(name, 'active'), (active,))
            self.assertEqual((False,), self.facts('a', 'is_cow_origin'))
        self.assert_all_raise(lvm.LVMError, (self.vg.split_snapshot, 'a'))

    def test_merge(self):
        self.vg.create_volume('a', 8 * MIB)
        for name in 'st':
            self.snapshot(name, 'a')
        self.vg.deactivate_lv('a')
        self.vg.extend_volume('a', 16 * MIB)
        self.vg.activate_lv('a')
        self.vg.merge_tagged(MERGE)
        self.assertEqual({'a', 's', 't'}, set(self.vg.get_volumes()))
        self.vg.add_tag('s', MERGE)
        self.vg.merge_tagged(MERGE)
        # No longer, the origin keeps what it was extended by.
        self.assertEqual((False, 16 * MIB, True),
                         self.facts('a', 'is_merging', 'size_bytes',
                                    'is_cow_origin'))
        self.assertEqual({'a', 't'}, set(self.vg.get_volumes()))
        self.vg.resume_merge('a')
        self.vg.add_tag('a', MERGE)
        self.assert_all_raise(lvm.LVMError, (self.vg.merge_tagged, MERGE))

    def test_merge_that_is_put_off(self):
        self.vg.create_volume('a', 8 * MIB)
        self.snapshot('s', 'a')
        self.vg.deactivate_lv('a')
        self.vg.add_tag('s', MERGE)
        self.vg.merge_tagged(MERGE)
        self.assertEqual((True,), self.facts('a', 'is_merging'))
        self.assertEqual({'a'}, set(self.vg.get_volumes()))
        self.vg.resume_merge('a')
        self.wait_until(lambda: not self.vg.get_volume('a').is_merging)

    def test_thin_pool(self):
        before = self.vg.get_vg()
        self.make_pool()
        pool = self.vg.get_pool_or_volume('pool')
        whole = before.free_bytes // before.extent_size_bytes
        self.assertEqual(whole * 95 // 100 * before.extent_size_bytes,
                         pool.size_bytes)
        self.assertTrue(pool.is_thin_pool)
        self.assert_all_raise(lvm.LogicalVolumeOfWrongKind,
                              (self.vg.get_volume, 'pool'),
                              (self.vg.bring_up, 'pool'))
        self.assertEqual((0, True, False),
                         (pool.data_percent, pool.active, pool.is_open))
        self.assertGreater(pool.metadata_percent, 0)
        self.assertEqual((True, None, False, 4 * MIB),
                         (pool.zeroes_blocks, pool.health, pool.needs_check,
                          pool.metadata_size_bytes))
        self.assertTrue(self.vg.has_spare_metadata())
        self.assertLess(self.vg.get_vg().free_bytes,
                        before.free_bytes - pool.size_bytes)
        self.assertEqual({'pool'}, set(self.vg.get_volumes()))

    def test_bring_up(self):
        self.make_pool()
        self.vg.create_thin_volume('t', 8 * MIB, 'pool')
        self.vg.create_volume('a', 8 * MIB)
        self.vg.create_thin_snapshot('s', self.vg.get_volume('t'),
                                     activate=False)
        for name in 't', 'a', 's':
            self.settled(self.vg.bring_up(name))
            self.vg.deactivate_lv(name)
            self.vg.bring_up(name)
            self.assertEqual((True,), self.facts(name, 'active'))

    def test_thin_volume(self):
        self.make_pool()
        free = self.vg.get_vg().free_bytes
        self.vg.create_thin_volume('a', 2 ** 40, 'pool')
        self.vg.create_thin_volume('b', 5 * MIB, 'pool')
        self.vg.extend_volume('b', 13 * MIB)
        self.assertEqual(free, self.vg.get_vg().free_bytes)
        self.assertEqual(
            ('thin', 'pool', 2 ** 40, True, False, 0),
            self.facts('a', 'segtype', 'pool', 'size_bytes', 'active',
                       'skips_activation', 'data_percent'))
        self.assertEqual((16 * MIB,), self.facts('b', 'size_bytes'))
        self.assertEqual((True,), self.facts('pool', 'is_open'))

    def test_thin_snapshots(self):
        self.make_pool()
        self.vg.create_thin_volume('a', 8 * MIB, 'pool')
        self.vg.create_thin_snapshot('s', self.vg.get_volume('a'),
                                     activate=False)
        self.vg.create_thin_snapshot('c', self.vg.get_volume('s'),
                                     activate=True)
        self.assertEqual(
            ('thin', 'a', 'pool', False, True, None, None, True),
            self.facts('s', 'segtype', 'origin', 'pool', 'active',
                       'skips_activation', 'is_open', 'data_percent',
                       'is_read_only'))
        self.assertEqual(
            ('s', True, False, False, False),
            self.facts('c', 'origin', 'active', 'skips_activation',
                       'is_open', 'is_read_only'))
        self.assertEqual({'public', 'origin', 'thinorigin'},
                         self.vg.get_volume('a').role)
        for name in 'asc':
            self.assertEqual(
                (False, False, 8 * MIB),
                self.facts(name, 'is_cow_snapshot', 'is_cow_origin',
                           'virtual_size_bytes'))
        self.vg.activate_lv('s')
        self.assertEqual((True, True),
                         self.facts('s', 'active', 'skips_activation'))

    def test_thin_snapshot_outlives_its_origin(self):
        self.make_pool()
        self.vg.create_thin_volume('a', 8 * MIB, 'pool')
        self.vg.create_thin_snapshot('s', self.vg.get_volume('a'),
                                     activate=False)
        self.vg.extend_volume('s', 16 * MIB)
        self.vg.delete('a')
        self.assertEqual((None, 16 * MIB),
                         self.facts('s', 'origin', 'size_bytes'))
        self.vg.delete('s')
        self.assertEqual({'pool'}, set(self.vg.get_volumes()))

    def make_set(self):
        """Create thin LVs a and b, and snapshots sa and sb of one moment."""
        self.make_pool()
        for name in 'ab':
            self.vg.create_thin_volume(name, 8 * MIB, 'pool')
            self.put(name, f'old {name}')
        thin_ids = self.vg.thin_ids

        def put_first():
            # LVM has created the snapshots.
            self.assertEqual({'pool', 'a', 'b', 'sa', 'sb'},
                             set(self.vg.get_volumes()))
            for name in 'ab':
                self.put(name, f'new {name}')
            return thin_ids()
        with mock.patch.object(self.vg, 'thin_ids', put_first):
            held_ms = snapshot_set.create(
                self.vg, {f's{name}': self.vg.get_volume(name)
                          for name in 'ab'}, 5000)
        self.assertGreater(held_ms, 0)

    def test_snapshot_set(self):
        self.make_set()
        for name in 'ab':
            self.assertEqual(
                (name, False, True, True, set()),
                self.facts(f's{name}', 'origin', 'active',
                           'skips_activation', 'is_read_only', 'tags'))
        self.vg.activate_lv('sa', 'sb')
        for name in 'ab':
            taken = self.get(f's{name}')
            self.assertEqual(self.get(name), taken)
            self.put(name, 'after')
            self.assertEqual(taken, self.get(f's{name}'))
        self.vg.create_thin_snapshot('c', self.vg.get_volume('sa'),
                                     activate=True)
        self.assertEqual(self.get('sa'), self.get('c'))

    def test_snapshot_set_that_exists_in_part(self):
        self.make_set()
        self.vg.delete('sa')
        before = set(self.vg.get_volumes())
        with self.assertRaises(lvm.LogicalVolumeExists):
            snapshot_set.create(
                self.vg, {f's{name}': self.vg.get_volume(name)
                          for name in 'ab'}, 5000)
        self.assertEqual(before, set(self.vg.get_volumes()))

    def test_make_writable(self):
        self.make_pool()
        self.vg.create_thin_volume('a', 8 * MIB, 'pool')
        self.vg.create_thin_snapshot('s', self.vg.get_volume('a'),
                                     activate=False)
        self.vg.activate_lv('s')
        self.vg.make_writable('s')
        self.assertEqual((True, False),
                         self.facts('s', 'active', 'is_read_only'))

    def test_taken_names(self):
        self.vg.create_volume('a', 8 * MIB)
        self.vg.create_volume('b', 8 * MIB)
        self.make_pool()
        self.vg.create_thin_volume('t', 8 * MIB, 'pool')
        before = self.picture()
        self.assert_all_raise(
            lvm.LogicalVolumeExists,
            (self.vg.create_volume, 'a', 8 * MIB),
            (self.snapshot, 'b', 'a'),
            (self.vg.create_thin_pool, 'pool'),
            (self.vg.create_thin_volume, 't', 8 * MIB, 'pool'),
            (self._thin_snapshot, 't', 't'),
            (self.vg.rename_volume, 'a', 'b'))
        self.assertEqual(before, self.picture())

    def test_no_such_volume(self):
        self.make_pool()
        self.assert_all_raise(
            lvm.LogicalVolumeNotFound,
            (self.vg.get_volume, 'x'),
            (self.vg.create_cow_snapshot, 'y', 'x', 8 * MIB),
            (self._thin_snapshot, 'y', 'x'),
            (self.vg.extend_volume, 'x', 16 * MIB),
            (self.vg.delete, 'x'),
            (self.vg.rename_volume, 'x', 'y'),
            (self.vg.split_snapshot, 'x'),
            (self.vg.resume_merge, 'x'),
            (self.vg.reduce_volume, 'x', 8 * MIB),
            (self.vg.add_tag, 'x', MERGE),
            (self.vg.delete_tag, 'x', MERGE),
            (self.vg.activate_lv, 'pool', 'x'),
            (self.vg.deactivate_lv, 'x'))

    def test_no_space(self):
        self.vg.create_volume('a', 300 * MIB)
        self.assert_all_raise(
            lvm.InsufficientSpace,
            (self.vg.create_volume, 'b', 300 * MIB),
            (self.vg.extend_volume, 'a', 600 * MIB),
            (self.snapshot, 's', 'a'))
        self.assertEqual({'a'}, set(self.vg.get_volumes()))
        self.assertEqual((300 * MIB,), self.facts('a', 'size_bytes'))
        self.vg.create_volume('b', self.vg.get_vg().free_bytes)
        self.assert_all_raise(lvm.InsufficientSpace,
                              (self.vg.create_thin_pool, 'pool'))

    def test_reserved_name(self):
        self.make_pool()
        self.assert_all_raise(
            lvm.InvalidRequest,
            (self.vg.create_volume, 'snapshot-1', 8 * MIB),
            (self.vg.create_thin_volume, 'snapshot-1', 8 * MIB, 'pool'))

    def test_size_of_nothing(self):
        self.make_pool()
        for size_bytes in (0, -8 * MIB):
            self.assert_all_raise(
                lvm.InvalidRequest,
                (self.vg.create_volume, 'a', size_bytes),
                (self.vg.create_thin_volume, 'b', size_bytes, 'pool'))
        self.assertEqual({'pool'}, set(self.vg.get_volumes()))

    def _thin_snapshot(self, name, origin):
        self.vg.create_thin_snapshot(name, self.vg.get_volume(origin),
                                     activate=True)


class Raid1Contract(Looks):
    """More cases; give ``self.vg``, which has three PVs of 124 MiB."""

    def segtype(self, name):
        return self.vg.get_volume(name).segtype

    def create_raid1(self, size_bytes, mirrors, pvs=()):
        self.vg.create_shaped_volume(
            'a', size_bytes, lvm.Shape('raid1', mirrors=mirrors), pvs)

    def free(self):
        return [pv.free_bytes // MIB
                for pv in self.vg.get_physical_volumes()]

    def test_raid1(self):
        pvs = self.vg.get_physical_volumes()
        self.assertEqual([(124 * MIB, 124 * MIB, True, False)] * 3, [
            (pv.size_bytes, pv.free_bytes, pv.allocatable, pv.missing)
            for pv in pvs])
        self.create_raid1(5 * MIB, 1, [pvs[2].path, pvs[1].path])
        volume = self.settled(self.vg.get_volume('a'))
        self.assertEqual(
            ('raid1', 8 * MIB, 8 * MIB, True, False, True),
            (volume.segtype, volume.size_bytes, volume.virtual_size_bytes,
             volume.active, volume.is_open, volume.is_mirrored))
        self.assertFalse(volume.is_cow_origin or volume.is_cow_snapshot)
        self.assertEqual({'a'}, set(self.vg.get_volumes()))
        # Of each copy, an extent is its metadata.
        self.assertEqual([124, 112, 112], self.free())
        self.vg.extend_volume('a', 16 * MIB)
        self.assertEqual(16 * MIB, self.vg.get_volume('a').size_bytes)
        self.vg.rename_volume('a', 'b')
        self.vg.deactivate_lv('b')
        self.vg.activate_lv('b')
        self.vg.delete('b')
        self.assertEqual(({}, [124] * 3), (self.vg.get_volumes(),
                                           self.free()))

    def test_raid1_without_space(self):
        for size, mirrors in ((8, 3), (124, 1), (200, 1)):
            with self.assertRaises(lvm.InsufficientSpace):
                self.create_raid1(size * MIB, mirrors)
        self.assertEqual(({}, [124] * 3), (self.vg.get_volumes(),
                                           self.free()))
        self.create_raid1(120 * MIB, 2)
        self.assertEqual([0] * 3, self.free())

    def test_raid1_with_cow_snapshot(self):
        self.create_raid1(8 * MIB, 1)
        self.vg.create_cow_snapshot('s', 'a', 8 * MIB)
        origin = self.vg.get_volume('a')
        self.assertEqual(('raid1', True),
                         (origin.segtype, origin.is_cow_origin))
        with self.assertRaises(lvm.LogicalVolumeInUse):
            self.vg.extend_volume('a', 16 * MIB)
        self.vg.convert_to_linear('a')
        self.vg.convert_to_raid1('a', 1)
        self.assertEqual(('raid1', 'linear', 8 * MIB), (
            self.segtype('a'), self.segtype('s'),
            self.vg.get_volume('s').virtual_size_bytes))
        self.vg.split_snapshot('s')
        self.assertFalse(self.vg.get_volume('a').is_cow_origin)

    def test_conversions(self):
        self.vg.create_volume('a', 40 * MIB)
        for copies in (2, 2, 1, 1, 3, 1):
            if copies == 1:
                self.vg.convert_to_linear('a')
            else:
                self.vg.convert_to_raid1('a', copies - 1)
            self.assertEqual('linear' if copies == 1 else 'raid1',
                             self.segtype('a'))
            used = 3 * 124 - sum(self.free())
            self.assertEqual(40 if copies == 1 else 44 * copies, used)

    def test_split_copies(self):
        self.create_raid1(8 * MIB, 2)
        self.assertEqual((3, 0), (self.vg.count_copies('a'),
                                  self.vg.count_copies('x')))
        self.wait_until(lambda: self.is_split('b'))
        self.assertEqual((2, 1), (self.vg.count_copies('a'),
                                  self.vg.count_copies('b')))
        self.assertTrue(self.is_split('c'))
        self.assertEqual(dict.fromkeys('abc', ('linear', 8 * MIB, True)), {
            name: (volume.segtype, volume.size_bytes, volume.active)
            for name, volume in self.vg.get_volumes().items()})
        self.assertEqual([116] * 3, self.free())
        with self.assertRaises(lvm.LVMError):
            self.vg.split_copy('a', 'd')
        with self.assertRaises(lvm.LogicalVolumeNotFound):
            self.vg.split_copy('x', 'd')

    def is_split(self, name):
        """Split a copy off, as soon as all of them are equal."""
        try:
            self.vg.split_copy('a', name)
        except lvm.errors.LogicalVolumeInitializing:
            return False
        return True

    def test_conversions_that_cannot_be(self):
        self.vg.create_volume('a', 100 * MIB)
        self.vg.create_volume('b', 40 * MIB)
        before, free = self.picture(), self.free()
        for error, name, mirrors in (
                (lvm.InsufficientSpace, 'a', 2),
                (lvm.InsufficientSpace, 'a', 3),
                (lvm.LogicalVolumeNotFound, 'x', 1)):
            with self.assertRaises(error, msg=(name, mirrors)):
                self.vg.convert_to_raid1(name, mirrors)
        self.assertEqual((before, free),
                         (self.picture(), self.free()))
        self.vg.deactivate_lv('b')
        with self.assertRaises(lvm.LVMError):
            self.vg.convert_to_raid1('b', 1)
        self.assertEqual('linear', self.segtype('b'))


class TestFakeLVM(LVMContract, base.TestCase):

    def setUp(self):
        super().setUp()
        self.fake = fake_lvm.FakeLVM('vg')
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, 'retake', self.fake.retake))
        self.vg = lvm.LVM('vg', self.fake, version=(2, 3, 16))

    def fill(self, volume, size_bytes):
        pool = self.fake.volumes[volume.pool]
        pool.reported['data_percent'] = f'{100 * size_bytes / pool.size:.2f}'

    def put(self, name, text):
        self.fake.volumes[name].content = text

    def get(self, name):
        return self.fake.volumes[name].content


class TestRaid1OfFakeLVM(Raid1Contract, base.TestCase):

    def setUp(self):
        super().setUp()
        self.vg = lvm.LVM('vg', fake_lvm.FakeLVM('vg', 124 * MIB, pvs=3),
                          version=(2, 3, 16))
