# SPDX-License-Identifier: Apache-2.0
"""Which LVs Cinder can manage, and which it cannot.

These LVs count as snapshots: COW snapshots; thin LVs with an origin and the
activation skip flag, which LVM sets for thin snapshots (lvmthin(7)) and the
driver clears for clones; and LVs with the name of a snapshot and not of a
volume.
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
# Messages repeat so many characters of a reference; LV names have up to 127.
_SHOWN = 200


def size_gib(lv: lvm.LogicalVolume) -> int:
    """Return the size of an LV in GiB, rounded up."""
    size: int = -(-lv.virtual_size_bytes // units.Gi)
    return size


def is_snapshot(lv: lvm.LogicalVolume) -> bool:
    """Tell whether an LV counts as a snapshot; see the top of the module."""
    return (lv.is_cow_snapshot
            or bool(lv.is_thin and lv.origin and lv.skips_activation)
            or naming.snapshot_name(lv.name) != lv.name
            or bool(cinder_id(lv.name, SNAPSHOT)
                    and not cinder_id(lv.name, VOLUME)))


def cinder_id(lv_name: str, kind: str) -> str | None:
    """Return the ID in an LV name of Cinder; None in any other name."""
    if kind == VOLUME:
        found = volume_utils.extract_id_from_volume_name(lv_name)
    else:
        found = volume_utils.extract_id_from_snapshot_name(
            naming.snapshot_name(lv_name))
    # Cinder takes any text for an ID.
    return found if uuidutils.is_uuid_like(found) else None


def lv_name(item: Mapping[str, str], kind: str) -> str:
    """Return the LV name of a volume or snapshot of Cinder.

    The name of a migrated volume may contain another ID than its own.
    """
    if kind == VOLUME:
        name_id = item.get('_name_id') or item['id']
        return str(cfg.CONF.volume_name_template % name_id)
    return naming.snapshot_lv_name(
        cfg.CONF.snapshot_name_template % item['id'])


def referenced_name(existing_ref: Any) -> str:
    """Return the LV name in a reference.

    :param existing_ref: ``{'source-name': <LV name>}``, or the name alone;
        a request may contain anything here
    :raises exception.ManageExistingInvalidReference: it contains no name
    """
    name: Any = existing_ref
    if isinstance(existing_ref, Mapping):
        name = existing_ref.get(_REFERENCE_KEY)
    if not name or not isinstance(name, str):
        raise exception.ManageExistingInvalidReference(
            existing_ref=_shown(existing_ref),
            reason=_('The reference has no element source-name with the name '
                     'of an LV.'))
    return name


def check(lv: lvm.LogicalVolume | None, lv_name: str, kind: str,
          vg_name: str, origin: str | None = None) -> lvm.LogicalVolume:
    """Return a referenced LV if Cinder can manage it.

    :param lv: the LV of the referenced name, if there is one
    :param kind: ``volume`` or ``snapshot``
    :param vg_name: the VG that was searched
    :param origin: the LV name of the volume that a snapshot is to belong to
    :raises exception.ManageExistingInvalidReference: Cinder cannot manage it
    """
    if lv is None:
        reason = _('There is no such LV in VG %s. Give the name of the LV '
                   'without that of its VG.') % vg_name
    elif lv.is_thin_pool:
        reason = _('The LV is a thin pool.')
    elif lv.is_private:
        reason = _('The LV is part of other LVs (%s).') % lv.segtype
    elif naming.is_temporary(lv.name):
        reason = _('The LV is a temporary LV of the driver.')
    elif lv.is_open:
        reason = _('The LV is in use.')
    elif lv.is_suspended:
        reason = _('The LV is suspended.')
    elif kind == VOLUME and is_snapshot(lv):
        reason = _('The LV is a snapshot.')
    elif lv.is_invalid:
        reason = _('The LV is a snapshot that has overflowed; its data is '
                   'lost.')
    elif kind == VOLUME and lv.is_read_only:
        reason = _('The LV is read-only. Make it writable with lvchange '
                   '--permission rw.')
    elif kind == SNAPSHOT and lv.origin is None:
        reason = _('The LV is not a snapshot.')
    elif kind == SNAPSHOT and lv.origin != origin:
        reason = (_('The LV is a snapshot of %(real)s, not of %(given)s.')
                  % {'real': lv.origin, 'given': origin})
    else:
        return lv
    raise exception.ManageExistingInvalidReference(
        existing_ref=_shown(lv_name), reason=reason)


def _shown(reference: Any) -> str:
    """Return a reference for a message, as short printable ASCII."""
    text = str(reference)
    if not text.isascii() or not text.isprintable():
        text = ascii(reference)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + '...'


def entries(lvs: Iterable[lvm.LogicalVolume], kind: str,
            managed: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return Cinder's descriptions of the LVs that are volumes or snapshots.

    :param kind: ``volume`` or ``snapshot``
    :param managed: the IDs of Cinder's own objects on this back end, by the
        names of their LVs
    """
    return [_entry(lv, kind, managed) for lv in lvs
            if not lv.is_private
            and not naming.is_temporary(lv.name)
            and is_snapshot(lv) == (kind == SNAPSHOT)]


def _entry(lv: lvm.LogicalVolume, kind: str,
           managed: Mapping[str, str]) -> dict[str, Any]:
    known_id = managed.get(lv.name)
    reason = None
    if known_id is not None:
        reason = 'already managed'
    elif lv.is_open:
        reason = f'{kind} in use'
    elif lv.is_suspended:
        reason = f'{kind} suspended'
    elif kind == VOLUME and lv.is_read_only:
        reason = 'read-only'
    elif lv.is_invalid:
        reason = 'snapshot overflowed'
    elif kind == SNAPSHOT and lv.origin is None:
        reason = 'volume of the snapshot not known'
    entry = {
        'reference': {_REFERENCE_KEY: lv.name},
        'size': size_gib(lv),
        'safe_to_manage': reason is None,
        'reason_not_safe': reason,
        'cinder_id': known_id,
        'extra_info': None,
    }
    if kind == SNAPSHOT:
        entry['source_reference'] = {_REFERENCE_KEY: lv.origin}
    return entry
