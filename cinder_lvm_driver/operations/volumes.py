# SPDX-License-Identifier: Apache-2.0
"""Volumes: their LVs are created, extended and deleted."""

from collections.abc import Callable
import logging

from cinder import exception
from cinder import objects
from oslo_utils import units

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.targets import base as targets

LOG = logging.getLogger(__name__)


def create(backend: backends.Backend, volume: objects.Volume) -> None:
    """Create an LV of ``volume.size`` GiB."""
    retry_after_wiping(backend, lambda: backend.layout.create_volume(
        volume.name, _size_bytes(volume, volume.size)))


def create_from_snapshot(backend: backends.Backend, volume: objects.Volume,
                         snapshot: objects.Snapshot,
                         holder: backends.Backend) -> None:
    """Create an LV with the data of a snapshot.

    :param holder: the pool of the snapshot
    """
    create_from_lv(backend, volume, naming.snapshot_lv_name(snapshot.name),
                   holder)


def create_from_lv(backend: backends.Backend, volume: objects.Volume,
                   snapshot_name: str, holder: backends.Backend) -> None:
    """Create an LV with the data of a snapshot's LV.

    :param holder: the pool of the snapshot
    """
    size_bytes = _size_bytes(volume, volume.size)

    def step() -> None:
        lv = holder.vg.get_volume(snapshot_name)
        if holder.vg is backend.vg:
            backend.layout.create_from_snapshot(lv, volume.name, size_bytes)
        else:
            backend.layout.create_copy(holder.layout.readable(lv),
                                       volume.name, size_bytes)

    retry_after_wiping(backend, step)


def clone(backend: backends.Backend, volume: objects.Volume,
          source: objects.Volume, holder: backends.Backend) -> None:
    """Create an LV with the data that another volume has now.

    :param holder: the pool of the other volume
    """
    size_bytes = _size_bytes(volume, volume.size)

    def step() -> None:
        lv = holder.vg.get_volume(source.name)
        if holder.vg is backend.vg:
            backend.layout.create_from_volume(lv, volume.name, size_bytes)
            return
        with holder.layout.temporary_snapshot(lv, volume.name) as snapshot:
            backend.layout.create_copy(holder.layout.readable(snapshot),
                                       volume.name, size_bytes)

    retry_after_wiping(backend, step)


def extend(backend: backends.Backend, volume: objects.Volume,
           new_size_gib: int) -> None:
    """Extend a volume's LV, and have its target show the new size.

    :raises lvm.LogicalVolumeInUse: a host uses the LV without a target, and
        Nova would not show the guest its new size
        (nova/virt/libvirt/volume/volume.py, ``extend_volume``)
    """
    if any(map(targets.is_local, targets.attachments(volume))):
        raise lvm.LogicalVolumeInUse(
            f'LV {volume.name} is attached on this node without a target, '
            'where Nova cannot extend it: detach the volume, extend it and '
            'attach it again')
    size_bytes = _size_bytes(volume, new_size_gib, at_least_gib=volume.size)
    retry_after_wiping(backend, lambda: backend.layout.extend_volume(
        backend.vg.get_volume(volume.name), size_bytes))
    try:
        backend.target.extend_target(volume)
    # Cinder's own target classes may raise anything.
    except Exception as exc:
        LOG.exception('The target of volume %s does not show its new size',
                      volume.name)
        raise exception.TargetUpdateFailed(volume_id=volume.id) from exc


def delete(backend: backends.Backend, volume: objects.Volume) -> None:
    """Remove a volume's LV; it may be gone already.

    :raises lvm.LogicalVolumeInUse: it is open, or other LVs depend on it,
        or Cinder failed to delete its snapshots a moment ago
    """
    lv = backend.vg.find_volume(volume.name)
    if lv is None:
        LOG.info('LV %s does not exist; nothing to delete', volume.name)
        return
    busy = backend.workarounds.busy_snapshots.pop_all(lv.name)
    if busy:
        raise lvm.LogicalVolumeInUse(
            f'LV {lv.name} has snapshots that are in use and were not '
            f'deleted: ' + ', '.join(busy))
    remove_lv(backend, lv)


def remove_lv(backend: backends.Backend, lv: lvm.LogicalVolume) -> None:
    """Remove the LV of a volume or snapshot; it may be gone already."""
    try:
        backend.remover.remove(lv)
    except lvm.LogicalVolumeNotFound as exc:
        LOG.info('LV %s was deleted outside this service: %s', lv.name, exc)


def retry_after_wiping(backend: backends.Backend,
                       step: Callable[[], None]) -> None:
    """Take a step, and once more if space becomes free meanwhile.

    For Cinder, deleted volumes are gone; in the VG they take space until
    they are wiped.

    :param step: leaves nothing behind when it fails; asks LVM for all that
        it needs, as that may change during the wait
    :raises lvm.InsufficientSpace: there is no space, also after wiping
    """
    was_wiping = backend.remover.is_working
    try:
        step()
        return
    except lvm.InsufficientSpace as exc:
        if not was_wiping:
            raise
        LOG.info('Waiting for the space of deleted volumes: %s', exc)
    backend.remover.wait()
    step()


def _size_bytes(volume: objects.Volume, size_gib: int,
                at_least_gib: int = 1) -> int:
    """Return the size that a volume is to have.

    :raises lvm.InvalidRequest: it is too small
    """
    least = max(at_least_gib, 1)
    if size_gib < least:
        raise lvm.InvalidRequest(
            f'{size_gib} GiB is too small for LV {volume.name}: ask for '
            f'{least} GiB or more')
    size_bytes: int = size_gib * units.Gi
    return size_bytes
