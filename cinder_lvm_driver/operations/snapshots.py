# SPDX-License-Identifier: Apache-2.0
"""Snapshots: created, deleted, and volumes reverted to them."""

import logging

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import snapshot_exports
from cinder_lvm_driver.operations import volumes

LOG = logging.getLogger(__name__)


def create(backend: backends.Backend, snapshot: objects.Snapshot) -> None:
    """Create a snapshot, thin or COW as the volume's LV requires."""
    volumes.retry_after_wiping(backend, lambda: backend.layout.create_snapshot(
        backend.vg.get_volume(snapshot.volume_name),
        naming.snapshot_lv_name(snapshot.name)))


def delete(backend: backends.Backend, snapshot: objects.Snapshot) -> None:
    """Remove a snapshot's LV; it may be gone already.

    :raises lvm.LogicalVolumeInUse: it is open, or an unfinished revert will
        create it again
    """
    name = naming.snapshot_lv_name(snapshot.name)
    busy = backend.workarounds.busy_snapshots
    try:
        _delete(backend, snapshot, name)
    except lvm.LogicalVolumeInUse:
        busy.add(name, snapshot.volume_name)
        raise
    busy.discard(name)


def _delete(backend: backends.Backend, snapshot: objects.Snapshot,
            name: str) -> None:
    # The export remains if cinder-backup was killed while the snapshot was
    # attached. An object that is not from the database may lack the field.
    if (snapshot.get('provider_location')
            and backend.target.SERVES_SNAPSHOTS):
        snapshot_exports.remove(
            backend, cinder_context.get_admin_context(), snapshot)
    lv = backend.vg.find_volume(name)
    if lv is not None:
        volumes.remove_lv(backend, lv)
        return
    origin = backend.vg.find_volume(snapshot.volume_name)
    if origin is not None and backend.reverts.recreates(origin, name):
        raise lvm.LogicalVolumeInUse(
            f'LV {origin.name} is being reverted to {name}, which is created '
            f'again when that is complete')
    LOG.info('The LV of snapshot %s does not exist; nothing to delete',
             snapshot.name)


def revert(backend: backends.Backend, volume: objects.Volume,
           snapshot: objects.Snapshot) -> None:
    """Give a volume the data of a snapshot, which is kept."""
    backend.reverts.revert(backend.vg.get_volumes(), volume.name,
                           naming.snapshot_lv_name(snapshot.name))
