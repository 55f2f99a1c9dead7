# SPDX-License-Identifier: Apache-2.0
"""The state of a back end from one pass of the stats to the next."""

from collections.abc import Iterable
import dataclasses
import logging

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base as layouts
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver import naming
from cinder_lvm_driver import options
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)

# Of a COW snapshot's store; what is left is to be enough to act.
_FILLING_PERCENT = 80
_FILLING = 'filling'
_OVERFLOWED = 'overflowed'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What one pass found."""

    capacity: layouts.Capacity
    volume_count: int
    # Why nothing can be created; None if something can.
    fault: str | None


class Watch:
    """Looks at a back end, and logs what has changed since the last look."""

    def __init__(self, backend_name: str,
                 policy: lvm.AutoextendPolicy | None) -> None:
        """Begin with a back end that is well and of which nothing is known.

        :param backend_name: for the log
        :param policy: when to extend a thin pool; None for never
        """
        self._backend_name = backend_name
        self._policy = policy
        # Whether the log has been told that the pool cannot be extended.
        self._is_hindered = False
        self._last = Reading(
            capacity=layouts.Capacity(
                total_bytes=0, free_bytes=0, provisioned_bytes=0),
            volume_count=0, fault=None)
        # Names of COW snapshots that the log has been told of.
        self._told: dict[str, str] = {}

    def look(self, vg: lvm.LVM, kind: layouts.Layout) -> Reading:
        """Return the state of a back end now; two commands.

        A thin pool that fills up is extended first, where that is wanted.

        Never raises for what LVM says: Cinder would go on telling the
        scheduler the last good state. A back end with a fault has no free
        space, because the scheduler heeds that and not ``backend_state``.
        """
        try:
            picture = vg.get_picture()
            if self._extend(vg, kind.thin_pool(picture)):
                picture = vg.get_picture()
            capacity = kind.capacity(picture)
        except errors.DriverError as exc:
            reading = dataclasses.replace(
                self._last, fault=f'LVM cannot be asked: {exc}')
        else:
            self._look_at_snapshots(picture.lvs.values())
            reading = Reading(
                capacity=capacity,
                volume_count=sum(not naming.is_temporary(name)
                                 for name in picture.lvs),
                fault=kind.fault(picture))
        if reading.fault is not None:
            reading = dataclasses.replace(
                reading, capacity=dataclasses.replace(
                    reading.capacity, free_bytes=0))
        self._log_change(reading.fault)
        self._last = reading
        return reading

    def _extend(self, vg: lvm.LVM, pool: lvm.LogicalVolume | None) -> bool:
        """Extend a pool if that is due; tell whether it was done."""
        if not (self._policy and pool and self._policy.is_due(pool)):
            self._is_hindered = False
            return False
        try:
            vg.extend_pool(pool, self._policy)
        except errors.DriverError as exc:
            if not self._is_hindered:
                advice = (f'add PVs to VG {vg.vg_name} with vgextend, or '
                          f'delete volumes or snapshots. '
                          if isinstance(exc, lvm.InsufficientSpace) else '')
                LOG.warning('Thin pool %s fills up and cannot be extended: '
                            '%s%s', pool.name, advice, exc)
            self._is_hindered = True
            return False
        LOG.info('Thin pool %s was filling up and is extended', pool.name)
        self._is_hindered = False
        return True

    def _log_change(self, fault: str | None) -> None:
        if fault == self._last.fault:
            return
        if fault is None:
            LOG.info('Back end %s is up again', self._backend_name)
        else:
            LOG.error('Back end %s is down. %s', self._backend_name, fault)

    def _look_at_snapshots(self,
                           volumes: Iterable[lvm.LogicalVolume]) -> None:
        states = {volume.name: state for volume in volumes
                  if (state := _snapshot_state(volume))}
        for name, state in states.items():
            if self._told.get(name) == state:
                continue
            if state == _OVERFLOWED:
                LOG.error('COW snapshot %s has overflowed and its data is '
                          'lost; delete the snapshot. Its volume is not '
                          'affected', name)
            else:
                LOG.warning('COW snapshot %s is more than %d %% full and is '
                            'lost when it overflows; extend its LV with '
                            'lvextend, or delete the snapshot', name,
                            _FILLING_PERCENT)
        self._told = states


def _snapshot_state(volume: lvm.LogicalVolume) -> str | None:
    if volume.is_invalid:
        return _OVERFLOWED
    if (volume.can_overflow and volume.data_percent is not None
            and volume.data_percent >= _FILLING_PERCENT):
        return _FILLING
    return None


def give_advice(kind: layouts.Layout,
                runner: process.Runner,
                settings: options.Settings) -> None:
    """Log what is better put right before a back end is in trouble."""
    autoextension = None
    if settings.autoextend_policy is None:
        try:
            autoextension = lvm_command.autoextension(runner,
                                                      settings.system_dir)
        except errors.DriverError as exc:
            LOG.info('What lvm.conf says of thin pools cannot be read: %s',
                     exc)
    for sentence in kind.advice(autoextension):
        LOG.warning('%s', sentence)
