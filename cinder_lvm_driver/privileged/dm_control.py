# SPDX-License-Identifier: Apache-2.0
"""Requests to the kernel's device-mapper (linux/dm-ioctl.h).

Unlike ``dmsetup``, which makes the same requests, this starts no process.
"""

from collections.abc import Iterator
import contextlib
import dataclasses
import enum
import errno
import fcntl
import os
import struct

_CONTROL = '/dev/mapper/control'
_HEADER = struct.Struct('=3I2IIiIIIQ128s129s7x')
_VERSION = (4, 0, 0)
_ANSWER_BYTES = 64 * 1024
_TARGET = struct.Struct('=QQiI16s')
_DEPENDENCIES = struct.Struct('=II')
_SECTOR = struct.Struct('=Q')


class Command(enum.IntEnum):
    """The number of a request."""

    SUSPEND = 6
    STATUS = 7
    CLEAR = 10
    DEPENDENCIES = 11
    TABLE = 12
    MESSAGE = 14


class Flag(enum.IntFlag):
    """What a request asks for, or an answer tells."""

    SUSPENDED = 1 << 1
    TABLE = 1 << 4
    INACTIVE_TABLE = 1 << 6
    # No file system of this node is frozen.
    SKIP_LOCKFS = 1 << 10
    # I/O that has to wait for space does not delay the request.
    NO_FLUSH = 1 << 11


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What the kernel tells of a device."""

    flags: int
    name: str
    uuid: str
    number: int
    data: bytes

    @property
    def is_suspended(self) -> bool:
        """Whether all I/O to the device waits."""
        return bool(self.flags & Flag.SUSPENDED)

    @property
    def has_inactive_table(self) -> bool:
        """Whether the next resumption gives the device another table."""
        return bool(self.flags & Flag.INACTIVE_TABLE)


@contextlib.contextmanager
def opened() -> Iterator[int]:
    """Open the device that takes the requests.

    :raises FileNotFoundError: the kernel module is not loaded
    """
    control = os.open(_CONTROL, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield control
    finally:
        os.close(control)


def ask(control: int, command: Command, *, name: str = '', number: int = 0,
        flags: int = 0, data: bytes = b'') -> Answer | None:
    """Return the kernel's answer; None if there is no such device.

    :param name: of the device; its number may be given instead
    :raises OSError: the kernel refuses
    """
    buffer = bytearray(_ANSWER_BYTES)
    _HEADER.pack_into(buffer, 0, *_VERSION, len(buffer), _HEADER.size, 0, 0,
                      flags, 0, 0, number, name.encode(), b'')
    buffer[_HEADER.size:_HEADER.size + len(data)] = data
    try:
        fcntl.ioctl(control, _request(command), buffer)
    except OSError as exc:
        if exc.errno == errno.ENXIO:
            return None
        raise
    (*_version, _size, start, count, _opened, flags, _event, _padding,
     number, found, uuid) = _HEADER.unpack_from(buffer)
    return Answer(flags, _text(found), _text(uuid), number,
                  bytes(buffer[start:]) if count or start else b'')


def target(control: int, number: int, flags: int = 0) -> tuple[str, str]:
    """Return the type of a device's first target, and its status.

    :param flags: ``Flag.TABLE`` for its table instead
    """
    answer = ask(control, Command.TABLE, number=number,
                 flags=flags | Flag.NO_FLUSH)
    if answer is None or len(answer.data) < _TARGET.size:
        return '', ''
    *_rest, kind = _TARGET.unpack_from(answer.data)
    return _text(kind), _text(answer.data[_TARGET.size:])


def dependencies(control: int, number: int) -> tuple[int, ...]:
    """Return the numbers of the devices below a device."""
    answer = ask(control, Command.DEPENDENCIES, number=number)
    if answer is None:
        return ()
    count, _padding = _DEPENDENCIES.unpack_from(answer.data)
    return struct.unpack_from(f'={count}Q', answer.data, _DEPENDENCIES.size)


def suspend(control: int, number: int) -> None:
    """Hold back the I/O to a device, once all that is in flight has ended.

    :raises InterruptedError: a signal has arrived; nothing is held back
    """
    ask(control, Command.SUSPEND, number=number,
        flags=Flag.SUSPENDED | Flag.SKIP_LOCKFS | Flag.NO_FLUSH)


def resume(control: int, number: int) -> None:
    """Let the I/O to a device go on; changes nothing if it does."""
    answer = ask(control, Command.STATUS, number=number)
    if answer is not None and answer.is_suspended:
        ask(control, Command.SUSPEND, number=number)


def message(control: int, number: int, text: str) -> None:
    """Send a message to the first target of a device."""
    ask(control, Command.MESSAGE, number=number,
        data=_SECTOR.pack(0) + text.encode() + b'\0')


def _request(command: Command) -> int:
    """Return ``_IOWR(DM_IOCTL, command, struct dm_ioctl)``."""
    return 3 << 30 | _HEADER.size << 16 | 0xfd << 8 | command


def _text(data: bytes) -> str:
    return data.split(b'\0', 1)[0].decode(errors='replace')
