# SPDX-License-Identifier: Apache-2.0
"""Questions to device-mapper, answered by a fake of its ioctls."""

import errno
import struct
from unittest import mock

import ddt

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.privileged import errors
from tests import base

# linux/dm-ioctl.h: struct dm_ioctl, dm_target_spec.
HEADER = struct.Struct('=3I2IIiIIIQ128s129s7x')
TARGET = struct.Struct('=QQiI16s')
SUSPENDED, TABLE = 2, 16


class FakeKernel:
    """Devices by number: name, targets by flag, and what is below."""

    def __init__(self):
        self.devices = {}

    def add(self, number, name, target='linear', status='', table='',
            below=(), flags=0):
        self.devices[number] = (name, target, {0: status, TABLE: table},
                                below, flags)

    def ioctl(self, control, request, buffer):
        (*version, size, _start, _count, _open, asked, _event, _pad, number,
         name, _uuid) = HEADER.unpack_from(buffer)
        assert (version, size) == ([4, 0, 0], len(buffer))
        name = name.rstrip(b'\0').decode()
        number = number or next((key for key, device in self.devices.items()
                                 if device[0] == name), 0)
        if number not in self.devices:
            raise OSError(errno.ENXIO, 'No such device or address')
        name, target, texts, below, flags = self.devices[number]
        data, count = b'', 0
        if request == 0xc138fd0c:
            data = TARGET.pack(0, 8, 0, 0, target.encode())
            data += texts[asked & TABLE].encode() + b'\0'
            count = 1
        elif request == 0xc138fd0b:
            data = struct.pack(f'=II{len(below)}Q', len(below), 0, *below)
        else:
            assert request == 0xc138fd07, hex(request)
        HEADER.pack_into(buffer, 0, 4, 48, 0, size, HEADER.size, count, 0,
                         flags, 0, 0, number, name.encode(), b'')
        buffer[HEADER.size:HEADER.size + len(data)] = data


@ddt.ddt
class TestStack(base.TestCase):

    def setUp(self):
        super().setUp()
        self.kernel = FakeKernel()
        for owner, attribute, value in (
                (device_mapper.fcntl, 'ioctl', self.kernel.ioctl),
                (device_mapper.os, 'open', mock.Mock(return_value=99)),
                (device_mapper.os, 'close', mock.Mock()),
                (privileged.context, 'client_mode', False)):
            patcher = mock.patch.object(owner, attribute, value)
            patcher.start()
            self.addCleanup(patcher.stop)

    def test_pool(self):
        self.kernel.add(5, 'vg-pool-tpool', 'thin-pool', '3 1/2 -',
                        '253:1 253:2 128 0 0', below=[3, 4])
        self.kernel.add(3, 'vg-pool_tmeta', below=[1792])
        self.kernel.add(4, 'vg-pool_tdata', flags=SUSPENDED, below=[1792])
        self.assertEqual(
            [('vg-pool-tpool', False, '3 1/2 -', '253:1 253:2 128 0 0'),
             ('vg-pool_tmeta', False, '', ''),
             ('vg-pool_tdata', True, '', '')],
            [(each['name'], each['is_suspended'], each['status'],
              each['table']) for each in device_mapper.stack(
                  'vg-pool-tpool')])

    def test_no_device(self):
        self.assertEqual([], device_mapper.stack('vg-a'))

    def test_device_mapper_is_not_loaded(self):
        device_mapper.os.open.side_effect = FileNotFoundError
        self.assertEqual([], device_mapper.stack('vg-a'))

    def test_keys_are_not_told(self):
        self.kernel.add(1, 'secret', 'crypt', '', 'aes-xts 0123456789abcdef')
        device, = device_mapper.stack('secret')
        self.assertEqual(('crypt', '', ''), (
            device['target'], device['table'], device['status']))

    def test_device_on_itself(self):
        self.kernel.add(1, 'a', below=[1, 2])
        self.kernel.add(2, 'b', below=[1])
        self.assertEqual(['a', 'b'], [each['name'] for each in
                                      device_mapper.stack('a')])

    def test_kernel_that_refuses(self):
        with mock.patch.object(device_mapper.fcntl, 'ioctl',
                               side_effect=OSError(errno.EPERM, 'no')):
            self.assertRaises(OSError, device_mapper.stack, 'a')
        device_mapper.os.close.assert_called_once_with(99)

    @ddt.data('', 'a/b', 'a b', 'a' * 128, 'a\0', None, '../control')
    def test_name_that_is_none(self, name):
        self.assertRaises(errors.InvalidArgument, device_mapper.stack, name)
        device_mapper.os.open.assert_not_called()
