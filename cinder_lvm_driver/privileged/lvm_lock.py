# SPDX-License-Identifier: Apache-2.0
"""LVM's own lock of a VG (lvm2, lib/locking/file_locking.c).

LVM removes the file of a lock when it gives the lock up. So a lock counts
only if its file is still in its place.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
import threading
import time

from cinder_lvm_driver.privileged import errors

WAIT_SECONDS = 60
_POLL_SECONDS = 0.02


@contextlib.contextmanager
def held(path: str) -> Iterator[None]:
    """Hold a lock, so that LVM commands on the VG wait.

    :param path: of the file of the lock
    :raises VolumeGroupLocked: other LVM commands have held it for a minute
    """
    deadline = time.monotonic() + WAIT_SECONDS
    while (descriptor := _try(path)) is None:
        if time.monotonic() > deadline:
            raise errors.VolumeGroupLocked(path, WAIT_SECONDS)
        threading.Event().wait(_POLL_SECONDS)
    try:
        yield
    finally:
        os.close(descriptor)


def _try(path: str) -> int | None:
    descriptor = os.open(
        path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(path)):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
