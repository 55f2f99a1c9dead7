# SPDX-License-Identifier: Apache-2.0
"""Mirrored volumes: raid1 LVs with COW snapshots.

The in-tree driver creates LVs of the older segtype ``mirror`` instead, without
an initial synchronization (LP#1730375). This driver serves them as well.
"""

import logging

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm

LOG = logging.getLogger(__name__)


class Mirror(thick.Thick):
    """raid1 LVs with each copy on different PVs; see lvmraid(7)."""

    device_suffix = '_rimage_0'

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume, mirrors: int) -> None:
        """Run no command yet.

        :param mirrors: number of copies beside the first one
        """
        super().__init__(vg, writer, remove)
        self._copies = mirrors + 1

    def __str__(self) -> str:
        return f'{self.lvm_type} with {self._copies} copies'

    def prepare(self) -> None:
        """Log a warning if there are too few PVs.

        The service starts nevertheless, because mirrored volumes work
        without one of their PVs.
        """
        pvs = self._vg.get_physical_volumes()
        usable = _usable(pvs)
        if len(usable) < self._copies:
            LOG.warning('VG %s has %d PVs, %d missing and %d '
                        'can take volumes: no volume of %d copies can be '
                        'created until PVs are added or repaired',
                        self._vg.vg_name, len(pvs),
                        sum(pv.missing for pv in pvs), len(usable),
                        self._copies)

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a raid1 LV, if possible on the PVs with most free space.

        By default LVM fills the first PVs before it takes others (2.03.16).
        The rest of the others is then useless, because no two copies may be
        on one PV: a third of the space of three equal PVs.
        """
        pvs = _usable(self._vg.get_physical_volumes())
        emptiest = []
        if len(pvs) > self._copies:
            # One extent for the metadata, and one for rounding up.
            needed = size_bytes + 2 * self._vg.get_vg().extent_size_bytes
            emptiest = [pv.path for pv in pvs[:self._copies]
                        if pv.free_bytes >= needed]
        self._vg.create_raid1_volume(
            name, size_bytes, self._copies - 1,
            emptiest if len(emptiest) == self._copies else [])

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Convert a thick LV to raid1 with the configured number of copies."""
        if lv.is_thin:
            return False
        if not lv.active:
            self._vg.activate_lv(lv.name)
        if lv.is_legacy_mirror:
            self._vg.convert_mirror_to_raid1(lv.name)
        if lv.is_mirrored and self._writer.wipes:
            self._drop_copies(lv, self._copies)
        self._vg.convert_to_raid1(lv.name, self._copies - 1)
        return True

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count the space for volumes with all their copies.

        The total is that of many small volumes; the free space is the size
        of the largest volume that can be created now. They differ if there
        are more PVs than copies: three empty PVs of 100 GiB have space for
        two copies of 150 GiB, but for no volume larger than 100 GiB.
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
            provisioned_bytes=sum(lv.size_bytes
                                  for lv in picture.lvs.values()))


def _usable(pvs: list[lvm.PhysicalVolume]) -> list[lvm.PhysicalVolume]:
    """Return the PVs that can take new LVs, the emptiest first."""
    if any(pv.missing for pv in pvs):
        return []
    return sorted((pv for pv in pvs if pv.allocatable),
                  key=lambda pv: pv.free_bytes, reverse=True)


def _fitting(sizes: list[int], copies: int) -> int:
    """Return the bytes that PVs of some sizes can store with all copies.

    A PV cannot hold two copies of the same data, so that its size counts
    only up to the result.
    """
    descending = sorted(sizes, reverse=True)
    return min(sum(descending[ahead:]) // (copies - ahead)
               for ahead in range(copies))


def _largest(sizes: list[int], copies: int) -> int:
    """Return the size of the largest mirrored LV that LVM can create.

    LVM puts the copies on the largest free areas first, and continues with
    the rest.
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
