# SPDX-License-Identifier: Apache-2.0
"""The text that back ends of one host know each other by."""

import ddt

from cinder_lvm_driver.operations import location
from tests import base

PLACE = location.Location('host', 'vg', 'thin', 0)


@ddt.ddt
class TestLocation(base.TestCase):

    @ddt.data((PLACE, 'LVMVolumeDriver:host:vg:thin:0'),
              (location.Location('host', 'vg', 'default', 2),
               'LVMVolumeDriver:host:vg:default:2'))
    @ddt.unpack
    def test_round_trip(self, place, text):
        self.assertEqual(text, place.format())
        self.assertEqual(place, location.parse(text))

    @ddt.data(None, 5, '', 'vg', 'LVMVolumeDriver', 'Other:host:vg:thin:0',
              'LVMVolumeDriver:host:vg:thin', 'LVMVolumeDriver:h:vg:thin:x',
              'LVMVolumeDriver:h:vg:thin:0:1', 'LVMVolumeDriver:h:vg:thin:-1',
              'LVMVolumeDriver:h:vg:thin:')
    def test_what_is_not_ours(self, text):
        self.assertIsNone(location.parse(text))

    def test_of_destination(self):
        self.assertEqual(PLACE, location.of_destination(
            {'host': 'h', 'capabilities': {'location_info': PLACE.format()}}))
        for host in ({}, {'capabilities': None}, {'capabilities': {}}):
            self.assertIsNone(location.of_destination(host))
