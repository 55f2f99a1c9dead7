# SPDX-License-Identifier: Apache-2.0
"""Reverts volumes to one of their snapshots, and keeps the snapshots.

The state of a revert is on the LVs, as names and as a tag, so that the next
start can complete or undo it after a crash at any point.
"""

from collections.abc import Callable

from cinder_lvm_driver.layouts import merge
from cinder_lvm_driver.layouts import swap
from cinder_lvm_driver import lvm


class Reverts:
    """The reverts in one VG."""

    def __init__(self, vg: lvm.LVM) -> None:
        self._vg = vg
        self._swap = swap.Swap(vg)
        self._merge = merge.Merge(vg)

    def revert(self, lvs: lvm.LogicalVolumes, volume_name: str,
               snapshot_name: str) -> None:
        """Give a volume the data of one of its snapshots.

        The volume keeps its present size, and all its snapshots are kept. If
        a step fails, the volume is as it was.

        :param lvs: all LVs of the VG
        :raises lvm.InsufficientSpace: a thick volume was extended, and the
            VG has no space for a snapshot of its present size
        :raises lvm.LogicalVolumeInUse: the volume or a thick snapshot is
            open, or a thin volume has COW snapshots
        :raises lvm.LogicalVolumeNotFound: one of the two does not exist
        :raises lvm.LogicalVolumeOfWrongKind: one of the two is a pool
        :raises NotImplementedError: the two are of different types, so that
            the data has to be copied
        """
        lv, snapshot = lvs.usable(volume_name), lvs.usable(snapshot_name)
        lv = self._vg.require_closed(lv)
        if lv.is_thin and snapshot.is_thin and lv.pool == snapshot.pool:
            self._swap.revert(lvs, lv, snapshot)
        elif snapshot.is_cow_snapshot and snapshot.origin == lv.name:
            self._merge.revert(lv, snapshot)
        else:
            raise NotImplementedError(
                f'LV {lv.name} ({lv.segtype}) cannot be reverted to LV '
                f'{snapshot.name} ({snapshot.segtype}) without a copy')

    def recover(self, lvs: lvm.LogicalVolumes,
                is_wanted: Callable[[str], bool]) -> None:
        """Complete or undo the reverts that a crash has interrupted.

        :param lvs: all LVs of the VG
        :param is_wanted: returns whether a snapshot of this name still
            exists in Cinder, so that it must be created again
        """
        self._swap.recover(lvs)
        self._merge.recover(lvs, is_wanted)

    def recreates(self, lv: lvm.LogicalVolume, snapshot_name: str) -> bool:
        """Return whether a revert of an LV will create a snapshot again."""
        return merge.tag(snapshot_name) in lv.tags

    def check_settled(self, volume_name: str) -> None:
        """Check that no revert of a volume is under way.

        Data that is written before its end would become part of the
        snapshot.

        :raises lvm.LogicalVolumeInUse: one is
        """
        self._merge.check_settled(volume_name)
