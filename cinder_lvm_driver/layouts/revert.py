# SPDX-License-Identifier: Apache-2.0
"""Bringing a volume back to one of its snapshots, which stays as it is.

Thin: a new LV with the snapshot's blocks takes the volume's name; nothing is
copied. Thick: LVM merges the snapshot into the volume, and since it is used
up by that, a new one is made of the result.

What is under way is written on the LVs, as names and as a tag, so that
``recover`` can complete it or take it back after a crash at any point.
"""

from collections.abc import Callable, Mapping
import contextlib
import functools
import logging
import threading

from oslo_utils import excutils

from cinder_lvm_driver import background
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

_MERGE_POLL_SECONDS = 5
# After LVM could not be asked.
_RETRY_SECONDS = 60
# VG and volume of merges whose tag is there.
_under_way: set[tuple[str, str]] = set()


def revert(vg: lvm.LVM, volumes: Mapping[str, lvm.LogicalVolume],
           volume_name: str, snapshot_name: str) -> None:
    """Give a volume the data of one of its snapshots.

    The volume keeps its size where it was extended since; all its snapshots
    are kept. When a step fails, the volume is as it was.

    :param volumes: all LVs of the VG by name, the two among them
    :raises lvm.InsufficientSpace: a thick volume was extended, and there is
        no room for a snapshot of the size that it has now
    :raises lvm.LogicalVolumeInUse: the volume is open, or a thick snapshot
    :raises lvm.LogicalVolumeOfWrongKind: one of the two is a pool
    :raises NotImplementedError: the two are of different kinds, so that the
        data has to be copied
    """
    snapshot = volumes[snapshot_name]
    for lv in volumes[volume_name], snapshot:
        lvm.check_kind(lv)
    volume = vg.require_closed(volumes[volume_name])
    lvm.check_answering(volume)
    lvm.check_answering(snapshot)
    if volume.is_thin and snapshot.is_thin and volume.pool == snapshot.pool:
        if volume.is_cow_origin:
            # The in-tree driver makes them; they would go with what the
            # volume was.
            raise lvm.LogicalVolumeInUse(
                f'LV {volume.name} is thin and has COW snapshots; delete them '
                f'first')
        _clear(vg, volumes, volume)
        _swap(vg, volume, snapshot)
    elif snapshot.is_cow_snapshot and snapshot.origin == volume.name:
        _merge(vg, volume, snapshot)
    else:
        raise NotImplementedError(
            f'LV {snapshot.name} ({snapshot.segtype}) cannot be made LV '
            f'{volume.name} ({volume.segtype}) without a copy')


def recover(vg: lvm.LVM, volumes: Mapping[str, lvm.LogicalVolume],
            is_wanted: Callable[[str], bool]) -> None:
    """Complete the reverts that a crash interrupted, or take them back.

    :param volumes: all LVs of the VG by name
    :param is_wanted: tells by its name whether a snapshot that a revert has
        used up is to be made again, or was deleted meanwhile
    """
    names = set(volumes)
    for name in sorted(volumes):
        _attempt(name, _recover_swap, vg, name, names)
    for volume in volumes.values():
        for tag in volume.tags:
            if tag.startswith(naming.REVERT_TAG):
                _attempt(volume.name, _recover_merge, vg, volume, tag,
                         is_wanted)


def brings_back(volume: lvm.LogicalVolume, snapshot_name: str) -> bool:
    """Tell whether a revert of a volume will make a snapshot again."""
    return naming.REVERT_TAG + snapshot_name in volume.tags


def check_settled(vg: lvm.LVM, volume_name: str) -> None:
    """Look that no revert of a volume has begun and not ended.

    What was written to it by then would become part of the snapshot.

    :raises lvm.LogicalVolumeInUse: one is
    """
    if (vg.vg_name, volume_name) in _under_way:
        raise lvm.LogicalVolumeInUse(
            f'LV {volume_name} is still being reverted; attach it when its '
            f'snapshot is there again or, if the log tells of a failure, '
            f'after a restart of cinder-volume')


# Thin ---------------------------------------------------------------------

def _clear(vg: lvm.LVM, volumes: Mapping[str, lvm.LogicalVolume],
           volume: lvm.LogicalVolume) -> None:
    """Remove what an earlier revert of a volume could not remove."""
    names = set(volumes)
    for name in (naming.revert_to(volume.name),
                 naming.revert_from(volume.name)):
        _recover_swap(vg, name, names)


def _swap(vg: lvm.LVM, volume: lvm.LogicalVolume,
          snapshot: lvm.LogicalVolume) -> None:
    new, old = naming.revert_to(volume.name), naming.revert_from(volume.name)
    with contextlib.ExitStack() as undo:
        vg.create_thin_snapshot(new, snapshot.name, activate=True)
        undo.callback(_attempt, volume.name, vg.delete, new)
        if volume.size_bytes > snapshot.size_bytes:
            vg.extend_volume(new, volume.size_bytes)
        vg.rename_volume(volume.name, old)
        undo.callback(_attempt, volume.name, vg.rename_volume, old,
                      volume.name)
        vg.rename_volume(new, volume.name)
        undo.pop_all()
    _attempt(volume.name, _remove, vg, old, volume.name)


def _remove(vg: lvm.LVM, old: str, volume_name: str) -> None:
    """Remove what a volume was, now or at the next start.

    Its name would make it the volume again when that is deleted by then.
    """
    try:
        vg.delete(old)
    except errors.DriverError:
        with excutils.save_and_reraise_exception():
            vg.rename_volume(old, naming.doomed(volume_name))


def _recover_swap(vg: lvm.LVM, name: str, names: set[str]) -> None:
    volume_name = naming.reverted(name)
    if volume_name is None or name not in names:
        return
    if volume_name in names:
        LOG.warning('Removing LV %s, which an interrupted revert left', name)
        vg.delete(name)
        return
    new = naming.revert_to(volume_name)
    chosen = new if new in names else name
    LOG.warning('Completing an interrupted revert: LV %s becomes %s', chosen,
                volume_name)
    vg.rename_volume(chosen, volume_name)
    names.discard(chosen)
    names.add(volume_name)
    if chosen != name:
        vg.delete(name)
        names.discard(name)


# Thick --------------------------------------------------------------------

def _merge(vg: lvm.LVM, volume: lvm.LogicalVolume,
           snapshot: lvm.LogicalVolume) -> None:
    # LVM would put the merge off until the volume is activated again, and
    # then throw away what was written to it meanwhile.
    vg.require_closed(snapshot)
    # The new snapshot is of the size that the volume has now.
    freed_bytes = vg.get_vg().free_bytes + snapshot.size_bytes
    needed_bytes = lvm.full_cow_store_bytes(volume.size_bytes)
    if freed_bytes < needed_bytes:
        raise lvm.InsufficientSpace(
            f'to keep snapshot {snapshot.name} of LV {volume.name} over the '
            f'revert, {needed_bytes - freed_bytes} bytes more must be free '
            f'in VG {vg.vg_name}')
    if not volume.active:
        vg.activate_lv(volume.name)
    tag = naming.REVERT_TAG + snapshot.name
    vg.add_tag(volume.name, tag)
    _under_way.add((vg.vg_name, volume.name))
    with contextlib.ExitStack() as undo:
        # A command that fails may have begun to merge.
        undo.callback(_attempt, volume.name, _recover_merge, vg, volume, tag,
                      lambda name: True)
        vg.merge_snapshot(snapshot.name)
        merged = vg.get_volume(volume.name)
        if merged.is_merging:
            _merge_late(vg, merged)
        undo.pop_all()
    _snapshot_again(vg, volume, tag)


def _merge_late(vg: lvm.LVM, volume: lvm.LogicalVolume) -> None:
    """Do the merge that LVM put off, as one of the two was opened."""
    vg.require_closed(volume)
    vg.deactivate_lv(volume.name)
    vg.resume_merge(volume.name)
    _wait_until_merged(vg, volume)


def _snapshot_again(vg: lvm.LVM, volume: lvm.LogicalVolume,
                    tag: str) -> None:
    """Make the snapshot of what the volume has just become.

    If that fails it is not tried again: the volume will have other data.
    """
    snapshot_name = tag.removeprefix(naming.REVERT_TAG)
    try:
        vg.create_cow_snapshot(snapshot_name, volume.name, volume.size_bytes)
    except lvm.LogicalVolumeExists:
        LOG.info('Snapshot %s was made again by another back end',
                 snapshot_name)
    except errors.DriverError:
        with excutils.save_and_reraise_exception():
            LOG.error('LV %s was reverted to %s, which was used up by that '
                      'and cannot be made again', volume.name, snapshot_name)
            _attempt(volume.name, _settle, vg, volume, tag)
    _settle(vg, volume, tag)


def _recover_merge(vg: lvm.LVM, volume: lvm.LogicalVolume, tag: str,
                   is_wanted: Callable[[str], bool]) -> None:
    snapshot_name = tag.removeprefix(naming.REVERT_TAG)
    _under_way.add((vg.vg_name, volume.name))
    if vg.find_volume(snapshot_name) is not None:
        LOG.warning('LV %s was not reverted to %s: the service ended before',
                    volume.name, snapshot_name)
        _under_way.discard((vg.vg_name, volume.name))
        vg.delete_tag(volume.name, tag)
        return
    LOG.warning('Completing the interrupted revert of LV %s to %s',
                volume.name, snapshot_name)
    finish = _snapshot_again if is_wanted(snapshot_name) else _forget
    vg.resume_merge(volume.name)
    background.start('lvm-revert', functools.partial(
        _attempt, volume.name, _complete_merge, vg, volume, tag, finish))


def _forget(vg: lvm.LVM, volume: lvm.LogicalVolume, tag: str) -> None:
    LOG.info('LV %s was reverted to %s, which was deleted meanwhile',
             volume.name, tag.removeprefix(naming.REVERT_TAG))
    _settle(vg, volume, tag)


def _complete_merge(
        vg: lvm.LVM, volume: lvm.LogicalVolume, tag: str,
        finish: Callable[[lvm.LVM, lvm.LogicalVolume, str], None]) -> None:
    while True:
        try:
            _wait_until_merged(vg, volume)
            break
        except lvm.LogicalVolumeNotFound:
            _under_way.discard((vg.vg_name, volume.name))
            raise
        except errors.DriverError as exc:
            LOG.warning('Whether LV %s is reverted is asked again in %d s: '
                        '%s', volume.name, _RETRY_SECONDS, exc)
            threading.Event().wait(_RETRY_SECONDS)
    finish(vg, volume, tag)


def _settle(vg: lvm.LVM, volume: lvm.LogicalVolume, tag: str) -> None:
    """End a revert: what is written to the volume now is its own."""
    vg.delete_tag(volume.name, tag)
    _under_way.discard((vg.vg_name, volume.name))


def _wait_until_merged(vg: lvm.LVM, volume: lvm.LogicalVolume) -> None:
    while vg.get_volume(volume.name).is_merging:
        threading.Event().wait(_MERGE_POLL_SECONDS)


# Both ---------------------------------------------------------------------

def _attempt(name: str, step: Callable[..., None],
             *arguments: object) -> None:
    """Take a step of the revert of an LV, and log its failure."""
    errors.attempt(
        f'A revert that concerns LV {name} left something behind, which is '
        f'looked after at the next start', step, *arguments)
