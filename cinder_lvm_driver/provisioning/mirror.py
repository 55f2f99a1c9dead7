# SPDX-License-Identifier: Apache-2.0
"""Mirrored volumes: raid1 LVs with COW snapshots.

The in-tree driver makes LVs of the older segtype ``mirror`` instead, without
a first synchronisation (LP#1730375). They are served as they are, as LVs of
every segtype are.
"""

from collections.abc import Iterable
import logging

from cinder_lvm_driver import lvm
from cinder_lvm_driver.provisioning import base
from cinder_lvm_driver.provisioning import thick

LOG = logging.getLogger(__name__)


class Mirror(thick.Thick):
    """raid1 LVs, every copy on PVs of its own; see lvmraid(7)."""

    def __init__(self, vg: lvm.LVM, copy: base.CopyDevice,
                 remove: base.RemoveVolume, mirrors: int) -> None:
        """Take a VG in hand; runs no command.

        :param mirrors: copies beside the first one
        """
        super().__init__(vg, copy, remove)
        self._mirrors = mirrors

    def prepare(self) -> None:
        """Look that there are PVs enough.

        Too few are no reason not to start: the volumes that are there are
        served although a PV is gone, which is what mirrors are for.
        """
        usable = [pv for pv in self._vg.get_physical_volumes() if pv.usable]
        if len(usable) <= self._mirrors:
            LOG.warning('VG %s has %d usable PVs; a volume with lvm_mirrors '
                        '= %d needs %d. None can be created now.',
                        self._vg.vg_name, len(usable), self._mirrors,
                        self._mirrors + 1)

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a raid1 LV."""
        self._vg.create_raid1_volume(name, size_bytes, self._mirrors)

    def convert(self, volume: lvm.LogicalVolume) -> bool:
        """Make a thick LV a raid1 LV of the wanted number of copies."""
        if volume.is_thin:
            return False
        self._vg.convert_to_raid1(volume.name, self._mirrors)
        return True

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count what fits with all its copies.

        An extent of every copy is left out of the free ones: the next
        volume needs it for its metadata.
        """
        extent = picture.group.extent_size_bytes
        volumes = self._vg.get_physical_volumes()
        free = self._largest(pv.free_bytes if pv.usable else 0
                             for pv in volumes)
        return base.Capacity(
            total_bytes=self._largest(pv.size_bytes for pv in volumes),
            free_bytes=max(0, free // extent * extent - extent),
            provisioned_bytes=sum(volume.size_bytes
                                  for volume in picture.volumes.values()))

    def _largest(self, sizes: Iterable[int]) -> int:
        """Return how large a mirrored LV over PVs of some sizes can be.

        No copy may share a PV with another one, so from a PV that is larger
        than the result, only so much counts.
        """
        left = sorted(sizes, reverse=True)
        return min(sum(left[ahead:]) // (self._mirrors + 1 - ahead)
                   for ahead in range(self._mirrors + 1))
