# SPDX-License-Identifier: Apache-2.0
"""The facts of one back end at one moment, for people and for machines."""

import collections
from collections.abc import Iterable, Iterator, Mapping
import contextlib
import dataclasses
import decimal
import time

from oslo_config import cfg

from cinder_lvm_driver import backend as backends
from cinder_lvm_driver import blockdev
from cinder_lvm_driver.cmd import backends as sections
from cinder_lvm_driver.layouts import base as layouts
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import manageable
from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver import timings

WIPE = 'wipe and remove'
_SYNCHRONIZED = decimal.Decimal(100)
# Two looks at once are this far apart.
_CLOCK_SECONDS = 0.001


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """What the driver or LVM is doing with an LV, or has yet to do.

    :ivar percent: how much of it is done; None if that is not known
    :ivar rate: bytes per second since the look before; None if not known
    """

    lv_name: str
    what: str
    size_bytes: int
    percent: decimal.Decimal | None = None
    rate: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """An LV that is served to hosts.

    :ivar target: IQN or NQN
    :ivar hosts: how many may use it
    :ivar sessions: how many are connected; None if the kernel does not tell
    """

    lv_name: str
    target: str
    hosts: int
    sessions: int | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VGFacts:
    """What LVM reports of a VG.

    :ivar synchronized: how far copies are equal, in percent, by LV
    """

    picture: lvm.Picture
    synchronized: Mapping[str, decimal.Decimal]
    pvs: tuple[lvm.PhysicalVolume, ...]
    work: tuple[Work, ...]

    @property
    def thin_pools(self) -> list[lvm.LogicalVolume]:
        """The thin pools of the VG."""
        return [lv for lv in self.picture.lvs.values() if lv.is_thin_pool]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PoolFacts:
    """A pool, as the scheduler knows it.

    :ivar fault: why no LV can be created; None if one can
    :ivar capacity: None if LVM does not answer
    """

    name: str
    vg_name: str
    layout: str
    fault: str | None
    capacity: layouts.Capacity | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """A back end at one moment.

    :ivar fault: why it cannot attach volumes, or has no pools
    :ivar vgs: those that LVM reports
    :ivar exports: None if the target helper does not tell
    :ivar failures: how often operations of the service failed, by their name
    """

    section: sections.Section
    fault: str | None
    pools: tuple[PoolFacts, ...] = ()
    vgs: tuple[VGFacts, ...] = ()
    exports: tuple[Export, ...] | None = None
    failures: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def is_up(self) -> bool:
        """Whether all pools can create and attach volumes."""
        return not (self.fault or any(pool.fault for pool in self.pools))


class Surveyor:
    """Looks at one back end, as often as it is asked to."""

    def __init__(self, section: sections.Section) -> None:
        """Run no command yet."""
        self._section = section
        self._pools: backends.Pools | None = None
        # When copies were looked at, and how far they were, by VG and LV.
        self._before: dict[tuple[str, str], tuple[float, decimal.Decimal]] = {}

    def look(self) -> Survey:
        """Return the state now; changes no VG and no export."""
        try:
            if self._pools is None:
                self._pools = sections.open_pools(self._section.make_driver())
        except sections.FAILURES as exc:
            return Survey(section=self._section, fault=str(exc),
                          failures=_failures(self._section))
        vgs: dict[str, VGFacts] = {}
        pools = tuple(_pool_facts(pool, vgs) for pool in self._pools)
        fault: str | None
        exports = None
        try:
            target = self._pools[0].target
            exports = exports_of(target, [
                lv for vg in vgs.values() for lv in vg.picture.lvs.values()])
            fault = target.fault()
        except sections.FAILURES as exc:
            fault = str(exc)
        return Survey(section=self._section, fault=fault, pools=pools,
                      vgs=tuple(map(self._with_rates, vgs.values())),
                      exports=exports, failures=_failures(self._section))

    def _with_rates(self, facts: VGFacts) -> VGFacts:
        """Add how fast copies have become equal since the look before."""
        work = []
        for each in facts.work:
            percent = each.percent
            if percent is not None:
                now = time.monotonic()
                key = facts.picture.vg.name, each.lv_name
                if key in self._before:
                    then, before = self._before[key]
                    each = dataclasses.replace(each, rate=float(
                        percent - before) / 100 * each.size_bytes
                        / max(now - then, _CLOCK_SECONDS))
                self._before[key] = now, percent
            work.append(each)
        return dataclasses.replace(facts, work=tuple(work))


def _failures(section: sections.Section) -> dict[str, int]:
    """Return how often operations failed, as far as that can be read."""
    with contextlib.suppress(OSError):
        return {each.operation: sum(each.counts) for each in timings.read(
            timings.path_of(cfg.CONF.state_path, section.name))
            if each.outcome == timings.FAILURE}
    return {}


def _pool_facts(pool: backends.Backend, vgs: dict[str, VGFacts]) -> PoolFacts:
    """Return the facts of a pool.

    :param vgs: gets the VG of the pool, if LVM reports it
    """
    capacity = None
    name = pool.vg.vg_name
    try:
        if name not in vgs:
            vgs[name] = vg_facts(pool.vg)
        picture = vgs[name].picture
        capacity = pool.layout.capacity(picture)
        fault = pool.layout.fault(picture)
    except sections.FAILURES as exc:
        fault = str(exc)
    return PoolFacts(name=pool.settings.pool_name, vg_name=name,
                     layout=str(pool.layout), fault=fault, capacity=capacity)


def vg_facts(vg: lvm.LVM) -> VGFacts:
    """Return what LVM reports of a VG.

    :raises errors.DriverError: LVM does not answer
    """
    picture = vg.get_picture()
    has_copies = any(lv.is_mirrored or lv.segtype.startswith('raid')
                     for lv in picture.lvs.values())
    synchronized = vg.get_synchronization() if has_copies else {}
    return VGFacts(picture=picture, synchronized=synchronized,
                   pvs=tuple(vg.get_physical_volumes()),
                   work=tuple(_work(picture.lvs, synchronized)))


def _work(lvs: lvm.LogicalVolumes,
          synchronized: Mapping[str, decimal.Decimal]) -> Iterator[Work]:
    for lv in lvs.values():
        percent = synchronized.get(lv.name, _SYNCHRONIZED)
        if percent < _SYNCHRONIZED:
            yield Work(lv_name=lv.name, what='synchronize copies',
                       size_bytes=lv.size_bytes, percent=percent)
        what = _pending(lv)
        if what is not None:
            yield Work(lv_name=lv.name, what=what, size_bytes=lv.size_bytes)


def _pending(lv: lvm.LogicalVolume) -> str | None:
    """Return what is left to do with an LV, by its name and tags."""
    if naming.is_doomed(lv.name):
        return WIPE
    if naming.reverted(lv.name) is not None or lv.is_merging or any(
            tag.startswith((naming.REVERT_TAG, naming.MERGE_TAG))
            for tag in lv.tags):
        return 'revert'
    if any(tag.startswith(naming.EXTEND_TAG) for tag in lv.tags):
        return 'zero the new space'
    if any(tag.startswith(naming.SNAPSHOT_SET_TAG) for tag in lv.tags):
        return 'complete the group snapshot'
    if lv.name == naming.NEW_POOL:
        return 'complete the thin pool'
    if naming.is_left_over(lv.name):
        return 'remove'
    return None


def kind(lv: lvm.LogicalVolume) -> str:
    """Return what an LV is for Cinder.

    :returns: ``volume``, ``snapshot``, ``temporary``, ``pool`` or ``other``
    """
    if lv.is_thin_pool:
        return 'pool'
    if naming.is_temporary(lv.name):
        return 'temporary'
    for each in manageable.VOLUME, manageable.SNAPSHOT:
        if manageable.cinder_id(lv.name, each):
            return each
    return 'other'


def count_lvs(lvs: lvm.LogicalVolumes) -> dict[tuple[str, str],
                                               tuple[int, int]]:
    """Return number and bytes of LVs by kind and segtype, sorted."""
    found: dict[tuple[str, str], tuple[int, int]] = (
        collections.defaultdict(lambda: (0, 0)))
    for lv in lvs.values():
        key = kind(lv), lv.segtype
        count, size_bytes = found[key]
        found[key] = count + 1, size_bytes + lv.size_bytes
    return dict(sorted(found.items()))


def exports_of(target: targets.Target,
               lvs: Iterable[lvm.LogicalVolume]) -> tuple[Export, ...] | None:
    """Return the exports of some LVs; None if the helper does not tell.

    :raises errors.DriverError: the target does not answer
    """
    served = target.list_served()
    if served is None:
        return None
    names = {blockdev.number(lv.path): lv.name for lv in lvs if lv.active}
    return tuple(Export(lv_name=names[each.device], target=each.name,
                        hosts=each.hosts, sessions=each.sessions)
                 for each in served
                 if each.device is not None and each.device in names)
