# SPDX-License-Identifier: Apache-2.0
"""Exports of volumes: LVs are activated and served to hosts."""

from collections.abc import Callable, Iterable
import logging
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import this_node

LOG = logging.getLogger(__name__)

_IN_USE = 'in-use'


def create(backend: backends.Backend, context: cinder_context.RequestContext,
           volume: objects.Volume, connector: targets.Connector | None,
           vg_name: str | None) -> dict[str, str | None]:
    """Create a target for a volume, which no host may use yet.

    A host that needs no target gets none.

    :param vg_name: the VG of the device, if not the back end's
    :raises lvm.LogicalVolumeInUse: the volume is being reverted
    """
    backend.reverts.check_settled(volume.name)
    backend.vg.bring_up(volume.name)
    if connector is not None and opens_device(backend, volume, connector):
        return {}
    export = backend.target.create_export(
        context, volume, _path(backend, volume, vg_name))
    return {'provider_location': export['location'],
            'provider_auth': export['auth']}


def ensure(backend: backends.Backend, context: cinder_context.RequestContext,
           volume: objects.Volume) -> None:
    """Serve an attached volume as before the service started.

    A volume that was never exported is attached in Cinder's database only
    (``os-attach``).
    """
    if not _is_exported(volume):
        LOG.info('Volume %s is attached to no host', volume.id)
        return
    if backend.workarounds.served_at_start.pop(volume.id):
        return
    backend.vg.bring_up(volume.name)
    if _needs_target(volume):
        backend.target.ensure_export(context, volume, _path(backend, volume))


def serve_all(backend: backends.Backend, volumes: Iterable[objects.Volume],
              ) -> None:
    """Serve all attached volumes again when the service starts.

    One report and at most one activation, for any number of volumes. A
    volume that cannot be served does not affect the others: Cinder calls
    ``ensure_export`` for each volume in use, which raises the error. Volumes
    with another status (those being uploaded, backed up or retyped while
    attached) are served only here.
    """
    volumes = list(volumes)
    attached = [volume for volume in volumes if _is_attached(volume)]
    remove_unused(
        backend, [volume for volume in volumes if not _is_attached(volume)],
        lambda volume: backend.target.remove_export(
            cinder_context.get_admin_context(), volume,
            _path(backend, volume)))
    if not attached:
        return
    served: Iterable[str] = ()
    try:
        served = _serve(backend, attached)
    except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
        LOG.error('The attached volumes cannot be served in one pass: %s',
                  exc)
    number = backend.workarounds.served_at_start.replace(served)
    LOG.info('%d of %d attached volumes are served', number, len(attached))


def remove_unused(backend: backends.Backend, things: Iterable[Any],
                  remove: Callable[[Any], None]) -> None:
    """Remove exports that a killed service left, and that Cinder lacks.

    Exports that a host may use are kept, whatever Cinder says.

    :param things: volumes, or snapshots in their place, that are attached to
        no host
    """
    things = list(things)
    try:
        unused = backend.target.find_unused(things)
    except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
        LOG.warning('Exports that a killed service may have left are not '
                    'looked for: %s', exc)
        return
    for thing in things:
        if thing.id not in unused:
            continue
        LOG.warning('Removing the export of %s, which no host may use: a '
                    'killed service has left it', thing.name)
        try:
            remove(thing)
        except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
            LOG.error('The export of %s stays until the next start: %s',
                      thing.name, exc)


def _serve(backend: backends.Backend,
           volumes: list[objects.Volume]) -> list[str]:
    """Serve volumes, and return the IDs of those that are served."""
    lvs = backend.vg.get_volumes()
    present = [volume for volume in volumes
               if _has_lv(volume, lvs.get(volume.name))]
    inactive = [volume.name for volume in present
                if not lvs[volume.name].active]
    if inactive:
        present = _activate(backend.vg, present, inactive)
    errors.attempt('Some attached volumes cannot be served',
                   backend.vg.ensure_nodes,
                   *(volume.name for volume in present))
    failed = backend.target.ensure_exports(
        cinder_context.get_admin_context(),
        [(volume, _path(backend, volume)) for volume in present
         if _needs_target(volume)])
    return [volume.id for volume in present if volume.id not in failed]


def _has_lv(volume: objects.Volume, lv: lvm.LogicalVolume | None) -> bool:
    """Tell whether a volume has an LV to serve; log why it has none."""
    if lv is None:
        LOG.error('Volume %s is attached, but its LV does not exist',
                  volume.id)
        return False
    try:
        lvm.check_not_private(lv)
    except lvm.LogicalVolumeOfWrongKind as exc:
        LOG.error('Volume %s is attached, but cannot be served: %s',
                  volume.id, exc)
        return False
    return True


def _activate(vg: lvm.LVM, volumes: list[objects.Volume],
              names: list[str]) -> list[objects.Volume]:
    """Activate LVs, and return the volumes that can be served then."""
    try:
        vg.activate_lv(*names)
    except lvm.LVMError as exc:
        # LVM has activated the others.
        LOG.error('Not all LVs of attached volumes are active: %s', exc)
        lvs = vg.get_volumes()
        return [volume for volume in volumes
                if volume.name in lvs and lvs[volume.name].active]
    return volumes


def remove(backend: backends.Backend, context: cinder_context.RequestContext,
           volume: objects.Volume) -> None:
    """Remove a volume's target; it may be gone already."""
    if backend.workarounds.kept_export.pop(volume.id):
        LOG.warning('Volume %s stays exported: one host could not be '
                    'connected, and other hosts use it', volume.id)
        return
    backend.target.remove_export(context, volume, _path(backend, volume))


def connect(backend: backends.Backend, volume: objects.Volume,
            connector: targets.Connector) -> dict[str, Any]:
    """Let a host use a volume's target, and return how to connect."""
    kept_export = backend.workarounds.kept_export
    kept_export.forget()
    if opens_device(backend, volume, connector):
        LOG.info('Volume %s: host %s opens the device itself', volume.id,
                 host_of(connector))
        return this_node.connection(volume.id, _path(backend, volume))
    _warn_of_likeness(backend, connector)
    _warn_of_shared_name(backend, volume, connector)
    try:
        connection = backend.target.initialize_connection(volume, connector)
    # Cinder's own target classes may raise anything.
    except Exception:
        if targets.connectors(volume):
            kept_export.keep(volume.id)
        raise
    LOG.info('Volume %s: host %s is allowed in', volume.id,
             host_of(connector))
    return connection


def disconnect(backend: backends.Backend, volume: objects.Volume,
               connector: targets.Connector | None, **kwargs: Any) -> bool:
    """End a host's access to a volume, or that of all hosts.

    A host that has the volume attached more than once keeps its access until
    its last attachment ends.

    :raises lvm.LogicalVolumeInUse: a host on this node still has the device
        open
    """
    backend.workarounds.kept_export.forget()
    mine = [each for each in targets.attachments(volume)
            if connector is None
            or backend.target.are_same_connector(each.connector, connector)
            # The target may know no name of a host that opens devices itself.
            or each.connector == connector]
    if connector is not None and len(mine) > 1:
        LOG.info('Volume %s: host %s keeps its access, which another '
                 'attachment needs', volume.id, host_of(connector))
        return True
    is_needed = connector is not None and len(volume.volume_attachment) > 1
    if not mine or not all(map(targets.is_local, mine)):
        backend.target.terminate_connection(volume, connector, **kwargs)
    if not is_needed and any(map(targets.is_local, mine)):
        _require_closed(backend, volume)
    LOG.info('Volume %s: %s is denied', volume.id,
             'every host' if connector is None
             else f'host {host_of(connector)}')
    return is_needed


def _require_closed(backend: backends.Backend,
                    volume: objects.Volume) -> None:
    """Require that a host on this node has closed the device of a volume.

    Nothing can take an open device away from a process.
    """
    backend.target.remove_export(cinder_context.get_admin_context(), volume,
                                 _path(backend, volume))
    lv = backend.vg.find_volume(volume.name)
    if lv is not None:
        backend.vg.require_closed(
            lv, 'the volume stays attached until the guest is stopped or the '
                'process ended on this node')


def opens_device(backend: backends.Backend, volume: objects.Volume,
                 connector: targets.Connector) -> bool:
    """Tell whether a host opens the device of a volume, without a target.

    Encrypted volumes get a target: os-brick's encryptors replace the link to
    the device, and udev would restore it (LP#1967157).
    """
    return (is_this_node(backend, connector)
            and volume.encryption_key_id is None)


def is_this_node(backend: backends.Backend,
                 connector: targets.Connector) -> bool:
    """Tell whether a host is this node, and may open devices here."""
    return (backend.this_node is not None
            and not backend.this_node.differences(connector))


def check_connector(backend: backends.Backend,
                    connector: targets.Connector) -> bool:
    """Return True if a host can attach volumes.

    :raises targets.errors.InvalidConnector: it cannot
    """
    return (is_this_node(backend, connector)
            or backend.target.validate_connector(connector))


def host_of(connector: targets.Connector) -> str:
    """Return a host for the log: its name, and those that targets know."""
    names = [targets.text_of(connector, key)
             for key in ('host', 'initiator', 'nqn')]
    return ', '.join(filter(None, names))


def _warn_of_likeness(backend: backends.Backend,
                      connector: targets.Connector) -> None:
    """Warn of a host that is nearly, but not certainly, this node."""
    differences = (backend.this_node.differences(connector)
                   if backend.this_node else [])
    if (differences and this_node.UUID not in differences
            and targets.text_of(connector, this_node.UUID)):
        LOG.warning('Host %s has the system UUID of this node, but not its '
                    '%s: it uses a target', host_of(connector),
                    ' and '.join(differences))


def _warn_of_shared_name(backend: backends.Backend, volume: objects.Volume,
                         connector: targets.Connector) -> None:
    """Warn of hosts that the target cannot tell apart."""
    names = {str(targets.text_of(each, 'host')) for each in (
        connector, *targets.connectors(volume))
        if backend.target.are_same_connector(each, connector)}
    if len(names) > 1:
        LOG.warning('Hosts %s have the same initiator name or NQN, and each '
                    'can use what is attached to the other: give each host '
                    'its own in /etc/iscsi/initiatorname.iscsi or '
                    '/etc/nvme/hostnqn', ' and '.join(sorted(names)))


def _is_attached(volume: objects.Volume) -> bool:
    return _is_exported(volume) and (
        volume.status == _IN_USE or bool(targets.attachments(volume)))


def _is_exported(volume: objects.Volume) -> bool:
    return bool(volume.provider_location or targets.attachments(volume))


def _needs_target(volume: objects.Volume) -> bool:
    """Tell whether a host of an exported volume uses its target.

    A host that attached it with the old API is not among its attachments.
    """
    return bool(targets.connectors(volume) or not targets.attachments(volume))


def _path(backend: backends.Backend, volume: objects.Volume,
          vg_name: str | None = None) -> str:
    return naming.device_path(vg_name or backend.settings.volume_group,
                              volume.name)
