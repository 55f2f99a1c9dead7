# SPDX-License-Identifier: Apache-2.0
"""LVs are removed; what a thick one held is wiped before.

That goes on after Cinder was answered. The new name of a deleted LV is all
the state there is: whoever finds it after a crash takes the work up again.
"""

import collections
from collections.abc import Iterable
import logging
import threading

from cinder_lvm_driver import background
from cinder_lvm_driver import devices
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

# For space. Cinder gives up on the destination of a migration after 300 s
# (migration_create_volume_timeout_secs), and nobody would know of an LV that
# is made for it later.
_WAIT_SECONDS = 240


class Remover:
    """Removes LVs of a VG, those to be wiped in the background, in turn."""

    def __init__(self, vg: lvm.LVM, copier: devices.Copier) -> None:
        """Take a VG in hand; starts nothing."""
        self._vg = vg
        self._copier = copier
        # The first one is being wiped.
        self._doomed: collections.deque[str] = collections.deque()
        self._ended = 0
        # Names of those among them that somebody had open, and which the log
        # has been told of.
        self._waiting: list[str] = []
        self._told: set[str] = set()
        self._is_working = False
        self._lock = threading.Lock()
        self._has_ended = threading.Condition(self._lock)

    def remove(self, volume: lvm.LogicalVolume) -> None:
        """Remove an LV for good; its name is free at once.

        :raises lvm.LogicalVolumeOfWrongKind: it is a pool
        :raises lvm.LogicalVolumeInUse: it is open
        :raises lvm.LogicalVolumeNotFound: somebody else has removed it
        :raises lvm.PhysicalVolumeMissing: it is a COW snapshot, which cannot
            be wiped where the VG lacks a PV
        """
        lvm.check_kind(volume)
        if naming.is_doomed(volume.name) and self._copier.wipes:
            # It was made with such a name, a copy of a mirrored LV.
            self._wipe_later([volume.name])
            return
        lvm.check_answering(volume)
        self._vg.require_closed(volume)
        if volume.is_thin or not self._copier.wipes:
            self._vg.delete(volume.name)
            return
        doomed = naming.doomed(volume.name)
        try:
            if volume.is_cow_snapshot:
                self._vg.split_snapshot(volume.name)
            self._vg.rename_volume(volume.name, doomed)
        except lvm.PhysicalVolumeMissing:
            # Of a VG that lacks a PV, LVM only lets go.
            if volume.is_cow_snapshot:
                raise
            self._wipe_and_remove(volume.name)
        else:
            LOG.info('LV %s is now %s and is wiped', volume.name, doomed)
            self._wipe_later([doomed])

    def resume(self, names: Iterable[str]) -> None:
        """Go on with LVs that were to be wiped when the service ended.

        :param names: of all LVs
        """
        self._wipe_later(filter(naming.is_doomed, names))

    def retry(self) -> None:
        """Go on with LVs that were in use; nothing is run if there is none."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        self._wipe_later(waiting)

    @property
    def is_working(self) -> bool:
        """Whether LVs are being wiped, so that their space is free soon."""
        with self._lock:
            return self._is_working

    def wait(self) -> None:
        """Wait until what was deleted by now is wiped, or some minutes.

        Neither for what is in use, nor for what is deleted meanwhile.
        """
        with self._has_ended:
            last = self._ended + len(self._doomed)
            self._has_ended.wait_for(
                lambda: self._ended >= last or not self._is_working,
                _WAIT_SECONDS)

    def _wipe_later(self, names: Iterable[str]) -> None:
        with self._lock:
            self._doomed.extend(names)
            if not self._doomed or self._is_working:
                return
            self._is_working = True
        try:
            background.start('lvm-wiper', self._work)
        except RuntimeError as exc:
            # This host has no more threads to give now.
            with self._lock:
                self._stop()
            LOG.warning('The wiping of deleted volumes starts later: %s', exc)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._doomed:
                    self._stop()
                    return
                name = self._doomed[0]
            complaint = (f'LV {name} of a deleted volume is not wiped; that '
                         f'is tried again at the next start')
            try:
                errors.attempt(complaint, self._wipe_unless_open, name)
            # Whatever it is: LVs that are deleted later need a worker too,
            # and none is started as long as this one counts as being at it.
            except Exception:
                LOG.exception('%s', complaint)
            with self._lock:
                self._doomed.popleft()
                self._ended += 1
                self._has_ended.notify_all()

    def _stop(self) -> None:
        self._is_working = False
        self._has_ended.notify_all()

    def _wipe_unless_open(self, name: str) -> None:
        try:
            self._wipe_and_remove(name)
        except lvm.LogicalVolumeInUse as exc:
            with self._lock:
                self._waiting.append(name)
            if name not in self._told:
                self._told.add(name)
                LOG.warning('LV %s of a deleted volume is wiped when nobody '
                            'uses it: %s', name, exc)

    def _wipe_and_remove(self, name: str) -> None:
        volume = self._vg.find_volume(name)
        if volume is None:
            return
        lvm.check_answering(volume)
        self._vg.require_closed(volume)
        if not volume.active:
            self._vg.activate_lv(name)
        if not volume.is_thin:
            if volume.is_read_only:
                # Of a COW snapshot that somebody else had made so.
                self._vg.make_writable(name)
            self._copier.wipe(volume.path)
        self._vg.delete(name)
        LOG.info('LV %s is removed for good', name)
