# SPDX-License-Identifier: Apache-2.0
"""LVs as the kernel has them, above all thin pools and thin LVs.

LVM's reports are its own metadata. Whether the kernel agrees, LVM finds out
only in the middle of a change (kernel,
Documentation/admin-guide/device-mapper/thin-provisioning.rst).
"""

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses

from oslo_privsep import daemon

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.privileged import snapshot_set

_SECTOR_BYTES = 512
_PVMOVE = 'pvmove'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Device:
    """The device of an LV, and those that it consists of."""

    # Those that hold back all I/O, from the top down.
    suspended: tuple[str, ...]
    # pvmove(8) is moving its data or metadata.
    is_moving: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class ThinPool(Device):
    """An active thin pool."""

    # LVM and the kernel count the changes of a pool; None for one that has
    # failed.
    transaction_id: int | None
    block_bytes: int
    zeroes_blocks: bool
    # How full its metadata and its data are; none of a pool that has failed.
    used_percent: Mapping[str, float] = dataclasses.field(
        default_factory=dict)


def thin_pool(vg_name: str, name: str) -> ThinPool | None:
    """Return a thin pool; None if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    devices = _stack(_pool_device(vg_name, name))
    if not devices or devices[0].target != 'thin-pool':
        return None
    status = devices[0].status.split()
    _metadata, _data, block_sectors, _low_water, *features = (
        devices[0].table.split())
    return ThinPool(
        transaction_id=(int(status[0]) if status and status[0].isdigit()
                        else None),
        block_bytes=int(block_sectors) * _SECTOR_BYTES,
        zeroes_blocks='skip_block_zeroing' not in features,
        suspended=_suspended(devices),
        is_moving=_has_pvmove(vg_name, devices),
        used_percent=dict(zip(('metadata', 'data'), map(_percent, status[1:3]),
                              strict=False)))


def _pool_device(vg_name: str, name: str) -> str:
    return (naming.device_mapper_name(vg_name, name)
            + snapshot_set.POOL_SUFFIX)


def _percent(counts: str) -> float:
    """Return how many percent of all blocks are used, of ``used/all``."""
    used, total = map(int, counts.split('/'))
    return 100 * used / total


def device(vg_name: str, name: str) -> Device:
    """Return the device of an LV, which has no state if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    devices = _stack(naming.device_mapper_name(vg_name, name))
    return Device(suspended=_suspended(devices),
                  is_moving=_has_pvmove(vg_name, devices))


def _suspended(devices: Sequence[device_mapper.Device]) -> tuple[str, ...]:
    return tuple(each.name for each in devices if each.is_suspended)


def _has_pvmove(vg_name: str,
                devices: Sequence[device_mapper.Device]) -> bool:
    pvmove = naming.device_mapper_name(vg_name, _PVMOVE)
    return any(each.name.startswith(pvmove) for each in devices[1:])


def mapped_bytes(vg_name: str, name: str) -> int:
    """Return how much data a thin LV has, in bytes; 0 if it is not active.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    for top in _stack(naming.device_mapper_name(vg_name, name))[:1]:
        status = top.status.split()
        if top.target == 'thin' and status and status[0].isdigit():
            return int(status[0]) * _SECTOR_BYTES
    return 0


def retake(lock_file: str, members: Sequence[snapshot_set.Member],
           limit_ms: int) -> int:
    """Take snapshots again, all of one moment.

    :returns: milliseconds for which writes to the origins were held back
    :raises errors.KernelSilent: the kernel cannot be asked
    :raises privileged.errors.TargetError: see :func:`snapshot_set.retake`
    """
    with _asking(f'{len(members)} snapshots'):
        held_ms: int = snapshot_set.retake(lock_file, members, limit_ms)
    return held_ms


def count_change(lock_file: str, vg_name: str, pool: str,
                 transaction_id: int) -> None:
    """Have a thin pool count a change; see :func:`device_mapper.count_change`.

    :raises errors.KernelSilent: the kernel refuses
    :raises privileged.errors.TargetError: LVM is at work in the VG
    """
    with _asking(pool):
        device_mapper.count_change(lock_file, _pool_device(vg_name, pool),
                                   transaction_id)


def find_loaded(names: Sequence[str]) -> Sequence[str]:
    """Return the devices for which a table is loaded and not used yet.

    :raises errors.KernelSilent: the kernel cannot be asked
    """
    with _asking(f'{len(names)} LVs'):
        return device_mapper.find_loaded(names)


def clear(lock_file: str, names: Sequence[str]) -> Sequence[str]:
    """Discard such tables; see :func:`device_mapper.clear`.

    :raises errors.KernelSilent: the kernel cannot be asked
    :raises privileged.errors.TargetError: LVM is at work in the VG
    """
    with _asking(f'{len(names)} LVs'):
        return device_mapper.clear(lock_file, names)


def _stack(name: str) -> Sequence[device_mapper.Device]:
    with _asking(name):
        return device_mapper.stack(name)


@contextlib.contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    # The privileged daemon does not start, or the kernel refuses.
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        raise errors.KernelSilent(
            f'device-mapper cannot be asked for {what}: {exc}. Check that the '
            f'filter file of cinder-lvm-driver is in a directory that '
            f'filters_path in rootwrap.conf names') from exc
