# SPDX-License-Identifier: Apache-2.0
"""Reverts thick volumes: LVM merges a COW snapshot into its origin.

The merge removes the snapshot, so that a new one of the result replaces it.
A tag of the origin names the snapshot from before the merge until then.
"""

from collections.abc import Callable, Iterable, Sequence
import functools
import logging
import threading

from cinder_lvm_driver import background
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

_MERGE_POLL_SECONDS = 5
# After a report that failed.
_RETRY_SECONDS = 60


def tag(snapshot_name: str) -> str:
    """Return the tag of an LV that is being reverted to a snapshot."""
    return naming.REVERT_TAG + snapshot_name


def _merge_tag(snapshot_name: str) -> str:
    return naming.MERGE_TAG + snapshot_name


class Merge:
    """Merges COW snapshots of one VG."""

    def __init__(self, vg: lvm.LVM) -> None:
        self._vg = vg
        # Names of the LVs that have the tag of a revert.
        self._under_way: set[str] = set()

    def check_settled(self, lv_name: str) -> None:
        """Check that no revert of an LV is under way.

        :raises lvm.LogicalVolumeInUse: one is
        """
        if lv_name in self._under_way:
            raise lvm.LogicalVolumeInUse(
                f'LV {lv_name} is still being reverted: attach it when its '
                f'snapshot exists again or, if the log reports a failure, '
                f'after a restart of cinder-volume')

    def revert(self, lv: lvm.LogicalVolume,
               snapshot: lvm.LogicalVolume) -> None:
        """Give an LV the data of one of its COW snapshots.

        :param lv: closed
        :raises lvm.InsufficientSpace: the VG has no space for a snapshot of
            the LV's present size
        :raises lvm.LogicalVolumeInUse: the snapshot is open, or pvmove is
            moving the LV
        """
        # If one of the two is open, LVM defers the merge to the next
        # activation and then discards what was written since.
        self._vg.require_closed(snapshot)
        self._vg.check_changeable(snapshot)
        store = self._vg.get_extents(snapshot.name)
        self._check_room(lv, snapshot, store)
        if not lv.active:
            self._vg.activate_lv(lv.name)
        with rollback.Undo(_complaint(lv)) as undo:
            # The kernel may merge although the command has failed.
            undo.later(self._recover, lv, snapshot.name, True)
            self._under_way.add(lv.name)
            self._vg.add_tag(lv.name, tag(snapshot.name))
            self._vg.add_tag(snapshot.name, _merge_tag(snapshot.name))
            self._vg.merge_tagged(_merge_tag(snapshot.name))
            merged = self._vg.get_volume(lv.name)
            if merged.is_merging:
                self._merge_deferred(merged)
            undo.keep()
        self._create_again(lv, snapshot.name, store)

    def _check_room(self, lv: lvm.LogicalVolume, snapshot: lvm.LogicalVolume,
                    store: Iterable[lvm.Extents]) -> None:
        """Check that the snapshot can be created again after the merge.

        What it frees on PVs that are closed (``pvchange --allocatable n``)
        is of no use for that.
        """
        vg = self._vg.get_vg()
        open_pvs = {pv.path for pv in self._vg.get_physical_volumes()
                    if pv.allocatable}
        freed_bytes = vg.free_bytes + vg.extent_size_bytes * sum(
            extents.count for extents in store if extents.path in open_pvs)
        needed_bytes = lvm.full_cow_store_bytes(lv.size_bytes)
        if freed_bytes < needed_bytes:
            raise lvm.InsufficientSpace(
                f'LV {lv.name} cannot be reverted without the loss of its '
                f'snapshot {snapshot.name}: {needed_bytes - freed_bytes} '
                f'bytes more must be free on the PVs of VG '
                f'{self._vg.vg_name} that are open for allocation')

    def _merge_deferred(self, lv: lvm.LogicalVolume) -> None:
        self._vg.require_closed(lv)
        self._vg.deactivate_lv(lv.name)
        self._vg.resume_merge(lv.name)
        self._wait_until_merged(lv)

    def recover(self, lvs: lvm.LogicalVolumes,
                is_wanted: Callable[[str], bool]) -> None:
        """Complete or undo the reverts that a crash has interrupted.

        Merges continue in the background.

        :param lvs: all LVs of the VG
        :param is_wanted: returns whether a snapshot is to be created again
        """
        for lv in lvs.values():
            for each in lv.tags:
                if each.startswith(naming.REVERT_TAG):
                    name = each.removeprefix(naming.REVERT_TAG)
                    errors.attempt(_complaint(lv), self._recover, lv, name,
                                   is_wanted(name))

    def _recover(self, lv: lvm.LogicalVolume, snapshot_name: str,
                 is_wanted: bool) -> None:
        self._under_way.add(lv.name)
        left = self._prevent_merge(snapshot_name)
        if left is not None and left.is_cow_snapshot:
            LOG.warning('LV %s was not reverted to %s: the merge did not '
                        'begin', lv.name, snapshot_name)
            self._settle(lv, snapshot_name)
            return
        LOG.warning('Completing the interrupted revert of LV %s to %s',
                    lv.name, snapshot_name)
        if left is None:
            self._continue_merge(lv, snapshot_name)
        else:
            self._remove_store(left)
        background.start('lvm-revert', functools.partial(
            errors.attempt, _complaint(lv), self._complete, lv,
            snapshot_name, is_wanted))

    def _prevent_merge(self, snapshot_name: str) -> lvm.LogicalVolume | None:
        """Keep a merge from beginning; return what the snapshot is now.

        LVM's command may be waiting for the VG's lock, although the service
        that started it was killed.

        :returns: None if the merge has begun
        """
        try:
            self._vg.delete_tag(snapshot_name, _merge_tag(snapshot_name))
        except lvm.LVMError as exc:
            LOG.debug('Snapshot %s is not there, or is being merged: %s',
                      snapshot_name, exc)
        return self._vg.find_volume(snapshot_name)

    def _continue_merge(self, lv: lvm.LogicalVolume,
                        snapshot_name: str) -> None:
        """Have LVM continue a merge, as after a reboot if necessary.

        From devices that a killed command was changing, LVM (2.03.16) merges
        as well. But it does not remove all of them afterwards, and a new
        snapshot of the name cannot be read.
        """
        if self._vg.find_unfinished(lv.name, snapshot_name):
            self._vg.deactivate_lv(lv.name)
        self._vg.resume_merge(lv.name)

    def _remove_store(self, store: lvm.LogicalVolume) -> None:
        """Remove what a merge that has ended leaves of its snapshot.

        LVM removes all of its devices only if it is active.
        """
        self._vg.activate_lv(store.name)
        self._vg.delete(store.name)

    def _complete(self, lv: lvm.LogicalVolume, snapshot_name: str,
                  is_wanted: bool) -> None:
        while True:
            try:
                self._wait_until_merged(lv)
                break
            except lvm.LogicalVolumeNotFound:
                self._under_way.discard(lv.name)
                raise
            except errors.DriverError as exc:
                LOG.warning('The state of the revert of LV %s is not known; '
                            'checking again in %d s: %s', lv.name,
                            _RETRY_SECONDS, exc)
                threading.Event().wait(_RETRY_SECONDS)
                # LVM (2.03.16) may leave the LV suspended the first time.
                errors.attempt(_complaint(lv), self._vg.resume_merge, lv.name)
        if is_wanted:
            self._create_again(lv, snapshot_name)
        else:
            LOG.info('LV %s was reverted to %s, which was deleted meanwhile',
                     lv.name, snapshot_name)
            self._settle(lv, snapshot_name)

    def _wait_until_merged(self, lv: lvm.LogicalVolume) -> None:
        while self._vg.get_volume(lv.name).is_merging:
            threading.Event().wait(_MERGE_POLL_SECONDS)

    def _create_again(self, lv: lvm.LogicalVolume, snapshot_name: str,
                      store: Sequence[lvm.Extents] = ()) -> None:
        """Create the snapshot of the reverted LV.

        After a second failure this is not repeated, because the data of the
        LV may then have changed.

        :param store: the extents that the merge has freed, if known
        """
        try:
            self._create_in(store, lv, snapshot_name)
        except lvm.LogicalVolumeExists:
            LOG.info('Snapshot %s was created by another back end',
                     snapshot_name)
        except errors.DriverError:
            LOG.error('LV %s was reverted to %s, but that snapshot is lost: '
                      'the merge removed it, and it cannot be created again',
                      lv.name, snapshot_name)
            errors.attempt(_complaint(lv), self._settle, lv, snapshot_name)
            raise
        self._settle(lv, snapshot_name)

    def _create_in(self, store: Sequence[lvm.Extents], lv: lvm.LogicalVolume,
                   snapshot_name: str) -> None:
        """Create a snapshot where the old one was, if possible.

        There is data of the volume in these extents. Readers of a snapshot
        see nothing of it, and it is wiped with the snapshot.
        """
        if store:
            try:
                self._vg.create_cow_snapshot(snapshot_name, lv.name,
                                             lv.size_bytes, store)
                return
            except lvm.LogicalVolumeExists:
                raise
            except lvm.LVMError as exc:
                LOG.warning('Extents that LV %s does not use any more have '
                            'data of the volume, and are not wiped: snapshot '
                            '%s is created again in other extents: %s',
                            lv.name, snapshot_name, exc)
        errors.insist(self._vg.create_cow_snapshot, snapshot_name, lv.name,
                      lv.size_bytes)

    def _settle(self, lv: lvm.LogicalVolume, snapshot_name: str) -> None:
        errors.insist(self._vg.delete_tag, lv.name, tag(snapshot_name))
        self._under_way.discard(lv.name)


def _complaint(lv: lvm.LogicalVolume) -> str:
    return (f'The revert of LV {lv.name} is incomplete; cinder-volume '
            f'completes or undoes it at its next start')
