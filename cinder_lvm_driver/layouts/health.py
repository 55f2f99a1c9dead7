# SPDX-License-Identifier: Apache-2.0
"""What keeps a VG or a thin pool from serving, in one sentence each.

Each sentence names the thing and what to do about it. None has a number in
it that changes by itself, so that equal sentences mean an unchanged state.
"""

from collections.abc import Iterator

from cinder_lvm_driver import lvm


def vg_fault(group: lvm.VolumeGroup) -> str | None:
    """Return why LVM changes nothing in a VG; None if it does."""
    if group.missing_pvs:
        return (f'VG {group.name} lacks the devices of PVs: bring them back, '
                f'or give them up with vgreduce --removemissing. LVM changes '
                f'nothing in the VG until then')
    return None


def pool_fault(pool: lvm.LogicalVolume) -> str | None:
    """Return why a thin pool takes no data or no new LVs; None if it does."""
    path = f'{pool.vg_name}/{pool.name}'
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
    """Give what is better put right before a thin pool is in trouble.

    :param has_spare: whether the VG keeps room to repair the metadata
    :param autoextension: what lvm.conf says; None if that is not known, or
        of no account
    """
    path = f'{pool.vg_name}/{pool.name}'
    if not pool.zeroes_blocks:
        yield (f'Thin pool {path} does not zero blocks: volumes can show '
               f'what deleted ones held. Switch that on with lvchange --zero '
               f'y {path} and start this service anew')
    if not has_spare:
        yield (f'VG {pool.vg_name} has no spare LV for the metadata of thin '
               f'pools, so that a damaged pool cannot be repaired in place: '
               f'lvextend --poolmetadatasize +4m {path} makes one')
    if autoextension is None:
        return
    if autoextension.threshold_percent >= 100:
        yield (f'Thin pool {path} is not extended when it fills up: watch '
               f'it, or set lvm_thin_pool_autoextend_threshold below 100 '
               f'(or thin_pool_autoextend_threshold in lvm.conf)')
    elif not autoextension.is_monitored:
        yield (f'Thin pool {path} is not extended when it fills up: '
               f'monitoring is 0 in lvm.conf, so that dmeventd does not '
               f'watch it. Set that to 1, or '
               f'lvm_thin_pool_autoextend_threshold below 100')
