# SPDX-License-Identifier: Apache-2.0
"""Lends the device of an LV to the user of cinder-volume.

That user then reads and writes it without root, for example with qemu-img,
which must not read a file of that user as root. The loan is an entry in the
device's access control list (acl(5)): udev sets the owner and the mode of a
device again at any time, but not its list.
"""

from collections.abc import Iterator
import contextlib
import os
import struct

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

_ATTRIBUTE = 'system.posix_acl_access'
# linux/posix_acl_xattr.h and posix_acl.h: a version, and entries of tag,
# permissions and id, in the order of the tags.
_VERSION = struct.Struct('<I')
_ENTRY = struct.Struct('<HHI')
_OWNER, _USER, _GROUP, _MASK, _OTHERS = 0x01, 0x02, 0x04, 0x10, 0x20
_NOBODY = 0xffffffff
_READ_WRITE = 6


@contextlib.contextmanager
def lent(path: str) -> Iterator[None]:
    """Have access to the device of an LV within a block.

    :raises DeviceNotUsable: see :func:`validation.device`
    """
    if os.geteuid() == 0:
        yield
        return
    _lend(path, os.geteuid())
    try:
        yield
    finally:
        _take_back(path)


@verbs.entrypoint
def _lend(path: str, user: int) -> None:
    path = validation.device(path)
    mode = os.stat(path).st_mode
    entries = ((_OWNER, mode >> 6 & 7, _NOBODY), (_USER, _READ_WRITE, user),
               (_GROUP, mode >> 3 & 7, _NOBODY), (_MASK, _READ_WRITE, _NOBODY),
               (_OTHERS, mode & 7, _NOBODY))
    try:
        os.setxattr(path, _ATTRIBUTE, _VERSION.pack(2) + b''.join(
            _ENTRY.pack(*entry) for entry in entries))
    except OSError as exc:
        raise errors.DeviceNotUsable(
            path, f'gets no access control list: {exc.strerror}') from exc


@verbs.entrypoint
def _take_back(path: str) -> None:
    # A device that is gone, or that has no list, needs nothing.
    with contextlib.suppress(errors.DeviceNotUsable, OSError):
        os.removexattr(validation.device(path), _ATTRIBUTE)
