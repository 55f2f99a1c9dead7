# SPDX-License-Identifier: Apache-2.0
"""The identity of the VG that a back end serves, kept over restarts.

The name of a VG does not identify it: a guest can create another VG of that
name on its volume. Without the file, the driver finds the VG by its name, as
at its first start.
"""

from collections.abc import Mapping
import dataclasses
import json
import logging
import os

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """The identity of one VG."""

    vg_uuid: str
    # Names of the disk of each PV, by the UUID of the PV.
    disks: Mapping[str, list[str]]


class Record:
    """The file of one VG."""

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> Identity | None:
        """Return what the file has; None without one, or if it is damaged."""
        try:
            with open(self.path, encoding='utf-8') as file:
                return Identity(**json.load(file))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as exc:
            LOG.warning('Ignoring %s, which cannot be read: %s', self.path,
                        exc)
            return None

    def write(self, identity: Identity) -> None:
        """Write an identity unless the file has it already."""
        if identity == self.read():
            return
        partial = f'{self.path}.new'
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o755,
                        exist_ok=True)
            with open(partial, 'w', encoding='utf-8') as file:
                json.dump(dataclasses.asdict(identity), file)
            os.replace(partial, self.path)
        except OSError as exc:
            LOG.warning('%s cannot be written: after a restart, the driver '
                        'finds the VG by its name only: %s', self.path, exc)
