# SPDX-License-Identifier: Apache-2.0
"""What the driver asks of the kernel's device-mapper."""

from collections.abc import Iterator, Sequence
import errno
import os

from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import lvm_lock
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

# Others tell more than anybody needs to know, such as dm-crypt's key.
_TOLD_TARGETS = ('thin', 'thin-pool')


@verbs.value
class Device:
    """A device, with its table and status if it is a thin LV or a pool."""

    name: str
    is_suspended: bool
    target: str
    table: str
    status: str


@verbs.entrypoint
def stack(name: str) -> Sequence[Device]:
    """Return a device and those below it; empty if there is none.

    Devices that are not device-mapper's are left out.

    :param name: device-mapper's, without ``/dev/mapper``
    :raises InvalidArgument: that cannot be the name of a device
    :raises OSError: the kernel refuses to answer
    """
    name = validation.device_mapper_name(name)
    try:
        with dm_control.opened() as control:
            top = dm_control.ask(control, dm_control.Command.STATUS,
                                 name=name)
            return [] if top is None else list(_walk(control, top, set()))
    except FileNotFoundError:
        # The kernel module is not loaded.
        return []


def _walk(control: int, device: dm_control.Answer,
          seen: set[int]) -> Iterator[Device]:
    if device.number in seen:
        return
    seen.add(device.number)
    target, status = dm_control.target(control, device.number)
    _target_again, table = dm_control.target(control, device.number,
                                             dm_control.Flag.TABLE)
    is_told = target in _TOLD_TARGETS
    yield Device(name=device.name, target=target,
                 is_suspended=device.is_suspended,
                 table=table if is_told else '',
                 status=status if is_told else '')
    for number in dm_control.dependencies(control, device.number):
        below = dm_control.ask(control, dm_control.Command.STATUS,
                               number=number)
        if below is not None:
            yield from _walk(control, below, seen)


@verbs.entrypoint
def find_loaded(names: Sequence[str]) -> Sequence[str]:
    """Return the devices for which a table is loaded and not used yet.

    :param names: device-mapper's, without ``/dev/mapper``
    :raises InvalidArgument: that cannot be the names of own devices
    :raises OSError: the kernel refuses to answer
    """
    with dm_control.opened() as control:
        return [answer.name for answer in _loaded(control, names)]


@verbs.entrypoint
def clear(lock_file: str, names: Sequence[str]) -> Sequence[str]:
    """Discard the tables that a killed LVM command has loaded.

    The kernel uses such a table at the next resumption of its device (kernel,
    drivers/md/dm-ioctl.c, ``do_resume``), although LVM may never have
    committed the change to its metadata. LVM loads the table again if it has.

    :param lock_file: of LVM's lock of the VG
    :param names: device-mapper's, without ``/dev/mapper``
    :returns: the names of the devices that had one
    :raises InvalidArgument: nothing was changed
    :raises VolumeGroupLocked: LVM is at work in the VG
    :raises OSError: the kernel refuses
    """
    lock_file = validation.lvm_lock_file(lock_file)
    with lvm_lock.held(lock_file), dm_control.opened() as control:
        found = _loaded(control, names)
        for answer in found:
            dm_control.ask(control, dm_control.Command.CLEAR,
                           number=answer.number)
    return [answer.name for answer in found]


@verbs.entrypoint
def count_change(lock_file: str, pool: str, transaction_id: int) -> None:
    """Have a thin pool count a change that the kernel has made.

    LVM first has the kernel create a thin snapshot, and then count that
    (kernel, Documentation/admin-guide/device-mapper/thin-provisioning.rst,
    ``set_transaction_id``). If it is killed in between, it asks for the
    snapshot again for ever, which the kernel refuses.

    :param lock_file: of LVM's lock of the VG
    :param pool: device-mapper's name of the pool
    :param transaction_id: of the pool before the change
    :raises InvalidArgument: nothing was changed
    :raises VolumeGroupLocked: LVM is at work in the VG
    :raises OSError: it is no active thin pool that has this transaction id
    """
    lock_file = validation.lvm_lock_file(lock_file)
    validation.own_device_mapper_names([pool])
    transaction_id = validation.transaction_id(transaction_id)
    with lvm_lock.held(lock_file), dm_control.opened() as control:
        device = dm_control.ask(control, dm_control.Command.STATUS, name=pool)
        if device is None:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), pool)
        dm_control.message(
            control, device.number,
            f'set_transaction_id {transaction_id} {transaction_id + 1}')


def _loaded(control: int, names: Sequence[str]) -> list[dm_control.Answer]:
    own = validation.own_device_mapper_names(names)
    return [answer for name in own if (answer := dm_control.ask(
        control, dm_control.Command.STATUS, name=name)) is not None
        and answer.has_inactive_table]
