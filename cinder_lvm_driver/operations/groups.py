# SPDX-License-Identifier: Apache-2.0
"""Groups of volumes whose snapshots are of one moment.

Only group types that ask for consistent snapshots are handled here. Cinder
handles all others with its own code. It does not for the group type
``default_cgsnapshot_type``, so every operation is here.
"""

from collections.abc import Callable, Iterable, Sequence
import logging
from typing import Any, TypeAlias

from cinder import context as cinder_context
from cinder import objects
from cinder.objects import fields
from cinder.volume import volume_utils

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import snapshot_set
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import exports
from cinder_lvm_driver.operations import snapshots as snapshot_operations
from cinder_lvm_driver.operations import volumes as volume_operations
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

_COMPLAINT = 'An LV of a group cannot be removed; remove it with lvremove'

# Groups and volumes have states of the same names.
_Status = fields.SnapshotStatus
_Object: TypeAlias = objects.Volume | objects.Snapshot
# Of the group or group snapshot, and of its members. None leaves the state
# to Cinder.
Updates: TypeAlias = tuple[dict[str, Any] | None, list[dict[str, Any]] | None]


def require_consistent(group: objects.Group | objects.GroupSnapshot) -> None:
    """Leave a group to Cinder unless its type asks for consistency.

    :raises NotImplementedError: it does not
    """
    if not volume_utils.is_group_a_cg_snapshot_type(group):
        raise NotImplementedError


def delete(pools: backends.Pools, context: cinder_context.RequestContext,
           group: objects.Group, volumes: Iterable[objects.Volume]) -> \
        Updates:
    """Delete a group with all its volumes."""
    require_consistent(group)

    def delete_volume(volume: objects.Volume) -> None:
        exports.remove(pools.of(volume), context, volume)
        volume_operations.delete(pools.of(volume), volume)
    return _delete_all(volumes, delete_volume)


def create_snapshot(pools: backends.Pools,
                    group_snapshot: objects.GroupSnapshot,
                    snapshots: Sequence[objects.Snapshot]) -> Updates:
    """Create the snapshots of a group, all of one moment, or none."""
    require_consistent(group_snapshot)
    _create_set(_holder(pools, snapshots), group_snapshot.group_id, {
        naming.snapshot_lv_name(snapshot.name): snapshot.volume_name
        for snapshot in snapshots})
    return None, None


def delete_snapshot(pools: backends.Pools,
                    group_snapshot: objects.GroupSnapshot,
                    snapshots: Iterable[objects.Snapshot]) -> Updates:
    """Delete the snapshots of a group."""
    require_consistent(group_snapshot)
    return _delete_all(snapshots, lambda snapshot: snapshot_operations.delete(
        pools.of(snapshot), snapshot))


def create_from_source(pools: backends.Pools, group: objects.Group,
                       volumes: Sequence[objects.Volume],
                       snapshots: Sequence[objects.Snapshot] | None,
                       source_volumes: Sequence[objects.Volume] | None) -> \
        Updates:
    """Create the volumes of a group, all or none.

    :param snapshots: one for each volume, or
    :param source_volumes: one for each volume, whose data of one moment the
        volumes get
    """
    require_consistent(group)
    holder = _holder(pools, snapshots or source_volumes or ())
    with rollback.Undo(_COMPLAINT) as undo, \
            rollback.Undo(_COMPLAINT) as temporary:
        if snapshots:
            sources = [naming.snapshot_lv_name(snapshot.name)
                       for snapshot in snapshots]
        else:
            sources = [naming.clone_source(volume.name) for volume in volumes]
            _create_set(holder, group.id, {
                name: source.name for name, source in zip(
                    sources, source_volumes or (), strict=True)})
            for name in sources:
                temporary.later(holder.vg.delete, name)
        for volume, name in zip(volumes, sources, strict=True):
            backend = pools.of(volume)
            volume_operations.create_from_lv(backend, volume, name, holder)
            undo.later(volume_operations.delete, backend, volume)
        undo.keep()
    return None, None


def _holder(pools: backends.Pools, members: Iterable[_Object]) -> \
        backends.Backend:
    """Return a pool in the VG of all members of a group.

    :raises lvm.InvalidRequest: they are in several VGs
    """
    holders = {backend.vg.vg_name: backend
               for backend in map(pools.of, members)}
    if len(holders) != 1:
        raise lvm.InvalidRequest(
            f'The volumes of the group are in VGs '
            f'{" and ".join(sorted(holders))}, and only snapshots in one VG '
            f'can be taken at one moment: migrate the volumes to one of '
            f'them, or use a group type without '
            f'consistent_group_snapshot_enabled')
    return next(iter(holders.values()))


def _create_set(backend: backends.Backend, group_id: str,
                volume_names: dict[str, str]) -> None:
    """Create thin snapshots of one moment, or none.

    :param volume_names: by the LV names of the snapshots
    """
    def create() -> None:
        lvs = backend.vg.get_volumes()
        held_ms = snapshot_set.create(
            backend.vg, {name: lvs.usable(volume_name)
                         for name, volume_name in volume_names.items()},
            backend.settings.group_snapshot_limit)
        LOG.info('Group %s: writes to %d volumes were held back for %d ms '
                 'while their snapshots were taken', group_id,
                 len(volume_names), held_ms)
    volume_operations.retry_after_wiping(backend, create)


def _delete_all(things: Iterable[_Object],
                delete_one: Callable[[_Object], None]) -> Updates:
    """Delete all objects that can be deleted.

    An object that is in use stays available; the group, or group snapshot,
    can be deleted again.
    """
    updates = []
    for thing in things:
        status = _Status.DELETED
        try:
            delete_one(thing)
        # Cinder's own target classes may raise anything.
        except Exception as exc:  # noqa: BLE001
            LOG.error('%s cannot be deleted: %s', thing.name, exc)
            status = (_Status.AVAILABLE
                      if isinstance(exc, lvm.LogicalVolumeInUse)
                      else _Status.ERROR_DELETING)
        updates.append({'id': thing.id, 'status': status})
    if all(update['status'] == _Status.DELETED for update in updates):
        return None, None
    return {'status': _Status.ERROR}, updates
