# SPDX-License-Identifier: Apache-2.0
"""Names that LVM takes; see lvm(8), VALID NAMES."""

import re

_NAME = re.compile(r'[A-Za-z0-9+_.][A-Za-z0-9+_.-]*')
_RESERVED = re.compile(
    r'\.{1,2}|snapshot.*|pvmove.*|.*_(cdata|cmeta|corig|cvol|iorig|mimage|'
    r'mlog|pmspare|rimage|rmeta|tdata|tmeta|vdata|vorigin|wcorig)(_.*)?')


def is_valid(name: str) -> bool:
    """Tell whether LVM would take a text as the name of an LV."""
    return bool(_NAME.fullmatch(name)) and not _RESERVED.fullmatch(name)
