# SPDX-License-Identifier: Apache-2.0
"""Linear LVs."""

import ddt

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm
from tests.fakes import layouts

MIB = layouts.MIB


@ddt.ddt
class TestThick(layouts.LayoutTestCase):

    layout_class = thick.Thick

    def test_prepare_changes_nothing(self):
        self.layout.prepare()
        self.assertEqual(set(), self.names())

    def test_health_is_that_of_the_vg(self):
        self.assertIsNone(self.layout.fault(self.vg.get_picture()))
        self.lvm.missing.add('/dev/lost')
        self.assertIn('VG vg lacks the devices', self.layout.fault(
            self.vg.get_picture()))
        self.assertEqual((), self.layout.advice(None))

    def test_create_volume(self):
        self.layout.create_volume('a', 9 * MIB)
        volume = self.vg.get_volume('a')
        self.assertEqual(('linear', 12 * MIB),
                         (volume.segtype, volume.size_bytes))

    def test_create_volume_that_does_not_fit(self):
        self.assertRaises(lvm.InsufficientSpace,
                          self.layout.create_volume, 'a', 2 ** 40)

    def test_capacity_counts_extents(self):
        self.lvm.add('a', 8 * MIB)
        self.add_cow('s', 'a')
        self.assertEqual(
            base.Capacity(total_bytes=508 * MIB, free_bytes=488 * MIB,
                          provisioned_bytes=20 * MIB),
            self.layout.capacity(self.vg.get_picture()))

    def test_copies_are_not_sparse(self):
        # A linear LV shows what the disk held before.
        self.assertFalse(self.layout.reads_zeroes)

    @ddt.data('linear', 'raid1', 'mirror')
    def test_convert(self, segtype):
        self.lvm.pvs['/dev/b'] = 508 * MIB
        self.lvm.add('a', 8 * MIB, segtype=segtype)
        self.assertIs(True, self.layout.convert(
            self.vg.get_volume('a')))
        self.assertEqual(('linear', 1), (self.lvm.volumes['a'].segtype,
                                         len(self.lvm.volumes['a'].on)))

    @ddt.data('raid1', 'mirror')
    def test_copy_that_is_given_up_is_removed_like_a_volume(self, segtype):
        self.lvm.pvs['/dev/b'] = self.lvm.pvs['/dev/c'] = 508 * MIB
        self.lvm.add('a', 8 * MIB, segtype=segtype, mirrors=2, content='data')
        self.layout.convert(self.vg.get_volume('a'))
        removed = self.lvm.removed.values()
        self.assertEqual(['data', 'data'], [lv.content for lv in removed])
        for name in self.lvm.removed:
            self.assertRegex(name, '^cinder-wipe-a-')
        self.assertEqual({'a'}, self.names())

    def test_convert_without_wiping(self):
        self.wipes = False
        self.lvm.pvs['/dev/b'] = 508 * MIB
        self.lvm.add('a', 8 * MIB, segtype='raid1')
        self.layout.convert(self.vg.get_volume('a'))
        self.assertEqual(({'a'}, {}), (self.names(), self.lvm.removed))
        self.assertEqual('linear', self.lvm.volumes['a'].segtype)

    def test_convert_thin(self):
        self.add_thin_pool()
        self.add_thin('a')
        self.assertIs(False, self.layout.convert(
            self.vg.get_volume('a')))
