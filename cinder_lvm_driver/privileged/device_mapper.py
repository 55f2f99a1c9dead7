# SPDX-License-Identifier: Apache-2.0
"""Questions to the kernel's device-mapper, which change nothing there."""

from collections.abc import Iterator, Sequence

from cinder_lvm_driver.privileged import dm_control
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
