# SPDX-License-Identifier: Apache-2.0
"""Writes to whole block devices: copies, images and zeroes.

Cinder's own helper (``volume_utils.copy_volume``) first runs ``dd`` twice,
through rootwrap, to learn whether the devices support direct I/O; LVs always
do. Its bandwidth limit (``volume_copy_bps_limit``) applies here as well.
"""

from collections.abc import Iterable, Iterator
import itertools
import threading
import time

from cinder.volume import throttling
from oslo_utils import units

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import errors
from cinder_lvm_driver import options
from cinder_lvm_driver import process

_SECTOR_BYTES = 512
# The kernel can be interrupted between two steps.
_ZEROOUT_STEP_BYTES = units.Gi
# QEMU 7.2 needs a quarter of this address space, and each of its threads
# reserves some more.
_CONVERSION_BYTES = 4 * units.Gi


class DeviceNotFound(errors.DriverError):
    """A path does not lead to the device of its LV."""


class DeviceWriter:
    """Writes to block devices with the settings of one back end."""

    def __init__(self, settings: options.Settings,
                 runner: process.Runner) -> None:
        self._settings = settings
        self._runner = runner

    def copy(self, source: str, destination: str, size_bytes: int, *,
             sparse: bool) -> None:
        """Copy the first bytes of one device to another with direct I/O.

        :param sparse: skip blocks of zeroes
        :raises DeviceNotFound: a path does not lead to its LV
        :raises process.CommandFailed: dd failed
        """
        _require_lv(source)
        self._dd(source, destination, f'count={size_bytes}',
                 'iflag=count_bytes,direct', 'oflag=direct',
                 'conv=nocreat,fsync' + ',sparse' * sparse)

    def write_image(self, path: str, image_format: str,
                    device: str) -> None:
        """Write the data of an image to a device that reads as zeroes.

        Zeroes are skipped. By default qemu-img writes them as well, because
        it cannot know what the device holds, and a thin LV is then full
        (QEMU 7.2).

        The image may be hostile: qemu-img is not root, and its memory is
        limited. Its time is not: it depends on the size, which is at most
        that of the volume. prlimit(1) needs no second process, unlike the
        limits of oslo.concurrency.

        :param image_format: as QEMU spells it; qemu-img must not detect it,
            because the content that a tenant uploads would decide
        :param device: which this user may write to, see
            :func:`privileged.lending.lent`
        :raises DeviceNotFound: the device is not that of its LV
        :raises process.CommandFailed: qemu-img failed
        """
        _require_lv(device)
        # Only root could move qemu-img into a cgroup, as Cinder limits dd.
        limit = getattr(throttling.Throttle.get_default(), 'bps_limit', 0)
        self._runner.run_unprivileged(
            'prlimit', f'--as={_CONVERSION_BYTES}', 'qemu-img', 'convert',
            '-n', '--target-is-zero', '-t', 'none',
            *(('-r', str(limit)) if limit else ()),
            '-O', 'raw', '-f', image_format, path, device)

    @property
    def wipes(self) -> bool:
        """Whether deleted thick LVs are wiped (``volume_clear``)."""
        return self._settings.volume_clear != 'none'

    def wipe(self, device: str) -> None:
        """Overwrite a device with zeroes, up to ``volume_clear_size``.

        :raises DeviceNotFound: the device is not that of its LV
        :raises process.CommandFailed: it is in use or cannot be written
        """
        size_bytes = _size_bytes(device)
        limit = self._settings.volume_clear_size * units.Mi
        self._zero(device, 0, min(size_bytes, limit or size_bytes))

    def zero_from(self, device: str, offset_bytes: int) -> None:
        """Overwrite the end of a device, which may be in use, with zeroes.

        :raises DeviceNotFound: the device is not that of its LV
        :raises process.CommandFailed: it cannot be written
        """
        self._zero(device, offset_bytes, _size_bytes(device), '--force')

    def _zero(self, device: str, start: int, end: int,
              *blkdiscard_options: str) -> None:
        """Overwrite a range with zeroes.

        BLKZEROOUT (blkdiscard(8)) is cheap on a device that can write zeroes
        itself. For any other device the kernel would write them at full
        speed and slow down all users of the disks, so that dd writes them at
        the configured rate.

        :param start: first byte
        :param end: byte after the last one
        """
        if start >= end:
            return
        ionice = self._settings.volume_clear_ionice
        priority = ('ionice', *ionice.split()) if ionice else ()
        if _attribute(device, 'queue/write_zeroes_max_bytes'):
            _require_lv(device)
            self._runner.run_long(
                *priority, 'blkdiscard', '--zeroout', *blkdiscard_options,
                '--offset', str(start), '--length', str(end - start),
                '--step', str(_ZEROOUT_STEP_BYTES), device)
            # Only flushes, which blkdiscard does not.
            pieces: Iterable[tuple[int, int]] = [(start, 0)]
        else:
            pieces = _paced(start, end, self._settings.wipe_rate * units.Mi)
        for offset, size in pieces:
            self._dd('/dev/zero', device, f'count={size}', f'seek={offset}',
                     'iflag=count_bytes', 'oflag=seek_bytes,direct',
                     'conv=nocreat,fsync', priority=priority)

    def _dd(self, source: str, destination: str, *words: str,
            priority: tuple[str, ...] = ()) -> None:
        _require_lv(destination)
        # nocreat: without the device, dd would create a file in /dev.
        # fsync: direct I/O leaves data in the write cache of the disk, which
        # a power failure empties.
        self._run_limited(
            source, destination, *priority, 'dd', f'if={source}',
            f'of={destination}', f'bs={self._settings.dd_blocksize}', *words)

    def _run_limited(self, source: str, destination: str,
                     *command: str) -> None:
        throttle = throttling.Throttle.get_default()
        with throttle.subcommand(source, destination) as limited:
            self._runner.run_long(*limited['prefix'], *command)


def _paced(start: int, end: int,
           rate: int) -> Iterator[tuple[int, int]]:
    """Yield offset and size of the pieces of a range at a limited rate.

    :param rate: bytes per second; 0 for no limit
    """
    if not rate:
        yield start, end - start
        return
    pause = threading.Event().wait
    began = time.monotonic()
    for seconds, offset in zip(itertools.count(), range(start, end, rate)):
        ahead = began + seconds - time.monotonic()
        if ahead > 0:
            pause(ahead)
        yield offset, min(rate, end - offset)


def _size_bytes(device: str) -> int:
    return _attribute(device, 'size') * _SECTOR_BYTES


def _attribute(device: str, name: str) -> int:
    """Return a numeric attribute of a block device.

    See Documentation/ABI/stable/sysfs-block of the kernel.
    """
    number = blockdev.number(device)
    value = number and blockdev.attribute(number, name)
    if not value:
        raise DeviceNotFound(
            f'{device} is not a block device of this node: activate its LV '
            f'with lvchange --activate y')
    return int(value)


def _require_lv(device: str) -> None:
    """Check that a path leads to the device of its LV, before it is opened."""
    reason = blockdev.why_not_lv(device)
    if reason is not None:
        raise DeviceNotFound(
            f'{device} {reason}: create the node again with vgmknodes')
