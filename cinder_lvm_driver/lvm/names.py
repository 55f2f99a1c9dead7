# SPDX-License-Identifier: Apache-2.0
"""Names that LVM takes; see lvm(8), VALID NAMES."""

import re

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming

_NAME = re.compile(r'[A-Za-z0-9+_.][A-Za-z0-9+_.-]*')
_RESERVED = re.compile(
    r'\.{1,2}|snapshot.*|pvmove.*|.*_(cdata|cmeta|corig|cvol|iorig|mimage|'
    r'mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)(_.*)?')

# Kernel, include/uapi/linux/dm-ioctl.h: DM_NAME_LEN, of which one is a NUL.
_LONGEST_DEVICE = 127


def is_valid(name: str) -> bool:
    """Tell whether LVM would take a text as the name of an LV."""
    return bool(_NAME.fullmatch(name)) and not _RESERVED.fullmatch(name)


def check_length(vg_name: str, name: str) -> None:
    """Look that device-mapper takes the name of an LV.

    LVM (2.03.16) looks at the length only when the LV is renamed already.

    :raises errors.NameTooLong: it does not
    """
    length = len(naming.device_mapper_name(vg_name, name))
    if length > _LONGEST_DEVICE:
        raise errors.NameTooLong(
            f'LV {name} in VG {vg_name} cannot have a device: its name would '
            f'be of {length} characters, and {_LONGEST_DEVICE} is the most')
