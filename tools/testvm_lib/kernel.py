# SPDX-License-Identifier: Apache-2.0
"""Debian's kernel, downloaded and unpacked into the cache."""

from collections.abc import Sequence
import dataclasses
import glob
import lzma
import os
import shutil
import struct
import subprocess

from testvm_lib import cache
from testvm_lib import errors
from testvm_lib import report

# The guest loads these and fails if one is missing.
REQUIRED_MODULES = (
    'loop', 'dm-mod', 'dm-thin-pool', 'dm-snapshot', 'dm-mirror', 'dm-raid',
    'raid1', 'configfs', 'iscsi_tcp', 'nvmet', 'nvmet-tcp', 'nvme-tcp',
    'target_core_mod', 'target_core_iblock', 'iscsi_target_mod')
OPTIONAL_MODULES = ('brd',)
# For the root file system and the messages of the guest.
BOOT_MODULES = (
    'virtio_pci', 'virtio_rng', 'virtio_console', 'virtio_blk', 'virtio_net',
    'virtiofs', 'overlay')

# Increase it when the unpacked form of the kernel changes.
LAYOUT = 2
META_PACKAGE = 'linux-image-cloud-amd64'

_DECOMPRESS = {b'\x28\xb5\x2f\xfd': ('zstd', '-dc'),
               b'\x02\x21\x4c\x18': ('lz4', '-dc'),
               b'\x1f\x8b\x08\x00': ('gzip', '-dc')}
# Offsets in the header, see "The Linux/x86 Boot Protocol".
_SETUP_SECTORS = 0x1f1
_MAGIC = 0x202
_PAYLOAD = 0x248
# The end of a signed module.
_SIGNATURE = b'~Module signature appended~\n'


@dataclasses.dataclass(frozen=True)
class Kernel:
    """An unpacked kernel.

    :ivar release: the output of ``uname -r``
    :ivar image: the file to boot
    :ivar folder: contains ``lib/modules``
    """

    release: str
    image: str
    folder: str

    @property
    def modules(self) -> str:
        """The folder for /lib/modules in the guest."""
        return os.path.join(self.folder, 'lib', 'modules')


def concrete(depends: str) -> str | None:
    """Return the kernel package in the output of ``apt-cache depends``."""
    for line in depends.splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == 'Depends:' and (
                words[1].startswith('linux-image-')):
            return words[1]
    return None


def _run(command: Sequence[str], folder: str | None = None) -> str:
    """Run a command and return its output.

    :raises errors.PrepareError: with its error messages
    """
    environment = dict(os.environ, LC_ALL='C.UTF-8',
                       DEBIAN_FRONTEND='noninteractive')
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise errors.PrepareError(
            f'{command[0]} cannot be run ({error.strerror}); install the '
            'packages that bindep.txt lists') from error
    if done.returncode:
        raise errors.PrepareError(
            f'{" ".join(command)} failed with status {done.returncode}',
            done.stderr.strip())
    return done.stdout


def find_package(series: str, default: str) -> str | None:
    """Return the newest package of a kernel series, None if apt has none.

    For the default series, the newest kernel of the release will do.
    """
    for meta in (f'linux-image-{series}-cloud-amd64', META_PACKAGE):
        try:
            package = concrete(_run(['apt-cache', 'depends', meta]))
        except errors.PrepareError:
            continue
        if package and (series == default
                        or package.startswith((f'linux-image-{series}.',
                                               f'linux-image-{series}-'))):
            return package
    return None


def _download(series: str, default: str, folder: str,
              reporter: report.Reporter) -> str:
    """Download the package of a series; return the path of the file."""
    package = find_package(series, default)
    if package is None:
        raise errors.PrepareError(
            f'this Debian release offers no {series} cloud kernel; choose '
            'another --kernel')
    reporter.say(f'downloading {package}')
    _run(['apt-get', '-q', '-o', 'APT::Sandbox::User=root', 'download',
          package], folder)
    return glob.glob(os.path.join(glob.escape(folder), '*.deb'))[0]


def _fetch(series: str, default: str, folder: str,
           reporter: report.Reporter) -> str:
    """Download the package; update the package lists if that fails."""
    try:
        return _download(series, default, folder, reporter)
    except errors.PrepareError:
        reporter.say('updating the lists of Debian packages')
        _run(['apt-get', '-q', 'update'])
        return _download(series, default, folder, reporter)


def extract_image(image: bytes) -> bytes | None:
    """Return the uncompressed kernel in a bzImage, None if that fails.

    QEMU can boot it (PVH entry point). An emulated processor would take
    seconds to decompress it.
    """
    if len(image) < _PAYLOAD + 8 or image[_MAGIC:_MAGIC + 4] != b'HdrS':
        return None
    sectors = image[_SETUP_SECTORS] or 4
    offset, length = struct.unpack_from('<II', image, _PAYLOAD)
    start = (sectors + 1) * 512 + offset
    payload = image[start:start + length]
    if payload[:6] == b'\xfd7zXZ\0':
        data = lzma.LZMADecompressor().decompress(payload)
    else:
        command = _DECOMPRESS.get(payload[:4])
        if command is None or shutil.which(command[0]) is None:
            return None
        # The last four bytes are the uncompressed size, not data of the
        # compressed format.
        done = subprocess.run(command, input=payload[:-4],
                              stdout=subprocess.PIPE, check=False,
                              stderr=subprocess.DEVNULL)
        data = done.stdout if done.returncode == 0 else b''
    return data if data.startswith(b'\x7fELF') else None


def dependencies(modules_dep: str) -> dict[str, tuple[str, list[str]]]:
    """Return the file of each module and the files that it needs.

    :param modules_dep: the text of modules.dep(5)
    :returns: by module name with ``_`` for ``-``; the needed files are in load
        order
    """
    found = {}
    for line in modules_dep.splitlines():
        path, _, needs = line.partition(':')
        name = os.path.basename(path).partition('.ko')[0].replace('-', '_')
        found[name] = (path, needs.split()[::-1])
    return found


def load_order(folder: str, release: str,
               names: Sequence[str]) -> list[str]:
    """Return the files of modules and their dependencies in load order.

    Names without a file are left out: they are built in, or missing, which the
    guest reports when it loads them.
    """
    base = os.path.join(folder, 'lib', 'modules', release)
    with open(os.path.join(base, 'modules.dep'), encoding='utf-8') as file:
        known = dependencies(file.read())
    order: dict[str, None] = {}
    for name in names:
        path, needs = known.get(name.replace('-', '_'), ('', []))
        for one in [*needs, path]:
            if one:
                order[os.path.join(base, one)] = None
    return list(order)


def strip_signature(module: bytes) -> bytes:
    """Return a module without its signature.

    Debian's kernel does not require it, and an emulated processor takes a
    second to verify all modules.
    """
    if not module.endswith(_SIGNATURE):
        return module
    end = len(module) - len(_SIGNATURE)
    length = int.from_bytes(module[end - 4:end], 'big')
    # struct module_signature has twelve bytes.
    return module[:end - 12 - length]


def _lighten_modules(folder: str, release: str) -> None:
    """Decompress the guest's modules and strip their signatures."""
    for path in load_order(folder, release, BOOT_MODULES + REQUIRED_MODULES
                           + OPTIONAL_MODULES):
        plain, extension = os.path.splitext(path)
        with open(path, 'rb') as file:
            data = file.read()
        if extension == '.xz':
            data = lzma.decompress(data)
        elif extension == '.zst':
            data = subprocess.run(['zstd', '-dcq'], check=True, input=data,
                                  stdout=subprocess.PIPE).stdout
        else:
            plain = path
        os.unlink(path)
        with open(plain, 'wb') as file:
            file.write(strip_signature(data))
    _run(['depmod', '-b', folder, release])


def _unpack(package: str, folder: str) -> None:
    """Unpack a kernel package as :class:`Kernel` describes."""
    raw = os.path.join(folder, 'raw')
    _run(['dpkg', '-x', package, raw])
    images = glob.glob(os.path.join(glob.escape(raw), 'boot', 'vmlinuz-*'))
    if len(images) != 1:
        raise errors.PrepareError(
            f'{os.path.basename(package)} contains no kernel image')
    release = os.path.basename(images[0]).partition('-')[2]
    for parent in ('lib', 'usr/lib'):
        modules = os.path.join(raw, parent, 'modules', release)
        if os.path.isdir(modules):
            break
    else:
        raise errors.PrepareError(
            f'{os.path.basename(package)} contains no modules')
    os.makedirs(os.path.join(folder, 'lib', 'modules'))
    os.rename(modules, os.path.join(folder, 'lib', 'modules', release))
    with open(images[0], 'rb') as file:
        image = file.read()
    image = extract_image(image) or image
    with open(os.path.join(folder, 'image'), 'wb') as file:
        file.write(image)
    shutil.rmtree(raw)
    _run(['depmod', '-b', folder, release])
    _lighten_modules(folder, release)
    with open(os.path.join(folder, 'release'), 'w',
              encoding='utf-8') as file:
        file.write(release)


def ensure(folder: str, series: str, default: str,
           reporter: report.Reporter) -> Kernel:
    """Return the kernel of a series from the cache, or download it.

    :param folder: the cache folder; the caller holds its lock
    """
    recipe = repr((LAYOUT, REQUIRED_MODULES, OPTIONAL_MODULES, BOOT_MODULES))
    path = os.path.join(folder,
                        f'kernel-{series}-{cache.key(recipe.encode())}')
    if not os.path.isdir(path):
        with cache.building(path) as temporary:
            package = _fetch(series, default, temporary, reporter)
            _unpack(package, temporary)
            os.unlink(package)
        for old in glob.glob(os.path.join(glob.escape(folder),
                                          f'kernel-{series}-*')):
            if old != path:
                cache.remove_unused(old)
    with open(os.path.join(path, 'release'), encoding='utf-8') as file:
        release = file.read()
    return Kernel(release, os.path.join(path, 'image'), path)
