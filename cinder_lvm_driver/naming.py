# SPDX-License-Identifier: Apache-2.0
"""Names of LVs, the paths of their devices, and the driver's own program.

Volumes and snapshots have the same LV names as with the in-tree driver, so
that either driver finds the other's LVs. The names of temporary LVs say how
the next start treats them: a name survives a crash, and LVM changes it in one
step.
"""

import re
import uuid

# See privileged/program.py.
ROOT_PROGRAM = 'cinder-lvm-root'
# Names of VGs and LVs (lvm(8), VALID NAMES), as part of a pattern. Any other
# text could be taken for an option of LVM.
LVM_NAME = '[A-Za-z0-9+_.][A-Za-z0-9+_.-]*'
_RESERVED_PREFIX = 'snapshot'
# A snapshot from which a clone is copied; the in-tree driver uses the same
# prefix. Only with the id of a volume is such an LV a temporary one.
_CLONE_SOURCE = 'clone-snap-'
UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
# A deleted LV that is wiped and then removed.
_DOOMED = 'cinder-wipe-'
_IS_DOOMED = re.compile(f'{_DOOMED}.*-[0-9a-f]{{8}}')
# The new LV of a volume that is being reverted, and its old LV.
_REVERT_TO = 'cinder-revert-to-'
_REVERT_FROM = 'cinder-revert-from-'
# Tags of a volume's LV during a change: the name of the snapshot that is
# merged into it, or the sizes before and after an extension.
REVERT_TAG = 'cinder.revert_to='
# The tag of a snapshot that is about to be merged into its volume.
MERGE_TAG = 'cinder.merge='
EXTEND_TAG = 'cinder.extend='
# The tag of a snapshot until all snapshots of its set are complete.
SNAPSHOT_SET_TAG = 'cinder.snapshot_set='
# The tag of a copy of an LV of another VG, which it names, until that LV is
# removed.
MOVED_TAG = 'cinder.moved_from='
# What the tags of this driver begin with.
TAGS = REVERT_TAG, MERGE_TAG, EXTEND_TAG, SNAPSHOT_SET_TAG, MOVED_TAG
# An incomplete copy of an LV of another VG.
_ARRIVING = 'cinder-arriving-'
# A thin pool until LVM has made all of it.
NEW_POOL = 'cinder-new-pool'
# Data that was in a thin pool under an id that LVM did not know.
_ORPHAN = 'cinder-orphan-'
# A writable clone that is exported in place of a snapshot.
_SNAPSHOT_EXPORT = 'cinder-export-'
_LEFT_OVER = (_CLONE_SOURCE, _ARRIVING, _SNAPSHOT_EXPORT)
# The VG in a device-mapper name ends at the first single hyphen.
_VG_OF_DEVICE = re.compile('((?:--|[^-])+)-(?!-)')


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
    """Return a new name for an LV that will be wiped and removed."""
    return f'{_DOOMED}{lv_name[-12:]}-{uuid.uuid4().hex[:8]}'


def revert_to(lv_name: str) -> str:
    """Return the name of the new LV while an LV is reverted."""
    return _REVERT_TO + lv_name


def revert_from(lv_name: str) -> str:
    """Return the name of the old LV while an LV is reverted."""
    return _REVERT_FROM + lv_name


def snapshot_export(lv_name: str) -> str:
    """Return the name of the clone that is exported for a snapshot."""
    return _SNAPSHOT_EXPORT + lv_name


def arriving(lv_name: str) -> str:
    """Return the name of an LV while it is copied from another VG."""
    return _ARRIVING + lv_name


def orphan() -> str:
    """Return a name for data that nothing in LVM belonged to."""
    return f'{_ORPHAN}{uuid.uuid4().hex[:8]}'


def is_orphan(lv_name: str) -> bool:
    """Return whether an LV is data that nothing in LVM belonged to."""
    return lv_name.startswith(_ORPHAN)


def is_left_over(lv_name: str) -> bool:
    """Return whether an LV is of no use unless it is open."""
    return lv_name.startswith(_LEFT_OVER) and find_id(lv_name) is not None


def left_over_of(lv_name: str) -> str:
    """Return the LV name of the volume or snapshot that an LV was for.

    The in-tree driver has only an ID in its place.

    :param lv_name: of an LV that :func:`is_left_over`
    """
    for prefix in _LEFT_OVER:
        lv_name = lv_name.removeprefix(prefix)
    return lv_name


def find_id(lv_name: str) -> str | None:
    """Return the ID in an LV name, if there is one."""
    found = UUID.search(lv_name)
    return found and found[0]


def is_doomed(lv_name: str) -> bool:
    """Return whether an LV will be wiped and removed."""
    return _IS_DOOMED.fullmatch(lv_name) is not None


def reverted(lv_name: str) -> str | None:
    """Return the name of the volume whose new or old LV this is, if any."""
    for prefix in _REVERT_TO, _REVERT_FROM:
        if lv_name.startswith(prefix):
            return lv_name.removeprefix(prefix)
    return None


def is_tag_of_ours(tag: str) -> bool:
    """Return whether this driver has added a tag of an LV."""
    return tag.startswith(TAGS)


def snapshot_set_tag() -> str:
    """Return a new tag for the snapshots of a set."""
    return f'{SNAPSHOT_SET_TAG}{uuid.uuid4().hex[:8]}'


def is_temporary(lv_name: str) -> bool:
    """Return whether an LV is a temporary one of this driver."""
    return (is_left_over(lv_name) or is_doomed(lv_name)
            or is_orphan(lv_name) or reverted(lv_name) is not None)


def device_path(vg_name: str, lv_name: str) -> str:
    """Return the device path that LVM keeps for an active LV."""
    return f'/dev/{vg_name}/{lv_name}'


def device_mapper_name(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper name of an LV.

    LVM joins the two names with a hyphen and doubles the hyphens within them
    (lvm2 libdm/libdm-string.c, dm_build_dm_name).
    """
    return '%s-%s' % (vg_name.replace('-', '--'), lv_name.replace('-', '--'))


def vg_name(dm_name: str) -> str:
    """Return the VG of an LV by its device-mapper name; empty for others."""
    found = _VG_OF_DEVICE.match(dm_name)
    return found[1].replace('--', '-') if found else ''


def device_mapper_name_of(path: str) -> str:
    """Return the name that device-mapper has for the LV of a device path.

    :param path: of :func:`device_path` or :func:`device_mapper_path`
    """
    folder, _, name = path.removeprefix('/dev/').partition('/')
    return name if folder == 'mapper' else device_mapper_name(folder, name)


def device_mapper_path(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper path of an LV."""
    return f'/dev/mapper/{device_mapper_name(vg_name, lv_name)}'
