# SPDX-License-Identifier: Apache-2.0
"""device-mapper behind the ioctls of ``privileged.dm_control``."""

import errno
import os
import struct

import fixtures

from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import verbs

# linux/dm-ioctl.h: struct dm_ioctl, dm_target_spec.
HEADER = struct.Struct('=3I2IIiIIIQ128s129s7x')
TARGET = struct.Struct('=QQiI16s')
SUSPENDED, TABLE, LOADED, SKIP_LOCKFS, NO_FLUSH = (
    1 << 1, 1 << 4, 1 << 6, 1 << 10, 1 << 11)


class FakeKernel(fixtures.Fixture):
    """Devices by number: name, targets by flag, and what is below.

    :ivar suspended: the numbers of the suspended devices
    :ivar loaded: those of the devices that have a second table
    :ivar uuids: of devices, by their numbers
    :ivar requests: what was changed, in order
    :ivar refusals: numbers of errors by the text of a message
    :ivar before: called with each request before it is answered
    """

    def __init__(self):
        self.devices = {}
        self.uuids = {}
        self.suspended = set()
        self.loaded = set()
        self.requests = []
        self.refusals = {}
        self.before = lambda request: None

    def _setUp(self):
        for owner, attribute, value in (
                (dm_control.fcntl, 'ioctl', self.ioctl),
                (dm_control, '_CONTROL', os.devnull),
                (verbs.context, 'client_mode', False)):
            self.useFixture(fixtures.MockPatchObject(owner, attribute, value))

    def add(self, number, name, target='linear', status='', table='',
            below=(), uuid=''):
        self.devices[number] = (name, target, {0: status, TABLE: table},
                                below)
        self.uuids[number] = uuid

    def names(self, numbers):
        return sorted(self.devices[number][0] for number in numbers)

    def ioctl(self, control, request, buffer):
        (*version, size, _start, _count, _open, asked, _event, _pad, number,
         name, _uuid) = HEADER.unpack_from(buffer)
        assert (version, size) == ([4, 0, 0], len(buffer))
        name = name.rstrip(b'\0').decode()
        number = number or next((key for key, device in self.devices.items()
                                 if device[0] == name), 0)
        if number not in self.devices:
            raise OSError(errno.ENXIO, 'No such device or address')
        name, target, texts, below = self.devices[number]
        data, count = b'', 0
        if request == 0xc138fd0c:
            data = TARGET.pack(0, 8, 0, 0, target.encode())
            data += texts[asked & TABLE].encode() + b'\0'
            count = 1
        elif request == 0xc138fd0b:
            data = struct.pack(f'=II{len(below)}Q', len(below), 0, *below)
        elif request == 0xc138fd06:
            self._suspend(number, asked)
        elif request == 0xc138fd0a:
            self._note(f'clear {name}')
            self.loaded.discard(number)
        elif request == 0xc138fd0e:
            self._message(name, bytes(buffer[HEADER.size:]))
        else:
            assert request == 0xc138fd07, hex(request)
        HEADER.pack_into(
            buffer, 0, 4, 48, 0, size, HEADER.size, count, 0,
            SUSPENDED * (number in self.suspended)
            | LOADED * (number in self.loaded), 0, 0, number,
            name.encode(), self.uuids[number].encode())
        buffer[HEADER.size:HEADER.size + len(data)] = data

    def _suspend(self, number, asked):
        name = self.devices[number][0]
        if asked:
            assert asked == SUSPENDED | SKIP_LOCKFS | NO_FLUSH, asked
            self._note(f'suspend {name}')
            self.suspended.add(number)
        else:
            self._note(f'resume {name}')
            self.suspended.discard(number)

    def _message(self, name, data):
        assert data[:8] == bytes(8)
        self._note(f'{name}: ' + data[8:].split(b'\0', 1)[0].decode())

    def _note(self, request):
        self.before(request)
        if request in self.refusals:
            code = self.refusals[request]
            raise OSError(code, os.strerror(code))
        self.requests.append(request)
