# SPDX-License-Identifier: Apache-2.0
"""Faults of a VG or a thin pool, in one sentence each.

Each sentence names the fault and the remedy. It contains no number that
changes by itself, so that equal sentences mean an unchanged state.
"""

from collections.abc import Iterator

from cinder_lvm_driver import lvm


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
    return None


def pool_fault(pool: lvm.LogicalVolume) -> str | None:
    """Return why a thin pool accepts no data or LVs; None if it does."""
    path = pool.full_name
    repair = (f'deactivate its LVs and repair it with lvconvert --repair '
              f'{path} (lvmthin(7))')
    if pool.health == 'failed':
        return f'Thin pool {path} has failed: see the kernel log, {repair}'
    if pool.needs_check or pool.health == 'metadata_read_only':
        return (f'The metadata of thin pool {path} is read-only or needs a '
                f'check: {repair}')
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
