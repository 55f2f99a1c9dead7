# SPDX-License-Identifier: Apache-2.0
"""Sets of thin snapshots: all of one moment, all or none.

Until its set is complete, each snapshot has a tag by which the next start
recognizes what a crash has left.
"""

from collections.abc import Collection, Iterable, Mapping
import logging

from cinder_lvm_driver import errors as driver_errors
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver.lvm import vg as lvm_vg
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import snapshot_set
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

_COMPLAINT = ('Snapshots of an incomplete set cannot be removed; the next '
              'start tries again')


def create(vg: lvm_vg.LVM, origins: Mapping[str, types.LogicalVolume],
           limit_ms: int) -> int:
    """Create thin snapshots of one moment, or none.

    LVM creates each snapshot at its own time. Then the kernel takes all of
    them again, while writes to the origins are held back.

    :param origins: thin LVs, by the names of their snapshots
    :param limit_ms: milliseconds for which writes may be held back
    :returns: milliseconds for which they were held back
    :raises errors.InsufficientSpace: the limits of the pool forbid it
    :raises errors.LogicalVolumeInUse: an origin is being changed
    :raises errors.LogicalVolumeOfWrongKind: an origin is not thin
    """
    for origin in origins.values():
        _check_origin(origin)
    tag = naming.snapshot_set_tag()
    created: set[str] = set()
    with rollback.Undo(_COMPLAINT) as undo:
        undo.later(_take_back, vg, tag, created)
        for pool, members in _by_pool(origins).items():
            with vg.space.claimed(pool, sum(
                    origin.size_bytes for origin in members.values())):
                for name, origin in members.items():
                    vg.create_thin_snapshot(name, origin, activate=False,
                                            tags=[tag])
                    created.add(name)
        held_ms = kernel_thin.retake(vg.lock_file(), _members(vg, origins),
                                     limit_ms)
        vg.delete_tag_of(origins, tag)
        undo.keep()
    return held_ms


def _check_origin(origin: types.LogicalVolume) -> None:
    if not origin.is_thin:
        raise errors.LogicalVolumeOfWrongKind(
            f'LV {origin.full_name} is of type {origin.segtype}, and only '
            f'snapshots of thin LVs can be taken at one moment: retype the '
            f'volume to a thin back end, or use a group type without '
            f'consistent_group_snapshot_enabled')
    if origin.is_merging or origin.is_cow_origin:
        raise errors.LogicalVolumeInUse(
            f'LV {origin.full_name} is being merged or has COW snapshots: '
            f'wait until the merge ends, or delete the snapshots')


def _by_pool(origins: Mapping[str, types.LogicalVolume]) -> \
        dict[str, dict[str, types.LogicalVolume]]:
    """Return the origins of each pool, by the names of their snapshots."""
    found: dict[str, dict[str, types.LogicalVolume]] = {}
    for name, origin in origins.items():
        found.setdefault(origin.pool or '', {})[name] = origin
    return found


def _members(vg: lvm_vg.LVM, origins: Mapping[str, types.LogicalVolume]) -> \
        list[snapshot_set.Member]:
    ids = vg.thin_ids()
    for lv_name in [*origins, *(origin.name for origin in origins.values())]:
        if lv_name not in ids:
            raise errors.LogicalVolumeNotFound(
                f'LV {lv_name} of VG {vg.vg_name} was removed meanwhile')
    return [snapshot_set.Member(
        pool=naming.device_mapper_name(vg.vg_name, origin.pool or '')
        + snapshot_set.POOL_SUFFIX,
        origin=naming.device_mapper_name(vg.vg_name, origin.name),
        origin_id=ids[origin.name], snapshot_id=ids[name])
        for name, origin in origins.items()]


def _take_back(vg: lvm_vg.LVM, tag: str, created: Collection[str]) -> None:
    """Remove the snapshots of a set that failed.

    One of them can lack the tag, and one can exist though LVM did not say
    so.
    """
    _remove(vg, [lv for lv in vg.get_volumes().values()
                 if lv.name in created or tag in lv.tags])


def _remove(vg: lvm_vg.LVM, lvs: Iterable[types.LogicalVolume]) -> None:
    for lv in lvs:
        driver_errors.attempt(_COMPLAINT, vg.delete, lv.name)


def recover(vg: lvm_vg.LVM, lvs: types.LogicalVolumes) -> bool:
    """Remove what a crash has left of sets.

    Their origins must not be suspended: the start resumes all LVs first.

    :param lvs: all LVs of the VG
    :returns: whether there was something
    """
    left = [lv for lv in lvs.values()
            if any(tag.startswith(naming.SNAPSHOT_SET_TAG)
                   for tag in lv.tags)]
    for lv in left:
        LOG.warning('Removing snapshot %s of an incomplete set',
                    lv.full_name)
    _remove(vg, left)
    return bool(left)
