# SPDX-License-Identifier: Apache-2.0
"""The state of a back end, and the log of its changes."""

from collections.abc import Iterable
import dataclasses
import logging

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver import naming
from cinder_lvm_driver import options
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)

# The fill level of a COW snapshot's store that still leaves time to act.
_FILLING_PERCENT = 80
_FILLING = 'filling'
_OVERFLOWED = 'overflowed'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """The state of a back end at one moment.

    :ivar fault: why nothing can be created; None if volumes can
    """

    capacity: layouts_base.Capacity
    volume_count: int
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
            volume_count=0, fault=None)
        # The last logged states of COW snapshots, by LV name.
        self._logged: dict[str, str] = {}

    def look(self, vg: lvm.LVM, layout: layouts_base.Layout,
             target_fault: str | None) -> Reading:
        """Return the state of a back end now; runs two commands.

        Extends a thin pool first, if it fills up and the policy asks for it.

        Never raises when LVM fails: Cinder would continue to give the last
        good state to the scheduler. A back end with a fault reports no free
        space, because the scheduler ignores ``backend_state``.

        :param target_fault: why no volume can be attached
        """
        try:
            picture = vg.get_picture()
            if self._extend(vg, layout.thin_pool(picture)):
                picture = vg.get_picture()
            capacity = layout.capacity(picture)
        except errors.DriverError as exc:
            reading = dataclasses.replace(
                self._last, fault=f'LVM does not answer: {exc}')
        else:
            self._log_snapshots(picture.lvs.values())
            reading = Reading(
                capacity=capacity,
                volume_count=sum(not naming.is_temporary(name)
                                 for name in picture.lvs),
                fault=layout.fault(picture) or target_fault)
        if reading.fault is not None:
            reading = dataclasses.replace(
                reading, capacity=dataclasses.replace(
                    reading.capacity, free_bytes=0))
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

    def _log_snapshots(self, lvs: Iterable[lvm.LogicalVolume]) -> None:
        states = {lv.name: state for lv in lvs
                  if (state := _snapshot_state(lv))}
        for name, state in states.items():
            if self._logged.get(name) == state:
                continue
            if state == _OVERFLOWED:
                LOG.error('COW snapshot %s has overflowed and its data is '
                          'lost. Delete the snapshot; its volume is not '
                          'affected', name)
            else:
                LOG.warning('COW snapshot %s is more than %d %% full; its '
                            'data is lost when it overflows. Extend its LV '
                            'with lvextend, or delete the snapshot', name,
                            _FILLING_PERCENT)
        self._logged = states


def _snapshot_state(lv: lvm.LogicalVolume) -> str | None:
    if lv.is_invalid:
        return _OVERFLOWED
    if (lv.can_overflow and lv.data_percent is not None
            and lv.data_percent >= _FILLING_PERCENT):
        return _FILLING
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
