# SPDX-License-Identifier: Apache-2.0
"""The driver's verbs for LVs that Cinder did not make."""

from typing import Any

from cinder import context as cinder_context
from cinder import exception
from cinder import objects
from cinder.volume import volume_utils

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver import lvm
from cinder_lvm_driver import manage
from cinder_lvm_driver import naming
from cinder_lvm_driver import translate


class ManageVerbs:
    """Takes LVs under Cinder's management, and lists those it could take."""

    vg: lvm.LVM
    _layout: layouts_base.Layout

    def manage_existing_object_get_size(self, existing_object: Any,
                                        existing_ref: dict,
                                        object_type: str) -> int:
        """Return the size in GiB, rounded up, of an LV to be managed.

        :param existing_ref: ``{'source-name': <LV name>}``
        :param object_type: ``volume`` or ``snapshot``
        :raises exception.ManageExistingAlreadyManaged: Cinder has it, and it
            is in use
        :raises exception.ManageExistingInvalidReference: there is no such
            LV, or it cannot be managed as that
        """
        return manage.size_gib(
            self._referenced(existing_object, existing_ref, object_type))

    def manage_existing_get_size(self, volume: objects.Volume,
                                 existing_ref: dict) -> int:
        """Return the size in GiB of an LV to be managed as a volume."""
        return self.manage_existing_object_get_size(volume, existing_ref,
                                                    manage.VOLUME)

    def manage_existing_snapshot_get_size(self, snapshot: objects.Snapshot,
                                          existing_ref: dict) -> int:
        """Return the size in GiB of an LV to be managed as a snapshot."""
        return self.manage_existing_object_get_size(snapshot, existing_ref,
                                                    manage.SNAPSHOT)

    def manage_existing(self, volume: objects.Volume,
                        existing_ref: dict) -> None:
        """Give an LV the name of a volume.

        :raises exception.ManageExistingAlreadyManaged: Cinder has it
        :raises exception.ManageExistingInvalidReference: it cannot be
            managed as a volume
        """
        # First: that Cinder has it says more than what else is wrong with it.
        _check_unmanaged(manage.referenced_name(existing_ref))
        lv = self._referenced(volume, existing_ref, manage.VOLUME)
        for tag in filter(naming.is_tag_of_ours, lv.tags):
            with translate.cinder_errors():
                self.vg.delete_tag(lv.name, tag)
        self._rename(lv.name, volume.name)

    def manage_existing_snapshot(self, snapshot: objects.Snapshot,
                                 existing_ref: dict) -> None:
        """Give an LV the name of a snapshot.

        :raises exception.ManageExistingAlreadyManaged: Cinder has it
        :raises exception.ManageExistingInvalidReference: it cannot be
            managed as a snapshot of this volume
        """
        _check_unmanaged(manage.referenced_name(existing_ref))
        lv = self._referenced(snapshot, existing_ref, manage.SNAPSHOT)
        self._rename(lv.name, naming.snapshot_lv_name(snapshot.name))

    def unmanage(self, volume: objects.Volume) -> None:
        """Leave a volume's LV to others: its name stays, our tags do not.

        Cinder forgets the volume also where LVM cannot be asked.
        """
        errors.attempt(
            f'LV {volume.name} may have tags that begin with "cinder."; take '
            f'them off with lvchange --deltag', self._take_tags_off,
            volume.name)

    def _take_tags_off(self, lv_name: str) -> None:
        lv = self.vg.find_volume(lv_name)
        if lv is not None:
            self._layout.recover([lv])
            for tag in lv.tags:
                if tag.startswith(naming.REVERT_TAG):
                    self.vg.delete_tag(lv_name, tag)

    def _referenced(self, existing_object: Any, existing_ref: Any,
                    kind: str) -> lvm.LogicalVolume:
        lv_name = manage.referenced_name(existing_ref)
        origin = (existing_object.volume_name if kind == manage.SNAPSHOT
                  else None)
        with translate.cinder_errors():
            lv = self.vg.find_volume(lv_name)
            # Who has a suspended LV open is stuck in it, and a pool is open
            # as long as LVs of it are active.
            if lv and not (lv.is_suspended or lv.is_private):
                if lv.is_open:
                    # Cinder asks for the size before all else.
                    _check_unmanaged(lv_name)
                lv = self.vg.wait_until_closed(lv)
        return manage.check(lv, lv_name, kind, self.vg.vg_name, origin)

    def _rename(self, lv_name: str, new_name: str) -> None:
        if lv_name != new_name:
            with translate.cinder_errors():
                self.vg.rename_volume(lv_name, new_name)

    def get_manageable_volumes(self, cinder_volumes: list, marker: Any,
                               limit: int, offset: int, sort_keys: list[str],
                               sort_dirs: list[str]) -> list[dict[str, Any]]:
        """List the LVs that are, or could be, volumes of Cinder."""
        return self._manageable(manage.VOLUME, cinder_volumes, marker, limit,
                                offset, sort_keys, sort_dirs)

    def get_manageable_snapshots(self, cinder_snapshots: list, marker: Any,
                                 limit: int, offset: int,
                                 sort_keys: list[str],
                                 sort_dirs: list[str]) -> \
            list[dict[str, Any]]:
        """List the LVs that are, or could be, snapshots of Cinder."""
        return self._manageable(manage.SNAPSHOT, cinder_snapshots, marker,
                                limit, offset, sort_keys, sort_dirs)

    def _manageable(self, kind: str, known: list,
                    *page: Any) -> list[dict[str, Any]]:
        with translate.cinder_errors():
            volumes = self.vg.get_volumes()
        found = manage.entries(volumes.values(), kind,
                               {manage.lv_name(item, kind): item['id']
                                for item in known})
        return volume_utils.paginate_entries_list(found, *page)


def _check_unmanaged(lv_name: str) -> None:
    """Look that an LV is neither a volume nor a snapshot of Cinder's.

    A clone could pass for a snapshot of its source. The LV of a volume that
    was migrated while it was in use bears the id of one that Cinder has
    forgotten.

    :raises exception.ManageExistingAlreadyManaged: it is
    """
    context = cinder_context.get_admin_context()
    volume_id = manage.cinder_id(lv_name, manage.VOLUME)
    if ((volume_id and (
            volume_utils.check_already_managed_volume(volume_id)
            or objects.VolumeList.get_all(
                context, filters={'_name_id': volume_id})))
            or is_snapshot_of_cinder(context, lv_name)):
        raise exception.ManageExistingAlreadyManaged(volume_ref=lv_name)


def is_snapshot_of_cinder(context: cinder_context.RequestContext,
                          lv_name: str) -> bool:
    """Tell whether an LV name is that of a snapshot that Cinder has."""
    known_id = manage.cinder_id(lv_name, manage.SNAPSHOT)
    return bool(known_id and objects.Snapshot.exists(context, known_id))
