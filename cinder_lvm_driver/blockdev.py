# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of the block device behind a path.

A node or link below /dev can be missing, or lead to the device of another LV:
in a container with a /dev of its own, or where udev missed an event. The
number of the device and its entry in /sys cannot
(Documentation/ABI/testing/sysfs-block-dm of the kernel).
"""

import os
import stat

from cinder_lvm_driver import naming

# A link for each device, named after its number.
SYS = '/sys/dev/block'
# lvm2, lib/activate/dev_manager.c: the UUID of an LV's device is this, that
# of the VG and that of the LV without their hyphens, and perhaps a suffix.
LVM = 'LVM-'


def spell(device: int) -> str:
    """Return the number of a device as the kernel writes it: ``253:4``."""
    return f'{os.major(device)}:{os.minor(device)}'


def number(path: str) -> str | None:
    """Return the number of a block device; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return spell(status.st_rdev)


def attribute(device: str, name: str) -> str | None:
    """Return an attribute of a device; None if it has none of that name."""
    try:
        with open(f'{SYS}/{device}/{name}') as file:
            return file.read().rstrip('\n')
    # ENOENT; ENODEV if the device disappears meanwhile.
    except OSError:
        return None


def is_lv(device: str) -> bool:
    """Return whether a device is an LV or part of one."""
    return (attribute(device, 'dm/uuid') or '').startswith(LVM)


def discards(device: str) -> bool:
    """Return whether blocks of a device can be discarded."""
    return attribute(device, 'queue/discard_max_bytes') not in (None, '0')


def why_not_lv(path: str) -> str | None:
    """Return why a path does not lead to the device of its LV.

    :param path: as LVM or device-mapper names the device of an LV
    :returns: None if it does
    """
    device = number(path)
    if device is None:
        return 'is not a block device'
    if not is_lv(device):
        return 'is not a logical volume of LVM'
    name = attribute(device, 'dm/name')
    if name == naming.device_mapper_name_of(path):
        return None
    return f'leads to {name} ({device}), the device of another LV'


def has_nodes(vg_name: str, lv_name: str) -> bool:
    """Return whether all paths of an active LV lead to its device."""
    return not any(map(why_not_lv, (
        naming.device_path(vg_name, lv_name),
        naming.device_mapper_path(vg_name, lv_name))))
