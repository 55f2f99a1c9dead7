# SPDX-License-Identifier: Apache-2.0
"""The state of a back end, and the log of its changes."""

import dataclasses
import decimal
import logging

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver.layouts import health as layouts_health
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver import naming
from cinder_lvm_driver import options
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The state of a back end at one moment.

    :ivar metadata_percent: how full the VG's metadata area is, if known
    :ivar fault: why nothing can be created; None if volumes can
    """

    capacity: layouts_base.Capacity
    volume_count: int
    metadata_percent: decimal.Decimal | None
    fault: str | None


class Watch:
    """Reads the state of a back end, and logs changes since the last time."""

    def __init__(self, backend_name: str,
                 policy: lvm.AutoextendPolicy | None) -> None:
        """Start with a back end without faults or volumes.

        :param backend_name: the name to log
        :param policy: when to extend a thin pool; None for never
        """
        self._backend_name = backend_name
        self._policy = policy
        # Whether the log says that the pool cannot be extended.
        self._extension_fails = False
        self._last = Reading(
            capacity=layouts_base.Capacity(
                total_bytes=0, free_bytes=0, provisioned_bytes=0),
            volume_count=0, metadata_percent=None, fault=None)
        self._logged: set[str] = set()
        # Names of LVs that were refreshed, and seemed to need it afterwards.
        self._refreshed: set[str] = set()

    def look(self, vg: lvm.LVM, layout: layouts_base.Layout,
             target_fault: str | None) -> Reading:
        """Return the state of a back end now; runs two commands.

        Extends a thin pool first, if it fills up and the policy asks for it.

        Never raises when LVM fails: Cinder would continue to give the last
        good state to the scheduler. A back end with a fault reports no
        capacity, because the scheduler ignores ``backend_state``.

        :param target_fault: why no volume can be attached
        """
        try:
            picture = vg.get_picture()
            disk_fault = None
            if vg.has_lost_disks and not picture.vg.lost_pvs:
                disk_fault = _follow_disks(vg)
                picture = vg.get_picture()
            is_extended = self._extend(vg, layout.thin_pool(picture))
            if self._refresh(vg, picture.lvs) or is_extended:
                picture = vg.get_picture()
            capacity = layout.capacity(picture)
        except errors.DriverError as exc:
            reading = dataclasses.replace(
                self._last, fault=f'LVM does not answer: {exc}')
        else:
            self._log_complaints(layouts_health.complaints(picture))
            reading = Reading(
                capacity=capacity,
                volume_count=sum(not naming.is_temporary(name)
                                 for name in picture.lvs),
                metadata_percent=picture.vg.metadata_percent,
                fault=(layout.fault(picture) or disk_fault
                       or target_fault))
        if reading.fault is not None:
            reading = dataclasses.replace(
                reading, capacity=_none_left(reading.capacity, layout))
        self._log_change(reading.fault)
        self._last = reading
        return reading

    def _extend(self, vg: lvm.LVM, pool: lvm.LogicalVolume | None) -> bool:
        """Extend a pool if the policy asks for it; tell whether it grew."""
        if not (self._policy and pool and self._policy.is_due(pool)):
            self._extension_fails = False
            return False
        try:
            vg.extend_pool(pool, self._policy)
        except errors.DriverError as exc:
            if not self._extension_fails:
                advice = (f'add PVs to VG {vg.vg_name} with vgextend, or '
                          f'delete volumes or snapshots. '
                          if isinstance(exc, lvm.InsufficientSpace) else '')
                LOG.warning('Thin pool %s fills up and cannot be extended: '
                            '%s%s', pool.name, advice, exc)
            self._extension_fails = True
            return False
        LOG.info('Thin pool %s was filling up and has been extended',
                 pool.name)
        self._extension_fails = False
        return True

    def _log_change(self, fault: str | None) -> None:
        if fault == self._last.fault:
            return
        if fault is None:
            LOG.info('Back end %s is up again', self._backend_name)
        else:
            LOG.error('Back end %s is down. %s', self._backend_name, fault)

    def _log_complaints(self, complaints: dict[str, int]) -> None:
        for complaint, level in complaints.items():
            if complaint not in self._logged:
                LOG.log(level, '%s', complaint)
        self._logged = set(complaints)

    def _refresh(self, vg: lvm.LVM, lvs: lvm.LogicalVolumes) -> bool:
        """Have LVM use copies again that were away; tell whether it does.

        Once for each time that a copy comes back.
        """
        stale = {lv.name for lv in lvs.values()
                 if lv.health == lvm.REFRESH_NEEDED}
        new, self._refreshed = stale - self._refreshed, stale
        for name in new:
            LOG.warning('A copy of LV %s was away and is synchronized again',
                        lvs[name].full_name)
            errors.attempt(f'LV {lvs[name].full_name} cannot be refreshed',
                           vg.refresh, name)
        return bool(new)


def _none_left(capacity: layouts_base.Capacity,
               layout: layouts_base.Layout) -> layouts_base.Capacity:
    """Return a capacity with which the scheduler chooses no back end.

    For thin back ends, its ``CapacityFilter`` looks at the total only.
    """
    is_thin = layout.segtype == lvm.THIN
    return dataclasses.replace(
        capacity, free_bytes=0,
        total_bytes=0 if is_thin else capacity.total_bytes)


def _follow_disks(vg: lvm.LVM) -> str | None:
    """Have LVs use disks that came back; return why not all of them can.

    The LVs of a thin pool that has failed cannot, but the failure of the pool
    is a fault of its own.
    """
    try:
        vg.follow_disks()
    except errors.DriverError as exc:
        if vg.has_lost_disks:
            return (f'LVs of VG {vg.vg_name} use devices that no longer '
                    f'exist, and cannot be reloaded: {exc}')
    return None


def give_advice(layout: layouts_base.Layout, runner: process.Runner,
                settings: options.Settings) -> None:
    """Log what an operator should fix before it causes a fault."""
    autoextension = None
    if settings.autoextend_policy is None:
        try:
            autoextension = lvm_command.autoextension(runner,
                                                      settings.system_dir)
        except errors.DriverError as exc:
            LOG.info('The settings of lvm.conf for thin pools cannot be read: '
                     '%s', exc)
    for sentence in layout.advice(autoextension):
        LOG.warning('%s', sentence)
