# SPDX-License-Identifier: Apache-2.0
"""What every layout can do.

New LVs are of the configured kind. What is done to an LV that exists is
decided by the LV's own segment type: a back end may have been switched from
thick to thin with volumes on it.
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

LOG = logging.getLogger(__name__)


class DeviceWriter(Protocol):
    """Writes to whole block devices."""

    @property
    def wipes(self) -> bool:
        """Whether what an LV held must not be seen in another one."""

    def copy(self, source: str, destination: str, size_bytes: int, *,
             sparse: bool) -> None:
        """Copy the first bytes of one device to another.

        :param sparse: leave out blocks of zeroes; only for a destination
            that reads as zeroes
        """

    def zero_from(self, device: str, offset_bytes: int) -> None:
        """Overwrite a device with zeroes, from an offset to its end."""


# Removes an LV for good, wiped if that is asked for.
RemoveVolume = Callable[[lvm.LogicalVolume], None]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What the scheduler is told, in bytes."""

    total_bytes: int
    free_bytes: int
    provisioned_bytes: int
    # Of a thin pool that is active.
    data_percent: decimal.Decimal | None = None
    metadata_percent: decimal.Decimal | None = None


def thin_pool_name(vg: lvm.LVM) -> str:
    """Return the name of a VG's thin pool, as Cinder has always named it."""
    return f'{vg.vg_name}-pool'


class Layout(abc.ABC):
    """How LVs are laid out on one VG."""

    # The value of the option lvm_type that stands for it.
    lvm_type: str
    # Whether a fresh LV reads as zeroes, so that copies may be sparse.
    reads_zeroes: bool

    def __init__(self, vg: lvm.LVM, writer: DeviceWriter,
                 remove: RemoveVolume) -> None:
        self._vg = vg
        self._writer = writer
        self._remove = remove

    @abc.abstractmethod
    def prepare(self) -> None:
        """Make the VG ready for volumes of this kind.

        :raises lvm.LVMError: it cannot be
        """

    @abc.abstractmethod
    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create an LV of at least a size.

        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        """

    @abc.abstractmethod
    def capacity(self, picture: lvm.Picture) -> Capacity:
        """Return what the scheduler is told of a VG."""

    @abc.abstractmethod
    def convert(self, volume: lvm.LogicalVolume) -> bool:
        """Make an LV one of this kind in place, also one in use.

        :returns: whether it is one now; False where its data would have to
            be copied
        :raises lvm.LVMError: it cannot be now; it has its data as before, but
            perhaps fewer copies of it
        """

    def fault(self, picture: lvm.Picture) -> str | None:
        """Return why nothing can be created in a VG now; None if it can."""
        return health.vg_fault(picture.vg)

    def thin_pool(self, picture: lvm.Picture) -> lvm.LogicalVolume | None:
        """Return the thin pool that volumes of this kind are in, if any."""
        return None

    def advice(self, autoextension: lvm.Autoextension | None) -> \
            Iterable[str]:
        """Return what is better put right before there is trouble.

        :param autoextension: what lvm.conf says; None if that is not known,
            or of no account
        """
        return ()

    def create_snapshot(self, origin: lvm.LogicalVolume, name: str) -> None:
        """Create a snapshot of the kind that the origin's segtype asks for.

        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        """
        if origin.is_thin:
            self._vg.create_thin_snapshot(name, origin.name, activate=False)
        else:
            self._vg.create_cow_snapshot(name, origin.name,
                                         origin.size_bytes)

    def create_from_snapshot(self, snapshot: lvm.LogicalVolume, name: str,
                             size_bytes: int) -> None:
        """Create an LV with the data of a snapshot, which stays as it is.

        When a step fails, what the earlier ones made is removed.

        :param size_bytes: of the new LV; never less than the snapshot's
        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        :raises lvm.SnapshotOverflowed: the snapshot's data is lost
        """
        if not snapshot.active:
            self._vg.activate_lv(snapshot.name)
            # Of an inactive one LVM does not know whether it is valid.
            snapshot = self._vg.get_volume(snapshot.name)
        if snapshot.is_invalid:
            raise lvm.SnapshotOverflowed(
                f'COW snapshot {snapshot.name} of LV {snapshot.origin} has '
                f'overflowed and its data is lost; delete the snapshot')
        self.create_copy(snapshot, name, size_bytes)

    def create_copy(self, source: lvm.LogicalVolume, name: str,
                    size_bytes: int) -> None:
        """Create an LV with a copy of the data of an active LV of any VG.

        When the copy fails, the LV is removed.

        :param size_bytes: of the new LV; never less than the source's
        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        """
        with self._undone_on_failure() as undo:
            self.create_volume(name, max(size_bytes,
                                         source.virtual_size_bytes))
            undo.callback(self._discard, name)
            self._writer.copy(
                source.path, naming.device_path(self._vg.vg_name, name),
                source.virtual_size_bytes, sparse=self.reads_zeroes)

    def take_in(self, source: lvm.LogicalVolume, size_bytes: int) -> None:
        """Create an LV with the name and the data of one of another VG.

        It has another name until it is complete, so that half of a volume is
        never taken for all of it, and whoever finds it after a crash knows
        that it is of no use.

        :param source: active, and used by nobody
        :param size_bytes: of the new LV; never less than the source's
        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        """
        lvs = self._vg.get_volumes()
        if source.name in lvs:
            raise lvm.LogicalVolumeExists(
                f'VG {self._vg.vg_name} has an LV {source.name} already, '
                f'perhaps from a migration whose end Cinder did not learn '
                f'of: compare the two, and remove the one that is older')
        arriving = naming.arriving(source.name)
        if arriving in lvs:
            LOG.warning('Removing LV %s, which an interrupted migration left',
                        arriving)
            self._remove(lvs[arriving])
        with self._undone_on_failure() as undo:
            self.create_copy(source, arriving, size_bytes)
            undo.callback(self._discard, arriving)
            self._vg.rename_volume(arriving, source.name)

    def create_from_volume(self, source: lvm.LogicalVolume, name: str,
                           size_bytes: int) -> None:
        """Create an LV with the data that a volume has now.

        The volume may be in use: the copy is taken from a snapshot that is
        made for it and removed after it.

        :param size_bytes: of the new LV; never less than the volume's
        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeExists: the name is taken
        """
        temporary = naming.clone_source(name)
        try:
            self.create_snapshot(source, temporary)
        except lvm.LogicalVolumeExists:
            # By a command that was repeated; no other has this name.
            self._discard(temporary)
            raise
        try:
            snapshot = self._vg.get_volume(temporary)
            self.create_from_snapshot(snapshot, name, size_bytes)
        finally:
            self._discard(temporary)

    def extend_volume(self, volume: lvm.LogicalVolume,
                      size_bytes: int) -> None:
        """Extend an LV to at least a size; never shrinks it.

        :raises lvm.InsufficientSpace: it does not fit
        :raises lvm.LogicalVolumeInUse: it is in use and has COW snapshots
        """
        extending.extend(self._vg, volume, size_bytes, self._zero_from)

    def recover(self, volumes: Iterable[lvm.LogicalVolume]) -> None:
        """Take back the extensions that a crash has interrupted.

        :param volumes: of the VG
        """
        extending.recover(self._vg, volumes, self._zero_from)

    @property
    def _zero_from(self) -> extending.ZeroFrom | None:
        return self._writer.zero_from if self._writer.wipes else None

    @contextlib.contextmanager
    def _undone_on_failure(self) -> Iterator[contextlib.ExitStack]:
        with contextlib.ExitStack() as undo:
            yield undo
            undo.pop_all()

    def _discard(self, name: str) -> None:
        errors.attempt(
            f'LV {name} was only needed for a moment and cannot be removed; '
            f'remove it by hand',
            lambda: self._remove(self._vg.get_volume(name)))
