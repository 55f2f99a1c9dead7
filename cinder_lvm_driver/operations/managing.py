# SPDX-License-Identifier: Apache-2.0
"""Managing: LVs that Cinder did not create become its own, and back."""

from collections.abc import Iterable, Mapping
from typing import Any

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from cinder.volume import volume_utils

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import manageable


def get_size(backend: backends.Backend, thing: Any, existing_ref: Any,
             kind: str) -> int:
    """Return the size of a referenced LV in GiB, rounded up.

    :param thing: the volume or snapshot that the LV is to become
    """
    return manageable.size_gib(
        _referenced(backend, thing, existing_ref, kind))


def manage_volume(backend: backends.Backend, volume: objects.Volume,
                  existing_ref: Any) -> None:
    """Give an LV the name of a volume, and take the driver's tags off."""
    # First, as it says more than what else may be wrong with the LV.
    _check_unmanaged(manageable.referenced_name(existing_ref))
    lv = _referenced(backend, volume, existing_ref, manageable.VOLUME)
    for tag in filter(naming.is_tag_of_ours, lv.tags):
        backend.vg.delete_tag(lv.name, tag)
    _rename(backend.vg, lv.name, volume.name)


def manage_snapshot(backend: backends.Backend, snapshot: objects.Snapshot,
                    existing_ref: Any) -> None:
    """Give an LV the name of a snapshot."""
    _check_unmanaged(manageable.referenced_name(existing_ref))
    lv = _referenced(backend, snapshot, existing_ref, manageable.SNAPSHOT)
    _rename(backend.vg, lv.name, naming.snapshot_lv_name(snapshot.name))


def unmanage(backend: backends.Backend, volume: objects.Volume) -> None:
    """Take the driver's tags off a volume's LV, which keeps its name.

    Cinder forgets the volume even if LVM does not answer.
    """
    errors.attempt(
        f'LV {volume.name} may have tags that begin with "cinder."; remove '
        f'them with lvchange --deltag', _remove_tags, backend, volume.name)


def _remove_tags(backend: backends.Backend, lv_name: str) -> None:
    lv = backend.vg.find_volume(lv_name)
    if lv is None:
        return
    backend.layout.recover([lv])
    for tag in lv.tags:
        if tag.startswith(naming.REVERT_TAG):
            backend.vg.delete_tag(lv_name, tag)


def _referenced(backend: backends.Backend, thing: Any, existing_ref: Any,
                kind: str) -> lvm.LogicalVolume:
    lv_name = manageable.referenced_name(existing_ref)
    origin = thing.volume_name if kind == manageable.SNAPSHOT else None
    lv = backend.vg.find_volume(lv_name)
    # A process that has a suspended LV open hangs, and a pool is open while
    # one of its LVs is active: neither would close.
    if lv and not (lv.is_suspended or lv.is_private):
        if lv.is_open:
            # Cinder asks for the size first of all.
            _check_unmanaged(lv_name)
        lv = backend.vg.wait_until_closed(lv)
    return manageable.check(lv, lv_name, kind, backend.vg.vg_name, origin)


def _rename(vg: lvm.LVM, lv_name: str, new_name: str) -> None:
    if lv_name != new_name:
        vg.rename_volume(lv_name, new_name)


def list_manageable(pools: backends.Pools, kind: str,
                    managed: Iterable[Mapping[str, str]],
                    *page: Any) -> list[dict[str, Any]]:
    """List the LVs that are, or could become, volumes or snapshots.

    :param managed: Cinder's own volumes or snapshots on this back end
    :param page: marker, limit, offset, sort keys and sort directions
    """
    ids = {manageable.lv_name(item, kind): item['id'] for item in managed}
    found = [entry for pool in pools.one_per_vg()
             for entry in manageable.entries(
                 pool.vg.get_volumes().values(), kind, ids)]
    entries: list[dict[str, Any]] = volume_utils.paginate_entries_list(
        found, *page)
    return entries


def _check_unmanaged(lv_name: str) -> None:
    """Check that an LV is no volume and no snapshot of Cinder.

    A clone could pass for a snapshot of its source. The LV of a volume that
    was migrated while in use has the ID of a volume that Cinder has deleted
    from its database.

    :raises exception.ManageExistingAlreadyManaged: it is one
    """
    context = cinder_context.get_admin_context()
    volume_id = manageable.cinder_id(lv_name, manageable.VOLUME)
    if ((volume_id and (
            volume_utils.check_already_managed_volume(volume_id)
            or objects.VolumeList.get_all(
                context, filters={'_name_id': volume_id})))
            or is_snapshot_of_cinder(context, lv_name)):
        raise exception.ManageExistingAlreadyManaged(volume_ref=lv_name)


def is_snapshot_of_cinder(context: cinder_context.RequestContext,
                          lv_name: str) -> bool:
    """Tell whether Cinder has a snapshot with an LV of this name."""
    known_id = manageable.cinder_id(lv_name, manageable.SNAPSHOT)
    return bool(known_id and objects.Snapshot.exists(context, known_id))
