# SPDX-License-Identifier: Apache-2.0
"""Names that LVM takes, and does not."""

import ddt

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import names
from tests import base


@ddt.ddt
class TestIsValid(base.TestCase):

    @ddt.data('', '.', '..', '-n', '../a', 'vg/a', 'a" || lv_name="b',
              'a\n', 'a b', 'ä', 'snapshot-1', 'pvmove0', 'a_tmeta')
    def test_name_that_no_volume_can_have(self, name):
        self.assertFalse(names.is_valid(name))

    @ddt.data('volume-1', '_snapshot-1', 'vg-pool', 'a.b+c', '9', '_',
              'clone-snap-volume-1', 'tmeta', 'my_snapshot')
    def test_valid_name(self, name):
        self.assertTrue(names.is_valid(name))


@ddt.ddt
class TestCheckLength(base.TestCase):

    @ddt.data(('v' * 63, 'l' * 63), ('v-' * 21, 'l-' * 21), ('v', 'l'))
    @ddt.unpack
    def test_name_of_a_device(self, vg_name, name):
        names.check_length(vg_name, name)

    @ddt.data(('v' * 63, 'l' * 64), ('v-' * 21, 'l-' * 21 + 'l'))
    @ddt.unpack
    def test_name_that_is_too_long(self, vg_name, name):
        self.assertRaises(lvm.NameTooLong, names.check_length, vg_name, name)


@ddt.ddt
class TestCheckVgName(base.TestCase):

    @ddt.data(('v' * 57, '{}-pool', '-tpool'), ('v' * 79, 'volume-1', ''))
    @ddt.unpack
    def test_name_that_leaves_room(self, vg_name, lv_name, suffix):
        names.check_vg_name(vg_name, lv_name, suffix)

    @ddt.data(('v' * 58, '{}-pool', '-tpool', 57), ('-v' * 29, '{}-pool',
                                                     '-tpool', 57),
              ('v' * 118, 'volume-1', '', 117),
              ('v' * 118, 'volume-1', '_rimage_0', 108))
    @ddt.unpack
    def test_name_that_leaves_none(self, vg_name, lv_name, suffix, longest):
        error = self.assertRaises(lvm.NameTooLong, names.check_vg_name,
                                  vg_name, lv_name, suffix)
        self.assertIn(f'vgrename: a name of up to {longest} characters',
                      str(error))
