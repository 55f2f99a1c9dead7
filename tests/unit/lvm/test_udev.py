# SPDX-License-Identifier: Apache-2.0
"""What udev recorded of block devices."""

from unittest import mock

from cinder_lvm_driver.lvm import udev
from tests import base
from tests.fakes import disks


class TestDatabase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.disks = self.useFixture(disks.Disks())
        self.database = udev.Database()

    def test_device(self):
        path = self.disks.add('a', 'pv-a')
        self.assertEqual([udev.Device(
            path=path, pv_uuid='pv-a', disk_names=('serial-of-a',))],
            self.database.devices())

    def test_names_of_devices(self):
        self.disks.add('a', 'pv-a', **{'dm/name': 'mpatha'})
        self.disks.add('b!c', 'pv-b')
        self.assertEqual(
            {'/dev/mapper/mpatha', '/dev/b/c'},
            {device.path for device in self.database.devices()})

    def test_only_what_changed_is_read_again(self):
        for name in 'ab':
            self.disks.add(name, f'pv-{name}')
        self.database.devices()
        self.disks.add('b', 'pv-c')
        with mock.patch.object(udev, '_lines', wraps=udev._lines) as read:
            found = self.database.devices()
        self.assertEqual({'pv-a', 'pv-c'},
                         {device.pv_uuid for device in found})
        read.assert_called_once()

    def test_udev_that_does_not_run(self):
        self.disks.add('a', 'pv-a')
        with mock.patch.object(udev, '_FOLDER', '/nonexistent'):
            self.assertEqual([], self.database.devices())
