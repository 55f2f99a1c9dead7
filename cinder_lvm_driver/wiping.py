# SPDX-License-Identifier: Apache-2.0
"""Removes LVs, and wipes thick ones first.

The wiping goes on in the background after the answer to Cinder. The only
state is the new name of a deleted LV, by which the next start finds it and
continues.
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

# Less than the 300 s after which Cinder gives up the destination of a
# migration (migration_create_volume_timeout_secs): an LV that is created
# later would belong to nothing.
_WAIT_SECONDS = 240


class Remover:
    """Removes LVs of one VG; one thread wipes them one after the other."""

    def __init__(self, vg: lvm.LVM, writer: devices.DeviceWriter) -> None:
        """Start no thread yet."""
        self._vg = vg
        self._writer = writer
        # The first one is being wiped.
        self._doomed: collections.deque[str] = collections.deque()
        self._ended = 0
        # Doomed LVs that were open, and those that the log has named.
        self._waiting: list[str] = []
        self._told: set[str] = set()
        self._is_working = False
        self._lock = threading.Lock()
        self._has_ended = threading.Condition(self._lock)

    def remove(self, lv: lvm.LogicalVolume) -> None:
        """Remove an LV; its name is free at once.

        :raises lvm.LogicalVolumeInUse: it is open, or other LVs depend on it
        :raises lvm.LogicalVolumeNotFound: it was removed meanwhile
        :raises lvm.LogicalVolumeOfWrongKind: it is a pool
        :raises lvm.LogicalVolumeMoving: pvmove is moving it or its pool
        :raises lvm.LogicalVolumeSuspended: I/O to it or to its pool waits
        :raises lvm.PhysicalVolumeMissing: it is a COW snapshot, which cannot
            be wiped in a VG that lacks a PV
        :raises lvm.ThinPoolOutOfStep: LVM would forget it, and the kernel
            would not
        """
        lvm.check_not_private(lv)
        if naming.is_doomed(lv.name) and self._writer.wipes:
            # A copy that was split off a mirrored LV under such a name.
            self._wipe_later([lv.name])
            return
        lvm.check_removable(lv)
        lvm.check_answering(lv)
        # What is suspended is often open as well: udev waits for its data.
        self._vg.check_changeable(lv)
        closed = self._vg.require_closed(lv)
        if closed is not lv:
            # It may have changed during the wait.
            self._vg.check_changeable(closed)
        if lv.is_thin or not self._writer.wipes:
            self._vg.delete(lv.name)
            return
        doomed = naming.doomed(lv.name)
        try:
            if lv.is_cow_snapshot:
                self._vg.split_snapshot(lv.name)
            self._vg.rename_volume(lv.name, doomed)
        except lvm.PhysicalVolumeMissing:
            # In a VG that lacks a PV, LVM removes LVs but renames none.
            if lv.is_cow_snapshot:
                raise
            self._wipe_and_remove(lv.name)
        else:
            LOG.info('Wiping LV %s under the name %s', lv.name, doomed)
            self._wipe_later([doomed])

    def resume(self, names: Iterable[str]) -> None:
        """Continue with LVs that were not wiped when the service ended.

        :param names: of all LVs
        """
        self._wipe_later(filter(naming.is_doomed, names))

    def retry(self) -> None:
        """Try again to wipe the LVs that were open."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        self._wipe_later(waiting)

    @property
    def is_working(self) -> bool:
        """Whether LVs are being wiped, which will free their space."""
        with self._lock:
            return self._is_working

    def wait(self) -> None:
        """Wait up to 4 minutes until the LVs deleted so far are wiped.

        Do not wait for LVs that are open, or that are deleted meanwhile.
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
            # This node has reached its limit of threads.
            with self._lock:
                self._stop()
            LOG.warning('Wiping of deleted volumes is delayed: %s', exc)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._doomed:
                    self._stop()
                    return
                name = self._doomed[0]
            complaint = (f'LV {name} of a deleted volume is not wiped; '
                         f'cinder-volume retries at its next start')
            try:
                errors.attempt(complaint, self._wipe_unless_open, name)
            # Even after a bug the thread must go on: no other one starts
            # while is_working is set.
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
                LOG.warning('LV %s of a deleted volume is wiped once it is '
                            'closed: %s', name, exc)

    def _wipe_and_remove(self, name: str) -> None:
        lv = self._vg.find_volume(name)
        if lv is None:
            return
        lvm.check_answering(lv)
        self._vg.check_changeable(self._vg.require_closed(lv))
        if not lv.active:
            self._vg.activate_lv(name)
        if not lv.is_thin:
            self._vg.ensure_nodes(name)
            if lv.is_read_only:
                # A managed COW snapshot can be read-only.
                self._vg.make_writable(name)
            self._writer.wipe(lv.path)
        self._vg.delete(name)
        LOG.info('Removed LV %s', name)
