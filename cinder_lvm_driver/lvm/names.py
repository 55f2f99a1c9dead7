# SPDX-License-Identifier: Apache-2.0
"""Names that LVM accepts; see lvm(8), VALID NAMES."""

import re

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming

_RESERVED = re.compile(
    r'\.{1,2}|snapshot.*|pvmove.*|.*_(cdata|cmeta|corig|cvol|iorig|mimage|'
    r'mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)(_.*)?')

# Kernel, include/uapi/linux/dm-ioctl.h: DM_NAME_LEN less the final NUL.
_LONGEST_DEVICE_NAME = 127


def is_valid(name: str) -> bool:
    """Return whether LVM accepts a text as the name of an LV."""
    return bool(re.fullmatch(naming.LVM_NAME, name)
                and not _RESERVED.fullmatch(name))


def check_length(vg_name: str, name: str, suffix: str = '') -> None:
    """Check that device-mapper accepts the name of an LV.

    LVM (2.03.16) checks the length only after it has renamed the LV.

    :param suffix: what LVM appends for a device below that of the LV
    :raises errors.NameTooLong: it does not
    """
    length = _device_name_length(vg_name, name, suffix)
    if length > _LONGEST_DEVICE_NAME:
        raise errors.NameTooLong(
            f'The device name of LV {name} in VG {vg_name} would have '
            f'{length} characters, and device-mapper allows '
            f'{_LONGEST_DEVICE_NAME}: use shorter names; each hyphen counts '
            f'twice')


def check_vg_name(vg_name: str, lv_name: str,
                  suffix: str = '') -> None:
    """Check that a VG can have an LV, as regards the length of its name.

    :param lv_name: may hold ``{}`` for the name of the VG
    :param suffix: see :func:`check_length`
    :raises errors.NameTooLong: it cannot; the message tells the length of
        the longest VG name that works
    """
    try:
        check_length(vg_name, lv_name.format(vg_name), suffix)
    except errors.NameTooLong as exc:
        longest = max(
            length for length in range(_LONGEST_DEVICE_NAME)
            if _device_name_length('x' * length,
                                   lv_name.format('x' * length),
                                   suffix) <= _LONGEST_DEVICE_NAME)
        raise errors.NameTooLong(
            f'{exc}. Rename the VG with vgrename: a name of up to {longest} '
            f'characters works') from None


def _device_name_length(vg_name: str, name: str, suffix: str) -> int:
    return len(naming.device_mapper_name(vg_name, name) + suffix)
