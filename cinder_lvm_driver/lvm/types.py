# SPDX-License-Identifier: Apache-2.0
"""Facts about VGs and LVs, as LVM reported them at one moment.

All sizes are bytes. Facts run no command; ``vg`` and ``questions`` do.
"""

from collections.abc import Mapping
import dataclasses
import decimal
from typing import NoReturn

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming

LINEAR = 'linear'
# The predecessor of RAID1; the in-tree driver still creates such LVs.
MIRROR = 'mirror'
RAID1 = 'raid1'
# The health of an LV one of whose copies was away (lvs(8), attribute 9).
REFRESH_NEEDED = 'refresh needed'
THIN = 'thin'
THIN_POOL = 'thin-pool'
_COW_CHUNK_BYTES = 4096
_COW_CHUNKS_PER_METADATA_CHUNK = 256
# LVM creates no thin LV once the free metadata of the pool is down to 4 MiB,
# or to a quarter if that is less (lib/metadata/thin_manip.c,
# pool_metadata_min_threshold).
_METADATA_RESERVE_BYTES = 4 * 2 ** 20
_METADATA_RESERVE_SHARE = 4
# A thin LV with tags takes less than 1 KiB of a VG's metadata, a raid1 LV of
# many segments some more. What is kept free lets LVs be renamed and removed.
_VG_METADATA_RESERVE_BYTES = 4096


def full_cow_store_bytes(origin_bytes: int) -> int:
    """Return the size of a COW store that cannot overflow, in bytes.

    It holds a rewrite of the whole origin: chunks of 4 KiB, one chunk of
    metadata for every 256 of data, and two more (kernel,
    dm-snap-persistent.c). LVM rounds it up to whole extents.
    """
    metadata = -(-origin_bytes // _COW_CHUNKS_PER_METADATA_CHUNK)
    return origin_bytes + metadata + 2 * _COW_CHUNK_BYTES


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """How the data of an LV is spread over PVs; see lvmraid(7).

    :ivar stripes: the PVs that the data is spread over
    :ivar mirrors: copies of the data beside the first one
    :ivar parity: the PVs beside them that can be lost
    """

    segtype: str
    stripes: int = 1
    mirrors: int = 0
    parity: int = 0

    @property
    def images(self) -> int:
        """The number of PVs that an LV needs at least."""
        return self.stripes * (self.mirrors + 1) + self.parity

    @property
    def image_metadata_extents(self) -> int:
        """The extents on each PV that hold no data."""
        return 1 if self.segtype.startswith('raid') else 0

    @property
    def options(self) -> list[str]:
        """The options of lvcreate(8)."""
        return ['--type', self.segtype,
                *(['--mirrors', str(self.mirrors)] if self.mirrors else []),
                *(['--stripes', str(self.stripes)] if self.stripes > 1
                  else [])]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LogicalVolume:
    """One visible LV."""

    name: str
    vg_name: str
    # Of a COW snapshot, the size of its COW store.
    size_bytes: int
    # Of a COW snapshot, the size that its reader sees.
    origin_size_bytes: int | None
    # As LVM spells it: 'linear', 'thin', 'thin-pool', 'raid1', ...
    segtype: str
    # As LVM spells it: 'public', 'snapshot', 'thinsnapshot', 'origin', ...
    role: frozenset[str]
    origin: str | None
    pool: str | None
    active: bool
    # Not activated at boot (lvmthin(7)); LVM sets this on thin snapshots.
    skips_activation: bool
    # None if LVM cannot tell, as for an inactive LV.
    is_open: bool | None
    data_percent: decimal.Decimal | None
    metadata_percent: decimal.Decimal | None
    tags: frozenset[str]
    # A COW snapshot is being merged into the LV.
    is_merging: bool
    is_read_only: bool
    # What LVM reports as wrong: 'partial', 'failed', 'out_of_data',
    # 'metadata_read_only', ... (lvs(8), attribute 9).
    health: str | None
    # Of a thin pool: its metadata needs a repair.
    needs_check: bool
    # Of a thin pool or thin LV: new blocks are zeroed.
    zeroes_blocks: bool
    # Of a thin pool: the size of its metadata LV.
    metadata_size_bytes: int | None
    # Of a COW snapshot: it has overflowed, and its data is lost.
    is_invalid: bool
    # All I/O to the device waits (dmsetup(8), suspend).
    is_suspended: bool
    # Of a thin pool, or of that of a thin LV: changes as LVM counts them.
    transaction_id: int | None

    @property
    def full_name(self) -> str:
        """The name with that of the VG, as LVM's commands take it."""
        return f'{self.vg_name}/{self.name}'

    @property
    def path(self) -> str:
        """The device path that LVM keeps for an active LV."""
        return naming.device_path(self.vg_name, self.name)

    @property
    def virtual_size_bytes(self) -> int:
        """The size of the device, in bytes."""
        if self.is_cow_snapshot and self.origin_size_bytes is not None:
            return self.origin_size_bytes
        return self.size_bytes

    @property
    def is_thin(self) -> bool:
        """Whether the LV draws its blocks from a thin pool."""
        return self.segtype == THIN

    @property
    def is_legacy_mirror(self) -> bool:
        """Whether the LV is mirrored by the predecessor of raid1."""
        return self.segtype == MIRROR

    @property
    def is_mirrored(self) -> bool:
        """Whether LVM keeps several copies of the LV's data."""
        return self.segtype in (MIRROR, RAID1)

    @property
    def is_striped(self) -> bool:
        """Whether the LV's data is spread over several PVs."""
        return (self.segtype.startswith(('striped', 'raid'))
                and self.segtype != RAID1)

    @property
    def is_thin_pool(self) -> bool:
        """Whether the LV is a thin pool itself."""
        return self.segtype == THIN_POOL

    @property
    def lacks_metadata(self) -> bool:
        """Whether LVM refuses new LVs in a thin pool for lack of metadata.

        False for an inactive pool, whose usage LVM does not know.
        """
        size_bytes = self.metadata_size_bytes
        if self.metadata_percent is None or size_bytes is None:
            return False
        used_bytes = size_bytes * self.metadata_percent / 100
        return size_bytes - used_bytes <= min(
            _METADATA_RESERVE_BYTES, size_bytes // _METADATA_RESERVE_SHARE)

    @property
    def is_private(self) -> bool:
        """Whether the LV only serves other LVs, as a pool does."""
        return 'private' in self.role or self.is_thin_pool

    @property
    def is_cow_snapshot(self) -> bool:
        """Whether the LV is a thick (COW) snapshot."""
        return 'thicksnapshot' in self.role

    @property
    def can_overflow(self) -> bool:
        """Whether a rewrite of the origin overflows this COW snapshot."""
        return (self.is_cow_snapshot and self.size_bytes
                < full_cow_store_bytes(self.virtual_size_bytes))

    @property
    def is_external_origin(self) -> bool:
        """Whether thin LVs read from it what they have not written.

        ``lvremove`` of such an LV removes them with it (lvmthin(7), "Create
        a thin snapshot of an external, read only LV").
        """
        return bool(self.role & {'extthinorigin', 'multiextthinorigin'})

    @property
    def is_cow_origin(self) -> bool:
        """Whether thick (COW) snapshots depend on the LV.

        ``lvremove`` of such an LV removes them with it.
        """
        return bool(self.role & {'thickorigin', 'multithickorigin'})


def check_not_private(lv: LogicalVolume) -> None:
    """Check that an LV can be a volume or a snapshot.

    A change to a pool would affect every LV in it.

    :raises errors.LogicalVolumeOfWrongKind: the LV serves other LVs
    """
    if lv.is_private:
        raise errors.LogicalVolumeOfWrongKind(
            f'LV {lv.full_name} is a {lv.segtype.replace("-", " ")} (segtype '
            f'{lv.segtype}) that other LVs need, and not a volume or a '
            f'snapshot: rename it with lvrename')


def check_removable(lv: LogicalVolume) -> None:
    """Check that LVM removes no other LV together with an LV.

    :raises errors.LogicalVolumeInUse: other LVs depend on it
    """
    if lv.is_cow_origin:
        raise errors.LogicalVolumeInUse(
            f'LV {lv.name} has COW snapshots; delete them first')
    if lv.is_external_origin:
        raise errors.LogicalVolumeInUse(
            f'LV {lv.name} is the external origin of thin LVs, which LVM '
            f'would remove with it: remove them first (lvs -S '
            f'origin={lv.name} {lv.vg_name})')


def check_answering(lv: LogicalVolume) -> None:
    """Check that an LV is not suspended.

    LVM cannot tell an LV that an administrator has suspended from one that a
    killed command has left suspended.

    :raises errors.LogicalVolumeSuspended: I/O to the LV waits
    """
    if lv.is_suspended:
        raise errors.LogicalVolumeSuspended(
            f'LV {lv.full_name} is suspended: unless an administrator is '
            f'working on it, resume it with lvchange --activate y '
            f'{lv.full_name}')


class LogicalVolumes(dict[str, LogicalVolume]):
    """The visible LVs of a VG by name.

    ``lvs[name]`` raises :class:`errors.LogicalVolumeNotFound` if the VG has
    no such LV.
    """

    def __init__(self, vg_name: str,
                 lvs: Mapping[str, LogicalVolume]) -> None:
        super().__init__(lvs)
        self._vg_name = vg_name

    def __missing__(self, name: str) -> NoReturn:
        raise errors.LogicalVolumeNotFound(
            f'LV {name} was not found in VG {self._vg_name}')

    def usable(self, name: str) -> LogicalVolume:
        """Return an LV that can be a volume or a snapshot and answers I/O.

        :raises errors.LogicalVolumeNotFound: the VG has no such LV
        :raises errors.LogicalVolumeOfWrongKind: it is a pool
        :raises errors.LogicalVolumeSuspended: I/O to it waits
        """
        lv = self[name]
        check_answering(lv)
        check_not_private(lv)
        return lv


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VolumeGroup:
    """One VG."""

    name: str
    size_bytes: int
    # What LVM can give to new LVs.
    free_bytes: int
    # What is free on PVs after ``pvchange --allocatable n``.
    closed_bytes: int
    extent_size_bytes: int
    # Of the metadata area, which has two versions of the metadata.
    metadata_size_bytes: int
    # By so much the metadata can still grow.
    metadata_free_bytes: int
    # A limit set with vgchange(8); 0 for none.
    max_lvs: int
    lv_count: int
    # LVM changes nothing in a VG that has PVs of one of these kinds.
    # UUIDs of PVs whose devices are missing.
    lost_pvs: tuple[str, ...] = ()
    # Paths of PVs that were missing when the VG was changed, and are back.
    returned_pvs: tuple[str, ...] = ()
    # Paths of the devices of PVs that are on several, by UUID.
    duplicate_pvs: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=dict)
    # Paths of PVs whose devices accept no writes.
    read_only_pvs: tuple[str, ...] = ()
    # Paths of PVs whose devices are smaller than when LVM saw them first. LVM
    # makes LVs in what is missing, and cannot activate them.
    shrunk_pvs: tuple[str, ...] = ()

    @property
    def metadata_percent(self) -> decimal.Decimal:
        """How full the metadata area is."""
        most = decimal.Decimal(self.metadata_size_bytes) / 2
        return 100 * (1 - self.metadata_free_bytes / most)

    @property
    def lacks_metadata(self) -> bool:
        """Whether LVM can soon describe no more LVs."""
        return self.metadata_free_bytes < _VG_METADATA_RESERVE_BYTES

    @property
    def is_at_limit(self) -> bool:
        """Whether the VG has as many LVs as it may have."""
        return 0 < self.max_lvs <= self.lv_count


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Autoextension:
    """How lvm.conf(5) has thin pools extended that fill up."""

    # Pools are extended above this fill level; 100 means never.
    threshold_percent: int
    # dmeventd(8) watches the pools.
    is_monitored: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AutoextendPolicy:
    """When this driver extends a thin pool, and by what share of its size."""

    # As in lvm.conf(5), thin_pool_autoextend_threshold and _percent.
    threshold_percent: int
    percent: int

    @property
    def config(self) -> str:
        """The policy as ``--config`` of ``lvextend --use-policies``."""
        return ('activation{'
                f'thin_pool_autoextend_threshold={self.threshold_percent} '
                f'thin_pool_autoextend_percent={self.percent}}}')

    def lacks_data(self, pool: LogicalVolume) -> bool:
        """Return whether a pool's data is above the threshold."""
        return (pool.data_percent or 0) > self.threshold_percent

    def is_due(self, pool: LogicalVolume) -> bool:
        """Return whether to extend a pool; False for a damaged one."""
        if pool.needs_check or pool.health not in (None, 'out_of_data'):
            return False
        return (self.lacks_data(pool) or pool.lacks_metadata
                or (pool.metadata_percent or 0) > self.threshold_percent)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Extents:
    """Extents of one PV that follow each other."""

    path: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        """Return the argument of LVM's commands (lvcreate(8))."""
        return f'{self.path}:{self.first}-{self.last}'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PhysicalVolume:
    """One PV of a VG."""

    # The path of the device; "[unknown]" if the device is missing.
    path: str
    size_bytes: int
    free_bytes: int
    # False after ``pvchange --allocatable n``: LVM puts no new LVs on it.
    allocatable: bool
    missing: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A VG and all its visible LVs, by name."""

    vg: VolumeGroup
    lvs: LogicalVolumes
