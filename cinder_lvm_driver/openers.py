# SPDX-License-Identifier: Apache-2.0
"""What has a block device open, as far as the kernel tells without root."""

from collections.abc import Iterator
import glob
import os

from cinder_lvm_driver import blockdev

_CONFIGFS = '/sys/kernel/config'
# What serves devices, where it shows their paths, and which part of that is
# its name.
_EXPORTS = (
    ('LIO target', f'{_CONFIGFS}/target/core/*/*/udev_path', -2),
    ('NVMe subsystem',
     f'{_CONFIGFS}/nvmet/subsystems/*/namespaces/*/device_path', -4),
    ('loop device', '/sys/block/loop*/loop/backing_file', -3),
)


def describe(path: str) -> str:
    """Return that a device is in use, and by what.

    A process of another user shows only to root what it has open.
    """
    device = blockdev.number(path)
    found = [] if device is None else [
        *_holders(device), *_mounts(device), *_swaps(device),
        *_exports(device), *_processes(device)]
    if found:
        return 'in use by ' + ', '.join(found)
    return f"in use by a process, which 'fuser -v {path}' shows to root"


def _holders(device: str) -> Iterator[str]:
    """Yield the devices that are built on a device.

    See Documentation/ABI/testing/sysfs-block of the kernel.
    """
    for path in glob.glob(f'{blockdev.SYS}/{device}/holders/*'):
        yield f'device {_read(f"{path}/dm/name") or os.path.basename(path)}'


def _mounts(device: str) -> Iterator[str]:
    """Yield the mounts of a device (proc_pid_mountinfo(5))."""
    for line in _read('/proc/self/mountinfo').splitlines():
        words = line.split()
        if words[2] == device:
            yield f'the mount {words[4]}'


def _swaps(device: str) -> Iterator[str]:
    for line in _read('/proc/swaps').splitlines()[1:]:
        if blockdev.number(line.split()[0]) == device:
            yield 'swap'


def _exports(device: str) -> Iterator[str]:
    for kind, pattern, part in _EXPORTS:
        for path in glob.glob(pattern):
            if blockdev.number(_read(path)) == device:
                yield f'{kind} {path.split("/")[part]}'


def _processes(device: str) -> Iterator[str]:
    """Yield the processes that this user may look at."""
    for folder in glob.glob('/proc/[0-9]*'):
        if any(blockdev.number(path) == device
               for path in glob.glob(f'{folder}/fd/*')):
            yield (f'process {os.path.basename(folder)} '
                   f'({_read(f"{folder}/comm")})')


def _read(path: str) -> str:
    """Return a file of the kernel; nothing if it disappears meanwhile."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ''
