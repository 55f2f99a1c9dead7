# SPDX-License-Identifier: Apache-2.0
"""Where a back end keeps its volumes, and in which layout, as one line.

The stats call it ``location_info``. It has the in-tree driver's form, so
that volumes migrate within a node between back ends of either driver.
"""

import dataclasses
from typing import Any

_DRIVER = 'LVMVolumeDriver'


@dataclasses.dataclass(frozen=True, slots=True)
class Location:
    """A VG of a node, and the layout of new LVs there.

    :ivar mirrors: copies of each LV beside the first one
    """

    hostname: str
    vg_name: str
    lvm_type: str
    mirrors: int

    def format(self) -> str:
        """Return the line of text."""
        return (f'{_DRIVER}:{self.hostname}:{self.vg_name}:{self.lvm_type}:'
                f'{self.mirrors}')


def parse(text: Any) -> Location | None:
    """Return the location that a text names; None for any other text.

    Other drivers have a ``location_info`` of their own.
    """
    words = text.split(':') if isinstance(text, str) else []
    if len(words) != 5 or words[0] != _DRIVER:
        return None
    _driver, hostname, vg_name, lvm_type, mirrors = words
    if not (mirrors.isascii() and mirrors.isdigit()):
        return None
    return Location(hostname, vg_name, lvm_type, int(mirrors))


def of_destination(destination: dict[str, Any]) -> Location | None:
    """Return the location of a back end as the scheduler describes it.

    :param destination: ``{'host': ..., 'capabilities': {'location_info':
        ...}}``
    """
    return parse((destination.get('capabilities') or {})
                 .get('location_info'))
