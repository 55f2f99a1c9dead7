# SPDX-License-Identifier: Apache-2.0
"""Several pools in one back end, and LVs over several PVs."""

import ddt

from cinder_lvm_driver.layouts import raid
from cinder_lvm_driver import lvm
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_lvm

GIB = base.GIB
MIB = base.MIB
OFFSET = 60 * MIB


@ddt.ddt
class CapacityTest(test_lvm.LVMTestCase):
    """What a layout says is free can be had, and not one extent more."""

    pv_sizes = (200 * MIB, 160 * MIB, 120 * MIB, 120 * MIB, 100 * MIB,
                100 * MIB)

    def setUp(self):
        super().setUp()
        self.enterContext(self.slow_raid())

    def test_parity(self):
        self.assert_all_is_free(raid.Raid5, 2)

    @base.slow
    @ddt.data((raid.Striped, 3), (raid.Raid10, 2), (raid.Raid6, 4))
    @ddt.unpack
    def test_others(self, layout_class, stripes):
        self.assert_all_is_free(layout_class, stripes)

    def assert_all_is_free(self, layout_class, stripes):
        layout = layout_class(self.vg, None, None, stripes)

        def free():
            return layout.capacity(self.vg.get_picture()).free_bytes

        layout.create_volume('some', 10 * MIB)
        segtype = self.vg.get_volume('some').segtype
        self.assertTrue(segtype.startswith(layout.segtype), segtype)
        for number in range(3):
            promised = free()
            if not promised:
                break
            with self.assertRaises(lvm.InsufficientSpace):
                layout.create_volume('more', promised + 512)
            layout.create_volume(f'all-{number}', promised)
        self.assertEqual(0, free())


class PoolsTestCase(base.BackendTestCase):
    """A VG with three pools, and another VG with one."""

    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    pv_sizes = (4 * GIB,) * 3
    direct = False

    @classmethod
    def setUpClass(cls):
        cls.other = 'other-pools-vg'
        cls.enterClassContext(fixtures.volume_group(
            base._agent, cls.other, (4 * GIB,)))
        cls.root = base._agent
        cls.name_vg(cls.other)
        cls.settings = {**cls.settings, 'lvm_pool': [
            'name:plain', 'name:mirrored,lvm_mirrors:1',
            'name:parity,lvm_type:raid5',
            f'name:fast,lvm_type:thin,volume_group:{cls.other}']}
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.enterContext(self.slow_raid())

    def create_in(self, pool, size=1):
        return self.create(size, host=f'testvm@b#{pool}')

    def small_in_plain(self):
        """Create an LV that is soon copied, deleted after the test."""
        volume = self.volume(host='testvm@b#plain')
        self.root.run('lvcreate', '-qq', '-y', '-L', '64m', '-n',
                      volume.name, self.vg_name)
        self.addCleanup(self.driver.delete_volume, volume)
        self.write(self.path(volume), 'data', OFFSET)
        return volume

    def place(self, pool):
        """Return a pool as the scheduler describes it."""
        stats = self.driver.get_volume_stats(refresh=True)
        return {'host': f'testvm@b#{pool}', 'capabilities': next(
            each for each in stats['pools'] if each['pool_name'] == pool)}

    def path(self, volume):
        return self.driver.local_path(volume)

    def segtype(self, volume):
        return self.root.run('lvs', '--noheadings', '-o', 'segtype',
                             self.path(volume)).strip()


class PoolsTest(PoolsTestCase):

    def test_life_in_a_raid_pool(self):
        volume = self.create_in('parity')
        self.assertEqual('raid5', self.segtype(volume))
        self.write(self.path(volume), 'one')
        one = self.checksum(self.path(volume))
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.addCleanup(self.driver.delete_snapshot, snapshot)
        self.write(self.path(volume), 'two')
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(one, self.checksum(self.path(volume)))
        other = self.create_in('parity')
        self.driver.extend_volume(other, 2)
        self.write(self.path(other), 'tail', 2 * GIB - 4 * MIB)
        self.assertEqual(('2147483648',),
                         self.lv(other.name, 'lv_size'))

    def test_copies_to_another_pool(self):
        volume = self.small_in_plain()
        data = self.checksum(self.path(volume), OFFSET)
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.addCleanup(self.driver.delete_snapshot, snapshot)
        clone = self.volume(host='testvm@b#fast')
        self.driver.create_cloned_volume(clone, volume)
        self.addCleanup(self.driver.delete_volume, clone)
        restored = self.volume(host='testvm@b#fast')
        self.driver.create_volume_from_snapshot(restored, snapshot)
        self.addCleanup(self.driver.delete_volume, restored)
        for each in clone, restored:
            self.assertEqual('thin', self.segtype(each))
            self.assertEqual(data, self.checksum(self.path(each), OFFSET))

    def test_retype_in_use_and_migration(self):
        volume = self.small_in_plain()
        data = self.checksum(self.path(volume), OFFSET)
        with base.opened(self.root, self.path(volume)):
            self.assertIs(True, self.driver.retype(
                self.context, volume, None, {'extra_specs': {}},
                self.place('mirrored')))
        self.assertEqual('raid1', self.segtype(volume))
        place = self.place('fast')
        self.assertIs(False, self.driver.retype(
            self.context, volume, None, {'extra_specs': {}}, place))
        self.assertEqual((True, None), self.driver.migrate_volume(
            self.context, volume, place))
        volume.host = 'testvm@b#fast'
        self.assertEqual('thin', self.segtype(volume))
        self.assertEqual(data, self.checksum(self.path(volume), OFFSET))
