# SPDX-License-Identifier: Apache-2.0
"""Facts about block devices from sysfs, without any I/O to the devices.

Devices are identified by their numbers, such as ``253:4`` (kernel,
Documentation/ABI/stable/sysfs-block and
Documentation/ABI/testing/sysfs-block-dm).
"""

from collections.abc import Collection, Iterable, Iterator
import os
import threading

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import naming

_REQUEST_SECONDS = 1.0


def path(number: str) -> str | None:
    """Return the path of a device; None if it is empty or does not exist."""
    if blockdev.attribute(number, 'size') in (None, '0'):
        return None
    name = blockdev.attribute(number, 'dm/name')
    if name is not None:
        return f'/dev/mapper/{name}'
    return '/dev/' + _node(number)


def backing_file(number: str) -> str | None:
    """Return the file behind a loop device; None for any other device."""
    return blockdev.attribute(number, 'loop/backing_file')


def without_table(vg_name: str, lv_names: Iterable[str]) -> set[str]:
    """Return the LVs whose devices exist, but lead nowhere.

    LVM was killed between two steps of their activation. It takes them for
    active, and cannot remove them.
    """
    names = {naming.device_mapper_name(vg_name, name): name
             for name in lv_names}
    return {names[device] for number in _listed(blockdev.SYS)
            if (device := blockdev.attribute(number, 'dm/name')) in names
            and blockdev.attribute(number, 'size') == '0'}


def devices_of(vg_name: str) -> list[str]:
    """Return device-mapper's names of the active LVs of a VG and its parts."""
    return [name for number in _listed(blockdev.SYS)
            if (name := blockdev.attribute(number, 'dm/name')) is not None
            and naming.vg_name(name) == vg_name]


def has_lost_disks(vg_uuid: str) -> bool:
    """Return whether active LVs of a VG are on devices that no longer exist.

    All I/O to such an LV fails, even when the disk is back under another
    name.
    """
    own = vg_uuid.replace('-', '')
    return any(not os.path.exists(link) for number, uuid in _lvs()
               if uuid.startswith(own) for link in _links(number))


def is_on_lost_disk(device: str) -> bool:
    """Return whether a device is on top of one that no longer exists."""
    number = blockdev.number(device)
    return number is not None and _ends_nowhere(
        os.path.join(blockdev.SYS, number, 'slaves'))


def _ends_nowhere(folder: str) -> bool:
    links = [os.path.join(folder, name) for name in _listed(folder)]
    return any(not os.path.exists(link)
               or _ends_nowhere(os.path.join(link, 'slaves'))
               for link in links)


def read_only(paths: Collection[str]) -> list[str]:
    """Return the paths of devices that accept no writes."""
    return sorted(path for path in paths
                  if (number := blockdev.number(path)) is not None
                  and blockdev.attribute(number, 'ro') == '1')


def hanging(paths: Collection[str]) -> list[str]:
    """Return the paths of devices that complete no I/O; takes a second.

    Such a device is suspended (dmsetup(8)), or has requests and completes
    none of them.

    :param paths: of the devices to check; none for all of this node
    """
    numbers = ([number for one in paths if (number := blockdev.number(one))]
               if paths else _listed(blockdev.SYS))
    waiting = {number: done for number in numbers
               if (done := _completed(number)) is not None}
    threading.Event().wait(_REQUEST_SECONDS)
    return sorted(
        found for number in numbers
        if (found := path(number)) is not None
        and (blockdev.attribute(number, 'dm/suspended') == '1'
             or waiting.get(number, -1) == _completed(number)))


def _completed(number: str) -> int | None:
    """Return how many requests a device has completed; None if it is idle."""
    # Kernel, Documentation/block/stat.rst: reads, writes, discards and
    # flushes are the fields 0, 4, 11 and 15, those in flight the field 8.
    fields = list(map(int, (blockdev.attribute(number, 'stat') or '').split()))
    if len(fields) < 9 or not fields[8]:
        return None
    return fields[0] + fields[4] + sum(fields[11:16:4])


def _lvs() -> Iterator[tuple[str, str]]:
    """Yield the number and LVM's UUIDs of each active LV and its parts."""
    for number in _listed(blockdev.SYS):
        uuid = blockdev.attribute(number, 'dm/uuid') or ''
        if uuid.startswith(blockdev.LVM):
            yield number, uuid.removeprefix(blockdev.LVM)


def _links(number: str) -> list[str]:
    folder = os.path.join(blockdev.SYS, number, 'slaves')
    return [os.path.join(folder, name) for name in _listed(folder)]


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _node(number: str) -> str:
    """Return the name of a device below /dev."""
    real = os.path.realpath(os.path.join(blockdev.SYS, number))
    return os.path.basename(real).replace('!', '/')
