# SPDX-License-Identifier: Apache-2.0
"""The LVM room on a real VG."""

from cinder import utils

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver import process
from tests.functional import base
from tests.functional import fixtures

MIB = base.MIB


def make_runner():
    runner = process.RootwrapRunner(utils.execute, utils.get_root_helper())
    runner.start_daemon(command.probe('/etc/lvm'))
    return runner


class LVMTest(base.TestCase):
    pv_sizes = (512 * MIB,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runner = make_runner()
        cls.version = command.installed_version(cls.runner)

    def setUp(self):
        super().setUp()
        self.vg = self.make_vg(self.vg_name)

    def make_vg(self, name, version=None):
        return lvm.LVM(name, self.runner, version=version or self.version)

    def test_volume_is_found_by_its_whole_name_only(self):
        self.vg.create_volume('volume-1', 8 * MIB)
        self.vg.create_volume('volume-10', 16 * MIB)
        self.assertEqual(8 * MIB, self.vg.get_volume('volume-1').size_bytes)
        self.assertIsNone(self.vg.find_volume('volume-'))
        self.vg.delete('volume-1')
        self.assertEqual({'volume-10'}, set(self.vg.get_volumes()))

    def test_hostile_names_are_found_nowhere(self):
        self.vg.create_volume('volume-1', 8 * MIB)
        for name in ('', '-n', '../volume-1', 'volume-1" || lv_name="x',
                     f'{self.vg_name}/volume-1', 'a' * 200, 'volume-1\n'):
            self.assertIsNone(self.vg.find_volume(name), name)

    def test_facts_of_thick_volume_and_snapshot(self):
        self.vg.create_volume('origin', 64 * MIB)
        self.vg.create_cow_snapshot('snap', 'origin', 64 * MIB)
        origin = self.vg.get_volume('origin')
        snap = self.vg.get_volume('snap')
        self.assertTrue(origin.is_cow_origin)
        self.assertFalse(origin.is_cow_snapshot)
        self.assertTrue(snap.is_cow_snapshot)
        self.assertEqual('origin', snap.origin)
        self.assertEqual(64 * MIB, snap.virtual_size_bytes)
        self.assertGreater(snap.size_bytes, 64 * MIB)
        self.assertIs(False, origin.is_open)

    def test_facts_of_thin_volume_and_snapshot(self):
        self.vg.create_thin_pool('pool')
        self.vg.create_thin_volume('origin', 64 * MIB, 'pool')
        self.vg.create_thin_snapshot('snap', 'origin', activate=False)
        self.vg.create_thin_snapshot('clone', 'origin', activate=True)
        pool, origin, snap, clone = (
            self.vg.get_volume(name)
            for name in ('pool', 'origin', 'snap', 'clone'))
        self.assertTrue(pool.is_thin_pool)
        self.assertEqual(0, pool.data_percent)
        self.assertEqual('pool', origin.pool)
        self.assertTrue(snap.skips_activation)
        self.assertFalse(snap.active)
        self.assertIsNone(snap.is_open)
        self.assertFalse(clone.skips_activation)
        self.assertTrue(clone.active)
        self.assertEqual('origin', clone.origin)
        self.vg.activate_lv('snap')
        self.assertTrue(self.vg.get_volume('snap').active)

    def test_pool_zeroes_and_takes_95_percent(self):
        free = self.vg.get_group().free_bytes
        self.vg.create_thin_pool('pool')
        (zero, size), = self.lvs('zero,lv_size', '-S', 'lv_name=pool')
        self.assertEqual('zero', zero)
        self.assertAlmostEqual(0.95, int(size) / free, places=1)

    def test_errors_name_the_state_of_the_world(self):
        self.vg.create_volume('a', 8 * MIB)
        self.vg.create_volume('b', 8 * MIB)
        cases = [
            (lvm.LogicalVolumeExists, self.vg.create_volume, 'a', 8 * MIB),
            (lvm.InsufficientSpace, self.vg.create_volume, 'c', 2 ** 40),
            (lvm.InsufficientSpace, self.vg.extend_volume, 'a', 2 ** 40),
            (lvm.LogicalVolumeNotFound, self.vg.get_volume, 'c'),
            (lvm.LogicalVolumeNotFound, self.vg.extend_volume, 'c', 2 ** 24),
            (lvm.LogicalVolumeNotFound, self.vg.delete, 'c'),
            (lvm.LogicalVolumeNotFound, self.vg.rename_volume, 'c', 'd'),
            (lvm.LogicalVolumeNotFound, self.vg.activate_lv, 'c'),
            (lvm.LogicalVolumeNotFound, self.vg.create_cow_snapshot,
             's', 'c', 8 * MIB),
            (lvm.LogicalVolumeExists, self.vg.rename_volume, 'a', 'b'),
            (lvm.LogicalVolumeExists, self.vg.create_cow_snapshot, 'b', 'a',
             8 * MIB),
            (lvm.InvalidRequest, self.vg.create_volume, 'snapshot-1',
             8 * MIB),
        ]
        for error, verb, *arguments in cases:
            with self.subTest(verb=verb.__name__, arguments=arguments):
                with self.assertRaises(error):
                    verb(*arguments)
        self.assertEqual({'a', 'b'}, set(self.vg.get_volumes()))

    def test_thin_errors(self):
        self.vg.create_thin_pool('pool')
        self.vg.create_thin_volume('a', 8 * MIB, 'pool')
        cases = [
            (lvm.LogicalVolumeExists, self.vg.create_thin_pool, 'pool'),
            (lvm.LogicalVolumeExists, self.vg.create_thin_volume, 'a',
             8 * MIB, 'pool'),
            (lvm.LogicalVolumeExists, lambda: self.vg.create_thin_snapshot(
                'a', 'a', activate=True)),
            (lvm.LogicalVolumeNotFound, lambda: self.vg.create_thin_snapshot(
                'b', 'nope', activate=True)),
        ]
        for error, verb, *arguments in cases:
            with self.subTest(verb=verb, arguments=arguments):
                with self.assertRaises(error):
                    verb(*arguments)

    def test_open_volume_is_in_use(self):
        self.vg.create_volume('a', 16 * MIB)
        self.root.run('mkfs.ext4', '-q', self.device('a'))
        self.root.run('mkdir', '-p', '/mnt/a')
        self.root.run('mount', self.device('a'), '/mnt/a')
        self.addCleanup(self.root.run, 'umount', '/mnt/a')
        self.assertIs(True, self.vg.get_volume('a').is_open)
        for verb in self.vg.delete, self.vg.deactivate_lv:
            with self.assertRaises(lvm.LogicalVolumeInUse):
                verb('a')

    def test_split_snapshot_leaves_the_origin_alone(self):
        self.vg.create_volume('origin', 16 * MIB)
        self.write(self.device('origin'), 'before')
        before = self.checksum(self.device('origin'))
        self.vg.create_cow_snapshot('snap', 'origin', 16 * MIB)
        self.vg.split_snapshot('snap')
        self.assertFalse(self.vg.get_volume('origin').is_cow_origin)
        split = self.vg.get_volume('snap')
        self.assertEqual(('linear', None), (split.segtype, split.origin))
        self.assertEqual(before, self.checksum(self.device('origin')))

    def test_missing_group_says_which_option(self):
        with self.assert_raises_with(lvm.VolumeGroupNotFound,
                                     'nope.*volume_group'):
            self.make_vg('nope').get_volumes()

    def test_group_that_grew_while_in_hand(self):
        self.vg.create_volume('a', 8 * MIB)
        before = self.vg.get_group().size_bytes
        extra = self.enterContext(fixtures.loop_device(
            self.root, self.vg_name + '-extra', 256 * MIB))
        self.root.run('vgextend', '-qq', self.vg_name, extra)
        self.addCleanup(self.root.run, 'vgremove', '-ff', '-y',
                        self.vg_name)
        self.vg.create_volume('b', 600 * MIB)
        self.assertGreater(self.vg.get_group().size_bytes, before)
        self.vg.delete('b')

    def test_old_lvm_is_given_a_filter(self):
        vg = self.make_vg(self.vg_name, version=(2, 3, 11))
        vg.create_volume('a', 8 * MIB)
        self.assertEqual({'a'}, set(vg.get_volumes()))
        self.assertIn('a', self.lv_names())

    def test_other_devices_are_not_looked_at(self):
        other = self.enterContext(
            fixtures.volume_group(self.root, 'other-vg', (128 * MIB,)))
        with self.assertRaises(lvm.VolumeGroupNotFound):
            self.vg._commands.ask(['vgs', other])

    def test_device_mapper_path_is_the_one_that_lvm_names(self):
        from cinder_lvm_driver import naming
        self.vg.create_volume('volume-a-b--c', 8 * MIB)
        (path,), = self.lvs('lv_dm_path')
        self.assertEqual(
            path, naming.device_mapper_path(self.vg_name, 'volume-a-b--c'))
