# SPDX-License-Identifier: Apache-2.0
"""Exports of snapshots: their LVs are served to hosts, for reading.

Cinder's backup service reads a volume in use from a snapshot of it
(``backup_use_temp_snapshot``), without a copy.
"""

from collections.abc import Iterable
import dataclasses
import logging
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import exports
from cinder_lvm_driver import rollback
from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver.targets import this_node

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class AttachedSnapshot:
    """A snapshot with the attributes that target helpers read of a volume.

    Cinder stores no attachments for snapshots.
    """

    id: str
    name: str
    provider_location: str | None
    provider_auth: str | None
    encryption_key_id: str | None
    provider_geometry: None = None
    volume_attachment: tuple[()] = ()

    @property
    def name_id(self) -> str:
        """The ID in the name, which for snapshots is always their own."""
        return self.id

    @classmethod
    def of(cls, snapshot: objects.Snapshot) -> 'AttachedSnapshot':
        return cls(snapshot.id, snapshot.name, snapshot.provider_location,
                   snapshot.provider_auth, snapshot.encryption_key_id)


def serve_backups(target: targets.Target, is_configured: bool) -> bool:
    """Tell whether backups of volumes in use are to read from snapshots.

    :param is_configured: the value of ``backup_use_temp_snapshot``
    """
    if is_configured and not target.SERVES_SNAPSHOTS:
        LOG.warning('backup_use_temp_snapshot is set, but this target_helper '
                    'cannot serve snapshots: backups of volumes in use read '
                    'from a clone')
        return False
    return is_configured


def create(backend: backends.Backend, context: cinder_context.RequestContext,
           snapshot: objects.Snapshot,
           connector: targets.Connector) -> dict[str, str | None]:
    """Create a target for a snapshot, which no host may use yet.

    A host that opens devices itself gets none, if the LV refuses writes. If
    the target cannot refuse writes, it serves a clone of a thin snapshot,
    which is removed with the export.
    """
    vg, target = backend.vg, backend.target
    lv = vg.get_volume(naming.snapshot_lv_name(snapshot.name))
    if lv.is_read_only and exports.opens_device(backend, snapshot, connector):
        vg.activate_lv(lv.name)
        return {'provider_location': None, 'provider_auth': None}
    read_only = target.SERVES_READ_ONLY
    served = lv.name if not lv.is_thin or read_only \
        else naming.snapshot_export(lv.name)
    with rollback.Undo(f'Temporary LV {served} cannot be removed; remove it '
                       f'with lvremove') as undo:
        if served != lv.name:
            if vg.find_volume(served) is None:
                vg.create_thin_snapshot(served, lv, activate=True)
                # Cinder does not remove an export that it never got.
                undo.later(vg.delete, served)
        else:
            vg.activate_lv(served)
        vg.ensure_nodes(served)
        export = target.create_export(
            context, AttachedSnapshot.of(snapshot),
            naming.device_path(vg.vg_name, served), read_only=read_only)
        undo.keep()
    return {'provider_location': export['location'],
            'provider_auth': export['auth']}


def remove_unused(backend: backends.Backend,
                  snapshots: Iterable[objects.Snapshot]) -> None:
    """Remove what a killed service has left of exports.

    A clone that was served in place of a snapshot is open until then, so that
    the start of the service could not remove it.
    """
    if not backend.target.SERVES_SNAPSHOTS:
        return
    context = cinder_context.get_admin_context()
    by_id = {snapshot.id: snapshot for snapshot in snapshots}
    exports.remove_unused(
        backend, map(AttachedSnapshot.of, by_id.values()),
        lambda attached: remove(backend, context, by_id[attached.id]))


def connect(backend: backends.Backend, snapshot: objects.Snapshot,
            connector: targets.Connector) -> dict[str, Any]:
    """Let a host read a snapshot, and return how to connect."""
    if (exports.opens_device(backend, snapshot, connector)
            and not snapshot.provider_location):
        connection = this_node.connection(snapshot.id, naming.device_path(
            backend.vg.vg_name, naming.snapshot_lv_name(snapshot.name)))
    else:
        connection = backend.target.initialize_connection(
            AttachedSnapshot.of(snapshot), connector)
    connection['data']['access_mode'] = 'ro'
    LOG.info('Snapshot %s: host %s is allowed in', snapshot.id,
             exports.host_of(connector))
    return connection


def disconnect(backend: backends.Backend, snapshot: objects.Snapshot,
               connector: targets.Connector | None) -> None:
    """End a host's access to a snapshot, or that of all hosts."""
    backend.target.terminate_connection(AttachedSnapshot.of(snapshot),
                                        connector)
    LOG.info('Snapshot %s: %s is denied', snapshot.id,
             'every host' if connector is None
             else f'host {exports.host_of(connector)}')


def remove(backend: backends.Backend, context: cinder_context.RequestContext,
           snapshot: objects.Snapshot) -> None:
    """Remove a snapshot's target; it may be gone already.

    :raises lvm.LogicalVolumeInUse: the LV that was served is open
    """
    vg = backend.vg
    backend.target.remove_export(context, AttachedSnapshot.of(snapshot))
    lv_name = naming.snapshot_lv_name(snapshot.name)
    # A pool may have either name; it is not this driver's.
    lvs = {name: lv for name, lv in vg.get_volumes().items()
           if not lv.is_private}
    stand_in = naming.snapshot_export(lv_name)
    if stand_in in lvs:
        vg.delete(vg.require_closed(lvs[stand_in]).name)
    elif lv_name in lvs and lvs[lv_name].skips_activation:
        vg.deactivate_lv(vg.require_closed(lvs[lv_name]).name)
