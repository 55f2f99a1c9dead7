# SPDX-License-Identifier: Apache-2.0
"""Migration and retype: volumes move to another VG, or change layout."""

from collections.abc import Iterator
import contextlib
import logging
import os
from typing import Any

from cinder import objects
from cinder.volume import volume_utils
from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_utils import units

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import errors
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import openers
from cinder_lvm_driver.operations import location
from cinder_lvm_driver.operations import manageable
from cinder_lvm_driver import wiping

LOG = logging.getLogger(__name__)

# A value of each key: its old and its new one.
Diff = dict[str, dict[str, tuple[Any, Any]]]

# 'maintenance': available, and the user asked to lock it for the migration.
_UNATTACHED = ('available', 'retyping', 'maintenance')
# Extra specs that do not affect how the volume is stored.
_NOT_ABOUT_THE_LV = frozenset((
    'RESKEY:availability_zones', 'multiattach'))


def migrate(pools: backends.Pools, volume: objects.Volume,
            destination: dict[str, Any]) -> bool:
    """Move a volume to another pool or back end of this node.

    In the same VG, the LV is converted if LVM can do that.

    :returns: whether the volume was moved; if not, nothing was changed
    """
    backend = pools.of(volume)
    place = location.of_destination(destination)
    if (place is None or place.hostname != backend.hostname
            or volume.status not in _UNATTACHED):
        return False
    lv = _movable(backend.vg, volume.name)
    if lv is None:
        return False
    layout = _layout_at(backend, place, _peer(pools, volume, destination))
    if place.vg_name == backend.vg.vg_name:
        return layout is not None and _converted(layout, lv)
    if layout is None:
        return False
    with _locked(lv.name, wait=True):
        _move(backend, lv, layout, volume.size * units.Gi)
    return True


def _movable(vg: lvm.LVM, lv_name: str) -> lvm.LogicalVolume | None:
    """Return an LV if it is closed and has no snapshots in its VG."""
    lvs = vg.get_volumes()
    lv = lvs.usable(lv_name)
    snapshots = [other.name for other in lvs.values()
                 if other.origin == lv_name and manageable.is_snapshot(other)]
    lv = vg.wait_until_closed(lv)
    if lv.is_open or snapshots:
        LOG.warning('LV %s is not moved: %s', lv_name,
                    f'it is {openers.describe(lv.path)}' if lv.is_open else
                    'it has snapshots ' + ', '.join(snapshots))
        return None
    return lv


def _peer(pools: backends.Pools, volume: objects.Volume,
          destination: dict[str, Any]) -> backends.Backend | None:
    """Return the pool of this back end that is a destination, if one is."""
    if len(pools) == 1:
        return None
    host = destination['host']
    if not volume_utils.hosts_are_equivalent(host, volume.host):
        return None
    return pools.named(volume_utils.extract_host(host, 'pool'))


def _layout_at(backend: backends.Backend, place: location.Location,
               peer: backends.Backend | None) -> layouts_base.Layout | None:
    """Return the layout of new LVs at a place; None if none can be made.

    :param peer: the pool at this place, if this back end has it
    """
    if peer is not None:
        return peer.layout
    vg, remove = backend.vg, backend.remover.remove
    if place.vg_name != vg.vg_name:
        vg = backend.open_vg(place.vg_name)
        remove = wiping.Remover(vg, backend.writer).remove
    try:
        vg.get_vg()
        return layouts.load(place.lvm_type, vg, backend.writer, remove,
                            place.mirrors)
    except (errors.ConfigurationError, lvm.VolumeGroupNotFound) as exc:
        LOG.error('No volume can be moved to %s: %s', place.format(), exc)
        return None


def _converted(layout: layouts_base.Layout, lv: lvm.LogicalVolume) -> bool:
    """Convert an LV; if LVM cannot do it now, Cinder copies the volume."""
    try:
        return layout.convert(lv)
    except lvm.LVMError as exc:
        LOG.warning('LV %s is not converted: %s', lv.name, exc)
        return False


def _move(backend: backends.Backend, lv: lvm.LogicalVolume,
          layout: layouts_base.Layout, size_bytes: int) -> None:
    if not lv.active:
        backend.vg.activate_lv(lv.name)
    for tag in _moved_tags(lv):
        backend.vg.delete_tag(lv.name, tag)
    layout.prepare()
    layout.take_in(lv, size_bytes)
    try:
        errors.insist(backend.remover.remove, lv)
    except errors.DriverError as exc:
        # With the tag, the next start would remove the copy.
        layout.confirm(lv)
        LOG.error('LV %s was copied to another VG, but cannot be removed from '
                  'VG %s; remove it there with lvremove: %s', lv.name,
                  lv.vg_name, exc)
    else:
        errors.attempt(f'LV {lv.name} keeps the tag of a migration until the '
                       f'next start', layout.confirm, lv)


def _moved_tags(lv: lvm.LogicalVolume) -> list[str]:
    """Return the tags of an LV whose migration was not confirmed."""
    return [tag for tag in lv.tags if tag.startswith(naming.MOVED_TAG)]


def recover(backend: backends.Backend, lvs: lvm.LogicalVolumes) -> None:
    """Take back migrations to a VG, or confirm them.

    As long as the source is there, Cinder has the volume there, too. A
    migration that another process has under way is left alone.
    """
    for lv in lvs.values():
        for tag in _moved_tags(lv):
            with _locked(lv.name, wait=False) as is_ours:
                if is_ours:
                    errors.attempt(
                        f'LV {lv.full_name} is a copy, whose migration was '
                        f'interrupted, or was not confirmed', _settle,
                        backend, lv, tag)


@contextlib.contextmanager
def _locked(lv_name: str, *, wait: bool) -> Iterator[bool]:
    """Lock the migration of a volume, until the process ends at the latest.

    The service of each back end is a process of its own.

    :returns: whether no other process has locked it
    """
    lock = lockutils.external_lock(f'cinder-lvm-driver-moving-{lv_name}')
    is_ours = lock.acquire(blocking=wait)
    try:
        yield is_ours
    finally:
        if is_ours:
            os.unlink(lock.path)
            lock.release()


def _settle(backend: backends.Backend, lv: lvm.LogicalVolume,
            tag: str) -> None:
    vg_name = tag.removeprefix(naming.MOVED_TAG)
    source = backend.open_vg(vg_name).find_volume(lv.name)
    if source is None:
        LOG.warning('LV %s has come from VG %s. If Cinder has the volume '
                    'there, the service ended just before its answer',
                    lv.full_name, vg_name)
        backend.vg.delete_tag(lv.name, tag)
    elif _moved_tags(source):
        LOG.error('Of LVs %s and %s, each is a copy of the other: compare '
                  'them and remove the older one', lv.full_name,
                  source.full_name)
    else:
        LOG.warning('Removing LV %s of an interrupted migration, because LV '
                    '%s is still there', lv.full_name, source.full_name)
        backend.remover.remove(lv)


def rename_copy(backend: backends.Backend, volume: objects.Volume,
                new_volume: objects.Volume,
                original_status: str) -> dict[str, str | None]:
    """Rename the LV that Cinder copied a volume to, as the volume's own.

    The LV keeps its name while it is attached, because exports are by name,
    and if an LV has the volume's name: the one it was copied from, in the
    same VG.
    """
    name = cfg.CONF.volume_name_template % volume.id
    if (original_status == 'available'
            and _renamed(backend.vg, new_volume.name, name)):
        return {'_name_id': None, 'provider_location': None}
    return {'_name_id': new_volume.name_id,
            'provider_location': new_volume.provider_location}


def _renamed(vg: lvm.LVM, lv_name: str, new_name: str) -> bool:
    try:
        lv = vg.get_volume(lv_name)
        if vg.wait_until_closed(lv).is_open:
            LOG.info('LV %s is in use and keeps its name', lv_name)
            return False
        vg.rename_volume(lv_name, new_name)
    except errors.DriverError as exc:
        LOG.warning('LV %s keeps its name: %s', lv_name, exc)
        return False
    return True


def retype(pools: backends.Pools, volume: objects.Volume, diff: Diff,
           destination: dict[str, Any]) -> bool:
    """Convert a volume to another type in place, also while attached.

    Cinder asks the back end that has the volume, also if the destination is
    another one. The LV becomes what the destination makes of new volumes
    now, which may have changed since the volume was created.
    """
    if _changed(diff, 'encryption'):
        return False
    backend = pools.of(volume)
    peer = _peer(pools, volume, destination)
    if (peer in (None, backend)
            and not _changed(diff, 'extra_specs') - _NOT_ABOUT_THE_LV):
        return True
    place = location.of_destination(destination)
    layout: layouts_base.Layout | None = backend.layout
    if place is not None:
        if (place.hostname, place.vg_name) != (backend.hostname,
                                               backend.vg.vg_name):
            return False
        layout = _layout_at(backend, place, peer)
    return (layout is not None
            and layout.convert(backend.vg.get_volume(volume.name)))


def _changed(diff: Diff, section: str) -> set[str]:
    """Return the keys of a section with a new value."""
    return {key for key, (old, new) in (diff.get(section) or {}).items()
            if old != new}
