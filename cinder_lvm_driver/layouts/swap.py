# SPDX-License-Identifier: Apache-2.0
"""Reverts thin volumes, without a copy.

A new LV that shares the blocks of the snapshot takes the name of the volume.
"""

import logging

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)


class Swap:
    """Swaps thin volumes of one VG for new LVs."""

    def __init__(self, vg: lvm.LVM) -> None:
        self._vg = vg

    def revert(self, lvs: lvm.LogicalVolumes, lv: lvm.LogicalVolume,
               snapshot: lvm.LogicalVolume) -> None:
        """Give a thin LV the data of a thin snapshot in the same pool.

        :param lvs: all LVs of the VG
        :raises lvm.LogicalVolumeInUse: other LVs depend on the LV, or an LV
            that an earlier revert has left is open
        """
        # The in-tree driver creates COW snapshots of thin LVs.
        lvm.check_removable(lv)
        new, old = naming.revert_to(lv.name), naming.revert_from(lv.name)
        for name in new, old:
            if name in lvs:
                self._remove_left_over(lvs[name])
        complaint = _complaint(lv.name)
        with rollback.Undo(complaint) as undo:
            self._vg.create_thin_snapshot(new, snapshot, activate=True)
            undo.later(self._vg.delete, new)
            if lv.size_bytes > snapshot.size_bytes:
                self._vg.extend_volume(new, lv.size_bytes)
            self._vg.rename_volume(lv.name, old)
            undo.later(self._vg.rename_volume, old, lv.name)
            self._vg.rename_volume(new, lv.name)
            undo.keep()
        errors.attempt(complaint, self._remove_old, old, lv.name)

    def recover(self, lvs: lvm.LogicalVolumes) -> None:
        """Complete or undo the reverts that a crash has interrupted.

        :param lvs: all LVs of the VG
        """
        for volume_name in sorted(set(filter(None, map(naming.reverted,
                                                       lvs)))):
            errors.attempt(_complaint(volume_name), self._recover, lvs,
                           volume_name)

    def _recover(self, lvs: lvm.LogicalVolumes, volume_name: str) -> None:
        left_over = [name for name in (naming.revert_to(volume_name),
                                       naming.revert_from(volume_name))
                     if name in lvs]
        if volume_name not in lvs:
            LOG.warning('Completing an interrupted revert: LV %s becomes %s',
                        left_over[0], volume_name)
            self._vg.rename_volume(left_over.pop(0), volume_name)
        for name in left_over:
            errors.attempt(_complaint(volume_name), self._remove_left_over,
                           lvs[name])

    def _remove_left_over(self, lv: lvm.LogicalVolume) -> None:
        LOG.warning('Removing LV %s of an interrupted revert', lv.name)
        self._vg.check_changeable(lv)
        self._vg.delete(lv.name)

    def _remove_old(self, old: str, volume_name: str) -> None:
        """Remove the old LV of a volume, or have the next start do it.

        Under its present name it would become the volume again if that is
        deleted meanwhile.
        """
        try:
            self._vg.delete(old)
        except errors.DriverError:
            self._vg.rename_volume(old, naming.doomed(volume_name))
            raise


def _complaint(lv_name: str) -> str:
    return (f'The revert of LV {lv_name} left LVs behind; cinder-volume '
            f'removes them at its next start')
