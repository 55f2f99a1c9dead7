# SPDX-License-Identifier: Apache-2.0
"""Names of LVs and paths of devices, as the in-tree driver has them."""

import ddt

from cinder_lvm_driver import naming
from tests import base


@ddt.ddt
class TestNaming(base.TestCase):

    @ddt.data(('snapshot-1', '_snapshot-1'), ('snapshots', '_snapshots'),
              ('shot', 'shot'), ('volume-1', 'volume-1'))
    @ddt.unpack
    def test_snapshot(self, name, lv_name):
        self.assertEqual(lv_name, naming.snapshot_lv_name(name))
        self.assertEqual(name, naming.snapshot_name(lv_name))

    @ddt.data(('vg', 'volume', '/dev/mapper/vg-volume'),
              ('my-vg', 'volume-1', '/dev/mapper/my--vg-volume--1'),
              ('vg', '_snapshot--1', '/dev/mapper/vg-_snapshot----1'))
    @ddt.unpack
    def test_device_mapper_path(self, vg_name, lv_name, path):
        self.assertEqual(path, naming.device_mapper_path(vg_name, lv_name))
