# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of block devices."""

import ddt

from cinder_lvm_driver.lvm import kernel
from tests import base
from tests.fakes import disks


@ddt.ddt
class TestHanging(base.TestCase):

    def setUp(self):
        super().setUp()
        self.disks = self.useFixture(disks.Disks())

    @ddt.data(({'dm/suspended': '1'}, True), ({'dm/suspended': '0'}, False),
              ({'stat': '5 0 0 0 0 0 0 0 1 0 0'}, True),
              ({'stat': '5 0 0 0 0 0 0 0 0 0 0'}, False))
    @ddt.unpack
    def test_hanging(self, attributes, hangs):
        self.disks.add('a', 'pv-a', **attributes)
        self.disks.add('b', 'pv-b')
        self.assertEqual(['/dev/a'] * hangs, kernel.hanging([]))

    def test_disk_that_accepts_no_writes(self):
        for name, ro in ('a', '1'), ('b', '0'):
            self.disks.add(name, f'pv-{name}', ro=ro)
        self.assertEqual(['/dev/a'], kernel.read_only(
            ['/dev/b', '/dev/a', '/dev/none']))

    def test_without_table(self):
        for name, size in ('a-b', '8'), ('new', '0'), ('other', '0'):
            self.disks.add(name, 'pv', **{
                'dm/name': f'vg-{name.replace("-", "--")}', 'size': size})
        self.disks.add('empty', 'pv', size='0')
        self.assertEqual({'new'}, kernel.without_table(
            'vg', ['a-b', 'new', 'inactive']))

    def test_devices_of(self):
        for name in 'vg-a', 'vg-a--b-cow', 'vg--2-a', 'other':
            self.disks.add(name, 'pv', **{'dm/name': name})
        self.disks.add('disk', 'pv')
        self.assertEqual(['vg-a', 'vg-a--b-cow'],
                         sorted(kernel.devices_of('vg')))

    def test_disk_under_an_lv_that_is_gone(self):
        disk = self.disks.add('a', 'pv-a')
        lower = self.disks.add_lv('lower', disks.UUID, disk)
        upper = self.disks.add_lv('upper', disks.UUID, lower)
        other = self.disks.add_lv('other', 'x' * 32, upper)
        for is_lost in False, True:
            self.assertEqual(is_lost, kernel.has_lost_disks(disks.UUID))
            self.assertFalse(kernel.has_lost_disks('x' * 32))
            for device in lower, upper, other:
                self.assertEqual(is_lost, kernel.is_on_lost_disk(device))
            if not is_lost:
                self.disks.remove(disk)
