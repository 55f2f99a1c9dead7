# SPDX-License-Identifier: Apache-2.0
"""The cache between runs: kernels, initramfs, whether KVM works.

Files are built under a temporary name and renamed, so that those with a final
name are complete. A lock serializes the builds of concurrent runs.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time

from testvm_lib import errors
from testvm_lib import report

LOCK_SECONDS = 900.0


def make_folder(path: str) -> None:
    """Create a cache folder if it does not exist."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise errors.PrepareError(
            f'the cache folder {path} cannot be created ({error.strerror}); '
            'set CINDER_LVM_CACHE to another folder') from error


def key(*parts: bytes) -> str:
    """Return a digest of several parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b'%d:' % len(part))
        digest.update(part)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def lock(path: str, reporter: report.Reporter,
         seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of a cache folder.

    :param seconds: the time limit for the builds of another run
    """
    descriptor = os.open(os.path.join(path, 'lock'),
                         os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + seconds
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not announced:
                reporter.say('waiting for another run to fill the cache')
                announced = True
            if time.monotonic() > deadline:
                raise errors.PrepareError(
                    f'another run has held the lock of {path} for '
                    f'{seconds:.0f} seconds; stop it')
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def building(path: str) -> Iterator[str]:
    """Yield a new folder; rename it to ``path`` if the body succeeds."""
    parent, name = os.path.split(path)
    temporary = tempfile.mkdtemp(prefix=f'.{name}.', dir=parent)
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def write_file(path: str, data: bytes) -> None:
    """Write a file atomically; only its owner can read it."""
    parent, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f'.{name}.', dir=parent)
    try:
        with os.fdopen(descriptor, 'wb') as file:
            file.write(data)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def remove_leftovers(path: str) -> None:
    """Remove the rests of killed builds; the caller holds the lock."""
    for name in os.listdir(path):
        if name.startswith('.'):
            leftover = os.path.join(path, name)
            if os.path.isdir(leftover):
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(leftover)


@contextlib.contextmanager
def in_use(path: str) -> Iterator[None]:
    """Protect a folder from :func:`remove_unused`.

    The protection ends with the process, even if that is killed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_in_use(path: str) -> bool:
    """Return whether a process protects a folder with :func:`in_use`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def remove_unused(path: str) -> None:
    """Remove a folder unless a process uses it."""
    if not is_in_use(path):
        shutil.rmtree(path, ignore_errors=True)
