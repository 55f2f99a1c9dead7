# SPDX-License-Identifier: Apache-2.0
"""Checks of thin pools before LVM changes them.

In a pool that is suspended, that pvmove(8) moves, or that has another
transaction id than LVM expects, LVM (2.03.16) carries out half of a change:
it forgets a deleted thin LV that the kernel keeps, or leaves devices
suspended, and reports success.
"""

from collections.abc import Callable, Mapping
import logging

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import types

LOG = logging.getLogger(__name__)


class ThinPools:
    """The thin pools of one VG.

    A check costs a question to the privileged daemon and no process, as long
    as nothing is wrong.
    """

    def __init__(self, vg_name: str,
                 find: Callable[[str], types.LogicalVolume | None]) -> None:
        """Ask nothing yet.

        :param find: asks LVM for an LV
        """
        self._vg_name = vg_name
        self._find = find

    def check(self, name: str, transaction_id: int | None = None) -> None:
        """Check that LVM can change a thin pool, and what is in it.

        LVM checks an inactive pool by itself when it activates it.

        :param transaction_id: of the pool as LVM has just reported it; None
            if LVM has not been asked
        :raises errors.KernelSilent: the kernel cannot be asked
        :raises errors.LogicalVolumeMoving: pvmove is moving it
        :raises errors.LogicalVolumeSuspended: I/O to it waits
        :raises errors.ThinPoolOutOfStep: the kernel has another transaction
            id
        """
        pool = kernel_thin.thin_pool(self._vg_name, name)
        if pool is not None and pool.is_moving:
            raise errors.LogicalVolumeMoving(
                f'Thin pool {self._vg_name}/{name} is being moved by pvmove: '
                f'wait until that ends')
        self._check(name, pool, transaction_id)

    def check_answering(self, name: str) -> None:
        """Check that LVM can activate an LV in a thin pool.

        If the pool is suspended, LVM fails to do so and resumes the pool.

        :raises errors.KernelSilent: the kernel cannot be asked
        :raises errors.LogicalVolumeSuspended: I/O to the pool waits
        """
        self._check(name, kernel_thin.thin_pool(self._vg_name, name), None)

    def usage(self, name: str) -> Mapping[str, float]:
        """Return how full the data and metadata of a pool are, in percent.

        :returns: nothing for a pool that is inactive or has failed
        :raises errors.KernelSilent: the kernel cannot be asked
        """
        pool = kernel_thin.thin_pool(self._vg_name, name)
        return {} if pool is None else pool.used_percent

    def _check(self, name: str, pool: kernel_thin.ThinPool | None,
               transaction_id: int | None) -> None:
        if pool is not None and (pool.suspended or transaction_id not in (
                None, pool.transaction_id)):
            self._check_settled(name, pool)

    def _check_settled(self, name: str, before: kernel_thin.ThinPool) -> None:
        """Check a pool that another command may be changing at the moment.

        The VG's lock makes LVM answer when that command has ended.
        """
        reported = self._find(name)
        now = kernel_thin.thin_pool(self._vg_name, name)
        if reported is None or now is None:
            return
        full_name = reported.full_name
        if now.suspended and (reported.is_suspended
                              or now.suspended == before.suspended):
            raise errors.LogicalVolumeSuspended.of(
                f'Thin pool {full_name}', now.suspended)
        # A pool that has failed counts nothing.
        if (now.transaction_id is not None
                and now.transaction_id == before.transaction_id
                and now.transaction_id != reported.transaction_id):
            raise errors.ThinPoolOutOfStep(
                f'Thin pool {full_name} has transaction id '
                f'{now.transaction_id} in the kernel and '
                f'{reported.transaction_id} in the metadata of LVM, which '
                f'changes nothing in it: see "thin pool out of step" in the '
                f'manual')

    def is_blank(self, name: str, pool_name: str) -> bool:
        """Return whether a thin LV that was just created has no data.

        LVM writes to the first block if the pool does not zero blocks.
        """
        pool = kernel_thin.thin_pool(self._vg_name, pool_name)
        written = (0 if pool is None or pool.zeroes_blocks
                   else pool.block_bytes)
        return kernel_thin.mapped_bytes(self._vg_name, name) <= written
