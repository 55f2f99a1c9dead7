# SPDX-License-Identifier: Apache-2.0
"""Thick volumes: linear LVs with COW snapshots."""

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming


class Thick(base.Layout):
    """Linear LVs; every extent is allocated at creation."""

    lvm_type = 'default'
    reads_zeroes = False

    def prepare(self) -> None:
        """Need nothing but the VG."""

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a linear LV."""
        self._vg.create_volume(name, size_bytes)

    def convert(self, volume: lvm.LogicalVolume) -> bool:
        """Leave one copy of a mirrored LV; a thin one cannot be converted."""
        if volume.is_mirrored:
            # Of an inactive one LVM does not know whether they are equal.
            if not volume.active:
                self._vg.activate_lv(volume.name)
            if self._writer.wipes:
                self._drop_copies(volume, 1)
            else:
                self._vg.convert_to_linear(volume.name)
        return not volume.is_thin

    def _drop_copies(self, volume: lvm.LogicalVolume, copies: int) -> None:
        """Leave a number of copies of a mirrored LV, and wipe the others.

        What LVM drops by itself is shown by the next LV on these extents.
        """
        for _ in range(copies, self._vg.count_copies(volume.name)):
            dropped = naming.doomed(volume.name)
            self._vg.split_copy(volume.name, dropped)
            self._discard(dropped)

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count extents."""
        vg = picture.vg
        return base.Capacity(
            total_bytes=vg.size_bytes, free_bytes=vg.free_bytes,
            provisioned_bytes=vg.size_bytes - vg.free_bytes)
