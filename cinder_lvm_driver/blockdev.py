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

_SYS = '/sys/dev/block'

# Major and minor.
Number = tuple[int, int]


def number(path: str) -> Number | None:
    """Return the number of a block device; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    if not stat.S_ISBLK(status.st_mode):
        return None
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def attribute(device: Number, name: str) -> str | None:
    """Return an attribute of a device; None if it has none of that name."""
    try:
        with open('%s/%d:%d/%s' % (_SYS, *device, name)) as file:
            return file.read().rstrip('\n')
    # ENOENT; ENODEV if the device disappears meanwhile.
    except OSError:
        return None


def dm_name(device: Number) -> str | None:
    """Return the name of a device-mapper device; None for any other."""
    return attribute(device, 'dm/name')


def is_lv(device: Number) -> bool:
    """Return whether a device is an LV or part of one."""
    return (attribute(device, 'dm/uuid') or '').startswith('LVM-')


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
    name = dm_name(device)
    if name == naming.device_mapper_name_of(path):
        return None
    return 'leads to %s (%d:%d), the device of another LV' % (name, *device)


def has_nodes(vg_name: str, lv_name: str) -> bool:
    """Return whether all paths of an active LV lead to its device."""
    return not any(map(why_not_lv, (
        naming.device_path(vg_name, lv_name),
        naming.device_mapper_path(vg_name, lv_name))))
