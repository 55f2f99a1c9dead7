# SPDX-License-Identifier: Apache-2.0
"""What has a device open, in words."""

import os
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import openers
from tests import base

PATH = '/dev/vg/lv'
MOUNTINFO = ('25 1 0:23 / /proc rw - proc proc rw\n'
             '40 1 253:4 / /mnt/a\\040b rw shared:1 - ext4 /dev/vg/lv rw\n')
SWAPS = ('Filename Type Size Used Priority\n'
         '/dev/dm-4 partition 8 0 -2\n/dev/sda2 partition 8 0 -3\n')


@ddt.ddt
class TestDescribe(base.TestCase):

    def setUp(self):
        super().setUp()
        self.root = self.useFixture(fixtures.TempDir()).path
        self.numbers = {PATH: '253:4', '/dev/dm-4': '253:4',
                        '/dev/sda2': '8:2'}
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'SYS', '/sys/dev/block'))
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'number', lambda path: self.numbers.get(
                path.removeprefix(self.root))))
        found = openers.glob.glob
        self.useFixture(fixtures.MockPatchObject(
            openers, 'glob', mock.Mock(
                glob=lambda path: found(self.below(path)))))
        read = openers._read
        self.useFixture(fixtures.MockPatchObject(
            openers, '_read', lambda path: read(self.below(path))))

    def below(self, path):
        return self.root + path.removeprefix(self.root)

    def add(self, path, content=''):
        path = self.below(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(f'{content}\n')

    @ddt.data(
        ('/proc/self/mountinfo', MOUNTINFO, 'the mount /mnt/a\\040b'),
        ('/proc/swaps', SWAPS, 'swap'),
        ('/sys/dev/block/253:4/holders/dm-5/dm/name', 'crypt',
         'device crypt'),
        ('/sys/dev/block/253:4/holders/md0/x', '', 'device md0'),
        ('/sys/kernel/config/target/core/iblock_1/iqn.x/udev_path', PATH,
         'LIO target iqn.x'),
        ('/sys/kernel/config/nvmet/subsystems/nqn.x/namespaces/1/device_path',
         PATH, 'NVMe subsystem nqn.x'),
        ('/sys/block/loop3/loop/backing_file', PATH, 'loop device loop3'))
    @ddt.unpack
    def test_opener(self, path, content, expected):
        self.add(path, content)
        self.assertEqual(f'in use by {expected}', openers.describe(PATH))

    def test_several(self):
        self.add('/proc/7/fd/3')
        self.add('/proc/7/comm', 'qemu-img')
        self.numbers['/proc/7/fd/3'] = '253:4'
        self.add('/proc/swaps', SWAPS)
        self.assertEqual('in use by swap, process 7 (qemu-img)',
                         openers.describe(PATH))

    @ddt.data(PATH, '/dev/vg/gone')
    def test_what_only_root_can_see(self, path):
        self.add('/proc/7/fd/3')
        self.add('/proc/self/mountinfo', MOUNTINFO.replace('253:4', '253:5'))
        self.add('/sys/block/loop3/loop/backing_file', '/dev/sda2')
        self.assertEqual(
            f"in use by a process, which 'fuser -v {path}' shows to root",
            openers.describe(path))
