# SPDX-License-Identifier: Apache-2.0
"""Names of LVs and paths of devices, as the in-tree driver has them."""

import ddt

from cinder_lvm_driver.lvm import names
from cinder_lvm_driver import naming
from tests import base


@ddt.ddt
class TestNaming(base.TestCase):

    volume = 'volume-6bbd1c1c-4fa5-4f24-8a21-2f2ddac3a1b7'

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

    def test_device_path(self):
        self.assertEqual('/dev/my-vg/volume-1',
                         naming.device_path('my-vg', 'volume-1'))

    def test_names_of_our_own(self):
        doomed = {naming.doomed(self.volume) for _ in range(2)}
        self.assertEqual(2, len(doomed))
        # As long a name of a VG as the volume has had does for these, too.
        self.assertLess(max(map(len, doomed)), len(self.volume))
        moments = {naming.clone_source(self.volume),
                   naming.revert_to(self.volume),
                   naming.revert_from(self.volume),
                   naming.arriving(self.volume),
                   naming.snapshot_export(self.volume), *doomed}
        for name in moments:
            self.assertTrue(naming.is_temporary(name))
            self.assertTrue(names.is_valid(name))
            self.assertEqual(name in doomed, naming.is_doomed(name))
            self.assertEqual(
                any(word in name for word in ('clone', 'export', 'arriving')),
                naming.is_left_over(name))
            if naming.is_left_over(name):
                self.assertEqual(self.volume, naming.left_over_of(name))
            self.assertEqual(self.volume if 'revert' in name else None,
                             naming.reverted(name))
        for name in ('volume-1', '_snapshot-1', 'vg-pool', 'cinder-volume-1',
                     'clone-snap-of-the-operator', 'cinder-export-nfs',
                     'cinder-arriving-x', 'cinder-wipe-the-floor'):
            self.assertFalse(naming.is_temporary(name))
            self.assertFalse(naming.is_left_over(name))
            self.assertIsNone(naming.reverted(name))
