# SPDX-License-Identifier: Apache-2.0
"""Copying to and wiping of block devices, through Cinder's own helper.

It runs ``dd`` with direct I/O where the devices allow it, and under the
back end's bandwidth limit (``volume_copy_bps_limit``).
"""

from cinder.volume import volume_utils
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
        """Copy the first bytes of a device to another one.

        :param size_bytes: what is read past the end of the source is not
            missed, so rounding up to the helper's MiB is safe
        :param sparse: leave out blocks of zeroes
        :raises oslo_concurrency.processutils.ProcessExecutionError: dd failed
        """
        volume_utils.copy_volume(
            source, destination, -(-size_bytes // units.Mi),
            self._settings.dd_blocksize, execute=self._runner.copy,
            sparse=sparse)

    @property
    def wipes(self) -> bool:
        """Whether thick LVs are to be wiped before their space is freed."""
        return self._settings.volume_clear != 'none'

    def wipe(self, device: str, size_bytes: int) -> None:
        """Overwrite a device with zeroes, as far as the options ask for.

        :raises oslo_concurrency.processutils.ProcessExecutionError: dd failed
        """
        size_mib = size_bytes // units.Mi
        volume_utils.copy_volume(
            '/dev/zero', device,
            min(size_mib, self._settings.volume_clear_size or size_mib),
            self._settings.dd_blocksize, sync=True,
            execute=self._runner.copy,
            ionice=self._settings.volume_clear_ionice, sparse=False)
