# SPDX-License-Identifier: Apache-2.0
"""The rules of lvm.conf that hide devices."""

import ddt

from cinder_lvm_driver.lvm import members
from tests import base


@ddt.ddt
class TestDeviceRules(base.TestCase):

    @ddt.data(({'has_filter': True}, 'filter in lvm.conf'),
              ({'devices_file': '/etc/lvm/devices'}, 'lvmdevices --adddev'),
              ({'has_filter': True, 'devices_file': '/etc/lvm/devices'},
               'lvmdevices --adddev'))
    @ddt.unpack
    def test_rules(self, values, advice):
        rules = members.DeviceRules(**values)
        self.assertTrue(rules.hide_devices)
        self.assertIn(advice, rules.advice)

    def test_none(self):
        self.assertFalse(members.NO_DEVICE_RULES.hide_devices)
