# SPDX-License-Identifier: Apache-2.0
"""Names of LVs for Cinder's objects, and the paths of their devices.

All of them are what the in-tree driver uses, so that either driver finds
the other's LVs.
"""

_RESERVED_PREFIX = 'snapshot'


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


def device_mapper_path(vg_name: str, lv_name: str) -> str:
    """Return the device-mapper path of an LV.

    Device-mapper joins the two names with a hyphen and doubles the hyphens
    within them (lvm2 libdm/libdm-string.c, dm_build_dm_name).
    """
    return '/dev/mapper/%s-%s' % (vg_name.replace('-', '--'),
                                  lv_name.replace('-', '--'))
