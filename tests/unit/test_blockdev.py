# SPDX-License-Identifier: Apache-2.0
"""Paths of devices, against what the kernel says of them."""

import os
import stat
import types
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from tests import base

WHY_NOT_LV = blockdev.why_not_lv
LV = 'LVM-abc'


@ddt.ddt
class TestBlockdev(base.TestCase):

    def setUp(self):
        super().setUp()
        self.sys = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatchObject(blockdev, 'SYS', self.sys))
        self.useFixture(fixtures.MockPatchObject(blockdev, 'why_not_lv',
                                                 WHY_NOT_LV))
        self.nodes = {}
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'os', mock.Mock(wraps=os, stat=self.find)))

    def find(self, path):
        if path not in self.nodes:
            raise FileNotFoundError(2, 'No such file')
        mode, minor = self.nodes[path]
        return types.SimpleNamespace(st_mode=mode,
                                     st_rdev=os.makedev(253, minor))

    def add(self, minor, *paths, mode=stat.S_IFBLK, **attributes):
        """Add a device with its nodes, and what the kernel says of it."""
        self.nodes.update((path, (mode, minor)) for path in paths)
        folder = f'{self.sys}/253:{minor}/dm'
        os.makedirs(folder)
        for name, value in attributes.items():
            with open(os.path.join(folder, name), 'w') as file:
                file.write(f'{value}\n')

    @ddt.data(('/dev/vg/lv', 'vg-lv'), ('/dev/mapper/vg-lv', 'vg-lv'),
              ('/dev/v-g/l-v', 'v--g-l--v'),
              ('/dev/mapper/v--g-l--v', 'v--g-l--v'))
    @ddt.unpack
    def test_lv(self, path, name):
        self.add(4, path, name=name, uuid=LV)
        self.assertIsNone(blockdev.why_not_lv(path))

    @ddt.data({}, {'uuid': 'CRYPT-LUKS2-x', 'name': 'vg-lv'},
              {'uuid': 'mpath-x', 'name': 'vg-lv'})
    def test_device_of_no_lv(self, attributes):
        self.add(4, '/dev/vg/lv', **attributes)
        self.assertEqual('is not a logical volume of LVM',
                         blockdev.why_not_lv('/dev/vg/lv'))

    def test_device_of_another_lv(self):
        self.add(4, '/dev/vg/lv', name='vg-other', uuid=LV)
        self.assertEqual(
            'leads to vg-other (253:4), the device of another LV',
            blockdev.why_not_lv('/dev/vg/lv'))

    def test_no_block_device(self):
        self.add(4, '/dev/vg/file', mode=stat.S_IFREG)
        for path in '/dev/vg/file', '/dev/vg/gone':
            self.assertIsNone(blockdev.number(path))
            self.assertEqual('is not a block device',
                             blockdev.why_not_lv(path))

    def test_nodes(self):
        paths = '/dev/vg/lv', '/dev/mapper/vg-lv'
        self.add(4, *paths, name='vg-lv', uuid=LV)
        self.add(5, name='vg-other', uuid=LV)
        self.assertTrue(blockdev.has_nodes('vg', 'lv'))
        for path in paths:
            with mock.patch.dict(self.nodes, {path: (stat.S_IFBLK, 5)}):
                self.assertFalse(blockdev.has_nodes('vg', 'lv'))
            with mock.patch.dict(self.nodes):
                del self.nodes[path]
                self.assertFalse(blockdev.has_nodes('vg', 'lv'))

    def test_discards(self):
        for minor, content, discards in (
                (4, '4096\n', True), (5, '0\n', False), (6, None, False)):
            self.add(minor)
            if content:
                os.makedirs(f'{self.sys}/253:{minor}/queue')
                with open(f'{self.sys}/253:{minor}/queue/discard_max_bytes',
                          'w') as file:
                    file.write(content)
            self.assertIs(discards, blockdev.discards(f'253:{minor}'))

    def test_attribute(self):
        self.add(4, '/dev/vg/lv', name='vg-lv')
        device = blockdev.number('/dev/vg/lv')
        self.assertEqual('253:4', device)
        self.assertEqual('vg-lv', blockdev.attribute(device, 'dm/name'))
        self.assertIsNone(blockdev.attribute(device, 'dm/none'))
        self.assertIsNone(blockdev.attribute('1:2', 'size'))
