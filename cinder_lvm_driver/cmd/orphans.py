# SPDX-License-Identifier: Apache-2.0
"""Where a node and Cinder's database disagree about a back end."""

import collections
from collections.abc import Callable, Collection, Iterator, Mapping
import dataclasses
import functools

from cinder import context as cinder_context
from cinder import objects

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver.cmd import backends as sections
from cinder_lvm_driver.cmd import database
from cinder_lvm_driver.cmd import survey
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import manageable
from cinder_lvm_driver.targets import base as targets

_AVAILABLE = 'available'
_IN_USE = 'in-use'
_OF_CINDER = (manageable.VOLUME, manageable.SNAPSHOT)

# By the names of VGs.
_LVs = Mapping[str, lvm.LogicalVolumes]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Orphan:
    """An object that one side does not know.

    :ivar text: what it is, why it is here, and what to do
    :ivar remove: removes it; None for what can have data of users
    """

    text: str
    remove: Callable[[], None] | None = None


def find(pools: backends.Pools,
         section: sections.Section) -> Iterator[Orphan]:
    """Yield the disagreements about one back end.

    The node is asked first: what was there before the database answers, and
    has no row in it, belongs to nothing.

    :raises errors.DriverError: LVM, the target or the database does not
        answer
    """
    lvs = {pool.vg.vg_name: pool.vg.get_volumes()
           for pool in pools.one_per_vg()}
    exports = survey.exports_of(pools[0].target, [
        lv for vg in lvs.values() for lv in vg.values()])
    stored = pools[0].target.stored_devices()
    known = database.Database(section)
    own_hosts = {each.host for each in sections.sections(None)}
    for pool in pools.one_per_vg():
        found = lvs[pool.vg.vg_name]
        yield from _unknown_lvs(found, known, own_hosts)
        yield from _temporary_lvs(pool, found, known)
    yield from _missing(pools, lvs, exports, known)
    yield from _unused_exports(pools, known)
    yield from _stored_exports(pools[0].target, stored, lvs, known)


def _unknown_lvs(lvs: lvm.LogicalVolumes, known: database.Database,
                 own_hosts: Collection[str]) -> Iterator[Orphan]:
    """Yield LVs with names of Cinder that belong to no back end here."""
    elsewhere: dict[str, list[str]] = collections.defaultdict(list)
    for lv in lvs.values():
        kind = survey.kind(lv)
        if kind not in _OF_CINDER or lv.name in known.lv_names:
            continue
        host = known.host_of(lv.name)
        if host is None:
            yield Orphan(text=(
                f'LV {lv.full_name} has the name of a {kind} that Cinder '
                f'does not know. If nobody needs its data, remove it with '
                f'lvremove; to use it, manage it with Cinder'))
        elif host.partition('#')[0] not in own_hosts:
            elsewhere[host].append(lv.full_name)
    for host, names in elsewhere.items():
        yield Orphan(text=(
            f'{len(names)} LVs, such as {names[0]}, belong to back end {host} '
            f'for Cinder, and no back end of this node has that name: set '
            f'host or backend_host as it was, or run cinder-manage volume '
            f'update_host'))


def _temporary_lvs(pool: backends.Backend, lvs: lvm.LogicalVolumes,
                   known: database.Database) -> Iterator[Orphan]:
    for lv in lvs.values():
        if naming.is_orphan(lv.name):
            yield Orphan(text=(
                f'LV {lv.full_name} has data of a thin pool that no LV had '
                f'shown. If nobody misses data, remove it with lvremove'))
        elif (_is_left_over(lv.name) and not lv.is_open
                # Otherwise, a command may be using it, or is about to.
                and known.host_of(lv.name) is None):
            yield Orphan(
                text=f'Temporary LV {lv.full_name} is of no use: '
                     f'cinder-volume removes it at its next start',
                remove=functools.partial(pool.remover.remove, lv))


def _is_left_over(lv_name: str) -> bool:
    """Return whether a name is a temporary one, and no operator's own."""
    if not naming.is_left_over(lv_name):
        return False
    name = naming.left_over_of(lv_name)
    return name == naming.find_id(name) or any(
        manageable.cinder_id(name, kind) for kind in _OF_CINDER)


def _missing(pools: backends.Pools, lvs: _LVs,
             exports: Collection[survey.Export] | None,
             known: database.Database) -> Iterator[Orphan]:
    """Yield volumes that the node lacks, or does not serve."""
    served = {export.lv_name for export in exports or ()}
    for volume in known.volumes:
        if volume.status not in (_AVAILABLE, _IN_USE):
            continue
        try:
            vg_name = pools.of(volume).vg.vg_name
        except errors.ConfigurationError as exc:
            yield Orphan(text=f'Volume {exc}')
            continue
        if volume.name not in lvs[vg_name]:
            yield Orphan(text=(
                f'Volume {volume.id} is {volume.status} for Cinder, but VG '
                f'{vg_name} has no LV {volume.name}: restore it, or have '
                f'Cinder forget the volume with "cinder unmanage"'))
        elif (exports is not None and volume.status == _IN_USE
                and volume.name not in served and targets.connectors(volume)):
            yield Orphan(text=(
                f'Volume {volume.id} is attached, but is not served: restart '
                f'cinder-volume, which restores its export'))


def _unused_exports(pools: backends.Pools,
                    known: database.Database) -> Iterator[Orphan]:
    """Yield exports of volumes that no host uses or may use."""
    by_id = {volume.id: volume for volume in known.volumes
             if _is_free(volume)}
    for volume_id in pools[0].target.find_unused(by_id.values()):
        volume = by_id[volume_id]
        yield Orphan(
            text=f'Volume {volume_id} is served, but no host may use it: the '
                 f'next start of cinder-volume removes its export',
            remove=functools.partial(_remove_export, pools, volume))


def _stored_exports(target: targets.Target, stored: Mapping[str, str],
                    lvs: _LVs, known: database.Database) -> Iterator[Orphan]:
    """Yield files of exports whose LV is gone from a VG of the back end."""
    for name, device in stored.items():
        vg_name, _, lv_name = device.removeprefix('/dev/').partition('/')
        if (lv_name not in lvs.get(vg_name, {lv_name})
                and manageable.cinder_id(lv_name, manageable.VOLUME)
                and known.host_of(lv_name) is None):
            yield Orphan(
                text=f'A file defines target {name}, but VG {vg_name} has no '
                     f'LV {lv_name}, and Cinder knows no such volume: remove '
                     f'the file with cinder-lvm leftovers --clean',
                remove=functools.partial(target.remove_stored, name))


def _is_free(volume: objects.Volume) -> bool:
    return volume.status == _AVAILABLE and not targets.attachments(volume)


def _remove_export(pools: backends.Pools, volume: objects.Volume) -> None:
    """Remove the export of a volume, unless it is being attached now."""
    volume.refresh()
    if _is_free(volume):
        pool = pools.of(volume)
        pool.target.remove_export(
            cinder_context.get_admin_context(), volume,
            naming.device_path(pool.vg.vg_name, volume.name))
