# SPDX-License-Identifier: Apache-2.0
"""Limits of what is created in thin pools.

LVM creates thin LVs of any size. When the pool is full, the kernel fails the
writes of all of them.
"""

from collections.abc import Callable, Iterator, Mapping
import contextlib
import dataclasses
import threading

from oslo_utils import units

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import types


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What thin pools may be used for.

    :ivar reserve_percent: of the data and of the metadata of a pool, which
        nothing new may use
    :ivar overcommit: whether the LVs of a pool may be larger in total than
        the pool
    """

    reserve_percent: int = 0
    overcommit: bool = True


NO_LIMITS = Limits()


class Space:
    """The space in the thin pools of one VG."""

    def __init__(self, limits: Limits,
                 usage: Callable[[str], Mapping[str, float]],
                 lvs: Callable[[], Mapping[str, types.LogicalVolume]]) -> None:
        """Run no command yet.

        :param usage: returns how full the data and metadata of a pool are,
            in percent
        :param lvs: returns the LVs of the VG
        """
        self._limits = limits
        self._usage = usage
        self._lvs = lvs
        self._promising = threading.Lock()

    @contextlib.contextmanager
    def claimed(self, pool_name: str | None,
                size_bytes: int) -> Iterator[None]:
        """Have space for what is created in the block.

        :param pool_name: None for an LV that is in no pool
        :param size_bytes: of new LVs, or what an LV gains
        :raises errors.InsufficientSpace: the limits forbid it
        """
        if pool_name is None or size_bytes <= 0:
            yield
            return
        self._check_reserve(pool_name)
        if self._limits.overcommit:
            yield
            return
        with self._promising:
            self._check_promises(pool_name, size_bytes)
            yield

    def _check_reserve(self, pool_name: str) -> None:
        reserve = self._limits.reserve_percent
        usage = self._usage(pool_name) if reserve else {}
        for part, used_percent in usage.items():
            if used_percent > 100 - reserve:
                raise errors.InsufficientSpace(
                    f'The {part} of thin pool {pool_name} '
                    f'is {used_percent:.2f} % full, and '
                    f'lvm_thin_pool_reserve_percent keeps {reserve} % for '
                    f'the volumes that exist: extend the pool with lvextend, '
                    f'or delete volumes or snapshots')

    def _check_promises(self, pool_name: str, size_bytes: int) -> None:
        lvs = self._lvs()
        promised = sum(lv.size_bytes for lv in lvs.values()
                       if lv.is_thin and lv.pool == pool_name)
        pool_bytes = lvs[pool_name].size_bytes
        if promised + size_bytes > pool_bytes:
            raise errors.InsufficientSpace(
                f'Thin pool {lvs[pool_name].full_name} has '
                f'{_gib(pool_bytes)} GiB, and its volumes and snapshots have '
                f'{_gib(promised)} GiB: {_gib(size_bytes)} GiB more exceed '
                f'the pool, and lvm_thin_pool_overcommit is false. Extend '
                f'the pool with lvextend, or delete volumes or snapshots')


def _gib(size_bytes: int) -> str:
    return f'{size_bytes / units.Gi:.2f}'
