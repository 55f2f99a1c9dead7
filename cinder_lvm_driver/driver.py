# SPDX-License-Identifier: Apache-2.0
"""The driver that cinder-volume loads: Cinder's verbs for LVM."""

from collections.abc import Callable
import dataclasses
import functools
import logging
import socket
from typing import Any

from cinder import context as cinder_context
from cinder import exception
from cinder import interface
from cinder import objects
from cinder import utils
from cinder.volume import driver
from oslo_utils import units

from cinder_lvm_driver import devices
from cinder_lvm_driver import errors
from cinder_lvm_driver import health
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import exports
from cinder_lvm_driver.operations import images
from cinder_lvm_driver.operations import managing
from cinder_lvm_driver.operations import migration
from cinder_lvm_driver.operations import snapshot_exports
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from cinder_lvm_driver import stats
from cinder_lvm_driver import targets
from cinder_lvm_driver import translate
from cinder_lvm_driver import wiping

LOG = logging.getLogger(__name__)


@interface.volumedriver
class LVMVolumeDriver(exports.ExportVerbs, images.ImageVerbs,
                      snapshot_exports.SnapshotAttachVerbs,
                      managing.ManageVerbs, migration.MoveVerbs,
                      driver.VolumeDriver):
    """Volumes as LVs of one VG, served by a target helper of this host."""

    VERSION = '3.0.0'
    CI_WIKI_NAME = 'Cinder_Jenkins'

    _layout: layouts_base.Layout

    def __init__(self, vg_obj: lvm.LVM | None = None, *args: Any,
                 **kwargs: Any) -> None:
        """Read the configuration; runs no command.

        :param vg_obj: the VG to work on in place of the configured one
        """
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(options.SHARED_OPTIONS)
        self.configuration.append_config_values(options.OWN_OPTIONS)
        with translate.cinder_errors():
            self.settings = options.Settings.read(self.configuration)
        if vg_obj is not None:
            self.settings = dataclasses.replace(
                self.settings, volume_group=vg_obj.vg_name)
        self.hostname = socket.gethostname()
        self.backend_name = self.settings.backend_name
        self._given_vg = vg_obj
        # LVs of snapshots that could not be deleted, and their volumes'.
        self._busy_snapshots: dict[str, str] = {}
        self._runner = process.RootwrapRunner(self._execute,
                                              utils.get_root_helper())
        self._copier = devices.DeviceWriter(self.settings, self._runner)
        self._watch = health.Watch(self.backend_name,
                                   self.settings.autoextend_policy)
        with translate.cinder_errors():
            self.target_driver = targets.load(
                self.settings.target_helper, self.configuration,
                self._execute, self._runner)
        self.protocol = (self.target_driver.storage_protocol
                         or self.target_driver.protocol)
        self._check_target_options()
        images.serve_native_threads()

    def _check_target_options(self) -> None:
        if (self.settings.share_target
                and not self.target_driver.SHARED_TARGET_SUPPORT):
            raise exception.InvalidConfigurationValue(
                option='lvm_share_target', value=True)
        if (self.settings.secondary_addresses
                and not self.target_driver.SECONDARY_IP_SUPPORT):
            raise exception.InvalidConfigurationValue(
                option='target_secondary_ip_addresses',
                value=','.join(self.settings.secondary_addresses))

    @classmethod
    def get_driver_options(cls) -> list:
        """Return the options that concern a back end of this driver."""
        return options.driver_options()

    # Setup ----------------------------------------------------------------

    def check_for_setup_error(self) -> None:
        """Look that everything the back end needs is there.

        :raises exception.VolumeBackendAPIException: something is not; the
            message says what and what to do
        """
        with translate.cinder_errors():
            try:
                self._lvm_version = lvm_command.installed_version(
                    self._runner)
                self._runner.start_daemon(
                    lvm_command.probe(self.settings.system_dir))
            except process.CommandNotFound as exc:
                raise errors.ConfigurationError(
                    f'LVM is not installed: {exc}') from exc
            self.vg = self._given_vg or self._open_vg(
                self.settings.volume_group)
            self._remover = wiping.Remover(self.vg, self._copier)
            self._reverts = revert.Reverts(self.vg)
            self._layout = layouts.load(
                self.settings.lvm_type, self.vg, self._copier,
                self._remover.remove, self.settings.lvm_mirrors)
            self.target_driver.check_for_setup_error()
            self._layout.prepare()
            self._recover()
            health.give_advice(self._layout, self._runner,
                               self.settings)

    def _recover(self) -> None:
        """Go on with what the service was doing when it ended."""
        volumes = self.vg.get_volumes()
        self._reverts.recover(volumes, functools.partial(
            managing.is_snapshot_of_cinder,
            cinder_context.get_admin_context()))
        self._layout.recover(volumes.values())
        for name, lv in volumes.items():
            if not naming.is_left_over(name):
                continue
            # It may be of another back end that shares the VG.
            if lv.is_open:
                LOG.warning('LV %s was only needed for a moment and is in '
                            'use: restart the service when it is not', name)
            else:
                LOG.warning('Removing LV %s, which was only needed for a '
                            'moment', name)
                errors.attempt(f'LV {name} cannot be removed; that is tried '
                               f'again at the next start',
                               self._remover.remove, lv)
        self._remover.resume(volumes)

    def _open_vg(self, vg_name: str) -> lvm.LVM:
        return lvm.LVM(vg_name, self._runner, version=self._lvm_version,
                       system_dir=self.settings.system_dir,
                       report_timeout=self.settings.report_timeout)

    # Volumes and snapshots ------------------------------------------------

    def create_volume(self, volume: objects.Volume) -> None:
        """Create an LV of ``volume.size`` GiB."""
        with translate.cinder_errors():
            self._with_room(lambda: self._layout.create_volume(
                volume.name, _size_bytes(volume, volume.size)))

    def create_volume_from_snapshot(self, volume: objects.Volume,
                                    snapshot: objects.Snapshot) -> None:
        """Create an LV with a snapshot's data; at once where it is thin."""
        with translate.cinder_errors():
            source = naming.snapshot_lv_name(snapshot.name)
            self._with_room(lambda: self._layout.create_from_snapshot(
                self.vg.get_volume(source), volume.name,
                _size_bytes(volume, volume.size)))

    def create_cloned_volume(self, volume: objects.Volume,
                             src_vref: objects.Volume) -> None:
        """Create an LV with a volume's data, also of one in use."""
        with translate.cinder_errors():
            self._with_room(lambda: self._layout.create_from_volume(
                self.vg.get_volume(src_vref.name), volume.name,
                _size_bytes(volume, volume.size)))

    def _with_room(self, step: Callable[[], None]) -> None:
        """Take a step that leaves nothing behind when there is no space.

        Deleted LVs have theirs until they are wiped. To Cinder they are gone,
        so what does not fit is tried once more after that.

        :param step: asks LVM for all that it has to know, as some of that
            may be another while it waits, such as the size of a volume
        """
        was_wiping = self._remover.is_working
        try:
            step()
            return
        except lvm.InsufficientSpace as exc:
            if not was_wiping:
                raise
            LOG.info('Waiting for the space of deleted volumes: %s', exc)
        self._remover.wait()
        step()

    def delete_volume(self, volume: objects.Volume) -> None:
        """Remove a volume's LV; it may be gone already.

        :raises exception.VolumeIsBusy: it is in use, or snapshots of it
            need it
        """
        with translate.cinder_errors(volume=volume):
            lv = self.vg.find_volume(volume.name)
            if lv is None:
                LOG.info('LV %s is not there; nothing to delete', volume.name)
                return
            if lv.is_cow_origin:
                raise lvm.LogicalVolumeInUse(
                    f'LV {lv.name} has COW snapshots; delete them first')
            self._check_snapshots(lv.name)
            self._remove(lv)

    def _check_snapshots(self, lv_name: str) -> None:
        """Keep a volume whose snapshots Cinder has just failed to delete.

        It deletes the volume next, told to delete all of them with it, and
        forgets the snapshots. A thin volume could go; the LVs of these would
        be nobody's.

        :raises lvm.LogicalVolumeInUse: one of them is in use; once for each
            failure, as it may have been given up meanwhile
        """
        busy = [name for name, owner in list(self._busy_snapshots.items())
                if owner == lv_name]
        for name in busy:
            self._busy_snapshots.pop(name, None)
        if busy:
            raise lvm.LogicalVolumeInUse(
                f'LV {lv_name} has snapshots that are in use and were not '
                f'deleted: ' + ', '.join(busy))

    def create_snapshot(self, snapshot: objects.Snapshot) -> None:
        """Create a snapshot of the kind that the volume's LV asks for."""
        with translate.cinder_errors():
            self._with_room(lambda: self._layout.create_snapshot(
                self.vg.get_volume(snapshot.volume_name),
                naming.snapshot_lv_name(snapshot.name)))

    def delete_snapshot(self, snapshot: objects.Snapshot) -> None:
        """Remove a snapshot's LV; it may be gone already.

        :raises exception.SnapshotIsBusy: it is in use
        """
        name = naming.snapshot_lv_name(snapshot.name)
        with translate.cinder_errors(snapshot=snapshot):
            try:
                self._delete_snapshot(snapshot, name)
            except (lvm.LogicalVolumeInUse, exception.SnapshotIsBusy):
                self._busy_snapshots[name] = snapshot.volume_name
                raise
            self._busy_snapshots.pop(name, None)

    def _delete_snapshot(self, snapshot: objects.Snapshot,
                         name: str) -> None:
        # Of one that cinder-backup had attached when it was killed. An object
        # that is not from the database need not have the field.
        if (snapshot.get('provider_location')
                and self.target_driver.SERVES_SNAPSHOTS):
            self.remove_export_snapshot(
                cinder_context.get_admin_context(), snapshot)
        lv = self.vg.find_volume(name)
        if lv is None:
            origin = self.vg.find_volume(snapshot.volume_name)
            if origin is not None and self._reverts.recreates(origin, name):
                raise lvm.LogicalVolumeInUse(
                    f'LV {origin.name} is being reverted to {name}, '
                    f'which is made again when that is done')
            LOG.info('LV of snapshot %s is not there; nothing to delete',
                     snapshot.name)
            return
        self._remove(lv)

    def _remove(self, lv: lvm.LogicalVolume) -> None:
        try:
            self._remover.remove(lv)
        except lvm.LogicalVolumeNotFound as exc:
            LOG.info('LV %s was deleted by somebody else: %s', lv.name, exc)

    def revert_to_snapshot(self, context: cinder_context.RequestContext,
                           volume: objects.Volume,
                           snapshot: objects.Snapshot) -> None:
        """Give a volume back the data of a snapshot, which is kept.

        At once where both are thin; what has changed since is copied back
        where they are thick.

        :raises NotImplementedError: they are of different kinds; Cinder
            copies then
        :raises exception.VolumeIsBusy: the volume is in use
        """
        with translate.cinder_errors(volume=volume):
            self._reverts.revert(self.vg.get_volumes(), volume.name,
                                 naming.snapshot_lv_name(snapshot.name))

    def snapshot_revert_use_temp_snapshot(self) -> bool:
        """Tell whether a revert is to be preceded by another snapshot.

        A thin volume is as it was when its revert fails.
        """
        return self._layout.lvm_type != 'thin'

    def extend_volume(self, volume: objects.Volume, new_size: int) -> None:
        """Extend a volume's LV to a size in GiB, also in use.

        :raises exception.TargetUpdateFailed: the LV is larger but its
            target does not show it
        :raises exception.VolumeBackendAPIException: it does not fit, or it
            has COW snapshots and is in use
        """
        with translate.cinder_errors():
            size_bytes = _size_bytes(volume, new_size,
                                     least=volume.size)
            self._with_room(lambda: self._layout.extend_volume(
                self.vg.get_volume(volume.name), size_bytes))
        try:
            self.target_driver.extend_target(volume)
        # Target classes of Cinder raise what they like.
        except Exception as exc:
            LOG.exception('The target of volume %s does not show its new '
                          'size', volume.name)
            raise exception.TargetUpdateFailed(volume_id=volume.id) from exc

    # Capacity and places --------------------------------------------------

    def _update_volume_stats(self) -> None:
        """Tell how the back end is; also when LVM cannot be asked.

        Cinder asks once in a while: the moment to look whether deleted LVs
        that somebody had open can be wiped.
        """
        self._remover.retry()
        self._stats = stats.build(
            settings=self.settings,
            reading=self._watch.look(self.vg, self._layout),
            layout=self._layout, hostname=self.hostname,
            driver_version=self.VERSION, storage_protocol=self.protocol,
            filter_function=self.get_filter_function(),
            goodness_function=self.get_goodness_function())

    def get_pool(self, volume: objects.Volume) -> str:
        """Return the name of the back end's only pool."""
        return self.backend_name

    def local_path(self, volume: objects.Volume,
                   vg: str | None = None) -> str:
        """Return the device of a volume or snapshot on this host."""
        return self._path(naming.snapshot_lv_name(volume.name), vg)

    def _path(self, lv_name: str, vg: str | None = None) -> str:
        return naming.device_mapper_path(vg or self.settings.volume_group,
                                         lv_name)


def _size_bytes(volume: objects.Volume, size_gib: int,
                least: int = 1) -> int:
    """Return the size that a volume is to have.

    :param least: in GiB
    :raises lvm.InvalidRequest: it is less
    """
    if size_gib < max(least, 1):
        raise lvm.InvalidRequest(
            f'LV {volume.name} cannot be of {size_gib} GiB: ask for '
            f'{max(least, 1)} GiB or more')
    return size_gib * units.Gi
