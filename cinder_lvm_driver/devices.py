# SPDX-License-Identifier: Apache-2.0
"""Copying to, and zeroing of, block devices.

Cinder's own helper (``volume_utils.copy_volume``) looks with a ``dd`` of its
own, each behind a Python start, whether the devices can do direct I/O; LVs
always can. Its bandwidth limit (``volume_copy_bps_limit``) is heeded here
too.
"""

from collections.abc import Iterator
import itertools
import os
import threading
import time

from cinder.volume import throttling
from oslo_utils import units

from cinder_lvm_driver import errors
from cinder_lvm_driver import options
from cinder_lvm_driver import process

_SECTOR_BYTES = 512
# The kernel zeroes so much between two looks at whether it is to stop.
_ZEROOUT_STEP_BYTES = units.Gi
# Of address space for a conversion: a quarter is enough with QEMU 7.2, but
# each of its threads reserves some for itself.
_CONVERSION_BYTES = 4 * units.Gi


class DeviceNotFound(errors.DriverError):
    """An LV has no device, as it is inactive or gone."""


class Copier:
    """Fills block devices for one back end."""

    def __init__(self, settings: options.Settings,
                 runner: process.Runner) -> None:
        self._settings = settings
        self._runner = runner

    def copy(self, source: str, destination: str, size_bytes: int, *,
             sparse: bool) -> None:
        """Copy the first bytes of an LV to another one, past all caches.

        :param sparse: leave out blocks of zeroes
        :raises process.CommandFailed: dd failed
        """
        self._dd(source, destination, f'count={size_bytes}',
                 'iflag=count_bytes,direct', 'oflag=direct',
                 'conv=nocreat,sparse' if sparse else 'conv=nocreat')

    def write_image(self, path: str, image_format: str,
                    device: str) -> None:
        """Write what is not zero of an image to an LV that is all zeroes.

        Left to itself qemu-img writes the zeroes too, because it cannot know
        what a device reads as; a thin LV is full then (QEMU 7.2).

        A hostile image must not take all the memory of this host. Its time
        is not limited: that depends on the size, which is the volume's at
        most. Cinder, which limits ``qemu-img info`` only, starts a Python
        for that; prlimit(1) becomes qemu-img itself.

        :param image_format: QEMU's word; never left to be guessed, since
            what a tenant uploads decides what the guess is
        :raises process.CommandFailed: qemu-img failed
        """
        self._run_limited(
            path, device, 'prlimit', f'--as={_CONVERSION_BYTES}',
            'qemu-img', 'convert', '-n', '--target-is-zero', '-t', 'none',
            '-O', 'raw', '-f', image_format, path, device)

    @property
    def wipes(self) -> bool:
        """Whether what a thick LV held must not be seen in another one."""
        return self._settings.volume_clear != 'none'

    def wipe(self, device: str) -> None:
        """Overwrite an LV that nobody uses, as far as the options ask for.

        :raises DeviceNotFound: there is no such device
        :raises process.CommandFailed: it cannot be written to, or is in use
        """
        size_bytes = _size_bytes(device)
        limit = self._settings.volume_clear_size * units.Mi
        self._zero(device, 0, min(size_bytes, limit or size_bytes))

    def zero_from(self, device: str, offset_bytes: int) -> None:
        """Overwrite the end of an LV, which may be in use.

        :raises DeviceNotFound: there is no such device
        :raises process.CommandFailed: it cannot be written to
        """
        self._zero(device, offset_bytes, _size_bytes(device), '--force')

    def _zero(self, device: str, start: int, end: int,
              *blkdiscard_options: str) -> None:
        """Overwrite bytes with zeroes, by the device itself if it can.

        BLKZEROOUT (blkdiscard(8)) costs nothing where the device knows how
        to write zeroes. Elsewhere the kernel would write them as fast as it
        can, to the cost of everybody who uses the same disks: then we write,
        at no more than the configured rate.
        """
        if start >= end:
            return
        ionice = self._settings.volume_clear_ionice
        priority = ('ionice', *ionice.split()) if ionice else ()
        if _attribute(device, 'queue/write_zeroes_max_bytes'):
            self._runner.run_long(
                *priority, 'blkdiscard', '--zeroout', *blkdiscard_options,
                '--offset', str(start), '--length', str(end - start),
                '--step', str(_ZEROOUT_STEP_BYTES), device)
            return
        for offset, size in _paced(start, end,
                                   self._settings.wipe_rate * units.Mi):
            self._dd('/dev/zero', device, f'count={size}', f'seek={offset}',
                     'iflag=count_bytes', 'oflag=seek_bytes,direct',
                     'conv=nocreat', priority=priority)

    def _dd(self, source: str, destination: str, *words: str,
            priority: tuple[str, ...] = ()) -> None:
        # nocreat: where an LV has no device, dd would make a file in /dev.
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
    """Yield offset and size of pieces, no more of them than a rate allows.

    :param rate: bytes per second, 0 for all at once
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
    """Return a number that the kernel tells of a block device.

    Documentation/ABI/stable/sysfs-block in the kernel's source.
    """
    node = os.path.basename(os.path.realpath(device))
    try:
        with open(f'/sys/class/block/{node}/{name}') as file:
            return int(file.read())
    # ENODEV and the like: it goes while it is asked.
    except OSError as exc:
        raise DeviceNotFound(
            f'{device} is not a block device of this host') from exc
