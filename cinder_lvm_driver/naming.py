# SPDX-License-Identifier: Apache-2.0
"""Names of LVs, and the paths of their devices.

Those of Cinder's objects are what the in-tree driver uses, so that either
driver finds the other's LVs. LVs that are only needed for a moment have names
of our own, which say what is to become of them: a name survives a crash, and
LVM changes it in one step.
"""

import re
import uuid

_RESERVED_PREFIX = 'snapshot'
# A snapshot from which a clone is being copied; the word is the in-tree
# driver's. An operator's LV may begin with such words too: ours have an id.
_CLONE_SOURCE = 'clone-snap-'
_ID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
# A deleted LV that is to be wiped and then removed.
_DOOMED = 'cinder-wipe-'
_IS_DOOMED = re.compile(f'{_DOOMED}.*-[0-9a-f]{{8}}')
# What a volume is to become when it is reverted, and what it was before.
_REVERT_TO = 'cinder-revert-to-'
_REVERT_FROM = 'cinder-revert-from-'
# Tags of volumes that something is being done to: merged with the snapshot
# that the tag names, or extended from one size to another.
REVERT_TAG = 'cinder.revert_to='
EXTEND_TAG = 'cinder.extend='
# A copy of an LV of another VG, until it is complete.
_ARRIVING = 'cinder-arriving-'
# A writable stand-in for a snapshot that is attached to a host.
_SNAPSHOT_EXPORT = 'cinder-export-'


def snapshot_lv_name(snapshot_name: str) -> str:
    """Return the LV name for a snapshot's name.

    LVM reserves names that start with "snapshot" (lvm(8), VALID NAMES).
    """
    if snapshot_name.startswith(_RESERVED_PREFIX):
        return '_' + snapshot_name
    return snapshot_name


def snapshot_name(lv_name: str) -> str:
    """Return the snapshot's name for an LV name."""
    if lv_name.startswith('_' + _RESERVED_PREFIX):
        return lv_name[1:]
    return lv_name


def clone_source(lv_name: str) -> str:
    """Return the name of the snapshot that an LV is copied from."""
    return _CLONE_SOURCE + lv_name


def doomed(lv_name: str) -> str:
    """Return a new name for an LV that is to be wiped and removed."""
    return f'{_DOOMED}{lv_name[-12:]}-{uuid.uuid4().hex[:8]}'


def revert_to(lv_name: str) -> str:
    """Return the name of what an LV is to become when it is reverted."""
    return _REVERT_TO + lv_name


def revert_from(lv_name: str) -> str:
    """Return the name of what an LV was before it is reverted."""
    return _REVERT_FROM + lv_name


def snapshot_export(lv_name: str) -> str:
    """Return the name of the stand-in for an attached snapshot."""
    return _SNAPSHOT_EXPORT + lv_name


def arriving(lv_name: str) -> str:
    """Return the name of an LV while it is copied from another VG."""
    return _ARRIVING + lv_name


def is_left_over(lv_name: str) -> bool:
    """Tell whether an LV that nobody has open is of no use any more."""
    return (lv_name.startswith((_CLONE_SOURCE, _ARRIVING, _SNAPSHOT_EXPORT))
            and _ID.search(lv_name) is not None)


def is_doomed(lv_name: str) -> bool:
    """Tell whether an LV is to be wiped and removed."""
    return _IS_DOOMED.fullmatch(lv_name) is not None


def reverted(lv_name: str) -> str | None:
    """Return the LV that another one is to become, or was, if any."""
    for prefix in _REVERT_TO, _REVERT_FROM:
        if lv_name.startswith(prefix):
            return lv_name.removeprefix(prefix)
    return None


def is_tag_of_ours(tag: str) -> bool:
    """Tell whether a tag of an LV is one that this driver has put there."""
    return tag.startswith((REVERT_TAG, EXTEND_TAG))


def is_temporary(lv_name: str) -> bool:
    """Tell whether an LV is no object of Cinder's, but one of ours."""
    return (is_left_over(lv_name) or is_doomed(lv_name)
            or reverted(lv_name) is not None)


def device_path(vg_name: str, lv_name: str) -> str:
    """Return the path that LVM gives to the device of an LV."""
    return f'/dev/{vg_name}/{lv_name}'


def device_mapper_path(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper path of an LV.

    Device-mapper joins the two names with a hyphen and doubles the hyphens
    within them (lvm2 libdm/libdm-string.c, dm_build_dm_name).
    """
    return '/dev/mapper/%s-%s' % (vg_name.replace('-', '--'),
                                  lv_name.replace('-', '--'))
