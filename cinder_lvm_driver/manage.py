# SPDX-License-Identifier: Apache-2.0
"""Which LVs can be brought under Cinder's management, and which cannot.

What counts as a snapshot: a COW snapshot; a thin LV with an origin that is
left alone at boot, as LVM makes thin snapshots and as Cinder's clones are
not; an LV that bears a snapshot's name, and not a volume's.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from cinder import exception
from cinder.i18n import _
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_utils import units
from oslo_utils import uuidutils

from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

VOLUME = 'volume'
SNAPSHOT = 'snapshot'
_REFERENCE_KEY = 'source-name'
# So much of a reference is repeated in a message; names are 127 at most.
_SHOWN = 200


def size_gib(volume: lvm.LogicalVolume) -> int:
    """Return the size of an LV in GiB, rounded up."""
    return -(-volume.virtual_size_bytes // units.Gi)


def is_snapshot(volume: lvm.LogicalVolume) -> bool:
    """Tell whether an LV stands for a snapshot; see the module's text."""
    return (volume.is_cow_snapshot
            or bool(volume.is_thin and volume.origin
                    and volume.skips_activation)
            or naming.snapshot_name(volume.name) != volume.name
            or bool(cinder_id(volume.name, SNAPSHOT)
                    and not cinder_id(volume.name, VOLUME)))


def cinder_id(lv_name: str, kind: str) -> str | None:
    """Return the id that an LV's name says, if it is a name of Cinder's."""
    if kind == VOLUME:
        found = volume_utils.extract_id_from_volume_name(lv_name)
    else:
        found = volume_utils.extract_id_from_snapshot_name(
            naming.snapshot_name(lv_name))
    # For Cinder any text is an id.
    return found if uuidutils.is_uuid_like(found) else None


def lv_name(item: Mapping[str, str], kind: str) -> str:
    """Return the name of the LV of a volume or snapshot of Cinder.

    A volume that was migrated may go by another id than its own.
    """
    if kind == VOLUME:
        name_id = item.get('_name_id') or item['id']
        return str(cfg.CONF.volume_name_template % name_id)
    return naming.snapshot_lv_name(
        cfg.CONF.snapshot_name_template % item['id'])


def referenced_name(existing_ref: Any) -> str:
    """Return the LV name that a reference gives.

    :param existing_ref: ``{'source-name': <LV name>}``, or the name alone;
        whatever a request had there
    :raises exception.ManageExistingInvalidReference: it gives none
    """
    name: Any = existing_ref
    if isinstance(existing_ref, Mapping):
        name = existing_ref.get(_REFERENCE_KEY)
    if not name or not isinstance(name, str):
        raise exception.ManageExistingInvalidReference(
            existing_ref=_shown(existing_ref),
            reason=_('The reference must have an element source-name with '
                     'the name of an LV.'))
    return name


def check(volume: lvm.LogicalVolume | None, lv_name: str, kind: str,
          vg_name: str, origin: str | None = None) -> lvm.LogicalVolume:
    """Return the LV that a reference means if it can be managed as that.

    :param vg_name: of the group that the LV was looked for in
    :param origin: the LV name of the volume that a snapshot is to belong to
    :raises exception.ManageExistingInvalidReference: it cannot
    """
    if volume is None:
        reason = (_('There is no such LV in volume group %s; the name of an '
                    'LV is given without that of its group.') % vg_name)
    elif volume.is_thin_pool:
        reason = _('The LV is a thin pool.')
    elif volume.is_private:
        reason = (_('The LV is a part of others (%s).') % volume.segtype)
    elif naming.is_temporary(volume.name):
        reason = _('The LV is only needed for a moment.')
    elif volume.is_open:
        reason = _('The LV is in use.')
    elif volume.is_suspended:
        reason = _('The LV is suspended.')
    elif kind == VOLUME and is_snapshot(volume):
        reason = _('The LV is a snapshot.')
    elif volume.is_invalid:
        reason = _('The LV is a snapshot that has overflowed; its data is '
                   'lost.')
    elif kind == VOLUME and volume.is_read_only:
        reason = _('The LV is read-only; lvchange --permission rw makes it '
                   'writable.')
    elif kind == SNAPSHOT and volume.origin is None:
        reason = _('The LV is not a snapshot.')
    elif kind == SNAPSHOT and volume.origin != origin:
        reason = (_('The LV is a snapshot of %(real)s, not of %(given)s.')
                  % {'real': volume.origin, 'given': origin})
    else:
        return volume
    raise exception.ManageExistingInvalidReference(
        existing_ref=_shown(lv_name), reason=reason)


def _shown(reference: Any) -> str:
    """Return a reference for a message: it may hold anything, and much."""
    text = str(reference)
    if not text.isascii() or not text.isprintable():
        text = ascii(reference)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + '...'


def entries(volumes: Iterable[lvm.LogicalVolume], kind: str,
            managed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what Cinder shows of the LVs that are volumes, or snapshots.

    :param managed: the ids of Cinder's own objects on this back end, by the
        names of their LVs
    """
    return [_entry(volume, kind, managed) for volume in volumes
            if not volume.is_private
            and not naming.is_temporary(volume.name)
            and is_snapshot(volume) == (kind == SNAPSHOT)]


def _entry(volume: lvm.LogicalVolume, kind: str,
           managed: Mapping[str, str]) -> dict[str, Any]:
    known_id = managed.get(volume.name)
    reason = None
    if known_id is not None:
        reason = 'already managed'
    elif volume.is_open:
        reason = f'{kind} in use'
    elif volume.is_suspended:
        reason = f'{kind} suspended'
    elif kind == VOLUME and volume.is_read_only:
        reason = 'read-only'
    elif volume.is_invalid:
        reason = 'snapshot overflowed'
    elif kind == SNAPSHOT and volume.origin is None:
        reason = 'volume of the snapshot not known'
    entry = {
        'reference': {_REFERENCE_KEY: volume.name},
        'size': size_gib(volume),
        'safe_to_manage': reason is None,
        'reason_not_safe': reason,
        'cinder_id': known_id,
        'extra_info': None,
    }
    if kind == SNAPSHOT:
        entry['source_reference'] = {_REFERENCE_KEY: volume.origin}
    return entry
