# SPDX-License-Identifier: Apache-2.0
"""Volumes, snapshots and clones, thin and thick, with data."""

import threading
from unittest import mock

from cinder import exception

from cinder_lvm_driver import background
from cinder_lvm_driver import devices
from cinder_lvm_driver import naming
from cinder_lvm_driver import wiping
from tests.functional import base

GIB = base.GIB
MIB = base.MIB


class VolumeVerbs:
    """What holds for every kind of LV."""

    def test_create_and_delete(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        size, segtype = self.lv(volume.name, 'lv_size,segtype')
        self.assertEqual((str(GIB), self.segtype), (size, segtype))
        self.driver.delete_volume(volume)
        self.driver.delete_volume(volume)
        self.assertNotIn(volume.name, self.lv_names())

    def test_create_over_an_existing_volume_is_refused(self):
        volume = self.create()
        self.write(self.device(volume.name), 'a')
        before = self.checksum(self.device(volume.name))
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     'already exists'):
            self.driver.create_volume(volume)
        self.assertEqual(before, self.checksum(self.device(volume.name)))

    def test_volume_whose_name_begins_another(self):
        one = self.create(display_name='one')
        two = self.volume(id=one.id[:-1] + ('0' if one.id[-1] != '0'
                                            else '1'))
        longer = self.create()
        self.root.run('lvrename', self.vg_name, longer.name,
                      one.name + '0')
        self.addCleanup(self.root.run, 'lvrename', self.vg_name,
                        one.name + '0', longer.name)
        self.driver.delete_volume(two)
        self.driver.delete_volume(one)
        self.assertIn(one.name + '0', self.lv_names())

    def test_snapshot_keeps_data_that_the_volume_loses(self):
        volume = self.create_small()
        device = self.device(volume.name)
        self.write(device, 'before')
        before = self.checksum(device)
        snapshot = self.create_snapshot(volume)
        self.write(device, 'after')
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.addCleanup(self.driver.delete_volume, copy)
        self.assertEqual(before, self.checksum(self.device(copy.name)))
        self.assertNotEqual(before, self.checksum(device))

    def test_larger_volume_from_snapshot_and_from_volume(self):
        volume = self.create_small()
        end = 60 * MIB
        self.write(self.device(volume.name), 'data')
        self.write(self.device(volume.name), 'tail', end)
        snapshot = self.create_snapshot(volume)
        from_snapshot, clone = self.volume(2), self.volume(2)
        self.driver.create_volume_from_snapshot(from_snapshot, snapshot)
        self.addCleanup(self.driver.delete_volume, from_snapshot)
        self.driver.create_cloned_volume(clone, volume)
        self.addCleanup(self.driver.delete_volume, clone)
        for copy in from_snapshot, clone:
            self.assertEqual((str(2 * GIB),), self.lv(copy.name, 'lv_size'))
            for offset in 0, end:
                self.assertEqual(
                    self.checksum(self.device(volume.name), offset),
                    self.checksum(self.device(copy.name), offset))
        before = self.checksum(self.device(clone.name))
        self.write(self.device(volume.name), 'new')
        self.assertEqual(before, self.checksum(self.device(clone.name)))

    def test_copy_over_an_existing_volume_leaves_nothing(self):
        volume, taken = self.create(), self.create()
        snapshot = self.create_snapshot(volume)
        names = self.lv_names()
        for verb, source in (
                (self.driver.create_cloned_volume, volume),
                (self.driver.create_volume_from_snapshot, snapshot)):
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, 'already exists'):
                verb(taken, source)
        self.assertEqual(names, self.lv_names())

    def test_source_that_is_gone(self):
        missing = self.volume()
        for verb, *arguments in (
                (self.driver.create_cloned_volume, self.volume(), missing),
                (self.driver.create_volume_from_snapshot, self.volume(),
                 self.snapshot(missing)),
                (self.driver.create_snapshot, self.snapshot(missing)),
                (self.driver.extend_volume, missing, 2)):
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, 'not found'):
                verb(*arguments)

    def test_delete_snapshot_twice(self):
        volume = self.create()
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.assertIn(volume.name, self.lv_names())

    def test_extend(self):
        volume = self.create()
        self.write(self.device(volume.name), 'data', GIB - 4 * MIB)
        before = self.checksum(self.device(volume.name), GIB - 4 * MIB)
        self.driver.extend_volume(volume, 2)
        self.driver.extend_volume(volume, 2)
        self.assertEqual((str(2 * GIB),), self.lv(volume.name, 'lv_size'))
        self.assertEqual(before, self.checksum(self.device(volume.name),
                                               GIB - 4 * MIB))

    def test_extend_volume_with_snapshot(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.extend_volume(volume, 2)
        self.assertEqual(('active', str(2 * GIB)),
                         self.lv(volume.name, 'lv_active,lv_size'))
        self.assertIn('_' + snapshot.name, self.lv_names())

    def test_mounted_volume_is_busy(self):
        volume = self.create()
        with self.mounted(volume):
            with self.assertRaises(exception.VolumeIsBusy):
                self.driver.delete_volume(volume)
        self.root.run('fsck.ext4', '-fn', self.device(volume.name))

    def test_manage_keeps_every_byte_of_an_odd_size(self):
        self.create_lv('somebodys-lv', 1028 * MIB)
        device = self.device('somebodys-lv')
        self.write(device, 'end', 1024 * MIB)
        end = self.checksum(device, 1024 * MIB)
        volume = self.volume(2)
        reference = {'source-name': 'somebodys-lv'}
        self.assertEqual(2, self.driver.manage_existing_get_size(
            volume, reference))
        self.driver.manage_existing(volume, reference)
        self.addCleanup(self.driver.delete_volume, volume)
        self.assertNotIn('somebodys-lv', self.lv_names())
        clone = self.volume(2)
        self.driver.create_cloned_volume(clone, volume)
        self.addCleanup(self.driver.delete_volume, clone)
        for copy in volume, clone:
            self.assertEqual(end, self.checksum(self.device(copy.name),
                                                1024 * MIB))

    def test_references_that_cannot_be_managed(self):
        volume = self.create()
        self.create_snapshot(volume)
        for reference in ({}, {'source-name': ''}, {'source-name': None},
                          {'source-name': 'nope'}, {'source-id': 'x'},
                          {'source-name': '-n'}, {'source-name': '../x'},
                          {'source-name': f'{self.vg_name}/{volume.name}'},
                          {'source-name': f'{self.vg_name}-pool'}):
            with self.subTest(reference=reference):
                with self.assertRaises(
                        exception.ManageExistingInvalidReference):
                    self.driver.manage_existing_get_size(self.volume(),
                                                         reference)

    def test_manage_snapshot_of_the_right_volume_only(self):
        volume, other = self.create(), self.create()
        snapshot = self.create_snapshot(volume)
        self.root.run('lvrename', self.vg_name, '_' + snapshot.name, 'shot')
        reference = {'source-name': 'shot'}
        with self.assert_raises_with(
                exception.ManageExistingInvalidReference, 'snapshot of'):
            self.driver.manage_existing_snapshot_get_size(
                self.snapshot(other), reference)
        self.assertEqual(1, self.driver.manage_existing_snapshot_get_size(
            snapshot, reference))
        self.driver.manage_existing_snapshot(snapshot, reference)
        self.assertIn('_' + snapshot.name, self.lv_names())

    def test_list_of_manageable(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.create_lv('free-lv', 8 * MIB)
        page = (None, 100, 0, ['reference'], ['asc'])
        volumes = self.driver.get_manageable_volumes([volume], *page)
        self.assertEqual(
            [('free-lv', True, None), (volume.name, False, volume.id)],
            [(item['reference']['source-name'], item['safe_to_manage'],
              item['cinder_id']) for item in volumes])
        snapshots = self.driver.get_manageable_snapshots([], *page)
        self.assertEqual(
            [('_' + snapshot.name, True, volume.name, 1)],
            [(item['reference']['source-name'], item['safe_to_manage'],
              item['source_reference']['source-name'], item['size'])
             for item in snapshots])

    def mounted(self, volume):
        """Have a volume's file system mounted."""
        return base.mounted(self.root, self.device(volume.name))


class ThinVolumesTest(VolumeVerbs, base.BackendTestCase):
    slow_tests = (
        'test_mounted_volume_is_busy',
        'test_volume_whose_name_begins_another',
    )
    settings = {'lvm_type': 'thin'}
    segtype = 'thin'

    def create_lv(self, name, size):
        self.root.run('lvcreate', '-qq', '-V', f'{size}b', '-n', name,
                      '--thinpool', self.vg_name + '-pool', self.vg_name)
        self.addCleanup(self.root.try_run, 'lvremove', '-f',
                        self.device(name))

    def test_volume_with_snapshot_can_go(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        snapshot = self.create_snapshot(volume)
        self.driver.delete_volume(volume)
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.driver.delete_volume(copy)

    def test_copies_take_no_space(self):
        volume = self.create()
        self.write(self.device(volume.name), 'data', size=64 * MIB)
        pool = self.vg_name + '-pool'
        before = self.lv(pool, 'data_percent')
        snapshot = self.create_snapshot(volume)
        copies = [self.volume(), self.volume()]
        self.driver.create_volume_from_snapshot(copies[0], snapshot)
        self.driver.create_cloned_volume(copies[1], volume)
        self.assertEqual(before, self.lv(pool, 'data_percent'))
        for copy in copies:
            self.driver.delete_volume(copy)

    def test_more_than_the_pool_can_be_promised(self):
        self.create(100)

    def test_stats(self):
        self.create(3)
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        self.assertAlmostEqual(1.9, pool['total_capacity_gb'], places=1)
        self.assertEqual(3.0, pool['provisioned_capacity_gb'])
        self.assertIs(True, pool['thin_provisioning_support'])
        self.assertIs(False, pool['thick_provisioning_support'])


class ThickLVs:
    """Makes LVs that the driver knows nothing of."""

    def create_lv(self, name, size):
        self.root.run('lvcreate', '-qq', '-y', '-L', f'{size}b', '-n', name,
                      self.vg_name)
        self.addCleanup(self.root.try_run, 'lvremove', '-f',
                        self.device(name))


class ThickVolumesTest(ThickLVs, VolumeVerbs, base.BackendTestCase):
    slow_tests = (
        'test_copy_over_an_existing_volume_leaves_nothing',
        'test_delete_snapshot_twice',
        'test_larger_volume_from_snapshot_and_from_volume',
        'test_manage_keeps_every_byte_of_an_odd_size',
        'test_manage_snapshot_of_the_right_volume_only',
        'test_mounted_volume_is_busy',
        'test_references_that_cannot_be_managed',
        'test_volume_whose_name_begins_another',
    )
    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    segtype = 'linear'
    pv_sizes = (12 * GIB,)
    direct = False

    def test_volume_with_snapshot_is_busy(self):
        volume = self.create()
        self.create_snapshot(volume)
        with self.assertRaises(exception.VolumeIsBusy):
            self.driver.delete_volume(volume)
        self.assertIn(volume.name, self.lv_names())

    def test_rewritten_volume_does_not_overflow_its_snapshot(self):
        self.create_lv('small', 64 * MIB)
        volume = self.volume()
        self.driver.manage_existing(volume, {'source-name': 'small'})
        self.addCleanup(self.driver.delete_volume, volume)
        device = self.device(volume.name)
        self.write(device, 'before', size=64 * MIB)
        before = self.checksum(device, size=64 * MIB)
        snapshot = self.create_snapshot(volume)
        self.write(device, 'after', size=64 * MIB)
        self.assertEqual(before, self.checksum(
            self.device('_' + snapshot.name), size=64 * MIB))

    def test_no_space_leaves_nothing(self):
        volume = self.create(7)
        names = self.lv_names()
        for verb, *arguments in (
                (self.driver.create_volume, self.volume(100)),
                (self.driver.create_snapshot, self.snapshot(volume)),
                (self.driver.create_cloned_volume, self.volume(7), volume),
                (self.driver.extend_volume, volume, 100)):
            with self.subTest(verb=verb.__name__):
                with self.assert_raises_with(
                        exception.VolumeBackendAPIException,
                        '(?i)insufficient'):
                    verb(*arguments)
        self.assertEqual(names, self.lv_names())
        self.assertEqual((str(7 * GIB),), self.lv(volume.name, 'lv_size'))

    def test_stats(self):
        self.create(3)
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        self.assertAlmostEqual(12, pool['total_capacity_gb'], places=1)
        self.assertAlmostEqual(9, pool['free_capacity_gb'], places=1)
        self.assertEqual(3.0, pool['provisioned_capacity_gb'])
        self.assertIs(False, pool['thin_provisioning_support'])


class WipedVolumesTest(ThickLVs, base.BackendTestCase):
    """What nobody is to read who gets the extents next."""

    settings = {'lvm_type': 'default', 'volume_clear_size': 8}
    pv_sizes = (4 * GIB,)

    def test_deleted_data_is_not_left_on_the_disk(self):
        for make in (self.wiped_volume, self.volume_wiped_at_the_next_start,
                     self.wiped_snapshot):
            with self.subTest(make.__name__):
                extents = make()
                self.wait_until_wiped()
                self.create_lv('again', 8 * MIB)
                self.assertEqual(extents, self.lv('again', 'seg_pe_ranges'))
                self.assert_zeroes(self.device('again'), 4096,
                                   8 * MIB - 4096)
                self.root.run('lvremove', '-f', self.device('again'))

    def secret_volume(self):
        """Return a volume and its extents."""
        self.create_lv('small', 8 * MIB)
        extents = self.lv('small', 'seg_pe_ranges')
        volume = self.volume()
        self.driver.manage_existing(volume, {'source-name': 'small'})
        self.write(self.device(volume.name), 'secret', size=8 * MIB)
        return volume, extents

    def wiped_volume(self):
        volume, extents = self.secret_volume()
        self.root.run('lvchange', '-an', self.device(volume.name))
        self.driver.delete_volume(volume)
        return extents

    def volume_wiped_at_the_next_start(self):
        volume, extents = self.secret_volume()
        with (mock.patch.object(background, 'start',
                                lambda _name, work: work()),
              mock.patch.object(devices.DeviceWriter, 'wipe',
                                side_effect=KeyboardInterrupt),
              self.assertRaises(KeyboardInterrupt)):
            self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lv_names())
        self.assertEqual([extents], self.lvs('seg_pe_ranges'))
        self.driver.check_for_setup_error()
        return extents

    def wiped_snapshot(self):
        self.create_lv('small', 4 * MIB)
        volume = self.volume()
        self.driver.manage_existing(volume, {'source-name': 'small'})
        self.addCleanup(self.driver.delete_volume, volume)
        self.write(self.device(volume.name), 'secret', size=4 * MIB)
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        extents = self.lv('_' + snapshot.name, 'seg_pe_ranges')
        self.write(self.device(volume.name), 'public', size=4 * MIB)
        self.driver.delete_snapshot(snapshot)
        return extents

    def test_space_of_what_was_just_deleted(self):
        """To Cinder it is free; what needs it waits for the wiping."""
        needed = threading.Event()
        wipe, wait = devices.DeviceWriter.wipe, wiping.Remover.wait

        def wipe_when_needed(writer, device):
            needed.wait(60)
            wipe(writer, device)

        def wait_for_wiping(remover):
            needed.set()
            wait(remover)

        with (mock.patch.object(devices.DeviceWriter, 'wipe',
                                wipe_when_needed),
              mock.patch.object(wiping.Remover, 'wait', wait_for_wiping)):
            for _ in range(2):
                needed.clear()
                volume = self.volume(3)
                self.driver.create_volume(volume)
                self.driver.delete_volume(volume)
            grown = self.create()
            needed.clear()
            self.driver.delete_snapshot(self.create_snapshot(grown))
            self.driver.extend_volume(grown, 3)
        self.assertEqual((str(3 * GIB),), self.lv(grown.name, 'lv_size'))

    def test_what_is_added_reads_as_zeroes(self):
        self.create_lv('old', 1536 * MIB)
        first_extents = self.lv('old', 'seg_pe_ranges')
        for offset in 0, GIB, 1532 * MIB:
            self.write(self.device('old'), 'secret', offset)
        self.root.run('lvremove', '-f', self.device('old'))
        volume = self.create()
        self.write(self.device(volume.name), 'mine', GIB - 4 * MIB)
        mine = self.checksum(self.device(volume.name), GIB - 4 * MIB)
        self.driver.extend_volume(volume, 2)
        self.assertEqual(first_extents[0].split(':')[0],
                         self.lv(volume.name, 'seg_pe_ranges')[0]
                         .split(':')[0])
        for offset in GIB, 1532 * MIB:
            self.assert_zeroes(self.device(volume.name), offset)
        self.assertEqual(mine, self.checksum(self.device(volume.name),
                                             GIB - 4 * MIB))

    def cut_off_extension(self, volume):
        """Have the service end before it has zeroed or undone anything."""
        with (mock.patch.object(devices.DeviceWriter, 'zero_from',
                                side_effect=KeyboardInterrupt),
              mock.patch.object(self.driver.vg, 'find_volume',
                                side_effect=KeyboardInterrupt),
              self.assertRaises(KeyboardInterrupt)):
            self.driver.extend_volume(volume, 2)

    @base.slow
    def test_extension_that_is_cut_off(self):
        """It is taken back, or completed where LVM cannot do that."""
        volume = self.create()
        for has_snapshot, size_gib in (False, 1), (True, 2):
            with self.subTest(has_snapshot=has_snapshot):
                if has_snapshot:
                    self.create_snapshot(volume)
                self.cut_off_extension(volume)
                self.write(self.device(volume.name), 'secret', GIB)
                self.driver.check_for_setup_error()
                self.assertEqual((str(size_gib * GIB),),
                                 self.lv(volume.name, 'lv_size'))
        self.driver.extend_volume(volume, 2)
        self.assert_zeroes(self.device(volume.name), GIB)
        self.assertEqual(('',), self.lv(volume.name, 'lv_tags'))

    def test_extension_that_is_cut_off_in_use(self):
        volume = self.create()
        device = self.device(volume.name)
        with base.opened(self.root, device):
            self.cut_off_extension(volume)
            self.write(device, 'secret', GIB)
            self.driver.check_for_setup_error()
            base.wait_until(
                lambda: self.lv(volume.name, 'lv_tags') == ('',),
                'the extension is completed')
            self.assert_zeroes(device, GIB)
        self.assertEqual((str(2 * GIB),), self.lv(volume.name, 'lv_size'))


class MirroredVolumesTest(base.BackendTestCase):
    """raid1 on three PVs; what is not here is as with linear LVs."""

    settings = {'lvm_type': 'default', 'lvm_mirrors': 1,
                'volume_clear': 'none'}
    segtype = 'raid1'
    slow_tests = ('test_create_and_delete',
                  'test_snapshot_keeps_data_that_the_volume_loses')
    pv_sizes = (6 * GIB,) * 3
    direct = False

    test_create_and_delete = VolumeVerbs.test_create_and_delete
    test_snapshot_keeps_data_that_the_volume_loses = (
        VolumeVerbs.test_snapshot_keeps_data_that_the_volume_loses)
    test_extend_volume_with_snapshot = (
        VolumeVerbs.test_extend_volume_with_snapshot)

    def setUp(self):
        super().setUp()
        # What the kernel copies to make the copies equal is of no interest,
        # and takes the test machine long.
        self.enterContext(self.slow_raid())

    def test_data_is_on_two_pvs_and_stays_when_one_is_left(self):
        volume = self.create_small()
        device = self.device(volume.name)
        self.write(device, 'data')
        with base.opened(self.root, device):
            self.driver.extend_volume(volume, 1)
        self.write(device, 'tail', GIB - 4 * MIB)
        legs = self.lvs('lv_name,devices,lv_size', '-a', '-S',
                        f'lv_name=~^{volume.name}_rimage')
        self.assertEqual(2, len({name for name, *_ in legs}))
        self.assertEqual(2, len({where.partition('(')[0]
                                 for _, where, _ in legs}))
        for offset in 0, GIB - 4 * MIB:
            self.assertEqual(
                {self.checksum(device, offset)},
                {self.checksum(naming.device_mapper_path(
                    self.vg_name, f'{volume.name}_rimage_{leg}'), offset)
                 for leg in (0, 1)})
        small, clone = self.create_small(), self.volume()
        self.write(self.device(small.name), 'small')
        self.driver.create_cloned_volume(clone, small)
        self.addCleanup(self.driver.delete_volume, clone)
        self.assertEqual(('raid1',), self.lv(clone.name, 'segtype'))
        self.assertEqual(self.checksum(self.device(small.name)),
                         self.checksum(self.device(clone.name)))
        self.assertEqual({volume.name, small.name, clone.name},
                         self.lv_names())

    def test_stats(self):
        self.create(1)
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        self.assertAlmostEqual(9, pool['total_capacity_gb'], delta=0.02)
        self.assertAlmostEqual(6, pool['free_capacity_gb'], delta=0.02)
        self.assertEqual(1, pool['provisioned_capacity_gb'])
        self.assertIs(True, pool['thick_provisioning_support'])
