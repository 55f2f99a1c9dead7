# SPDX-License-Identifier: Apache-2.0
"""LVs over several PVs."""

from unittest import mock

import ddt

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import raid
from cinder_lvm_driver import lvm
from tests.fakes import layouts

MIB = layouts.MIB
EXTENT = 4 * MIB


class StripingTestCase(layouts.LayoutTestCase):
    """Five PVs of 200 MiB."""

    stripes = 0
    striping = raid.Raid5

    def layout_class(self, *arguments):
        return self.striping(*arguments, self.stripes)

    def setUp(self):
        super().setUp()
        self.lvm.pvs = dict.fromkeys(
            (f'/dev/{letter}' for letter in 'abcde'), 200 * MIB)
        self.vg.create_shaped_volume = mock.Mock()

    def created(self):
        """Return the shape and the PVs of the LV that is created."""
        _name, _size, shape, pvs = self.vg.create_shaped_volume.call_args[0]
        return shape, pvs


@ddt.ddt
class TestStriping(StripingTestCase):

    @ddt.data((raid.Striped, 0, ['--stripes', '2'], 2),
              (raid.Striped, 5, ['--stripes', '5'], 5),
              (raid.Raid10, 0, ['--mirrors', '1', '--stripes', '2'], 4),
              (raid.Raid5, 0, ['--stripes', '2'], 3),
              (raid.Raid5, 4, ['--stripes', '4'], 5),
              (raid.Raid6, 0, ['--stripes', '3'], 5))
    @ddt.unpack
    def test_shape(self, striping, stripes, options, images):
        self.striping, self.stripes = striping, stripes
        layout = self.layout_class(self.vg, self, None)
        layout.create_volume('a', 9 * MIB)
        shape, pvs = self.created()
        self.assertEqual(['--type', layout.lvm_type, *options],
                         shape.options)
        self.assertEqual((images, images % 5), (shape.images, len(pvs)))
        self.assertEqual(layout.lvm_type, layout.segtype)

    @ddt.data((raid.Raid5, 1, '2 or more'), (raid.Raid6, 2, '3 or more'))
    @ddt.unpack
    def test_too_few_stripes(self, striping, stripes, text):
        error = self.assertRaises(errors.ConfigurationError, striping,
                                  self.vg, self, None, stripes)
        self.assertIn(f'lvm_stripes is {stripes}', str(error))
        self.assertIn(text, str(error))

    # Each image of a raid LV has an extent of metadata.
    @ddt.data((raid.Striped, 1000, 800), (raid.Raid10, 500, 392),
              (raid.Raid5, 664, 392), (raid.Raid6, 600, 588))
    @ddt.unpack
    def test_capacity(self, striping, total_mib, free_mib):
        self.striping = striping
        layout = self.layout_class(self.vg, self, None)
        capacity = layout.capacity(self.vg.get_picture())
        self.assertEqual(
            (total_mib, free_mib),
            (capacity.total_bytes // EXTENT * 4, capacity.free_bytes // MIB))

    def test_too_few_pvs(self):
        self.lvm.closed = {'/dev/a', '/dev/b', '/dev/c'}
        advice, = self.layout.advice(None)
        self.assertIn('no raid5 volume, which needs 3 PVs, can be created',
                      advice)
        self.assertEqual(0, self.layout.capacity(
            self.vg.get_picture()).free_bytes)

    @ddt.data(('raid5', True), ('raid5_ls', True), ('raid6', False),
              ('linear', False))
    @ddt.unpack
    def test_convert(self, segtype, is_converted):
        self.lvm.add('a', 8 * MIB, segtype=segtype)
        self.assertIs(is_converted, self.layout.convert(
            self.vg.get_volume('a')))

    def test_emptiest_pvs_are_taken(self):
        self.lvm.add('x', 100 * MIB)
        self.layout.create_volume('a', 9 * MIB)
        self.assertEqual((lvm.Shape('raid5', 2, parity=1),
                          ['/dev/b', '/dev/c', '/dev/d']), self.created())
