# SPDX-License-Identifier: Apache-2.0
"""Thin pools and thin LVs as the kernel has them.

LVM's reports are its own metadata. Whether the kernel agrees, LVM finds out
only in the middle of a change (kernel,
Documentation/admin-guide/device-mapper/thin-provisioning.rst).
"""

import dataclasses

from oslo_privsep import daemon

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import device_mapper

_SECTOR_BYTES = 512
_PVMOVE = 'pvmove'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ThinPool:
    """An active thin pool."""

    # LVM and the kernel count the changes of a pool; None for one that has
    # failed.
    transaction_id: int | None
    block_bytes: int
    zeroes_blocks: bool
    # Devices that hold back all I/O: the pool's own or those below it.
    suspended: tuple[str, ...]
    # pvmove(8) is moving its data or metadata.
    is_moving: bool


def thin_pool(vg_name: str, name: str) -> ThinPool | None:
    """Return a thin pool; None if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    devices = _stack(naming.device_mapper_name(vg_name, name) + '-tpool')
    if not devices or devices[0]['target'] != 'thin-pool':
        return None
    status = devices[0]['status'].split()
    _metadata, _data, block_sectors, _low_water, *features = (
        devices[0]['table'].split())
    return ThinPool(
        transaction_id=(int(status[0]) if status and status[0].isdigit()
                        else None),
        block_bytes=int(block_sectors) * _SECTOR_BYTES,
        zeroes_blocks='skip_block_zeroing' not in features,
        suspended=tuple(device['name'] for device in devices
                        if device['is_suspended']),
        is_moving=_has_pvmove(vg_name, devices))


def is_moving(vg_name: str, name: str) -> bool:
    """Return whether pvmove(8) is moving an LV; False if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    return _has_pvmove(vg_name, _stack(naming.device_mapper_name(vg_name,
                                                                 name)))


def _has_pvmove(vg_name: str, devices: list[device_mapper.Device]) -> bool:
    pvmove = naming.device_mapper_name(vg_name, _PVMOVE)
    return any(device['name'].startswith(pvmove) for device in devices[1:])


def mapped_bytes(vg_name: str, name: str) -> int:
    """Return how much data a thin LV has, in bytes; 0 if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    for device in _stack(naming.device_mapper_name(vg_name, name))[:1]:
        status = device['status'].split()
        if device['target'] == 'thin' and status and status[0].isdigit():
            return int(status[0]) * _SECTOR_BYTES
    return 0


def _stack(name: str) -> list[device_mapper.Device]:
    try:
        devices: list[device_mapper.Device] = device_mapper.stack(name)
    # The privileged daemon does not start, or the kernel refuses.
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        raise errors.KernelSilent(
            f'device-mapper cannot be asked for {name}: {exc}. Check that the '
            f'filter file of cinder-lvm-driver is in a directory that '
            f'filters_path in rootwrap.conf names') from exc
    return devices
