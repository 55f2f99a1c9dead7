# SPDX-License-Identifier: Apache-2.0
"""Where a back end keeps its volumes, and as what, in one line of text.

It is what the stats call ``location_info``, in the in-tree driver's form:
either driver offers it to the other for a migration on one host.
"""

import dataclasses
from typing import Any

_DRIVER = 'LVMVolumeDriver'


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """A VG of a host, and the layout of the volumes made there."""

    hostname: str
    vg_name: str
    lvm_type: str
    # Copies beside the first one.
    mirrors: int

    def format(self) -> str:
        """Return the line of text."""
        return (f'{_DRIVER}:{self.hostname}:{self.vg_name}:{self.lvm_type}:'
                f'{self.mirrors}')


def parse(text: Any) -> Location | None:
    """Return what a line of text says, or None for what is not ours.

    Back ends of any driver call something ``location_info``.
    """
    words = text.split(':') if isinstance(text, str) else []
    if len(words) != 5 or words[0] != _DRIVER:
        return None
    _driver, hostname, vg_name, lvm_type, mirrors = words
    if not (mirrors.isascii() and mirrors.isdigit()):
        return None
    return Location(hostname, vg_name, lvm_type, int(mirrors))


def of_host(host: dict[str, Any]) -> Location | None:
    """Return the location of a back end as the scheduler describes it.

    :param host: ``{'host': ..., 'capabilities': {'location_info': ...}}``
    """
    return parse((host.get('capabilities') or {}).get('location_info'))
