# SPDX-License-Identifier: Apache-2.0
"""What is kept between runs: kernels, initramfs, the answer about KVM.

Everything is built under a temporary name and renamed, so that what has its
final name is whole.  One lock makes concurrent runs take turns at building.
"""

from collections.abc import Iterator, Mapping
import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import time

from testvm_lib import errors
from testvm_lib import report

PROJECT = 'cinder-lvm-driver'
LOCK_SECONDS = 900.0


def folder(environ: Mapping[str, str]) -> str:
    """Return the test machine's part of the project's cache folder.

    ``$CINDER_LVM_CACHE``, else ``$XDG_CACHE_HOME/cinder-lvm-driver``, else
    ``/var/cache/cinder-lvm-driver``.  An empty variable counts as none.
    """
    chosen = environ.get('CINDER_LVM_CACHE', '')
    if not chosen:
        parent = environ.get('XDG_CACHE_HOME', '') or '/var/cache'
        chosen = os.path.join(parent, PROJECT)
    return os.path.join(os.path.abspath(chosen), 'testvm')


def make_folder(path: str) -> None:
    """Create a cache folder if it is not there."""
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise errors.PrepareError(
            f'the cache folder {path} cannot be made ({error.strerror}); '
            'set CINDER_LVM_CACHE to another one') from error


def key(*parts: bytes) -> str:
    """Return a short name that changes with any of the parts."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b'%d:' % len(part))
        digest.update(part)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def lock(path: str, reporter: report.Reporter,
         seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold the lock of a cache folder.

    :param seconds: how long to wait for another run that builds
    """
    descriptor = os.open(os.path.join(path, 'lock'),
                         os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + seconds
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                pass
            if not told:
                reporter.say('waiting for another run that fills the cache')
                told = True
            if time.monotonic() > deadline:
                raise errors.PrepareError(
                    f'another run held the lock of {path} for '
                    f'{seconds:.0f} seconds')
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def building(path: str) -> Iterator[str]:
    """Yield a new folder that becomes ``path`` if the body succeeds."""
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
    """Write a whole file, or none."""
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
    """Remove what a killed build left behind; call it with the lock held."""
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
    """Keep a folder from being removed as unused.

    Enter it with the cache folder's lock held; it ends with the process,
    however that ends.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def remove_unused(path: str) -> None:
    """Remove a folder that no run uses; with the cache folder's lock held."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
