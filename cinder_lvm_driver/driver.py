# SPDX-License-Identifier: Apache-2.0
"""The driver that cinder-volume loads: Cinder's verbs for LVM.

Each verb states its contract and calls one function of ``operations``.
"""

from collections.abc import Iterable
import dataclasses
import socket
from typing import Any, TypeAlias

from cinder import context as cinder_context
from cinder import exception
from cinder import interface
from cinder import objects
from cinder.objects import fields
from cinder import utils
from cinder.volume import driver
from oslo_config import cfg

from cinder_lvm_driver import backend
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import exports
from cinder_lvm_driver.operations import groups
from cinder_lvm_driver.operations import images
from cinder_lvm_driver.operations import manageable
from cinder_lvm_driver.operations import managing
from cinder_lvm_driver.operations import migration
from cinder_lvm_driver.operations import snapshot_exports
from cinder_lvm_driver.operations import snapshots
from cinder_lvm_driver.operations import startup
from cinder_lvm_driver.operations import stats
from cinder_lvm_driver.operations import volumes
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from cinder_lvm_driver import targets
from cinder_lvm_driver.targets import base as targets_base
from cinder_lvm_driver import timings
from cinder_lvm_driver import translate
from cinder_lvm_driver import workarounds

Context: TypeAlias = cinder_context.RequestContext
Connector = targets_base.Connector
Snapshot: TypeAlias = objects.Snapshot
Volume: TypeAlias = objects.Volume
# A back end as the scheduler describes it: 'host' and 'capabilities'.
Destination = dict[str, Any]
# The fields to store for a volume or snapshot: provider_location and
# provider_auth.
Export = dict[str, str | None]


# Whose runs are counted.
_OPERATIONS = (
    'create_volume', 'create_volume_from_snapshot', 'create_cloned_volume',
    'extend_volume', 'delete_volume', 'create_snapshot', 'delete_snapshot',
    'revert_to_snapshot', 'delete_group', 'create_group_snapshot',
    'delete_group_snapshot', 'create_group_from_src', 'create_export',
    'ensure_export', 'remove_export', 'initialize_connection',
    'terminate_connection', 'create_export_snapshot',
    'initialize_connection_snapshot', 'terminate_connection_snapshot',
    'remove_export_snapshot', 'copy_image_to_volume', 'copy_volume_to_image',
    'manage_existing', 'manage_existing_snapshot', 'migrate_volume',
    'update_migrated_volume', 'retype')


@interface.volumedriver
@timings.measured(_OPERATIONS, busy=(exception.VolumeIsBusy,
                                     exception.SnapshotIsBusy))
class LVMVolumeDriver(driver.VolumeDriver):  # type: ignore[misc]
    """Volumes as LVs of VGs, served by a target helper of this node."""

    VERSION = '3.0.0'
    CI_WIKI_NAME = 'Cinder_Jenkins'

    _pools: backend.Pools

    @translate.cinder_errors()
    def __init__(self, vg_obj: lvm.LVM | None = None, *args: Any,
                 **kwargs: Any) -> None:
        """Read the configuration; runs no command.

        :param vg_obj: the VG to use in place of the configured one
        :raises exception.InvalidConfigurationValue: the target helper cannot
            do what an option asks for
        """
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options.SHARED_OPTIONS)
        self.configuration.append_config_values(options.OWN_OPTIONS)
        self.settings = options.Settings.read(self.configuration)
        if vg_obj is not None:
            self.settings = dataclasses.replace(
                self.settings, volume_group=vg_obj.vg_name)
        self.hostname = socket.gethostname()
        self.backend_name = self.settings.backend_name
        self._given_vg = vg_obj
        self.timings = timings.Timings(timings.path_of(
            cfg.CONF.state_path,
            self.configuration.config_group or self.backend_name))
        self.pool_settings = options.read_pools(self.configuration,
                                                self.settings)
        self.runner = process.RootwrapRunner(self._execute,
                                             utils.get_root_helper())
        self.target_driver = targets.load(
            self.settings.target_helper, self.configuration, self._execute,
            self.runner)
        self.protocol = self.target_driver.storage_protocol
        startup.check_target_options(self.settings, self.target_driver)
        workarounds.run_privileged_code_as_cinder_does()
        workarounds.read_images_in_calling_thread()

    @classmethod
    def get_driver_options(cls) -> list[cfg.Opt]:
        """Return the options of a back end of this driver."""
        return options.driver_options()

    @translate.cinder_errors()
    def check_for_setup_error(self) -> None:
        """Check all that the back end needs, and recover from a crash.

        :raises exception.VolumeBackendAPIException: the back end cannot
            serve; the message says why and what to do
        """
        self._pools = backend.build(
            pools=self.pool_settings, hostname=self.hostname,
            runner=self.runner, target=self.target_driver,
            vg=self._given_vg)
        self.vg = self._pools[0].vg
        startup.start(self._pools, type(self))

    # Capacity and places --------------------------------------------------

    def _update_volume_stats(self) -> None:
        """Store the stats for the scheduler; never fails because of LVM."""
        self._stats = stats.collect(
            self._pools, driver_version=self.VERSION,
            filter_function=self.get_filter_function(),
            goodness_function=self.get_goodness_function())

    @translate.cinder_errors()
    def get_pool(self, volume: Volume) -> str:
        """Return the name of the pool that holds a volume's LV."""
        if len(self.pool_settings) == 1:
            return self.pool_settings[0].pool_name
        return self._pools.holding(volume.name).settings.pool_name

    @translate.cinder_errors()
    def local_path(self, volume: Volume, vg: str | None = None) -> str:
        """Return the path of a volume's or snapshot's device."""
        if vg is None:
            vg = (self.pool_settings[0].volume_group
                  if len(self.pool_settings) == 1
                  else self._pools.of(volume).vg.vg_name)
        return naming.device_mapper_path(
            vg, naming.snapshot_lv_name(volume.name))

    # Volumes --------------------------------------------------------------

    @translate.cinder_errors()
    def create_volume(self, volume: Volume) -> None:
        """Create an LV of ``volume.size`` GiB."""
        volumes.create(self._pools.of(volume), volume)

    @translate.cinder_errors()
    def create_volume_from_snapshot(self, volume: Volume,
                                    snapshot: Snapshot) -> None:
        """Create an LV with a snapshot's data; no copy if both are thin."""
        volumes.create_from_snapshot(self._pools.of(volume), volume, snapshot,
                                     self._pools.of(snapshot))

    @translate.cinder_errors()
    def create_cloned_volume(self, volume: Volume, src_vref: Volume) -> None:
        """Create an LV with a volume's data, also while that is in use."""
        volumes.clone(self._pools.of(volume), volume, src_vref,
                      self._pools.of(src_vref))

    @translate.cinder_errors()
    def extend_volume(self, volume: Volume, new_size: int) -> None:
        """Extend a volume's LV to a size in GiB, also while it is in use.

        :raises exception.TargetUpdateFailed: the LV is larger, but its
            target does not show it
        :raises exception.VolumeBackendAPIException: there is no space, or
            the LV has COW snapshots and is in use
        """
        volumes.extend(self._pools.of(volume), volume, new_size)

    @translate.cinder_errors(busy='volume')
    def delete_volume(self, volume: Volume) -> None:
        """Remove a volume's LV; it may be gone already.

        :raises exception.VolumeIsBusy: it is in use, or its snapshots need
            it
        """
        volumes.delete(self._pools.of(volume), volume)

    # Snapshots ------------------------------------------------------------

    @translate.cinder_errors()
    def create_snapshot(self, snapshot: Snapshot) -> None:
        """Create a snapshot, thin or COW as the volume's LV requires."""
        snapshots.create(self._pools.of(snapshot), snapshot)

    @translate.cinder_errors(busy='snapshot')
    def delete_snapshot(self, snapshot: Snapshot) -> None:
        """Remove a snapshot's LV; it may be gone already.

        :raises exception.SnapshotIsBusy: it is in use
        """
        snapshots.delete(self._pools.of(snapshot), snapshot)

    @translate.cinder_errors(busy='volume')
    def revert_to_snapshot(self, context: Context, volume: Volume,
                           snapshot: Snapshot) -> None:
        """Give a volume back the data of a snapshot, which is kept.

        Takes no time if both are thin. If both are thick, what has changed
        since is copied back.

        :raises NotImplementedError: only one is thin; Cinder then copies
        :raises exception.VolumeIsBusy: the volume is in use
        """
        snapshots.revert(self._pools.of(volume), volume, snapshot)

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """Tell whether Cinder is to take another snapshot before a revert.

        A revert that fails leaves a thin volume as it was.
        """
        return any(pool.layout.lvm_type != 'thin' for pool in self._pools)

    # Groups ---------------------------------------------------------------

    def create_group(self, context: Context, group: objects.Group) -> \
            dict[str, Any]:
        """Accept a group; LVM has no groups.

        :raises NotImplementedError: its type does not ask for consistent
            snapshots; Cinder's own code then handles it. All verbs of groups
            raise this.
        """
        groups.require_consistent(group)
        return {'status': fields.GroupStatus.AVAILABLE}

    def update_group(self, context: Context, group: objects.Group,
                     add_volumes: list[Volume] | None = None,
                     remove_volumes: list[Volume] | None = None) -> \
            tuple[None, None, None]:
        """Accept changes of a group; LVM has no groups."""
        groups.require_consistent(group)
        return None, None, None

    @translate.cinder_errors()
    def delete_group(self, context: Context, group: objects.Group,
                     volumes: list[Volume]) -> groups.Updates:
        """Delete a group with all its volumes.

        :returns: updates of the group and of its volumes, if some are not
            deleted
        """
        return groups.delete(self._pools, context, group, volumes)

    @translate.cinder_errors()
    def create_group_snapshot(self, context: Context,
                              group_snapshot: objects.GroupSnapshot,
                              snapshots: list[Snapshot]) -> groups.Updates:
        """Create the snapshots of a group's volumes at one moment, or none.

        :raises exception.VolumeBackendAPIException: not all could be taken
            within ``lvm_group_snapshot_limit``, or a volume is not thin or
            is being changed
        """
        return groups.create_snapshot(self._pools, group_snapshot,
                                      snapshots)

    @translate.cinder_errors()
    def delete_group_snapshot(self, context: Context,
                              group_snapshot: objects.GroupSnapshot,
                              snapshots: list[Snapshot]) -> groups.Updates:
        """Delete the snapshots of a group's volumes.

        :returns: updates of the group snapshot and of its snapshots, if some
            are not deleted
        """
        return groups.delete_snapshot(self._pools, group_snapshot,
                                      snapshots)

    @translate.cinder_errors()
    def create_group_from_src(
            self, context: Context, group: objects.Group,
            volumes: list[Volume],
            group_snapshot: objects.GroupSnapshot | None = None,
            snapshots: list[Snapshot] | None = None,
            source_group: objects.Group | None = None,
            source_vols: list[Volume] | None = None) -> groups.Updates:
        """Create the volumes of a group, all or none.

        :param snapshots: the sources of the volumes, in the same order, or
        :param source_vols: the sources, whose data of one moment is taken
        """
        return groups.create_from_source(self._pools, group, volumes,
                                         snapshots, source_vols)

    # Exports of volumes ---------------------------------------------------

    @translate.cinder_errors()
    def create_export(self, context: Context, volume: Volume,
                      connector: Connector | None,
                      vg: str | None = None) -> Export:
        """Create a target for a volume, which no host may use yet.

        With ``lvm_local_attach``, this node gets none.
        """
        return exports.create(self._pools.of(volume), context, volume,
                              connector, vg)

    @translate.cinder_errors()
    def ensure_export(self, context: Context, volume: Volume) -> None:
        """Serve an attached volume as before the service started."""
        exports.ensure(self._pools.of(volume), context, volume)

    @translate.cinder_errors()
    def update_provider_info(self, volumes: Iterable[Volume],
                             snapshots: Iterable[Snapshot]) -> \
            tuple[list[Any], list[Any]]:
        """Serve all attached volumes, and no other; Cinder calls it at start.

        :returns: no updates of volumes and of snapshots
        """
        for pool, own in self._pools.with_own(volumes):
            exports.serve_all(pool, own)
        for pool, own in self._pools.with_own(snapshots):
            snapshot_exports.remove_unused(pool, own)
        return [], []

    @translate.cinder_errors()
    def remove_export(self, context: Context, volume: Volume) -> None:
        """Remove a volume's target; it may be gone already.

        The target stays if Cinder calls this only because one more host
        could not be connected: other hosts would lose their disk.
        """
        exports.remove(self._pools.of(volume), context, volume)

    @translate.cinder_errors()
    def validate_connector(self, connector: Connector) -> bool:
        """Check that a connector has what the target needs.

        :raises exception.InvalidConnectorException: it lacks something
        """
        return exports.check_connector(self._pools[0], connector)

    @translate.cinder_errors()
    def initialize_connection(self, volume: Volume,
                              connector: Connector) -> dict[str, Any]:
        """Let a host use a volume's target.

        :returns: what os-brick on the host needs to connect
        """
        return exports.connect(self._pools.of(volume), volume, connector)

    @translate.cinder_errors()
    def terminate_connection(self, volume: Volume, connector: Connector | None,
                             **kwargs: Any) -> bool:
        """End a host's access to a volume's target, or that of all hosts.

        :param connector: the host; None means all hosts
        :returns: whether other attachments need the target
        """
        return exports.disconnect(self._pools.of(volume), volume, connector,
                                  **kwargs)

    # Exports of snapshots -------------------------------------------------

    def backup_use_temp_snapshot(self) -> bool:
        """Tell whether backups of volumes in use read from snapshots.

        They do if the option of this name is set and the target helper
        serves snapshots.
        """
        return snapshot_exports.serve_backups(
            self.target_driver, super().backup_use_temp_snapshot())

    @translate.cinder_errors(busy='snapshot')
    def create_export_snapshot(self, context: Context, snapshot: Snapshot,
                               connector: Connector) -> Export:
        """Create a target for a snapshot, which no host may use yet.

        No host can change the snapshot.
        """
        return snapshot_exports.create(self._pools.of(snapshot), context,
                                       snapshot, connector)

    @translate.cinder_errors(busy='snapshot')
    def initialize_connection_snapshot(self, snapshot: Snapshot,
                                       connector: Connector,
                                       **kwargs: Any) -> dict[str, Any]:
        """Let a host read a snapshot.

        :returns: what os-brick on the host needs to connect
        """
        return snapshot_exports.connect(self._pools.of(snapshot), snapshot,
                                        connector)

    @translate.cinder_errors(busy='snapshot')
    def terminate_connection_snapshot(self, snapshot: Snapshot,
                                      connector: Connector | None,
                                      **kwargs: Any) -> None:
        """End a host's access to a snapshot, or that of all hosts."""
        snapshot_exports.disconnect(self._pools.of(snapshot), snapshot,
                                    connector)

    @translate.cinder_errors(busy='snapshot')
    def remove_export_snapshot(self, context: Context,
                               snapshot: Snapshot) -> None:
        """Remove a snapshot's target; it may be gone already."""
        snapshot_exports.remove(self._pools.of(snapshot), context, snapshot)

    # Images ---------------------------------------------------------------

    def clone_image(self, context: Context, volume: Volume,
                    image_location: Any, image_meta: dict[str, Any],
                    image_service: Any) -> tuple[dict[str, Any] | None, bool]:
        """Leave it to Cinder, which knows all images on this back end.

        If an image is a volume of this back end (``cinder://``, with that
        scheme in ``allowed_direct_url_schemes``), or in the image-volume
        cache, Cinder calls ``create_cloned_volume`` next.
        """
        return None, False

    @translate.cinder_errors()
    def copy_image_to_volume(self, context: Context, volume: Volume,
                             image_service: Any, image_id: str,
                             disable_sparse: bool = False) -> None:
        """Write an image to a volume's LV.

        :param disable_sparse: the LV holds other data; write zeroes too
        """
        images.download(self._pools.of(volume), context, volume, image_service,
                        image_id, disable_sparse)

    @translate.cinder_errors()
    def copy_volume_to_image(self, context: Context, volume: Volume,
                             image_service: Any,
                             image_meta: dict[str, Any]) -> None:
        """Upload a volume's LV as an image."""
        images.upload(self._pools.of(volume), context, volume, image_service,
                      image_meta)

    # Managing -------------------------------------------------------------

    @translate.cinder_errors()
    def manage_existing_object_get_size(self, existing_object: Any,
                                        existing_ref: Any,
                                        object_type: str) -> int:
        """Return the size of a referenced LV in GiB, rounded up.

        :param existing_ref: ``{'source-name': <LV name>}``
        :param object_type: ``volume`` or ``snapshot``
        :raises exception.ManageExistingAlreadyManaged: Cinder manages the
            LV, and it is in use
        :raises exception.ManageExistingInvalidReference: the LV cannot be
            managed as that
        """
        return managing.get_size(self._pools.of(existing_object),
                                 existing_object, existing_ref, object_type)

    def manage_existing_get_size(self, volume: Volume,
                                 existing_ref: Any) -> int:
        """Return the size in GiB of an LV to manage as a volume."""
        return self.manage_existing_object_get_size(volume, existing_ref,
                                                    manageable.VOLUME)

    def manage_existing_snapshot_get_size(self, snapshot: Snapshot,
                                          existing_ref: Any) -> int:
        """Return the size in GiB of an LV to manage as a snapshot."""
        return self.manage_existing_object_get_size(snapshot, existing_ref,
                                                    manageable.SNAPSHOT)

    @translate.cinder_errors()
    def manage_existing(self, volume: Volume, existing_ref: Any) -> None:
        """Give an LV the name of a volume.

        :raises exception.ManageExistingAlreadyManaged: Cinder manages the LV
        :raises exception.ManageExistingInvalidReference: the LV cannot be
            managed as a volume
        """
        managing.manage_volume(self._pools.of(volume), volume, existing_ref)

    @translate.cinder_errors()
    def manage_existing_snapshot(self, snapshot: Snapshot,
                                 existing_ref: Any) -> None:
        """Give an LV the name of a snapshot.

        :raises exception.ManageExistingAlreadyManaged: Cinder manages the LV
        :raises exception.ManageExistingInvalidReference: the LV cannot be
            managed as a snapshot of this volume
        """
        managing.manage_snapshot(self._pools.of(snapshot), snapshot,
                                 existing_ref)

    @translate.cinder_errors()
    def unmanage(self, volume: Volume) -> None:
        """Take the driver's tags off a volume's LV, which keeps its name."""
        managing.unmanage(self._pools.of(volume), volume)

    @translate.cinder_errors()
    def get_manageable_volumes(self, cinder_volumes: list[Any], marker: Any,
                               limit: int, offset: int, sort_keys: list[str],
                               sort_dirs: list[str]) -> list[dict[str, Any]]:
        """List the LVs that are, or could become, volumes of Cinder."""
        return managing.list_manageable(
            self._pools, manageable.VOLUME, cinder_volumes, marker, limit,
            offset, sort_keys, sort_dirs)

    @translate.cinder_errors()
    def get_manageable_snapshots(self, cinder_snapshots: list[Any],
                                 marker: Any, limit: int, offset: int,
                                 sort_keys: list[str],
                                 sort_dirs: list[str]) -> list[dict[str, Any]]:
        """List the LVs that are, or could become, snapshots of Cinder."""
        return managing.list_manageable(
            self._pools, manageable.SNAPSHOT, cinder_snapshots, marker,
            limit, offset, sort_keys, sort_dirs)

    # Migration and retype -------------------------------------------------

    @translate.cinder_errors()
    def migrate_volume(self, ctxt: Context, volume: Volume, host: Destination,
                       thin: bool = False, mirror_count: int = 0) -> \
            tuple[bool, dict[str, Any] | None]:
        """Move a volume to another back end of this node.

        The LV gets the layout of the destination, whatever ``thin`` and
        ``mirror_count`` say.

        :param host: the destination
        :returns: whether the volume was moved, and no update; if not,
            nothing was changed and Cinder copies through an attachment
        :raises exception.VolumeBackendAPIException: the other VG has no
            space, or the copy failed and was removed
        """
        return migration.migrate(self._pools, volume, host), None

    @translate.cinder_errors()
    def update_migrated_volume(self, ctxt: Context, volume: Volume,
                               new_volume: Volume,
                               original_volume_status: str) -> \
            dict[str, str | None]:
        """Rename the LV that Cinder copied a volume to, as the volume's own.

        :param volume: the volume before the migration
        :param new_volume: its copy, on this back end
        :returns: the fields of ``volume`` to store
        """
        return migration.rename_copy(self._pools.of(new_volume), volume,
                                     new_volume, original_volume_status)

    @translate.cinder_errors()
    def retype(self, context: Context, volume: Volume,
               new_type: objects.VolumeType, diff: migration.Diff,
               host: Destination) -> bool:
        """Convert a volume to another type in place, also while attached.

        :param diff: pairs of old and new values, equal pairs among them
        :param host: the destination
        :returns: whether the volume now is of the new type; if not, Cinder
            migrates it, or tells the user that it would have to
        :raises exception.VolumeBackendAPIException: LVM cannot convert the
            LV now; Cinder logs that, and migrates
        """
        return migration.retype(self._pools, volume, diff, host)
