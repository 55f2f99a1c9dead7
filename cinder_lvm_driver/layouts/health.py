# SPDX-License-Identifier: Apache-2.0
"""Faults of a VG or a thin pool, in one sentence each.

Each sentence names the fault and the remedy. It contains no number that
changes by itself, so that equal sentences mean an unchanged state.
"""

from collections.abc import Iterator
import logging

from cinder_lvm_driver import lvm

# The fill level of a VG's metadata area, and of a COW snapshot's store, that
# still leaves time to act.
_FULL_METADATA_PERCENT = 90
_FILLING_PERCENT = 80

def vg_fault(vg: lvm.VolumeGroup) -> str | None:
    """Return why LVM changes nothing in a VG; None if it does."""
    for pv_uuid, paths in vg.duplicate_pvs.items():
        return str(lvm.PhysicalVolumeDuplicate.of(vg.name, pv_uuid, paths))
    if vg.lost_pvs:
        return (f'VG {vg.name} lacks the devices of PVs '
                f'({", ".join(vg.lost_pvs)}), and LVM changes nothing in '
                f'it: bring them back, or give them up with vgreduce '
                f'--removemissing')
    if vg.returned_pvs:
        devices = ' '.join(vg.returned_pvs)
        return (f'VG {vg.name} was changed while PVs were missing. They are '
                f'back, but LVM does not use them and changes nothing in the '
                f'VG: run vgextend --restoremissing {vg.name} {devices}')
    if vg.read_only_pvs:
        return (f'PVs of VG {vg.name} are read-only '
                f'({", ".join(vg.read_only_pvs)}), and LVM changes nothing '
                f'in it: find out in the kernel log why, and make their '
                f'devices writable, as with blockdev --setrw')
    if vg.shrunk_pvs:
        return (f'Devices of VG {vg.name} are smaller than the PVs on them '
                f'({", ".join(vg.shrunk_pvs)}), and LVs at their end have '
                f'lost data: give the devices their old size again, or move '
                f'away what is left with pvmove')
    if vg.lacks_metadata:
        return (f'The metadata area of VG {vg.name} is full, so that LVM can '
                f'describe no more LVs: delete volumes and snapshots, or move '
                f'to PVs that were created with a larger --metadatasize')
    if vg.is_at_limit:
        return (f'VG {vg.name} has as many LVs as its limit allows: raise it '
                f'with vgchange --logicalvolume, or delete volumes and '
                f'snapshots')
    return None


def complaints(picture: lvm.Picture) -> dict[str, int]:
    """Return what needs attention but is no fault, with its log level."""
    found = {}
    if picture.vg.metadata_percent >= _FULL_METADATA_PERCENT:
        found[
            f'The metadata area of VG {picture.vg.name} is more than '
            f'{_FULL_METADATA_PERCENT} % full. When it is full, LVM can '
            f'create nothing: delete volumes and snapshots, or move to PVs '
            f'that were created with a larger --metadatasize'
        ] = logging.WARNING
    for lv in picture.lvs.values():
        if lv.is_invalid:
            found[
                f'COW snapshot {lv.name} has overflowed and its data is '
                f'lost. Delete the snapshot; its volume is not affected'
            ] = logging.ERROR
        elif lv.can_overflow and (lv.data_percent or 0) >= _FILLING_PERCENT:
            found[
                f'COW snapshot {lv.name} is more than {_FILLING_PERCENT} % '
                f'full; its data is lost when it overflows. Extend its LV '
                f'with lvextend, or delete the snapshot'
            ] = logging.WARNING
        if lv.health == lvm.REFRESH_NEEDED:
            found[
                f'LV {lv.full_name} has one copy less: the device of a PV was '
                f'away and is back, and the copy on it is not up to date. '
                f'Synchronize it with lvchange --refresh {lv.full_name}'
            ] = logging.WARNING
    return found


def no_pool_fault(vg_name: str, name: str, others: list[str]) -> str:
    """Return what to do if a VG does not have its thin pool.

    :param others: the names of the thin pools that it has
    """
    if not others:
        return (f'VG {vg_name} has no thin pool {name} now: restart '
                f'cinder-volume to have it created')
    return (f'VG {vg_name} has no thin pool {name}, but has '
            f'{", ".join(others)}: rename the pool of this back end with '
            f'lvrename {vg_name} {others[0]} {name}, or create one more with '
            f'lvcreate --type thin-pool --name {name}')


def pool_fault(pool: lvm.LogicalVolume,
               inactive_reason: str | None = None) -> str | None:
    """Return why a thin pool accepts no data or LVs; None if it does.

    :param inactive_reason: why it could not be activated, if that was tried
    """
    path = pool.full_name
    repair = (f'deactivate its LVs and repair it with lvconvert --repair '
              f'{path} (lvmthin(7))')
    if pool.health == 'failed':
        return f'Thin pool {path} has failed: see the kernel log, {repair}'
    if pool.needs_check or pool.health == 'metadata_read_only':
        return (f'The metadata of thin pool {path} is read-only or needs a '
                f'check: {repair}')
    if pool.data_percent is None and inactive_reason:
        return (f'Thin pool {path} is inactive, as LVM could not activate '
                f'it: {inactive_reason}')
    if pool.data_percent is None:
        return (f'Thin pool {path} is inactive: activate it with lvchange '
                f'--activate y {path}')
    if pool.health == 'out_of_data' or pool.data_percent >= 100:
        return (f'Thin pool {path} is out of data space: extend it with '
                f'lvextend, or delete volumes or snapshots')
    if pool.lacks_metadata:
        return (f'Thin pool {path} is nearly out of metadata space: extend '
                f'it with lvextend --poolmetadatasize, or delete snapshots')
    if pool.health is not None:
        return f'LVM reports thin pool {path} as {pool.health}'
    return None


def pool_advice(pool: lvm.LogicalVolume, *, has_spare: bool,
                autoextension: lvm.Autoextension | None) -> Iterator[str]:
    """Yield what the operator should change before a thin pool fails.

    :param has_spare: whether the VG has a spare LV to repair the metadata
    :param autoextension: the settings of lvm.conf; None if they are not
        known or not used
    """
    path = pool.full_name
    if not pool.zeroes_blocks:
        yield (f'Thin pool {path} does not zero blocks, and new volumes can '
               f'show data of deleted ones: run lvchange --zero y {path} and '
               f'restart cinder-volume')
    if not has_spare:
        yield (f'VG {pool.vg_name} has no spare LV for the metadata of thin '
               f'pools, and a damaged pool cannot be repaired in place: '
               f'create one with lvextend --poolmetadatasize +4m {path}')
    if autoextension is None:
        return
    if autoextension.threshold_percent >= 100:
        yield (f'Thin pool {path} is not extended when it fills up: watch '
               f'it, or set lvm_thin_pool_autoextend_threshold below 100 '
               f'(or thin_pool_autoextend_threshold in lvm.conf)')
    elif not autoextension.is_monitored:
        yield (f'Thin pool {path} is not extended when it fills up: '
               f'monitoring is 0 in lvm.conf, and dmeventd does not watch '
               f'it. Set monitoring to 1, or '
               f'lvm_thin_pool_autoextend_threshold below 100')
