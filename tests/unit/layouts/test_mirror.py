# SPDX-License-Identifier: Apache-2.0
"""raid1 LVs."""

from unittest import mock

from cinder.brick.local_dev import lvm as brick
import ddt

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import mirror
from cinder_lvm_driver.layouts import raid
from cinder_lvm_driver import lvm
from tests.fakes import layouts

MIB = layouts.MIB


class MirrorTestCase(layouts.LayoutTestCase):
    """Three PVs of 200 MiB, and two copies of each volume."""

    mirrors = 1

    def layout_class(self, *arguments):
        return mirror.Mirror(*arguments, self.mirrors)

    def setUp(self):
        super().setUp()
        self.lvm.pvs = dict.fromkeys(('/dev/a', '/dev/b', '/dev/c'),
                                     200 * MIB)


@ddt.ddt
class TestMirror(MirrorTestCase):

    def segtype(self, name):
        volume = self.lvm.volumes[name]
        return volume.segtype, len(volume.on)

    def test_create_volume(self):
        self.layout.create_volume('a', 9 * MIB)
        self.assertEqual(('raid1', 2), self.segtype('a'))
        self.assertEqual(12 * MIB, self.vg.get_volume('a').size_bytes)

    def test_emptiest_pvs_are_taken(self):
        # LVM would put the second one on a and b as well.
        for name in 'xyz':
            self.layout.create_volume(name, 88 * MIB)
        self.assertEqual({16 * MIB}, set(map(self.lvm.free, self.lvm.pvs)))

    def test_copies_over_several_pvs_are_left_to_lvm(self):
        self.vg.create_shaped_volume = mock.Mock()
        self.layout.create_volume('a', 220 * MIB)
        self.vg.create_shaped_volume.assert_called_once_with(
            'a', 220 * MIB, lvm.Shape('raid1', mirrors=1), [])

    def test_too_few_pvs(self):
        self.lvm.closed = {'/dev/a', '/dev/b'}
        advice, = self.layout.advice(None)
        self.assertIn('VG vg has 3 PVs, 0 missing and 1 can '
                      'take volumes: no raid1 volume, which needs 2 PVs, can',
                      advice)
        self.assertRaises(lvm.InsufficientSpace,
                          self.layout.create_volume, 'a', 8 * MIB)
        self.assertEqual(set(), self.names())

    def test_pvs_enough(self):
        self.assertEqual([], list(self.layout.advice(None)))

    def test_clone(self):
        self.lvm.add('a', 8 * MIB, segtype='raid1', content='data')
        self.layout.create_from_volume(self.vg.get_volume('a'), 'new',
                                             8 * MIB)
        self.assertEqual(('raid1', 2), self.segtype('new'))
        self.assertEqual('data', self.lvm.volumes['new'].content)
        self.assertEqual({'a', 'new'}, self.names())
        # One copy may show what its PV held before.
        self.assertIs(False, self.copies[0][-1])

    @ddt.data('linear', 'mirror')
    def test_convert(self, segtype):
        self.lvm.add('a', 8 * MIB, segtype=segtype)
        self.assertIs(True, self.layout.convert(
            self.vg.get_volume('a')))
        self.assertEqual(('raid1', 2), self.segtype('a'))

    def test_convert_inactive(self):
        # LVM fills copies of active LVs only.
        self.lvm.add('a', 8 * MIB, active=False)
        self.assertIs(True, self.layout.convert(
            self.vg.get_volume('a')))
        self.assertEqual(('raid1', 2), self.segtype('a'))

    def test_convert_to_another_number(self):
        for self.wipes in True, False:
            self.lvm.volumes.clear()
            self.lvm.removed.clear()
            self.lvm.add('a', 8 * MIB, segtype='raid1', mirrors=2,
                         content='data')
            self.assertIs(True, self.layout.convert(
                self.vg.get_volume('a')))
            self.assertEqual((('raid1', 2), {'a'}),
                             (self.segtype('a'), self.names()))
            self.assertEqual(['data'] * self.wipes, [
                lv.content for lv in self.lvm.removed.values()])

    def test_convert_thin(self):
        self.add_thin_pool()
        self.add_thin('a')
        self.assertIs(False, self.layout.convert(
            self.vg.get_volume('a')))
        self.assertEqual('thin', self.lvm.volumes['a'].segtype)

    def test_convert_without_space(self):
        self.lvm.closed = {'/dev/b', '/dev/c'}
        self.lvm.add('a', 120 * MIB)
        self.assertRaises(lvm.InsufficientSpace, self.layout.convert,
                          self.vg.get_volume('a'))
        self.assertEqual(('linear', 120 * MIB), (
            self.lvm.volumes['a'].segtype,
            sum(self.lvm.volumes['a'].on.values())))


@ddt.ddt
class TestCapacity(MirrorTestCase):

    def capacity(self):
        return self.layout.capacity(self.vg.get_picture())

    def test_empty(self):
        self.assertEqual(
            base.Capacity(total_bytes=300 * MIB, free_bytes=196 * MIB,
                          provisioned_bytes=0), self.capacity())

    def test_mirrored_and_plain_volumes(self):
        self.lvm.add('a', 96 * MIB, segtype='raid1')
        self.lvm.add('plain', 20 * MIB)
        self.assertEqual(
            base.Capacity(total_bytes=300 * MIB, free_bytes=176 * MIB,
                          provisioned_bytes=116 * MIB), self.capacity())

    def test_full(self):
        for name in 'abc':
            self.lvm.add(name, 196 * MIB)
        self.assertEqual(0, self.capacity().free_bytes)

    def test_pv_that_is_missing(self):
        self.lvm.missing = {'/dev/a'}
        advice, = self.layout.advice(None)
        self.assertIn('VG vg has 3 PVs, 1 missing and 0 can ',
                      advice)
        self.assertEqual((300 * MIB, 0), (
            self.capacity().total_bytes, self.capacity().free_bytes))

    def test_pv_that_takes_nothing(self):
        self.lvm.closed = {'/dev/a'}
        self.assertEqual((300 * MIB, 196 * MIB), (
            self.capacity().total_bytes, self.capacity().free_bytes))

    @ddt.data((2, (), 0, 0), (2, (9,), 0, 0), (2, (9, 9), 9, 9),
              (2, (9, 5), 5, 5), (2, (9, 5, 2), 7, 7), (2, (9, 5, 5), 9, 9),
              (2, (6, 6, 6), 9, 6), (2, (6, 6, 6, 6), 12, 12),
              (3, (9, 9), 0, 0), (3, (9, 5, 2), 2, 2),
              (3, (9, 9, 9, 9), 12, 9), (3, (20, 5, 5, 5), 7, 5))
    @ddt.unpack
    def test_what_fits(self, copies, sizes, in_all, in_one):
        self.assertEqual((in_all, in_one), (
            raid._fitting(sizes, copies), raid._largest(sizes, copies)))

    @ddt.data((1, (9, 9)), (1, (9, 5, 2)), (1, (6, 5, 4)), (1, (6, 6, 6)),
              (2, (9, 9)), (2, (9, 9, 9, 9)), (2, (20, 5, 5, 5)))
    @ddt.unpack
    def test_compared_with_the_in_tree_driver(self, mirrors, sizes):
        """It is right about empty PVs, which it looks at once."""
        theirs = mock.Mock(
            pv_list=[{'available': str(size)} for size in sizes])
        self.assertEqual(
            brick.LVM.vg_mirror_free_space(theirs, mirrors),
            raid._largest(sizes, mirrors + 1))
