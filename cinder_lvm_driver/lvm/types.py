# SPDX-License-Identifier: Apache-2.0
"""Facts about VGs and LVs, as LVM reported them at one moment.

All sizes are bytes. Facts never run a command; verbs are in ``group``.
"""

from collections.abc import Mapping
import dataclasses
import decimal

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import naming

LINEAR = 'linear'
# What replaced it is RAID1; LVs of this segtype are the in-tree driver's.
MIRROR = 'mirror'
RAID1 = 'raid1'
THIN = 'thin'
THIN_POOL = 'thin-pool'
_COW_CHUNK_BYTES = 4096
_COW_CHUNKS_PER_NOTE = 256
# LVM makes no thin LV once no more metadata is free than 4 MiB, or than a
# quarter where that is less (lib/metadata/thin_manip.c,
# pool_metadata_min_threshold).
_METADATA_RESERVE_BYTES = 4 * 2 ** 20
_METADATA_RESERVE_SHARE = 4


def full_cow_store_bytes(origin_bytes: int) -> int:
    """Return what a rewrite of all of a COW snapshot's origin fills.

    The store holds 4 KiB chunks, one of notes for every 256 of data, and two
    more (kernel, dm-snap-persistent.c).
    """
    notes = -(-origin_bytes // _COW_CHUNKS_PER_NOTE)
    return origin_bytes + notes + 2 * _COW_CHUNK_BYTES


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class LogicalVolume:
    """One visible LV."""

    name: str
    vg_name: str
    # As LVM reports it: of a COW snapshot this is the COW store.
    size_bytes: int
    # Of a COW snapshot, the size its reader sees.
    origin_size_bytes: int | None
    # LVM's own word: 'linear', 'thin', 'thin-pool', 'raid1', ...
    segtype: str
    # LVM's own words: 'public', 'snapshot', 'thinsnapshot', 'origin', ...
    role: frozenset[str]
    origin: str | None
    pool: str | None
    active: bool
    # Left alone at boot (lvmthin(7)); LVM sets it on new thin snapshots.
    skips_activation: bool
    # None where LVM cannot tell, which is so for an inactive LV.
    is_open: bool | None
    data_percent: decimal.Decimal | None
    metadata_percent: decimal.Decimal | None
    tags: frozenset[str]
    # Whether a COW snapshot is being merged into the LV.
    is_merging: bool
    # Whether its device takes no write.
    is_read_only: bool
    # LVM's own words where something is wrong: 'partial', 'failed',
    # 'out_of_data', 'metadata_read_only', ... (lvs(8), attribute 9).
    health: str | None
    # Of a thin pool: whether its metadata waits for a repair.
    needs_check: bool
    # Of a thin pool or thin LV: whether blocks are zeroed when given out.
    zeroes_blocks: bool
    # Of a thin pool: its metadata LV.
    metadata_size_bytes: int | None
    # Of a COW snapshot: whether it has overflowed, so that its data is lost.
    is_invalid: bool
    # Whether its device holds back all I/O (dmsetup(8), suspend).
    is_suspended: bool

    @property
    def path(self) -> str:
        """The device path that LVM keeps for an active LV."""
        return naming.device_path(self.vg_name, self.name)

    @property
    def virtual_size_bytes(self) -> int:
        """The size that a reader of the device sees."""
        if self.is_cow_snapshot and self.origin_size_bytes is not None:
            return self.origin_size_bytes
        return self.size_bytes

    @property
    def is_thin(self) -> bool:
        """Whether the LV draws its blocks from a thin pool."""
        return self.segtype == THIN

    @property
    def is_legacy_mirror(self) -> bool:
        """Whether it has copies in the way that raid1 has replaced."""
        return self.segtype == MIRROR

    @property
    def is_mirrored(self) -> bool:
        """Whether all of the LV is on several PVs."""
        return self.segtype in (MIRROR, RAID1)

    @property
    def is_thin_pool(self) -> bool:
        """Whether the LV is a thin pool itself."""
        return self.segtype == THIN_POOL

    @property
    def lacks_metadata(self) -> bool:
        """Whether LVM makes no more LVs in a thin pool for want of metadata.

        Of an inactive one it cannot tell.
        """
        size_bytes = self.metadata_size_bytes
        if self.metadata_percent is None or size_bytes is None:
            return False
        used_bytes = size_bytes * self.metadata_percent / 100
        return size_bytes - used_bytes <= min(
            _METADATA_RESERVE_BYTES, size_bytes // _METADATA_RESERVE_SHARE)

    @property
    def is_private(self) -> bool:
        """Whether other LVs are made of it: a pool of any kind."""
        return 'private' in self.role or self.is_thin_pool

    @property
    def is_cow_snapshot(self) -> bool:
        """Whether the LV is a thick (COW) snapshot."""
        return 'thicksnapshot' in self.role

    @property
    def can_overflow(self) -> bool:
        """Whether a rewrite of its origin would fill a COW snapshot."""
        return (self.is_cow_snapshot and self.size_bytes
                < full_cow_store_bytes(self.virtual_size_bytes))

    @property
    def is_cow_origin(self) -> bool:
        """Whether thick (COW) snapshots depend on the LV.

        ``lvremove`` of such an LV removes them with it.
        """
        return bool(self.role & {'thickorigin', 'multithickorigin'})


def check_kind(volume: LogicalVolume) -> None:
    """Look that an LV can be a volume or a snapshot.

    What is done to a pool is done to all LVs in it.

    :raises errors.LogicalVolumeOfWrongKind: other LVs are made of it
    """
    if volume.is_private:
        raise errors.LogicalVolumeOfWrongKind(
            f'LV {volume.vg_name}/{volume.name} is a '
            f'{volume.segtype.replace("-", " ")} (segtype {volume.segtype}), '
            f'which other LVs need, and neither a volume nor a snapshot: '
            f'give it another name with lvrename')


def check_answering(volume: LogicalVolume) -> None:
    """Look that an LV does not hold back I/O.

    Some command was killed half-way, or somebody has suspended it for a
    reason of theirs: which of the two, LVM does not know.

    :raises errors.LogicalVolumeSuspended: it does
    """
    if volume.is_suspended:
        raise errors.LogicalVolumeSuspended(
            f'LV {volume.vg_name}/{volume.name} is suspended: unless somebody '
            f'is at it, resume it with lvchange --activate y '
            f'{volume.vg_name}/{volume.name}')


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class VolumeGroup:
    """One VG."""

    name: str
    size_bytes: int
    free_bytes: int
    extent_size_bytes: int
    # PVs whose devices are not there; LVM changes nothing in such a VG.
    missing_pvs: int

    def whole_extents(self, size_bytes: int) -> int:
        """Return a size rounded up as LVM does it, in bytes."""
        return (-(-size_bytes // self.extent_size_bytes)
                * self.extent_size_bytes)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Autoextension:
    """What lvm.conf(5) says of thin pools that fill up."""

    # From this fill level on a pool is made larger; 100 means never.
    threshold_percent: int
    # Whether dmeventd(8) watches pools at all.
    is_monitored: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class AutoextendPolicy:
    """When a thin pool is made larger, and by how much of its size."""

    # As in lvm.conf(5), thin_pool_autoextend_threshold and _percent.
    threshold_percent: int
    percent: int

    @property
    def config(self) -> str:
        """What ``lvextend --use-policies`` is told of it."""
        return ('activation{'
                f'thin_pool_autoextend_threshold={self.threshold_percent} '
                f'thin_pool_autoextend_percent={self.percent}}}')

    def lacks_data(self, pool: LogicalVolume) -> bool:
        """Tell whether a pool's data is above the threshold."""
        return (pool.data_percent or 0) > self.threshold_percent

    def is_due(self, pool: LogicalVolume) -> bool:
        """Tell whether a pool is to be extended, if it is active and whole."""
        if pool.needs_check or pool.health not in (None, 'out_of_data'):
            return False
        return (self.lacks_data(pool) or pool.lacks_metadata
                or (pool.metadata_percent or 0) > self.threshold_percent)


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class PhysicalVolume:
    """One PV of a VG."""

    # The path of its device; LVM's "[unknown]" if that is missing.
    path: str
    size_bytes: int
    free_bytes: int
    # Not closed by pvchange(8): LVM may put new LVs on it.
    allocatable: bool
    # No LV can be made or changed in a VG one of whose PVs is missing.
    missing: bool


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A VG and all its visible LVs, by name."""

    vg: VolumeGroup
    lvs: Mapping[str, LogicalVolume]
