# SPDX-License-Identifier: Apache-2.0
"""The LVM room on a real VG."""

from cinder import utils

from cinder_lvm_driver.layouts import mirror
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver import naming
from cinder_lvm_driver import process
from tests.contract import test_lvm
from tests.functional import base
from tests.functional import fixtures

MIB = base.MIB


class LVMTestCase(base.TestCase):
    """A VG that is empty again after each test."""

    pv_sizes = (512 * MIB,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.runner = process.RootwrapRunner(utils.execute,
                                            utils.get_root_helper())
        cls.share_daemons(cls.runner)
        cls.runner.start_daemon(command.probe('/etc/lvm'))
        cls.version = command.installed_version(cls.runner)

    def setUp(self):
        super().setUp()
        self.vg = self.make_vg(self.vg_name)
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)

    def make_vg(self, name, version=None):
        self.name_vg(name)
        return lvm.LVM(name, self.runner, version=version or self.version)


class LVMContractTest(test_lvm.LVMContract, LVMTestCase):
    """What the in-memory LVM of the unit tests is held to."""

    def wait_until(self, condition):
        base.wait_until(condition, 'LVM has done it')

    def fill(self, volume, size_bytes):
        self.write(volume.path, 'data', size=size_bytes)

    def put(self, name, text):
        self.write(self.device(name), text)

    def get(self, name):
        return self.checksum(self.device(name))


class Raid1ContractTest(test_lvm.Raid1Contract, LVMTestCase):

    wait_until = LVMContractTest.wait_until
    pv_sizes = (128 * MIB,) * 3


class MirrorTest(LVMTestCase):
    """What is promised can be had, on PVs of all sizes."""

    pv_sizes = (300 * MIB, 200 * MIB, 100 * MIB)

    def test_all_that_is_free_can_be_had(self):
        kind = mirror.Mirror(self.vg, None, None, 1)
        kind.create_volume('some', 36 * MIB)
        free = kind.capacity(self.vg.get_picture()).free_bytes
        self.assertEqual(248, free // MIB)
        with self.assertRaises(lvm.InsufficientSpace):
            kind.create_volume('more', free + 1 * MIB)
        kind.create_volume('all', free)

    def test_equal_pvs_are_filled_evenly(self):
        vg = self.make_vg(self.enterContext(fixtures.volume_group(
            self.root, 'even-vg', (128 * MIB,) * 3)))
        kind = mirror.Mirror(vg, None, None, 1)
        # Of 124 MiB, three copies of 36 MiB fit on each.
        for number in range(4):
            kind.create_volume(f'a{number}', 36 * MIB)
        self.assertEqual([4, 4, 44], sorted(
            pv.free_bytes // MIB for pv in vg.get_physical_volumes()))


class LVMTest(LVMTestCase):

    def test_hostile_names_are_found_nowhere(self):
        self.vg.create_volume('volume-1', 8 * MIB)
        for name in ('', '-n', '../volume-1', 'volume-1" || lv_name="x',
                     f'{self.vg_name}/volume-1', 'a' * 200, 'volume-1\n'):
            self.assertIsNone(self.vg.find_volume(name), name)

    def test_pool_zeroes_and_takes_95_percent(self):
        free = self.vg.get_vg().free_bytes
        self.vg.create_thin_pool('pool')
        (zero, size), = self.lvs('zero,lv_size', '-S', 'lv_name=pool')
        self.assertEqual('zero', zero)
        self.assertAlmostEqual(0.95, int(size) / free, places=1)

    def test_pool_in_a_vg_of_few_extents(self):
        vg = self.make_vg(self.enterContext(fixtures.volume_group(
            self.root, 'small-vg', (28 * MIB,))))
        vg.create_thin_pool('pool')
        self.assertEqual(16 * MIB, vg.get_pool_or_volume('pool').size_bytes)

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

    def test_missing_vg_says_which_option(self):
        with self.assert_raises_with(lvm.VolumeGroupNotFound,
                                     'nope.*volume_group'):
            self.make_vg('nope').get_volumes()

    def test_vg_that_grew_while_in_hand(self):
        extra = self.enterContext(fixtures.loop_device(
            self.root, 'extra', 256 * MIB))
        vg = self.make_vg(self.enterContext(fixtures.volume_group(
            self.root, 'growing-vg', (128 * MIB,))))
        vg.create_volume('a', 8 * MIB)
        self.root.run('vgextend', '-qq', vg.vg_name, extra)
        vg.create_volume('b', 300 * MIB)
        self.assertGreater(vg.get_vg().size_bytes, 300 * MIB)

    def test_old_lvm_is_given_a_filter(self):
        vg = self.make_vg(self.vg_name, version=(2, 3, 11))
        vg.create_volume('a', 8 * MIB)
        self.assertEqual({'a'}, set(vg.get_volumes()))
        self.assertIn('a', self.lv_names())

    def test_other_devices_are_not_looked_at(self):
        other = self.enterContext(
            fixtures.volume_group(self.root, 'other-vg', (128 * MIB,)))
        self.name_vg(other)
        with self.assertRaises(lvm.VolumeGroupNotFound):
            self.vg._commands.ask([
                'vgs', '--reportformat', 'json', '--units', 'b',
                '--nosuffix', '-o', 'vg_name', other])

    def test_device_mapper_path_is_the_one_that_lvm_names(self):
        self.vg.create_volume('volume-a-b--c', 8 * MIB)
        (path,), = self.lvs('lv_dm_path')
        self.assertEqual(
            path, naming.device_mapper_path(self.vg_name, 'volume-a-b--c'))
