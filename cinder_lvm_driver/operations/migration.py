# SPDX-License-Identifier: Apache-2.0
"""The driver's verbs that move volumes to another VG or layout."""

from collections.abc import Callable
import logging
from typing import Any

from cinder import context as cinder_context
from cinder import objects
from oslo_config import cfg
from oslo_utils import units

from cinder_lvm_driver import devices
from cinder_lvm_driver import errors
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver import location
from cinder_lvm_driver import lvm
from cinder_lvm_driver import manage
from cinder_lvm_driver import translate
from cinder_lvm_driver import wiping

LOG = logging.getLogger(__name__)

_NOT_MOVED = (False, None)
# 'maintenance': available, and the user asked to lock it meanwhile.
_UNATTACHED = ('available', 'retyping', 'maintenance')
# Extra specs that say nothing of how the volume is stored.
_OUTSIDE_OF_THE_LV = frozenset((
    'RESKEY:availability_zones', 'multiattach'))


class MoveVerbs:
    """Migrates volumes between the VGs of this host, and converts LVs."""

    vg: lvm.LVM
    hostname: str
    _copier: devices.DeviceWriter
    _layout: layouts_base.Layout
    _open_vg: Callable[[str], lvm.LVM]
    _remover: wiping.Remover

    # Migration ------------------------------------------------------------

    def migrate_volume(self, ctxt: cinder_context.RequestContext,
                       volume: objects.Volume, host: dict[str, Any],
                       thin: bool = False, mirror_count: int = 0) -> \
            tuple[bool, dict | None]:
        """Move a volume to another back end of this host.

        The LV is made as the destination makes its own, whatever ``thin``
        and ``mirror_count`` say. Where both have the same VG, it is
        converted if LVM can do that.

        :param host: the destination, with its capabilities
        :returns: whether it was moved, and no update; if not, nothing was
            changed and Cinder copies through an attachment
        :raises exception.VolumeBackendAPIException: the other VG has no
            room, or the copy failed; it is removed
        """
        destination = location.of_host(host)
        if (destination is None or destination.hostname != self.hostname
                or volume.status not in _UNATTACHED):
            return _NOT_MOVED
        with translate.cinder_errors():
            source = self._movable(volume.name)
            if source is None:
                return _NOT_MOVED
            if destination.vg_name == self.vg.vg_name:
                kind = self._kind_at(destination, self.vg,
                                     self._remover.remove)
                return (kind is not None
                        and _converted(kind, source)), None
            group = self._open_vg(destination.vg_name)
            kind = self._kind_at(
                destination, group,
                wiping.Remover(group, self._copier).remove)
            if kind is None:
                return _NOT_MOVED
            self._move(source, kind, volume.size * units.Gi)
        return True, None

    def _movable(self, lv_name: str) -> lvm.LogicalVolume | None:
        """Return an LV if nothing else depends on it where it is."""
        lvs = self.vg.get_volumes()
        lv = lvs.usable(lv_name)
        snapshots = [other.name for other in lvs.values()
                     if other.origin == lv_name and manage.is_snapshot(other)]
        lv = self.vg.wait_until_closed(lv)
        if lv.is_open or snapshots:
            LOG.warning('LV %s is not moved: %s', lv_name,
                        'it is in use' if lv.is_open else
                        'it has snapshots ' + ', '.join(snapshots))
            return None
        return lv

    def _kind_at(self, place: location.Location, group: lvm.LVM,
                 remove: layouts_base.RemoveVolume) -> \
            layouts_base.Layout | None:
        """Return how volumes are made at a place, None where none can be."""
        try:
            group.get_vg()
            return layouts.load(place.lvm_type, group,
                                     self._copier, remove,
                                     place.mirrors)
        except (errors.ConfigurationError, lvm.VolumeGroupNotFound) as exc:
            LOG.error('No volume can be moved to %s: %s', place.format(),
                      exc)
            return None

    def _move(self, source: lvm.LogicalVolume,
              kind: layouts_base.Layout,
              size_bytes: int) -> None:
        if not source.active:
            self.vg.activate_lv(source.name)
        kind.prepare()
        kind.take_in(source, size_bytes)
        errors.attempt(
            f'LV {source.name} was moved to another VG, and what it was in '
            f'VG {source.vg_name} cannot be removed; remove it by hand',
            self._remover.remove, source)

    def update_migrated_volume(self, ctxt: cinder_context.RequestContext,
                               volume: objects.Volume,
                               new_volume: objects.Volume,
                               original_volume_status: str) -> \
            dict[str, str | None]:
        """Give the LV that Cinder has copied a volume to the volume's name.

        It keeps its own name while a host has it attached, because the
        export is by name, and where there is an LV of the volume's name:
        that is the one it was copied from, in the same VG.

        :param volume: the volume as it was
        :param new_volume: the one it was copied to, on this back end
        :returns: what ``volume`` is to have in Cinder's database
        """
        name = cfg.CONF.volume_name_template % volume.id
        if (original_volume_status == 'available'
                and self._take_name(new_volume.name, name)):
            return {'_name_id': None, 'provider_location': None}
        return {'_name_id': new_volume.name_id,
                'provider_location': new_volume.provider_location}

    def _take_name(self, lv_name: str, name: str) -> bool:
        try:
            lv = self.vg.get_volume(lv_name)
            if self.vg.wait_until_closed(lv).is_open:
                LOG.info('LV %s is in use and keeps its name', lv_name)
                return False
            self.vg.rename_volume(lv_name, name)
        except errors.DriverError as exc:
            LOG.warning('LV %s keeps its name: %s', lv_name, exc)
            return False
        return True

    # Another type ---------------------------------------------------------

    def retype(self, context: cinder_context.RequestContext,
               volume: objects.Volume, new_type: objects.VolumeType,
               diff: dict[str, dict], host: dict[str, Any]) -> bool:
        """Make a volume one of another type, also while it is attached.

        Cinder asks the back end that is to have the volume only if it is
        the one that has it. What the LV must become then is what that back
        end makes of new volumes now: it may have been set to another number
        of mirrors since the volume was made.

        :param diff: pairs of old and new values; equal ones are among them
        :returns: whether it is of the new type; if not, Cinder migrates it
            or tells the user that it would have to
        :raises exception.VolumeBackendAPIException: LVM could convert the
            LV but for the state of things, such as too few PVs; Cinder logs
            that, and migrates
        """
        if _changes(diff, 'encryption'):
            return False
        if not _changes(diff, 'extra_specs') - _OUTSIDE_OF_THE_LV:
            return True
        place = location.of_host(host)
        if place and (place.hostname, place.vg_name) != (self.hostname,
                                                         self.vg.vg_name):
            return False
        with translate.cinder_errors():
            kind = (self._kind_at(place, self.vg, self._remover.remove)
                    if place else self._layout)
            return (kind is not None
                    and kind.convert(self.vg.get_volume(volume.name)))


def _converted(kind: layouts_base.Layout,
               source: lvm.LogicalVolume) -> bool:
    """Convert an LV; where LVM cannot do it now, Cinder is to copy it."""
    try:
        return kind.convert(source)
    except lvm.LVMError as exc:
        LOG.warning('LV %s is not converted: %s', source.name, exc)
        return False


def _changes(diff: dict[str, dict], section: str) -> set[str]:
    return {key for key, (old, new) in (diff.get(section) or {}).items()
            if old != new}
