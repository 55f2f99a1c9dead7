# SPDX-License-Identifier: Apache-2.0
"""The driver's verbs that serve volumes to hosts."""

from collections.abc import Iterator
import logging
import threading
from typing import Any

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver import lvm
from cinder_lvm_driver import options
from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver.targets import node
from cinder_lvm_driver import translate

LOG = logging.getLogger(__name__)

_IN_USE = 'in-use'


class ExportVerbs:
    """Activates LVs and hands them to the target helper."""

    vg: lvm.LVM
    settings: options.Settings
    target_driver: targets.Target
    # Ids of volumes that the pass over all of them at start-up has served,
    # so that Cinder's call for each need not look again.
    _served_at_start: frozenset[str] = frozenset()
    # The id of a volume that a host could not be let in to while others have
    # it: Cinder removes its export next, in the same thread. What it does
    # for other hosts at that moment, it does in other ones.
    _spared = threading.local()

    def create_export(self, context: cinder_context.RequestContext,
                      volume: objects.Volume, connector: dict | None,
                      vg: str | None = None) -> dict[str, str]:
        """Make a target for a volume; none of the hosts may use it yet.

        :returns: ``provider_location`` and ``provider_auth`` to be stored
        """
        with translate.cinder_errors():
            revert.check_settled(self.vg, volume.name)
            self.vg.bring_up(volume.name)
            export = self.target_driver.create_export(
                context, volume, self._export_path(volume, vg))
        return {'provider_location': export['location'],
                'provider_auth': export['auth']}

    def ensure_export(self, context: cinder_context.RequestContext,
                      volume: objects.Volume) -> None:
        """Make sure that an attached volume is served as it was before.

        There is nothing to do for one that Cinder only calls attached
        (``os-attach`` alone exports nothing).
        """
        if not _is_exported(volume):
            LOG.info('Volume %s is attached to no host', volume.id)
            return
        if volume.id in self._served_at_start:
            self._served_at_start -= {volume.id}
            return
        with translate.cinder_errors():
            self.vg.bring_up(volume.name)
            self.target_driver.ensure_export(
                context, volume, self._export_path(volume))

    def update_provider_info(self, volumes: list, snapshots: list) -> \
            tuple[list, list]:
        """Serve all attached volumes again; Cinder calls it at start.

        One report and at most one activation, however many volumes there
        are. A volume that cannot be served does not keep the others from
        it: Cinder asks for each that is in use once more with
        ``ensure_export``, and learns there what is wrong with it. For the
        others, whose status is that of what was done with them while they
        were attached (an upload, a backup, a retype), this is the only time.

        :returns: no updates for volumes and for snapshots
        """
        attached = [volume for volume in volumes
                    if _is_exported(volume) and (
                        volume.status == _IN_USE
                        or targets.connectors(volume))]
        if attached:
            try:
                self._served_at_start = frozenset(self._serve(attached))
            except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
                LOG.error('The attached volumes cannot be served in one '
                          'pass: %s', exc)
            LOG.info('%d of %d attached volumes are served',
                     len(self._served_at_start), len(attached))
        return [], []

    def _serve(self, volumes: list[objects.Volume]) -> Iterator[str]:
        """Serve volumes and return the ids of those that are."""
        lvs = self.vg.get_volumes()
        present = [volume for volume in volumes
                   if _is_there(volume, lvs.get(volume.name))]
        inactive = [volume.name for volume in present
                    if not lvs[volume.name].active]
        if inactive:
            present = self._activate(present, inactive)
        failed = self.target_driver.ensure_exports(
            cinder_context.get_admin_context(),
            [(volume, self._export_path(volume)) for volume in present])
        return (volume.id for volume in present if volume.id not in failed)

    def _activate(self, volumes: list[objects.Volume],
                  names: list[str]) -> list[objects.Volume]:
        """Activate LVs, and return the volumes that can be served then."""
        try:
            self.vg.activate_lv(*names)
        except lvm.LVMError as exc:
            # LVM has activated the others.
            LOG.error('Not all LVs of attached volumes are active: %s', exc)
            lvs = self.vg.get_volumes()
            return [volume for volume in volumes
                    if volume.name in lvs and lvs[volume.name].active]
        return volumes

    def remove_export(self, context: cinder_context.RequestContext,
                      volume: objects.Volume) -> None:
        """Remove a volume's target; it may be gone already.

        Not where Cinder asks for it only because one more host could not be
        let in: the other hosts would lose their disk.
        """
        if self._spare(volume, False):
            LOG.warning('Volume %s is still exported, as other hosts have it',
                        volume.id)
            return
        with translate.cinder_errors():
            self.target_driver.remove_export(context, volume,
                                             self._export_path(volume))

    def validate_connector(self, connector: dict) -> bool:
        """Look that a host has told all that the target needs of it.

        :raises exception.InvalidConnectorException: it has not
        """
        with translate.cinder_errors():
            return self.target_driver.validate_connector(connector)

    def initialize_connection(self, volume: objects.Volume,
                              connector: dict) -> dict[str, Any]:
        """Let a host use a volume's target.

        :returns: what the host's os-brick needs to connect
        """
        self._spare(volume, False)
        try:
            with translate.cinder_errors():
                return self.target_driver.initialize_connection(volume,
                                                                connector)
        # Target classes of Cinder raise what they like.
        except Exception:
            self._spare(volume, bool(targets.connectors(volume)))
            raise

    def terminate_connection(self, volume: objects.Volume,
                             connector: dict | None, **kwargs: Any) -> bool:
        """End a host's use of a volume's target, or that of all hosts.

        A host that has the volume attached more than once keeps its access
        until the last of these attachments goes.

        :param connector: the host; None means all hosts
        :returns: whether the target is needed by other attachments
        """
        self._spare(volume, False)
        attachments = volume.volume_attachment
        if connector is not None and volume.multiattach:
            of_this_host = [
                attachment for attachment in attachments
                if attachment.connector
                and self.target_driver.are_same_connector(
                    attachment.connector, connector)]
            if len(of_this_host) > 1:
                return True
        with translate.cinder_errors():
            self.target_driver.terminate_connection(volume, connector,
                                                    **kwargs)
        return connector is not None and len(attachments) > 1

    def _spare(self, volume: objects.Volume, spare: bool) -> bool:
        """Have the next removal of a volume's export pass, or take place.

        :returns: what was the case before
        """
        was_spared = getattr(self._spared, 'volume_id', None) == volume.id
        self._spared.volume_id = volume.id if spare else None
        return was_spared

    def _export_path(self, volume: objects.Volume,
                     vg: str | None = None) -> str:
        return '/dev/%s/%s' % (vg or self.settings.volume_group, volume.name)


def _is_there(volume: objects.Volume, lv: lvm.LogicalVolume | None) -> bool:
    """Tell whether there is an LV to be served, and log if there is none."""
    if lv is None:
        LOG.error('Volume %s is attached, but its LV is not there', volume.id)
        return False
    try:
        lvm.check_kind(lv)
    except lvm.LogicalVolumeOfWrongKind as exc:
        LOG.error('Volume %s is attached, but its LV is another one: %s',
                  volume.id, exc)
        return False
    return True


def _is_exported(volume: objects.Volume) -> bool:
    return bool(volume.provider_location or targets.connectors(volume))
