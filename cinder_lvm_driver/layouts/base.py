# SPDX-License-Identifier: Apache-2.0
"""The interface and the common part of all layouts.

New LVs are of the type that is configured. How an existing LV is treated
depends on its own segtype, because a back end that is now thin can have thick
volumes.
"""

import abc
from collections.abc import Callable, Iterable, Iterator
import contextlib
import dataclasses
import decimal
import logging
from typing import Protocol

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import extending
from cinder_lvm_driver.layouts import health
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)


class DeviceWriter(Protocol):
    """Writes to whole block devices; see ``devices``."""

    @property
    def wipes(self) -> bool:
        """Whether data of deleted LVs must not appear in new ones."""

    def copy(self, source: str, destination: str, size_bytes: int, *,
             sparse: bool) -> None:
        """Copy the first bytes of one device to another.

        :param sparse: skip blocks of zeroes; only for a destination that
            reads as zeroes
        """

    def zero_from(self, device: str, offset_bytes: int) -> None:
        """Overwrite a device with zeroes, from an offset to its end."""


# Of a VG's thin pool, the same as in-tree.
POOL_NAME = '{}-pool'

# Removes an LV, and wipes it first if the options ask for that.
RemoveVolume = Callable[[lvm.LogicalVolume], None]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """The capacity that the scheduler counts with, in bytes."""

    total_bytes: int
    free_bytes: int
    provisioned_bytes: int
    # Of an active thin pool.
    data_percent: decimal.Decimal | None = None
    metadata_percent: decimal.Decimal | None = None


def thin_pool_name(vg: lvm.LVM) -> str:
    """Return the name of a VG's thin pool, the same as in-tree."""
    return POOL_NAME.format(vg.vg_name)


class Layout(abc.ABC):
    """How volumes are laid out as LVs of one VG.

    Methods that create or extend an LV raise :class:`lvm.InsufficientSpace`
    if the VG or the thin pool is too full, and those that create one raise
    :class:`lvm.LogicalVolumeExists` if the name is taken.
    """

    # The value of option lvm_type.
    lvm_type: str
    # Of new LVs, as LVM spells it.
    segtype: str
    # The layout's own LVs, as for lvm.check_vg_name, and their suffixes.
    own_devices: tuple[tuple[str, str], ...] = ()
    # What LVM appends to the device name of a volume for those below it.
    device_suffix = ''
    # Whether a new LV reads as zeroes, so that copies can be sparse.
    reads_zeroes: bool

    def __init__(self, vg: lvm.LVM, writer: DeviceWriter,
                 remove: RemoveVolume) -> None:
        self._vg = vg
        self._writer = writer
        self._remove = remove

    def __str__(self) -> str:
        return self.lvm_type

    @abc.abstractmethod
    def prepare(self) -> None:
        """Prepare the VG for volumes.

        :raises lvm.LVMError: the VG cannot have such volumes
        """

    def preparation(self, lvs: lvm.LogicalVolumes) -> str | None:
        """Return what :meth:`prepare` would create; None for nothing.

        :param lvs: all LVs of the VG
        :raises lvm.LVMError: it would fail
        """
        return None

    @abc.abstractmethod
    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create an LV of at least a size."""

    @abc.abstractmethod
    def capacity(self, picture: lvm.Picture) -> Capacity:
        """Return the capacity of a VG."""

    @abc.abstractmethod
    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Convert an LV, which may be in use, to this layout in place.

        :returns: whether it has this layout now; False if that takes a copy
        :raises lvm.LVMError: the conversion failed; the LV keeps its data,
            but may have fewer copies of it
        """

    def fault(self, picture: lvm.Picture) -> str | None:
        """Return why no LV can be created in a VG; None if one can."""
        return health.vg_fault(picture.vg)

    def thin_pool(self, picture: lvm.Picture) -> lvm.LogicalVolume | None:
        """Return the thin pool of new volumes, if this layout has one."""
        return None

    def advice(self, autoextension: lvm.Autoextension | None) -> \
            Iterable[str]:
        """Return what the operator should change to prevent failures.

        :param autoextension: the settings of lvm.conf; None if they are not
            known or not used
        """
        return ()

    def create_snapshot(self, origin: lvm.LogicalVolume, name: str) -> None:
        """Create a thin snapshot of a thin LV, a COW snapshot of any other."""
        if origin.is_thin:
            with self._vg.space.claimed(origin.pool, origin.size_bytes):
                self._vg.create_thin_snapshot(name, origin, activate=False)
        else:
            self._vg.check_changeable(origin)
            self._vg.create_cow_snapshot(name, origin.name,
                                         origin.size_bytes)

    def create_from_snapshot(self, snapshot: lvm.LogicalVolume, name: str,
                             size_bytes: int) -> None:
        """Create an LV with the data of a snapshot, or none on failure.

        :param size_bytes: the least size; that of the snapshot if smaller
        :raises lvm.SnapshotOverflowed: the data of the snapshot is lost
        """
        self.create_copy(self.readable(snapshot), name, size_bytes)

    def readable(self, snapshot: lvm.LogicalVolume) -> lvm.LogicalVolume:
        """Activate a snapshot, and return it as it is then.

        :raises lvm.SnapshotOverflowed: the data of the snapshot is lost
        """
        if not snapshot.active:
            self._vg.activate_lv(snapshot.name)
            # LVM does not know whether an inactive snapshot is valid.
            snapshot = self._vg.get_volume(snapshot.name)
        else:
            self._vg.ensure_nodes(snapshot.name)
        if snapshot.is_invalid:
            raise lvm.SnapshotOverflowed(
                f'COW snapshot {snapshot.name} of LV {snapshot.origin} has '
                f'overflowed and its data is lost: delete the snapshot')
        return snapshot

    def create_copy(self, source: lvm.LogicalVolume, name: str,
                    size_bytes: int) -> None:
        """Create an LV with a copy of an active LV, or none on failure.

        :param source: in this VG or another one
        :param size_bytes: the least size; that of the source if smaller
        """
        with rollback.Undo() as undo:
            self.create_volume(name, max(size_bytes,
                                         source.virtual_size_bytes))
            undo.later(self._discard, name)
            self._vg.ensure_nodes(name)
            self._writer.copy(
                source.path, naming.device_path(self._vg.vg_name, name),
                source.virtual_size_bytes, sparse=self.reads_zeroes)
            undo.keep()

    def take_in(self, source: lvm.LogicalVolume, size_bytes: int) -> None:
        """Create an LV with the name and the data of one in another VG.

        Until the copy is complete it has a name by which the next start
        recognizes and removes it, and then a tag until :meth:`confirm`.

        :param source: active and closed
        :param size_bytes: the least size; that of the source if smaller
        """
        lvs = self._vg.get_volumes()
        if source.name in lvs:
            raise lvm.LogicalVolumeExists(
                f'VG {self._vg.vg_name} already has an LV {source.name}, '
                f'perhaps from a migration whose result did not reach '
                f'Cinder: compare the two and remove the older one')
        arriving = naming.arriving(source.name)
        if arriving in lvs:
            LOG.warning('Removing LV %s of an interrupted migration',
                        arriving)
            self._remove(lvs[arriving])
        with rollback.Undo() as undo:
            self.create_copy(source, arriving, size_bytes)
            undo.later(self._discard, arriving)
            self._vg.add_tag(arriving, naming.MOVED_TAG + source.vg_name)
            self._vg.rename_volume(arriving, source.name)
            undo.keep()

    def confirm(self, source: lvm.LogicalVolume) -> None:
        """Make a copy what Cinder has, in place of its source."""
        self._vg.delete_tag(source.name, naming.MOVED_TAG + source.vg_name)

    def create_from_volume(self, source: lvm.LogicalVolume, name: str,
                           size_bytes: int) -> None:
        """Create an LV with the present data of a volume, or none on failure.

        The volume may be in use: a temporary snapshot is copied.

        :param size_bytes: the least size; that of the volume if smaller
        """
        with self.temporary_snapshot(source, name) as snapshot:
            self.create_from_snapshot(snapshot, name, size_bytes)

    @contextlib.contextmanager
    def temporary_snapshot(self, source: lvm.LogicalVolume,
                           name: str) -> Iterator[lvm.LogicalVolume]:
        """Create a snapshot of a volume, and remove it in the end.

        :param name: of the LV that the data is for
        """
        temporary = naming.clone_source(name)
        try:
            self.create_snapshot(source, temporary)
        except lvm.LogicalVolumeExists:
            # The name is ours alone: the command was repeated.
            self._discard(temporary)
            raise
        try:
            yield self._vg.get_volume(temporary)
        finally:
            self._discard(temporary)

    def extend_volume(self, lv: lvm.LogicalVolume, size_bytes: int) -> None:
        """Extend an LV to at least a size; never reduce it.

        :raises lvm.LogicalVolumeInUse: it is open and has COW snapshots, or
            an interrupted extension is still being completed
        """
        with self._vg.space.claimed(lv.pool, size_bytes - lv.size_bytes):
            extending.extend(self._vg, lv, size_bytes, self._zero_from)

    def recover(self, lvs: Iterable[lvm.LogicalVolume]) -> None:
        """Undo or complete the extensions that a crash has interrupted."""
        extending.recover(self._vg, lvs, self._zero_from)

    @property
    def _zero_from(self) -> extending.ZeroFrom | None:
        return self._writer.zero_from if self._writer.wipes else None

    def _discard(self, name: str) -> None:
        errors.attempt(
            f'Temporary LV {name} cannot be removed; remove it with lvremove',
            lambda: self._remove(self._vg.get_volume(name)))
