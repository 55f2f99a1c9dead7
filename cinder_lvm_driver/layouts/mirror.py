# SPDX-License-Identifier: Apache-2.0
"""Mirrored volumes: raid1 LVs with COW snapshots.

The in-tree driver makes LVs of the older segtype ``mirror`` instead, without
a first synchronisation (LP#1730375). They are served as they are, as LVs of
every segtype are.
"""

import logging

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm

LOG = logging.getLogger(__name__)


class Mirror(thick.Thick):
    """raid1 LVs, every copy on PVs of its own; see lvmraid(7)."""

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume, mirrors: int) -> None:
        """Take a VG in hand; runs no command.

        :param mirrors: copies beside the first one
        """
        super().__init__(vg, writer, remove)
        self._copies = mirrors + 1

    def prepare(self) -> None:
        """Look that there are PVs enough.

        Too few are no reason not to start: the volumes that are there are
        served although a PV is gone, which is what mirrors are for.
        """
        pvs = self._vg.get_physical_volumes()
        usable = _usable(pvs)
        if len(usable) < self._copies:
            LOG.warning('VG %s has %d PVs, of which %d are missing and %d '
                        'can take volumes; no volume of %d copies can be '
                        'created now', self._vg.vg_name, len(pvs),
                        sum(pv.missing for pv in pvs), len(usable),
                        self._copies)

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a raid1 LV, on the PVs with the most free space if it fits.

        LVM fills the first PVs before it takes others (2.03.16). What is
        then left on the others cannot be used, as no two copies may be on
        one PV: of three equal PVs, a third of the space.
        """
        pvs = _usable(self._vg.get_physical_volumes())
        emptiest = []
        if len(pvs) > self._copies:
            # One extent is for the metadata, and one for rounding up.
            needed = size_bytes + 2 * self._vg.get_vg().extent_size_bytes
            emptiest = [pv.path for pv in pvs[:self._copies]
                        if pv.free_bytes >= needed]
        self._vg.create_raid1_volume(
            name, size_bytes, self._copies - 1,
            emptiest if len(emptiest) == self._copies else [])

    def convert(self, volume: lvm.LogicalVolume) -> bool:
        """Make a thick LV a raid1 LV of the wanted number of copies."""
        if volume.is_thin:
            return False
        if not volume.active:
            self._vg.activate_lv(volume.name)
        if volume.is_legacy_mirror:
            self._vg.convert_mirror_to_raid1(volume.name)
        if volume.is_mirrored and self._writer.wipes:
            self._drop_copies(volume, self._copies)
        self._vg.convert_to_raid1(volume.name, self._copies - 1)
        return True

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count what fits with all its copies.

        The total is what small volumes can have, and free is the size of
        the largest volume that can be made now. The difference matters with
        more PVs than copies: on three empty PVs of 100 GiB, two copies of
        150 GiB fit, but no volume larger than 100 GiB.
        """
        extent = picture.vg.extent_size_bytes
        pvs = self._vg.get_physical_volumes()
        total = _fitting([pv.size_bytes for pv in pvs], self._copies)
        largest = _largest([pv.free_bytes for pv in _usable(pvs)],
                           self._copies)
        return base.Capacity(
            total_bytes=total // extent * extent,
            # Each copy needs an extent more, for its metadata.
            free_bytes=max(0, largest - extent),
            provisioned_bytes=sum(volume.size_bytes
                                  for volume in picture.lvs.values()))


def _usable(pvs: list[lvm.PhysicalVolume]) -> list[lvm.PhysicalVolume]:
    """Return the PVs that LVs can be put on, the emptiest first."""
    if any(pv.missing for pv in pvs):
        return []
    return sorted((pv for pv in pvs if pv.allocatable),
                  key=lambda pv: pv.free_bytes, reverse=True)


def _fitting(sizes: list[int], copies: int) -> int:
    """Return how much can be stored on PVs of some sizes with all copies.

    No two copies of anything may share a PV, so of a PV that is larger than
    the result only so much counts.
    """
    descending = sorted(sizes, reverse=True)
    return min(sum(descending[ahead:]) // (copies - ahead)
               for ahead in range(copies))


def _largest(sizes: list[int], copies: int) -> int:
    """Return the size of the largest mirrored LV that LVM can make.

    It puts all copies on the largest areas as far as these reach, then goes
    on with what is left.
    """
    left = sorted(sizes, reverse=True)
    found = 0
    while len(left) >= copies:
        part = left[copies - 1]
        found += part
        left = sorted((size for size in (
            *(size - part for size in left[:copies]), *left[copies:])
            if size), reverse=True)
    return found
