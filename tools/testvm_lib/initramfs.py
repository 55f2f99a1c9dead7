# SPDX-License-Identifier: Apache-2.0
"""The initial root, which mounts the real one."""

from collections.abc import Mapping, Sequence
import glob
import os
import shlex
import shutil

from testvm_lib import cache
from testvm_lib import cpio
from testvm_lib import errors
from testvm_lib import kernel as kernels

FOLDERS = ('bin', 'dev', 'etc', 'etc/target', 'job', 'lower', 'modules',
           'proc', 'root', 'sys', 'upper', 'testvm')
_GUEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'guest')
SCRIPTS = ('stage1', 'stage2', 'common')
# The scripts use busybox, which starts faster than the machine's programs.
APPLETS = (
    'cat', 'chmod', 'cp', 'grep', 'head', 'hostname', 'insmod', 'ip', 'ln',
    'mkdir', 'mkfifo', 'mount', 'poweroff', 'rm', 'sed',
    'setsid', 'sh', 'sleep', 'switch_root', 'sync')


def _read(path: str) -> bytes:
    with open(path, 'rb') as file:
        return file.read()


def _busybox() -> bytes:
    """Return a static busybox."""
    path = shutil.which('busybox')
    if path is None:
        raise errors.PrepareError(
            'busybox is missing; install the package busybox-static')
    data = _read(path)
    # A dynamic executable names its interpreter.
    if b'/ld-linux' in data[:4096] or b'/lib64/ld-' in data[:4096]:
        raise errors.PrepareError(
            f'{path} is linked dynamically; install the package '
            'busybox-static')
    return data


def ensure(folder: str, kernel: kernels.Kernel) -> bytes:
    """Return the initramfs from the cache, or build it.

    :param folder: the cache folder; the caller holds its lock
    """
    busybox = _busybox()
    scripts = {name: _read(os.path.join(_GUEST, name)) for name in SCRIPTS}
    files = kernels.load_order(kernel.folder, kernel.release,
                               kernels.BOOT_MODULES)
    digest = cache.key(busybox, *scripts.values(), _read(__file__),
                       _read(cpio.__file__), *map(os.fsencode, files))
    prefix = os.path.join(folder, f'initramfs-{kernel.release}-')
    try:
        return _read(prefix + digest)
    except FileNotFoundError:
        pass
    for old in glob.glob(glob.escape(prefix) + '*'):
        os.unlink(old)
    data = build(busybox, scripts, files)
    cache.write_file(prefix + digest, data)
    return data


def build(busybox: bytes, scripts: Mapping[str, bytes],
          files: Sequence[str]) -> bytes:
    """Return a new initramfs.

    :param files: the kernel modules in load order
    """
    archive = cpio.Archive()
    for name in FOLDERS:
        archive.folder(name)
    archive.file('bin/busybox', busybox, 0o755)
    for applet in APPLETS:
        archive.link(f'bin/{applet}', 'busybox')
    for name, text in scripts.items():
        archive.file(f'testvm/{name}', text, 0o755)
    archive.link('init', 'testvm/stage1')
    listing = []
    for path in files:
        module = os.path.basename(path)
        archive.file(f'modules/{module}', _read(path))
        listing.append(module + '\n')
    archive.file('modules/list', ''.join(listing).encode())
    return archive.render()


def job(settings: Mapping[str, Sequence[str]], command: Sequence[str],
        environment: Sequence[tuple[str, str]]) -> bytes:
    """Return the archive with the files of one run.

    ``/job/settings`` assigns variables, with a line for each value;
    ``/job/run`` executes the command.
    """
    lines = []
    for name, values in settings.items():
        value = '\n'.join(values)
        lines.append(f'{name}={shlex.quote(value)}\n')
    words = ['exec', '/usr/bin/env', '-i']
    words += [shlex.quote(f'{name}={value}') for name, value in environment]
    words += [shlex.quote(word) for word in command]
    archive = cpio.Archive()
    archive.file('job/settings', os.fsencode(''.join(lines)), 0o600)
    archive.file('job/run', os.fsencode(' '.join(words) + '\n'), 0o600)
    return archive.render()


def trial(word: str) -> bytes:
    """Return an initramfs that writes a word to the console."""
    archive = cpio.Archive()
    for name in ('bin', 'dev'):
        archive.folder(name)
    archive.file('bin/busybox', _busybox(), 0o755)
    archive.file('init', (
        '#!/bin/busybox sh\n'
        '/bin/busybox mount -t devtmpfs devtmpfs /dev\n'
        f'echo {word} >/dev/ttyS0\n'
        '/bin/busybox poweroff -f\n').encode(), 0o755)
    return archive.render()
