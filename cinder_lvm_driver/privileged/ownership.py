# SPDX-License-Identifier: Apache-2.0
"""What belongs to this driver, as root finds it without asking its user.

A VG is this driver's if a configuration file of Cinder names it as
``volume_group``, also within ``lvm_pool``. A file that another user than root
can change must not name a VG of the node itself: one with a file system that
is mounted, or with swap.
"""

from collections.abc import Iterable, Iterator
import contextlib
import dataclasses
import glob
import os
import pathlib
import re
import stat
import time

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import naming

# cinder-volume reads its configuration from here.
_FOLDERS = ('/etc/cinder', '/usr/share/cinder')
_SETTING = re.compile(
    r'^[ \t]*(?:lvm_pool[ \t]*[=:](?:.*,)?[ \t]*)?volume_group[ \t]*[=:][ \t]*'
    rf'([\'"]?)({naming.LVM_NAME})\1[ \t]*(?:,|$)', re.MULTILINE)
# Cinder's default of the option.
_DEFAULT = 'cinder-volumes'
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# A file that has just changed can change again and look the same: the kernel's
# clock for files has ticks of up to 10 ms.
_SETTLING_NS = 10 ** 9
_serves_root = False


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """What a file names; its look is None if it is not to be relied on."""

    look: tuple[int, ...] | None
    names: frozenset[str]


_files: dict[str, _File] = {}


def serve_root() -> None:
    """Regard each VG as this driver's: the user of this process is root."""
    global _serves_root
    _serves_root = True


def volume_groups() -> frozenset[str]:
    """Return the names of the VGs that this driver may use."""
    global _files
    trusted: set[str] = {_DEFAULT}
    others: set[str] = set()
    files = {}
    for path in _configuration():
        # A link that leads nowhere, such as an editor's lock.
        with contextlib.suppress(OSError):
            files[path] = _read(path)
            if names := files[path].names:
                (trusted if is_only_roots(path) else others).update(names)
    _files = files
    return frozenset(trusted | (others - _vgs_of_host() if others else set()))


def _read(path: str) -> _File:
    """Read a file if it has changed since the last time.

    This is asked for each command, and ``cinder.conf`` can be long.
    """
    with open(path, errors='replace') as file:
        status = os.fstat(file.fileno())
        # Its owner can set the times of a file, but not the one of its change.
        look = (status.st_dev, status.st_ino, status.st_size,
                status.st_ctime_ns)
        known = _files.get(path)
        if known is not None and known.look == look:
            return known
        is_settled = time.time_ns() - status.st_ctime_ns > _SETTLING_NS
        return _File(look if is_settled else None, frozenset(
            name for _quote, name in _SETTING.findall(file.read())))


def is_own_lv(path: str) -> bool:
    """Return whether a path leads to an LV of such a VG, or a part of one."""
    number = blockdev.number(path)
    return (number is not None and blockdev.is_lv(number)
            and (_serves_root or _vg_name(number) in volume_groups()))


def foreign_names(dm_names: Iterable[str]) -> list[str]:
    """Return the names of device-mapper that are not those of such LVs."""
    if _serves_root:
        return []
    own = volume_groups()
    return [name for name in dm_names if naming.vg_name(name) not in own]


def is_only_roots(path: str) -> bool:
    """Return whether no other user than root can change what a path is.

    A path that does not exist is judged by its folders.
    """
    real = pathlib.PurePath(os.path.realpath(path))
    given = pathlib.PurePath(os.path.abspath(path))
    return all(map(_is_entry_of_root, {real, *real.parents,
                                       given, *given.parents}))


def _is_entry_of_root(path: pathlib.PurePath) -> bool:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return True
    return status.st_uid == 0 and not status.st_mode & _WRITABLE_BY_OTHERS


def keeps_what_is_roots(folder: pathlib.PurePath) -> bool:
    """Return whether no other user can replace what root has in a folder."""
    status = os.stat(folder)
    return status.st_uid == 0 and (
        bool(status.st_mode & stat.S_ISVTX)
        or not status.st_mode & _WRITABLE_BY_OTHERS)


def _configuration() -> Iterator[str]:
    for top in _FOLDERS:
        for folder, _folders, names in os.walk(top):
            yield from (os.path.join(folder, name) for name in names
                        if name.endswith('.conf'))


def _vgs_of_host() -> set[str]:
    """Return the VGs with LVs that are below a mount or swap."""
    with open('/proc/self/mountinfo') as file:
        mounts = [line.split() for line in file]
    with open('/proc/swaps') as file:
        swaps = [line.split()[0] for line in file]
    # proc_pid_mountinfo(5): a file system on several devices, such as btrfs,
    # has a number of its own, but a device as its source.
    used = {words[2] for words in mounts}
    for path in *(words[words.index('-') + 2] for words in mounts), *swaps:
        number = blockdev.number(path)
        if number is not None:
            used.add(number)
    return {_vg_name(number) for top in used for number in _stack(top)
            if blockdev.is_lv(number)}


def _stack(number: str) -> Iterator[str]:
    """Yield a device and those below it."""
    yield number
    for path in glob.glob(f'{blockdev.SYS}/{number}/slaves/*/dev'):
        with open(path) as file:
            yield from _stack(file.read().strip())


def _vg_name(number: str) -> str:
    return naming.vg_name(blockdev.attribute(number, 'dm/name') or '')
