# SPDX-License-Identifier: Apache-2.0
"""Questions to the kernel's device-mapper, which change nothing there.

Format and numbers: linux/dm-ioctl.h. Unlike ``dmsetup``, which does the same,
this starts no process.
"""

from collections.abc import Iterator
import dataclasses
import errno
import fcntl
import os
import struct
from typing import TypedDict

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import validation

_CONTROL = '/dev/mapper/control'
_HEADER = struct.Struct('=3I2IIiIIIQ128s129s7x')
_VERSION = (4, 0, 0)
_ANSWER_BYTES = 64 * 1024
_DEVICE_STATUS, _TABLE_DEPENDENCIES, _TABLE_STATUS = 7, 11, 12
_SUSPENDED, _TABLE, _NO_FLUSH = 1 << 1, 1 << 4, 1 << 11
_DEPENDENCIES = struct.Struct('=II')
_TARGET = struct.Struct('=QQiI16s')
# Others tell more than anybody needs to know, such as dm-crypt's key.
_TOLD_TARGETS = ('thin', 'thin-pool')


class Device(TypedDict):
    """A device, with its table and status if it is a thin LV or a pool."""

    name: str
    is_suspended: bool
    target: str
    table: str
    status: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Answer:
    flags: int
    name: str
    number: int
    data: bytes


@privileged.context.entrypoint
def stack(name: str) -> list[Device]:
    """Return a device and those below it; empty if there is none.

    Devices that are not device-mapper's are left out.

    :param name: device-mapper's, without ``/dev/mapper``
    :raises InvalidArgument: that cannot be the name of a device
    :raises OSError: the kernel refuses to answer
    """
    name = validation.device_mapper_name(name)
    try:
        control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # The kernel module is not loaded.
        return []
    try:
        top = _ask(control, _DEVICE_STATUS, name=name)
        return [] if top is None else list(_walk(control, top, set()))
    finally:
        os.close(control)


def _walk(control: int, device: _Answer,
          seen: set[int]) -> Iterator[Device]:
    if device.number in seen:
        return
    seen.add(device.number)
    target, status = _target(control, device.number, 0)
    _target_again, table = _target(control, device.number, _TABLE)
    yield {'name': device.name, 'target': target,
           'is_suspended': bool(device.flags & _SUSPENDED),
           'table': table, 'status': status}
    answer = _ask(control, _TABLE_DEPENDENCIES, number=device.number)
    if answer is None:
        return
    count, _padding = _DEPENDENCIES.unpack_from(answer.data)
    for number in struct.unpack_from(f'={count}Q', answer.data,
                                     _DEPENDENCIES.size):
        below = _ask(control, _DEVICE_STATUS, number=number)
        if below is not None:
            yield from _walk(control, below, seen)


def _target(control: int, number: int, flags: int) -> tuple[str, str]:
    """Return the type of a device's first target, and its table or status."""
    answer = _ask(control, _TABLE_STATUS, number=number,
                  flags=flags | _NO_FLUSH)
    if answer is None or len(answer.data) < _TARGET.size:
        return '', ''
    *_rest, kind = _TARGET.unpack_from(answer.data)
    target = _text(kind)
    return target, (_text(answer.data[_TARGET.size:])
                    if target in _TOLD_TARGETS else '')


def _ask(control: int, command: int, *, name: str = '', number: int = 0,
         flags: int = 0) -> _Answer | None:
    """Return the kernel's answer; None if there is no such device."""
    buffer = bytearray(_ANSWER_BYTES)
    _HEADER.pack_into(buffer, 0, *_VERSION, len(buffer), _HEADER.size, 0, 0,
                      flags, 0, 0, number, name.encode(), b'')
    try:
        fcntl.ioctl(control, _request(command), buffer)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return None
        raise
    (*_version, _size, start, count, _opened, flags, _event, _padding,
     number, found, _uuid) = _HEADER.unpack_from(buffer)
    return _Answer(flags, _text(found), number,
                   bytes(buffer[start:]) if count or start else b'')


def _request(command: int) -> int:
    """Return ``_IOWR(DM_IOCTL, command, struct dm_ioctl)``."""
    return 3 << 30 | _HEADER.size << 16 | 0xfd << 8 | command


def _text(data: bytes) -> str:
    return data.split(b'\0', 1)[0].decode(errors='replace')
