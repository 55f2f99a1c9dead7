# SPDX-License-Identifier: Apache-2.0
"""Thin volumes: LVs of one thin pool, whose snapshots share blocks."""

from collections.abc import Iterable
import logging

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import health
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)



class Thin(base.Layout):
    """Thin LVs in the pool ``<vg>-pool``; see lvmthin(7)."""

    lvm_type = 'thin'
    segtype = lvm.THIN
    # LVM appends the suffix for the device that the LVs of a pool share.
    own_devices = ((base.POOL_NAME, '-tpool'),)
    # prepare() sets it. In a pool that does not zero new blocks, they show
    # data of deleted volumes around what is written.
    reads_zeroes = False

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume) -> None:
        super().__init__(vg, writer, remove)
        self._pool = base.thin_pool_name(vg)
        # Why the pool could not be activated at the start, if so.
        self._inactive_reason: str | None = None

    def __str__(self) -> str:
        return f'{self.lvm_type} in pool {self._pool}'

    def prepare(self) -> None:
        """Activate the thin pool, or create it over the free space.

        No second pool is created. A pool that has another name or cannot be
        activated is a fault of the back end, which serves what it can.

        :raises lvm.InvalidRequest: another LV has the name of the pool
        """
        lvs = self._vg.get_volumes()
        pool = lvs.get(self._pool)
        if pool is None:
            if _other_pools(lvs):
                return
            if self._create_pool(lvs):
                self.reads_zeroes = True
                return
            pool = self._vg.get_pool_or_volume(self._pool)
        _check_is_pool(pool)
        self.reads_zeroes = pool.zeroes_blocks
        # LVM would resume a suspended one.
        if not pool.active and not pool.is_suspended:
            try:
                self._vg.activate_pool(self._pool)
            except lvm.LVMError as exc:
                self._inactive_reason = str(exc)
        try:
            self._vg.check_changeable(pool)
        except lvm.ThinPoolOutOfStep as exc:
            LOG.warning('%s. Having LVM complete what a killed command may '
                        'have left', exc)
            errors.attempt(f'Thin pool {pool.full_name} is still out of step',
                           self._vg.settle_pool, self._pool)
        except lvm.LVMError as exc:
            LOG.debug('The stats report: %s', exc)

    def preparation(self, lvs: lvm.LogicalVolumes) -> str | None:
        """Return that the next start creates the pool, if it does."""
        pool = lvs.get(self._pool)
        if pool is not None:
            _check_is_pool(pool)
            return None
        if _other_pools(lvs):
            return None
        if naming.NEW_POOL not in lvs:
            self._vg.check_room_for_pool(self._pool)
        return f'the next start of cinder-volume creates pool {self._pool}'

    def _create_pool(self, lvs: lvm.LogicalVolumes) -> bool:
        """Create the pool; return False if another back end has done so."""
        if naming.NEW_POOL in lvs and self._complete_pool(
                lvs[naming.NEW_POOL]):
            return True
        LOG.info('Creating thin pool %s in VG %s', self._pool,
                 self._vg.vg_name)
        try:
            self._vg.create_thin_pool(self._pool)
        except lvm.LogicalVolumeExists:
            LOG.info('Thin pool %s was created meanwhile', self._pool)
            return False
        return True

    def _complete_pool(self, new: lvm.LogicalVolume) -> bool:
        """Complete a pool that a start did not, or remove what there is."""
        LOG.warning('The creation of thin pool %s was interrupted; '
                    'completing it', self._pool)
        if new.is_thin_pool:
            try:
                self._vg.activate_pool(new.name)
                self._vg.rename_volume(new.name, self._pool)
                return True
            except lvm.LVMError as exc:
                LOG.warning('Removing LV %s: %s', new.full_name, exc)
        self._vg.delete(new.name)
        return False

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a thin LV."""
        with self._vg.space.claimed(self._pool, size_bytes):
            self._vg.create_thin_volume(name, size_bytes, self._pool)

    def create_from_snapshot(self, snapshot: lvm.LogicalVolume, name: str,
                             size_bytes: int) -> None:
        """Share the blocks of a thin snapshot; copy any other."""
        if snapshot.is_thin and snapshot.pool == self._pool:
            self._branch(snapshot, name, size_bytes)
        else:
            super().create_from_snapshot(snapshot, name, size_bytes)

    def create_from_volume(self, source: lvm.LogicalVolume, name: str,
                           size_bytes: int) -> None:
        """Share the blocks of a thin volume; copy any other."""
        if source.is_thin and source.pool == self._pool:
            self._branch(source, name, size_bytes)
        else:
            super().create_from_volume(source, name, size_bytes)

    def _branch(self, source: lvm.LogicalVolume, name: str,
                size_bytes: int) -> None:
        with (self._vg.space.claimed(self._pool,
                                     max(size_bytes, source.size_bytes)),
              rollback.Undo() as undo):
            self._vg.create_thin_snapshot(name, source, activate=True)
            undo.later(self._discard, name)
            if source.size_bytes < size_bytes:
                self._vg.extend_volume(name, size_bytes)
            undo.keep()

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Leave a thin LV as it is; a thick one cannot be converted.

        ``lvconvert --type thin`` keeps the thick LV as the read-only
        external origin of the thin one.
        """
        return lv.is_thin

    def thin_pool(self, picture: lvm.Picture) -> lvm.LogicalVolume | None:
        """Return the LV of the pool's name, if it is a thin pool."""
        pool = picture.lvs.get(self._pool)
        return pool if pool is not None and pool.is_thin_pool else None

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count the blocks of the pool and the sizes of all LVs."""
        pool = self.thin_pool(picture)
        provisioned_bytes = sum(lv.size_bytes for lv in picture.lvs.values()
                                if lv is not pool)
        if pool is None:
            return base.Capacity(total_bytes=0, free_bytes=0,
                                 provisioned_bytes=provisioned_bytes)
        # LVM does not know how full an inactive pool is.
        used_percent = 100 if pool.data_percent is None else pool.data_percent
        return base.Capacity(
            total_bytes=pool.size_bytes,
            free_bytes=(pool.size_bytes
                        - int(pool.size_bytes * used_percent / 100)),
            provisioned_bytes=provisioned_bytes,
            data_percent=pool.data_percent,
            metadata_percent=pool.metadata_percent)

    def fault(self, picture: lvm.Picture) -> str | None:
        """Check the VG, then the pool."""
        fault = super().fault(picture)
        if fault is not None:
            return fault
        pool = self.thin_pool(picture)
        if pool is None:
            return health.no_pool_fault(self._vg.vg_name, self._pool,
                                        _other_pools(picture.lvs))
        if pool.active:
            self._inactive_reason = None
        try:
            self._vg.check_changeable(pool)
        except lvm.LVMError as exc:
            return str(exc)
        return health.pool_fault(pool, self._inactive_reason)

    def advice(self, autoextension: lvm.Autoextension | None) -> \
            Iterable[str]:
        """Check the settings of the pool."""
        pool = self._vg.find_volume(self._pool)
        if pool is None:
            return ()
        return health.pool_advice(
            pool, has_spare=self._vg.has_spare_metadata(),
            autoextension=autoextension)


def _check_is_pool(pool: lvm.LogicalVolume) -> None:
    """Check that the LV with the name of the pool is one.

    :raises lvm.InvalidRequest: it is not
    """
    if not pool.is_thin_pool:
        raise lvm.InvalidRequest(
            f'LV {pool.full_name} is of type {pool.segtype}, and not a '
            f'thin pool: rename it with lvrename, or set lvm_type to '
            f'default')


def _other_pools(lvs: lvm.LogicalVolumes) -> list[str]:
    """Return the names of thin pools, if none has the right name."""
    return [name for name, lv in lvs.items()
            if lv.is_thin_pool and name != naming.NEW_POOL]
