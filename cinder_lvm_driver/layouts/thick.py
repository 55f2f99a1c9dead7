# SPDX-License-Identifier: Apache-2.0
"""Thick volumes: linear LVs with COW snapshots."""

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming


class Thick(base.Layout):
    """Linear LVs, which have all their extents from the start."""

    lvm_type = 'default'
    segtype = lvm.LINEAR
    # Of the origin of a COW snapshot.
    device_suffix = '-real'
    reads_zeroes = False

    def prepare(self) -> None:
        """Do nothing: a VG is all that thick volumes need."""

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a linear LV."""
        self._vg.create_volume(name, size_bytes)

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Leave one copy of a mirrored LV; others have to be copied."""
        if lv.is_mirrored:
            # LVM does not know whether the copies of an inactive LV are
            # synchronized.
            if not lv.active:
                self._vg.activate_lv(lv.name)
            if self._writer.wipes:
                self._drop_copies(lv, 1)
            else:
                self._vg.convert_to_linear(lv.name)
        return not (lv.is_thin or lv.is_striped)

    def _drop_copies(self, lv: lvm.LogicalVolume, copies: int) -> None:
        """Leave a number of copies of a mirrored LV, and wipe the others.

        LVM itself would free their extents with the data still on them.
        """
        for _ in range(copies, self._vg.count_copies(lv.name)):
            dropped = naming.doomed(lv.name)
            self._vg.split_copy(lv.name, dropped)
            self._discard(dropped)

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count extents."""
        vg = picture.vg
        return base.Capacity(
            total_bytes=vg.size_bytes, free_bytes=vg.free_bytes,
            provisioned_bytes=(vg.size_bytes - vg.free_bytes
                               - vg.closed_bytes))
