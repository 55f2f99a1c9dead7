# SPDX-License-Identifier: Apache-2.0
"""An example of a layout: each volume has two copies, whatever is set."""

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm


class Twin(thick.Thick):
    """raid1 LVs of two copies."""

    lvm_type = 'twin'
    segtype = lvm.RAID1
    device_suffix = '_rimage_0'

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a raid1 LV."""
        self._vg.create_shaped_volume(
            name, size_bytes, lvm.Shape('raid1', mirrors=1))

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Leave it to Cinder to copy other LVs."""
        return lv.is_mirrored

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count half of the extents."""
        vg = picture.vg
        return base.Capacity(
            total_bytes=vg.size_bytes // 2, free_bytes=vg.free_bytes // 2,
            provisioned_bytes=(vg.size_bytes - vg.free_bytes) // 2)
