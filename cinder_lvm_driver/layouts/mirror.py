# SPDX-License-Identifier: Apache-2.0
"""Mirrored volumes: raid1 LVs with COW snapshots.

The in-tree driver creates LVs of the older segtype ``mirror`` instead, without
an initial synchronization (LP#1730375). This driver serves them as well.
"""

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import raid
from cinder_lvm_driver import lvm


class Mirror(raid.Shaped):
    """raid1 LVs with each copy on different PVs."""

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume, mirrors: int) -> None:
        """Run no command yet.

        :param mirrors: number of copies beside the first one
        """
        super().__init__(vg, writer, remove,
                         lvm.Shape(lvm.RAID1, mirrors=mirrors))

    def __str__(self) -> str:
        return f'{self.lvm_type} with {self._shape.images} copies'

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Convert a thick LV to raid1 with the configured number of copies."""
        if lv.is_thin or lv.is_striped:
            return False
        if not lv.active:
            self._vg.activate_lv(lv.name)
        if lv.is_legacy_mirror:
            self._vg.convert_mirror_to_raid1(lv.name)
        if lv.is_mirrored and self._writer.wipes:
            self._drop_copies(lv, self._shape.images)
        self._vg.convert_to_raid1(lv.name, self._shape.mirrors)
        return True
