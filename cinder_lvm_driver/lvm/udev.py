# SPDX-License-Identifier: Apache-2.0
"""The PVs that udev found on block devices.

This module reads no device. udev reads each device when it appears, and when
a program closes it after writing (udev(7), OPTIONS, ``watch``), and keeps the
result in one file for each device.
"""

from collections.abc import Iterator
import dataclasses
import os

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.lvm import kernel

# systemd, src/libsystemd/sd-device/device-private.c: one file bMAJOR:MINOR for
# each block device, replaced when it changes. S is a link below /dev, E a
# property.
_FOLDER = '/run/udev/data'
_IS_PV = 'E:ID_FS_TYPE=LVM2_member'
_PV_UUID = 'E:ID_FS_UUID='
_DISK_NAME = 'S:disk/by-id/'
_NAME_OF_CONTENT = 'lvm-pv-uuid-'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """One block device with a PV."""

    path: str
    pv_uuid: str
    # Names of the disk itself, whatever it contains.
    disk_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    inode: int
    changed_ns: int
    # None if the device is not a PV.
    lines: tuple[str, ...] | None


class Database:
    """Reads the records of udev, and again only those that changed."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def devices(self) -> list[Device]:
        """Return the devices with PVs; none if udev does not run here.

        Ignores the PVs that guests have created on LVs.
        """
        self._files = dict(self._read(self._files))
        return [device for number, file in self._files.items()
                if (device := _device(number, file)) is not None]

    @staticmethod
    def _read(known: dict[str, _File]) -> Iterator[tuple[str, _File]]:
        """Yield the number of each block device, and its file."""
        try:
            entries = [entry for entry in os.scandir(_FOLDER)
                       if entry.name.startswith('b')]
        except OSError:
            return
        for entry in entries:
            number = entry.name[1:]
            try:
                status = entry.stat()
                file = known.get(number)
                if file is None or (file.inode, file.changed_ns) != (
                        status.st_ino, status.st_mtime_ns):
                    file = _File(inode=status.st_ino,
                                 changed_ns=status.st_mtime_ns,
                                 lines=_lines(entry.path))
            except OSError:
                continue  # The device disappeared meanwhile.
            yield number, file


def _lines(path: str) -> tuple[str, ...] | None:
    with open(path, encoding='utf-8', errors='replace') as file:
        lines = file.read().splitlines()
    return tuple(lines) if _IS_PV in lines else None


def _device(number: str, file: _File) -> Device | None:
    if file.lines is None or blockdev.is_lv(number):
        return None
    path = kernel.path(number)
    pv_uuid = next((line.removeprefix(_PV_UUID) for line in file.lines
                    if line.startswith(_PV_UUID)), None)
    if path is None or pv_uuid is None:
        return None
    names = [line.removeprefix(_DISK_NAME) for line in file.lines
             if line.startswith(_DISK_NAME)]
    return Device(
        path=path, pv_uuid=pv_uuid,
        disk_names=tuple(
            sorted(name for name in names
                   if not name.startswith(_NAME_OF_CONTENT)))
        or (kernel.backing_file(number) or path,))
