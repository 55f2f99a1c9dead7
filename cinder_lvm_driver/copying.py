# SPDX-License-Identifier: Apache-2.0
"""Copying to and wiping of block devices, with dd.

Cinder's own helper (``volume_utils.copy_volume``) looks with a ``dd`` of its
own, each behind a Python start, whether the devices can do direct I/O; LVs
always can. Its bandwidth limit (``volume_copy_bps_limit``) is heeded here
too.
"""

from cinder.volume import throttling
from oslo_utils import units

from cinder_lvm_driver import options
from cinder_lvm_driver import process


class Copier:
    """Fills block devices for one back end."""

    def __init__(self, settings: options.Settings,
                 runner: process.RootwrapRunner) -> None:
        self._settings = settings
        self._runner = runner

    def copy(self, source: str, destination: str, size_bytes: int, *,
             sparse: bool) -> None:
        """Copy the first bytes of an LV to another one, past all caches.

        :param sparse: leave out blocks of zeroes
        :raises process.CommandFailed: dd failed
        """
        self._dd(source, destination, size_bytes,
                 ['iflag=count_bytes,direct', 'oflag=direct',
                  'conv=nocreat,sparse' if sparse else 'conv=nocreat'])

    @property
    def wipes(self) -> bool:
        """Whether thick LVs are to be wiped before their space is freed."""
        return self._settings.volume_clear != 'none'

    def wipe(self, device: str, size_bytes: int) -> None:
        """Overwrite an LV with zeroes, as far as the options ask for.

        :raises process.CommandFailed: dd failed
        """
        limit = self._settings.volume_clear_size * units.Mi
        self._dd('/dev/zero', device, min(size_bytes, limit or size_bytes),
                 ['iflag=count_bytes', 'oflag=direct', 'conv=nocreat'],
                 self._settings.volume_clear_ionice)

    def _dd(self, source: str, destination: str, size_bytes: int,
            words: list[str], ionice: str | None = None) -> None:
        # nocreat: where an LV has no device, dd would make a file in /dev.
        priority = ['ionice', *ionice.split()] if ionice else []
        throttle = throttling.Throttle.get_default()
        with throttle.subcommand(source, destination) as limited:
            self._runner.run_long(
                *limited['prefix'], *priority, 'dd', f'if={source}',
                f'of={destination}', f'count={size_bytes}',
                f'bs={self._settings.dd_blocksize}', *words)
