# SPDX-License-Identifier: Apache-2.0
"""The brick-style handle of one VG: verbs in, typed facts out."""

from collections.abc import Sequence
import logging
import threading
import time

from oslo_utils import units

from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import names
from cinder_lvm_driver.lvm import report
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)

_POOL_SHARE_PERCENT = 95
# Metadata and its spare have one each at least.
_POOL_EXTRA_EXTENTS = 2
CLOSING_SECONDS = 10.0
_POLL_SECONDS = 0.5


class LVM:
    """One VG and what can be done in it.

    Every verb asks LVM anew; nothing about LVs is remembered between calls.
    """

    def __init__(self, vg_name: str, runner: process.Runner, *,
                 version: tuple[int, ...],
                 system_dir: str = '/etc/lvm',
                 report_timeout: float = 120) -> None:
        """Take a VG in hand; runs no command.

        :param version: the installed LVM's, see
            :func:`command.installed_version`
        :param system_dir: the folder of the lvm.conf to use
        :param report_timeout: seconds to wait for a report
        """
        self.vg_name = vg_name
        self._commands = command.Commands(vg_name, runner, version,
                                          system_dir, report_timeout)

    # Questions ------------------------------------------------------------

    def get_volume(self, name: str) -> types.LogicalVolume:
        """Return an LV whose device answers, if it has one.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        :raises errors.LogicalVolumeSuspended: it holds back all I/O
        """
        volume = self.find_volume(name)
        if volume is None:
            raise errors.LogicalVolumeNotFound(
                f'LV {name} was not found in VG {self.vg_name}')
        types.check_answering(volume)
        return volume

    def find_volume(self, name: str) -> types.LogicalVolume | None:
        """Return an LV, or None where there is none of exactly that name."""
        if not names.is_valid(name):
            return None
        answer = self._commands.ask(
            report.volumes_command(self.vg_name, name))
        return report.parse_volumes(answer).get(name)

    def wait_until_closed(self,
                          volume: types.LogicalVolume) -> types.LogicalVolume:
        """Return what an LV is once nobody has it open, or 10 s later.

        tgtd closes a device some time after its target was deleted, and udev
        opens each that was written to (LP#1270192).

        :param volume: the LV as it was; asked for again only if it was open
        :raises errors.LogicalVolumeNotFound: it went meanwhile
        """
        deadline = time.monotonic() + CLOSING_SECONDS
        while volume.is_open and time.monotonic() < deadline:
            threading.Event().wait(_POLL_SECONDS)
            volume = self.get_volume(volume.name)
        return volume

    def require_closed(self,
                       volume: types.LogicalVolume) -> types.LogicalVolume:
        """Return what an LV is once nobody has it open.

        :param volume: as for :meth:`wait_until_closed`
        :raises errors.LogicalVolumeInUse: somebody still has
        :raises errors.LogicalVolumeNotFound: it went meanwhile
        """
        volume = self.wait_until_closed(volume)
        if volume.is_open:
            raise errors.LogicalVolumeInUse(
                f'LV {volume.name} is in use: end what has its device open '
                f'on this host')
        return volume

    def get_volumes(self) -> dict[str, types.LogicalVolume]:
        """Return all visible LVs by name."""
        answer = self._commands.ask(report.volumes_command(self.vg_name))
        return report.parse_volumes(answer)

    def get_group(self) -> types.VolumeGroup:
        """Return the VG's own facts.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        return report.parse_group(
            self._commands.ask(report.group_command(self.vg_name)))

    def get_physical_volumes(self) -> list[types.PhysicalVolume]:
        """Return the PVs of the VG.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        return report.parse_physical_volumes(self._commands.ask(
            report.physical_volumes_command(self.vg_name)))

    def has_spare_metadata(self) -> bool:
        """Tell whether the VG keeps room to repair a pool's metadata.

        That is the hidden LV ``lvol0_pmspare`` (lvmthin(7), "Spare metadata
        LV").
        """
        return report.parse_spare(
            self._commands.ask(report.spare_command(self.vg_name)))

    def get_picture(self) -> types.Picture:
        """Return the VG with all its LVs; two commands however many LVs."""
        return types.Picture(group=self.get_group(),
                             volumes=self.get_volumes())

    # Verbs ----------------------------------------------------------------

    def create_thin_pool(self, name: str) -> None:
        """Create a thin pool over 95 % of the VG's free space.

        The rest is for the pool's metadata and its spare, which LVM sizes
        (lvmthin(7)). Blocks are zeroed when they are first given out, so
        that no volume shows what another one left.

        :raises errors.InsufficientSpace: the VG is full
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        extents = self._pool_extents(name)
        self._commands.change(
            'lvcreate', '--yes', '--type', types.THIN_POOL, '--zero', 'y',
            '--extents', str(extents), '--name', name, self.vg_name)

    def _pool_extents(self, name: str) -> int:
        group = self.get_group()
        free = group.free_bytes // group.extent_size_bytes
        extents = min(free * _POOL_SHARE_PERCENT // 100,
                      free - _POOL_EXTRA_EXTENTS)
        if extents < 1:
            raise errors.InsufficientSpace(
                f'VG {self.vg_name} has no free space for thin pool {name}')
        return extents

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a linear LV; its size is rounded up to whole extents.

        :raises errors.InsufficientSpace: the VG has too few free extents
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        self._commands.change(
            'lvcreate', '--yes', '--wipesignatures', 'y',
            '--size', f'{size_bytes}b', '--name', name, self.vg_name)

    def create_raid1_volume(self, name: str, size_bytes: int, mirrors: int,
                            pvs: Sequence[str] = ()) -> None:
        """Create a raid1 LV; its size is rounded up to whole extents.

        Each copy is on PVs of its own and takes an extent more, for its
        metadata. The copies are made equal in the background (lvmraid(7),
        "Synchronization").

        :param mirrors: copies beside the first one
        :param pvs: the devices of the PVs to use, where not just any
        :raises errors.InsufficientSpace: too few PVs have free extents
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        self._commands.change(
            'lvcreate', '--yes', '--wipesignatures', 'y',
            '--type', types.RAID1, '--mirrors', str(mirrors),
            '--size', f'{size_bytes}b', '--name', name, self.vg_name, *pvs)

    def create_thin_volume(self, name: str, size_bytes: int,
                           pool: str) -> None:
        """Create a thin LV; its size is rounded up to whole extents.

        :raises errors.InsufficientSpace: the pool takes no more LVs
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        self._commands.change(
            'lvcreate', '--type', types.THIN,
            '--virtualsize', f'{size_bytes}b', '--name', name,
            '--thinpool', pool, self.vg_name)

    def create_cow_snapshot(self, name: str, origin: str,
                            size_bytes: int) -> None:
        """Create a COW snapshot that can hold a rewrite of its whole origin.

        LVM takes off what is more than enough. Not a percentage:
        ``100%ORIGIN`` is an upper limit, and where the VG is short of space
        LVM makes a smaller store, which overflows (2.03.16: 52 MiB of 76).

        :param size_bytes: of the origin
        :raises errors.InsufficientSpace: the VG has too few free extents
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        self._commands.change(
            'lvcreate', '--yes', '--snapshot',
            '--size', f'{size_bytes + size_bytes // 128 + 8 * units.Mi}b',
            '--name', name, f'{self.vg_name}/{origin}')

    def create_thin_snapshot(self, name: str, origin: str, *,
                             activate: bool) -> None:
        """Create a thin snapshot: a thin LV that shares blocks with another.

        :param activate: make it a volume, usable at once and after every
            boot, and writable whatever the origin is; otherwise it stays
            inactive (lvmthin(7), "Thin Snapshots") and takes no write
        :raises errors.LogicalVolumeExists: there is an LV of that name
        """
        names.check_length(self.vg_name, name)
        kind = (('--permission', 'rw', '--setactivationskip', 'n')
                if activate else
                ('--permission', 'r', '--setactivationskip', 'y'))
        self._commands.change(
            'lvcreate', '--snapshot', *kind, '--name', name,
            f'{self.vg_name}/{origin}')

    def extend_volume(self, name: str, size_bytes: int) -> None:
        """Extend an LV to a size, rounded up to whole extents.

        :raises errors.InsufficientSpace: the VG has too few free extents
        :raises errors.LogicalVolumeInUse: the LV has COW snapshots and is
            active
        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvextend', '--size', f'{size_bytes}b',
                              f'{self.vg_name}/{name}')

    def extend_pool(self, pool: types.LogicalVolume,
                    policy: types.AutoextendPolicy) -> None:
        """Extend a thin pool, its metadata, or both until a policy is met.

        As dmeventd(8) does it. Where the VG has not that much for the data,
        it takes what there is.

        :param pool: as it was a moment ago
        :raises errors.InsufficientSpace: the VG has no free extents to give
        :raises errors.LogicalVolumeNotFound: the pool is gone
        """
        path = f'{self.vg_name}/{pool.name}'
        try:
            self._commands.change(
                'lvextend', '--use-policies', path, config=policy.config)
        except errors.InsufficientSpace:
            if not policy.lacks_data(pool):
                raise
            self._commands.change('lvextend', '--extents',
                                  f'+{self._pool_extents(pool.name)}', path)

    def reduce_volume(self, name: str, size_bytes: int) -> None:
        """Take the end of an LV away; what was there is lost.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change(
            'lvreduce', '--force', *self._commands.ignore_fs, '--size',
            f'{size_bytes}b', f'{self.vg_name}/{name}')

    def delete(self, name: str) -> None:
        """Remove an LV and, if it is the origin of COW snapshots, these too.

        LVM itself waits some seconds for udev to let go of the device
        (lvm.conf(5), ``retry_deactivation``; LP#1270192).

        :raises errors.LogicalVolumeInUse: the LV is open
        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvremove', '--force',
                              f'{self.vg_name}/{name}')

    def split_snapshot(self, name: str) -> None:
        """Make the store of a COW snapshot an LV of its own, same name.

        The origin is free of it from then on (lvconvert(8),
        ``--splitsnapshot``).

        :raises errors.LogicalVolumeInUse: the snapshot is open
        """
        self._commands.change('lvconvert', '--yes', '--splitsnapshot',
                              f'{self.vg_name}/{name}')

    def merge_snapshot(self, name: str) -> None:
        """Give the origin of a COW snapshot its data; the snapshot is gone.

        Copies what has changed since, which may take long. If the command is
        killed, :meth:`resume_merge` goes on with it.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change_at_length(
            'lvconvert', '--yes', '--merge', '--interval', '1',
            f'{self.vg_name}/{name}')

    def resume_merge(self, origin: str) -> None:
        """Have LVM go on with an interrupted merge; do not wait for it.

        :raises errors.LogicalVolumeNotFound: there is no such origin
        """
        self._commands.change('lvchange', '--yes', '--activate', 'y',
                              '--poll', 'y', f'{self.vg_name}/{origin}')

    def add_tag(self, name: str, tag: str) -> None:
        """Put a tag on an LV, which it keeps until it is taken off.

        :param tag: characters as in lvm(8), TAGS
        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvchange', '--addtag', tag,
                              f'{self.vg_name}/{name}')

    def delete_tag(self, name: str, tag: str) -> None:
        """Take a tag off an LV.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvchange', '--deltag', tag,
                              f'{self.vg_name}/{name}')

    def convert_to_raid1(self, name: str, mirrors: int) -> None:
        """Make an LV a raid1 LV of a number of copies, also one in use.

        New copies are filled in the background.

        :param mirrors: copies beside the first one
        :raises errors.InsufficientSpace: too few PVs have free extents
        :raises errors.LogicalVolumeInitializing: it has other copies, which
            are not equal yet
        """
        self._commands.change(
            'lvconvert', '--yes', '--type', types.RAID1,
            '--mirrors', str(mirrors), f'{self.vg_name}/{name}')

    def convert_mirror_to_raid1(self, name: str) -> None:
        """Make a mirror LV a raid1 LV of the same copies, also one in use.

        Told a number of copies, too, LVM only sees to these and leaves the
        LV a mirror, so that this is a step of its own.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvconvert', '--yes', '--type', types.RAID1,
                              f'{self.vg_name}/{name}')

    def count_copies(self, name: str) -> int:
        """Return how many copies of its data a mirrored LV has."""
        return report.parse_copies(self._commands.ask(
            report.copies_command(self.vg_name, name)))

    def split_copy(self, name: str, new_name: str) -> None:
        """Make one copy of a mirrored LV an LV of its own, as it is now.

        :raises errors.LogicalVolumeInitializing: the copies are not equal
            yet
        """
        names.check_length(self.vg_name, new_name)
        self._commands.change(
            'lvconvert', '--yes', '--splitmirrors', '1', '--name', new_name,
            f'{self.vg_name}/{name}')

    def convert_to_linear(self, name: str) -> None:
        """Leave one copy of a mirrored LV, also of one in use.

        :raises errors.LogicalVolumeInitializing: the copies are not equal
            yet
        """
        self._commands.change('lvconvert', '--yes', '--mirrors', '0',
                              f'{self.vg_name}/{name}')

    def rename_volume(self, name: str, new_name: str) -> None:
        """Rename an LV that was there a moment ago, also one in use.

        :raises errors.LogicalVolumeExists: the new name is taken
        :raises errors.LogicalVolumeNotFound: there is none of the old name
        :raises errors.NameTooLong: nothing was renamed
        """
        names.check_length(self.vg_name, new_name)
        try:
            self._commands.change('lvrename', self.vg_name, name, new_name)
        except errors.LogicalVolumeNotFound:
            # LVM, or the daemon that starts it, may have died after its work
            # was done: then the command was repeated.
            volumes = self.get_volumes()
            if name in volumes or new_name not in volumes:
                raise

    def make_writable(self, name: str) -> None:
        """Have the device of an LV take writes, also of an active one.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvchange', '--permission', 'rw',
                              f'{self.vg_name}/{name}')

    def activate_lv(self, *lv_names: str) -> None:
        """Activate LVs, snapshots among them, until the next boot.

        :raises errors.LogicalVolumeNotFound: one is not there
        """
        self._commands.change(
            'lvchange', '--yes', '--activate', 'y', '--ignoreactivationskip',
            *(f'{self.vg_name}/{name}' for name in lv_names))

    def deactivate_lv(self, name: str) -> None:
        """Deactivate an LV.

        :raises errors.LogicalVolumeInUse: the LV is open
        """
        self._commands.change('lvchange', '--activate', 'n',
                              f'{self.vg_name}/{name}')
