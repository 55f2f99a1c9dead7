# SPDX-License-Identifier: Apache-2.0
"""The driver's verbs that serve snapshots to hosts, for reading.

Cinder's backup service reads a volume in use from a snapshot of it
(``backup_use_temp_snapshot``), without a copy.
"""

import contextlib
import dataclasses
import logging
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver import translate

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class AttachedSnapshot:
    """What the target helpers read of a volume, of a snapshot.

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
        """The id in the name; only volumes go by another one at times."""
        return self.id

    @classmethod
    def of(cls, snapshot: objects.Snapshot) -> 'AttachedSnapshot':
        return cls(snapshot.id, snapshot.name, snapshot.provider_location,
                   snapshot.provider_auth, snapshot.encryption_key_id)


class SnapshotAttachVerbs:
    """Hands the LVs of snapshots to the target helper."""

    vg: lvm.LVM
    target_driver: targets.Target

    def backup_use_temp_snapshot(self) -> bool:
        """Tell whether backups are to read from snapshots.

        As the option of that name says, if the target helper serves any.
        """
        configured: bool = (
            super().backup_use_temp_snapshot())  # type: ignore[misc]
        if configured and not self.target_driver.SERVES_SNAPSHOTS:
            LOG.warning('backup_use_temp_snapshot is set, but this target '
                        'helper does not serve snapshots; backups of volumes '
                        'in use are made from a clone')
            return False
        return configured

    def create_export_snapshot(self, context: cinder_context.RequestContext,
                               snapshot: objects.Snapshot,
                               connector: dict) -> dict[str, str]:
        """Make a target for a snapshot; none of the hosts may use it yet.

        Where the target cannot refuse writes, a thin snapshot stays as it is
        nevertheless: what is served is a clone, which goes with the export.

        :returns: ``provider_location`` and ``provider_auth`` to be stored
        """
        with (translate.cinder_errors(snapshot=snapshot),
              contextlib.ExitStack() as undo):
            lv = self.vg.get_volume(naming.snapshot_lv_name(snapshot.name))
            read_only = self.target_driver.SERVES_READ_ONLY
            if lv.is_thin and not read_only:
                served = naming.snapshot_export(lv.name)
                if self.vg.find_volume(served) is None:
                    self.vg.create_thin_snapshot(served, lv.name,
                                                 activate=True)
                    # Cinder does not remove an export that it never got.
                    undo.callback(
                        errors.attempt,
                        f'LV {served} was only needed to serve a snapshot '
                        f'and cannot be removed; remove it by hand',
                        self.vg.delete, served)
            else:
                served = lv.name
                self.vg.activate_lv(served)
            export = self.target_driver.create_export(
                context, AttachedSnapshot.of(snapshot),
                f'/dev/{self.vg.vg_name}/{served}', read_only=read_only)
            undo.pop_all()
        return {'provider_location': export['location'],
                'provider_auth': export['auth']}

    def initialize_connection_snapshot(self, snapshot: objects.Snapshot,
                                       connector: dict,
                                       **kwargs: Any) -> dict[str, Any]:
        """Let a host read a snapshot.

        :returns: what the host's os-brick needs to connect
        """
        with translate.cinder_errors(snapshot=snapshot):
            connection = self.target_driver.initialize_connection(
                AttachedSnapshot.of(snapshot), connector)
        connection['data']['access_mode'] = 'ro'
        return connection

    def terminate_connection_snapshot(self, snapshot: objects.Snapshot,
                                      connector: dict | None,
                                      **kwargs: Any) -> None:
        """End a host's use of a snapshot, or that of all hosts."""
        with translate.cinder_errors(snapshot=snapshot):
            self.target_driver.terminate_connection(
                AttachedSnapshot.of(snapshot), connector)

    def remove_export_snapshot(self, context: cinder_context.RequestContext,
                               snapshot: objects.Snapshot) -> None:
        """Remove a snapshot's target; it may be gone already."""
        with translate.cinder_errors(snapshot=snapshot):
            self.target_driver.remove_export(
                context, AttachedSnapshot.of(snapshot))
            lv_name = naming.snapshot_lv_name(snapshot.name)
            # Of a pool neither is ours to undo.
            lvs = {name: lv for name, lv in self.vg.get_volumes().items()
                   if not lv.is_private}
            stand_in = naming.snapshot_export(lv_name)
            if stand_in in lvs:
                self.vg.delete(self.vg.require_closed(lvs[stand_in]).name)
            elif lv_name in lvs and lvs[lv_name].skips_activation:
                self.vg.deactivate_lv(
                    self.vg.require_closed(lvs[lv_name]).name)
