# SPDX-License-Identifier: Apache-2.0
"""Changes to one VG, with the method names of os-brick's LVM class."""

from collections.abc import Callable, Iterable, Sequence
import logging

from cinder_lvm_driver import errors as driver_errors
from cinder_lvm_driver.lvm import activation
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import names
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

_POOL_SHARE_PERCENT = 95
# One each for the metadata and its spare, at least.
_POOL_EXTRA_EXTENTS = 2
# With more of them a pool is too damaged to be used.
_MOST_ORPHANS = 16
_ORPHAN_BYTES = 2 ** 30


class LVM(activation.Activation):
    """One VG: questions about it and changes to it.

    Each method runs LVM. A method that names an LV raises
    :class:`errors.LogicalVolumeNotFound` if the VG has no such LV, and one
    that creates an LV raises :class:`errors.LogicalVolumeExists` if the name
    is taken. LVM rounds sizes up to whole extents.
    """

    def create_thin_pool(self, name: str) -> None:
        """Create a thin pool over 95 % of the VG's free space.

        The rest is for the pool's metadata and its spare, which LVM sizes
        (lvmthin(7)). The pool zeroes new blocks, so that no volume shows
        data of a deleted one.

        LVM creates a pool in many steps. Until the last one it has a name by
        which the next start recognizes what a killed command has left.

        :raises errors.InsufficientSpace: the VG is full
        """
        extents = self._pool_extents(name)
        self._commands.change(
            'lvcreate', '--yes', '--type', types.THIN_POOL, '--zero', 'y',
            '--extents', str(extents), '--name', naming.NEW_POOL,
            self.vg_name)
        try:
            self.rename_volume(naming.NEW_POOL, name)
        except errors.LogicalVolumeExists:
            self.delete(naming.NEW_POOL)
            raise

    def check_room_for_pool(self, name: str) -> None:
        """Check that :meth:`create_thin_pool` finds free space.

        :raises errors.InsufficientSpace: it does not
        """
        self._pool_extents(name)

    def _pool_extents(self, name: str) -> int:
        vg = self.get_vg()
        free = vg.free_bytes // vg.extent_size_bytes
        extents = min(free * _POOL_SHARE_PERCENT // 100,
                      free - _POOL_EXTRA_EXTENTS)
        if extents < 1:
            raise errors.InsufficientSpace(
                f'VG {self.vg_name} has no free space for thin pool {name}: '
                f'add PVs with vgextend')
        return extents

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create a linear LV.

        :raises errors.InsufficientSpace: the VG has too few free extents
        """
        self._commands.change(
            'lvcreate', '--yes', '--wipesignatures', 'y',
            '--size', f'{size_bytes}b', '--name', name, self.vg_name)

    def create_shaped_volume(self, name: str, size_bytes: int,
                             shape: types.Shape,
                             pvs: Sequence[str] = ()) -> None:
        """Create an LV over several PVs.

        Each image of a raid LV takes one extent more, for its metadata. LVM
        synchronizes copies and parity in the background (lvmraid(7),
        "Synchronization").

        :param pvs: device paths of the PVs to use; empty for any
        :raises errors.InsufficientSpace: too few PVs have free extents
        """
        self._commands.change(
            'lvcreate', '--yes', '--wipesignatures', 'y',
            *shape.options, '--size', f'{size_bytes}b', '--name', name,
            self.vg_name, *pvs)

    def create_thin_volume(self, name: str, size_bytes: int,
                           pool: str) -> None:
        """Create a thin LV.

        :raises errors.InsufficientSpace: the pool accepts no more LVs
        :raises errors.LogicalVolumeInUse: the pool is suspended or moving
        """
        self._pools.check(pool)
        for _ in range(_MOST_ORPHANS):
            self._create_thin_volume(name, size_bytes, pool)
            if self._pools.is_blank(name, pool):
                return
            self._set_aside(name, pool)
        raise errors.ThinIdTaken(
            f'Thin pool {self._full_name(pool)} has data under ids that LVM '
            f'does not know: no LV can be created in it safely')

    def _create_thin_volume(self, name: str, size_bytes: int,
                            pool: str) -> None:
        self._commands.change(
            'lvcreate', '--type', types.THIN,
            '--virtualsize', f'{size_bytes}b', '--name', name,
            '--thinpool', pool, self.vg_name)

    def _set_aside(self, name: str, pool: str) -> None:
        """Keep an LV that was given data when it was created.

        A killed command or a restored VG has left the data in the pool under
        an id that LVM does not know. LVM (2.03.16) then takes that for an LV
        that it has just created.
        """
        orphan = naming.orphan()
        self.rename_volume(name, orphan)
        self._commands.change(
            'lvchange', '--permission', 'r', '--setactivationskip', 'y',
            self._full_name(orphan))
        self.deactivate_lv(orphan)
        LOG.error('Thin pool %s had data under an id that LVM did not know. '
                  'No volume shows it: it is kept as LV %s. Remove that with '
                  'lvremove %s if nobody misses the data',
                  self._full_name(pool), orphan, self._full_name(orphan))

    def settle_pool(self, pool: str) -> None:
        """Have LVM tell the kernel what a killed command did not.

        LVM keeps that in its metadata, until it next creates an LV in the
        pool. If it has nothing to tell, it refuses to do so and changes
        nothing. If the kernel has created a snapshot and not counted that,
        LVM would ask for the snapshot again for ever.

        :raises errors.KernelSilent: the kernel refuses to count the snapshot
        :raises errors.ThinPoolOutOfStep: LVM has nothing to tell
        """
        try:
            self._take_next_id(pool)
        except errors.ThinIdTaken as exc:
            LOG.warning('Having the kernel count the last snapshot in thin '
                        'pool %s, which a killed command has created: %s',
                        self._full_name(pool), exc)
            counted = self.get_pool_or_volume(pool).transaction_id
            kernel_thin.count_change(self.lock_file(), self.vg_name, pool,
                                     (counted or 0) - 1)
            self._take_next_id(pool)

    def _take_next_id(self, pool: str) -> None:
        """Have the next id of a pool belong to an LV, or be free."""
        name = naming.orphan()
        self._create_thin_volume(name, _ORPHAN_BYTES, pool)
        self._remove_or_set_aside(name, pool)

    def settle_orphan(self, lv: types.LogicalVolume) -> None:
        """Remove an LV that was to take an id, or set it aside with its data.

        :param lv: an orphan, which a killed service has left as it was created
        """
        self._activate(lv.name)
        self._remove_or_set_aside(lv.name, lv.pool or '')

    def _remove_or_set_aside(self, name: str, pool: str) -> None:
        if self._pools.is_blank(name, pool):
            self.delete(name)
        else:
            self._set_aside(name, pool)

    def create_cow_snapshot(self, name: str, origin: str, size_bytes: int,
                            extents: Iterable[types.Extents] = ()) -> None:
        """Create a COW snapshot that cannot overflow.

        Its size is not given as ``100%ORIGIN``, because that is an upper
        limit: in a VG that is nearly full LVM creates a smaller store, which
        overflows (2.03.16: 52 MiB of 76).

        :param size_bytes: of the origin
        :param extents: those to use; empty for any
        :raises errors.InsufficientSpace: too few of them are free
        """
        try:
            self._commands.change(
                'lvcreate', '--yes', '--snapshot',
                '--size', f'{types.full_cow_store_bytes(size_bytes)}b',
                '--name', name, self._full_name(origin), *map(str, extents))
        except errors.LogicalVolumeExists:
            raise
        except errors.LVMError:
            driver_errors.attempt(
                f'LV {self._full_name(name)} is no snapshot, but what is left '
                f'of one that could not be created; remove it with lvremove',
                self._remove_store, name)
            raise

    def _remove_store(self, name: str) -> None:
        """Remove the store of a COW snapshot that could not be created.

        LVM (2.03.16) leaves it if it cannot suspend the origin, for example
        a cached LV whose cache it cannot check.
        """
        lv = self.find_volume(name)
        if lv is not None and not lv.is_cow_snapshot:
            self.delete(name)

    def create_thin_snapshot(self, name: str, origin: types.LogicalVolume, *,
                             activate: bool, tags: Sequence[str] = ()) -> None:
        """Create a thin snapshot: a thin LV that shares blocks with another.

        :param activate: create a volume, which is active now and after every
            boot, and writable even if the origin is not; otherwise the
            snapshot is inactive (lvmthin(7), "Thin Snapshots") and read-only
        :param tags: of the snapshot
        :raises errors.LogicalVolumeInUse: the pool is suspended or moving
        :raises errors.ThinPoolOutOfStep: LVM and the kernel disagree about
            the pool
        """
        names.check_length(self.vg_name, name)
        self.check_changeable(origin)
        modes = (('--permission', 'rw', '--setactivationskip', 'n')
                 if activate else
                 ('--permission', 'r', '--setactivationskip', 'y'))
        tagged = [word for tag in tags for word in ('--addtag', tag)]
        try:
            self._create_thin_snapshot(name, origin, [*modes, *tagged])
        except errors.ThinIdTaken:
            self._take_next_id(origin.pool or '')
            self._create_thin_snapshot(name, origin, [*modes, *tagged])

    def _create_thin_snapshot(self, name: str, origin: types.LogicalVolume,
                              settings: Sequence[str]) -> None:
        self._commands.change(
            'lvcreate', '--snapshot', *settings, '--name', name,
            self._full_name(origin.name))

    def extend_volume(self, name: str, size_bytes: int) -> None:
        """Extend an LV to a size.

        :raises errors.InsufficientSpace: the VG has too few free extents
        :raises errors.LogicalVolumeInUse: the LV has COW snapshots and is
            active
        """
        self._commands.change('lvextend', '--size', f'{size_bytes}b',
                              self._full_name(name))

    def extend_pool(self, pool: types.LogicalVolume,
                    policy: types.AutoextendPolicy) -> None:
        """Extend the data or metadata of a thin pool as a policy says.

        dmeventd(8) does the same. If the VG has too little space for the
        data, the pool gets all of it.

        :raises errors.InsufficientSpace: the VG has no free extents
        """
        self.check_changeable(pool)
        path = self._full_name(pool.name)
        try:
            self._commands.change(
                'lvextend', '--use-policies', path, settings=[policy.config])
        except errors.InsufficientSpace:
            if not policy.lacks_data(pool):
                raise
            self._commands.change('lvextend', '--extents',
                                  f'+{self._pool_extents(pool.name)}', path)

    def reduce_volume(self, name: str, size_bytes: int) -> None:
        """Reduce an LV to a size; the data at its end is lost."""
        self._commands.change(
            'lvreduce', '--force', *self._commands.ignore_fs, '--size',
            f'{size_bytes}b', self._full_name(name))

    def delete(self, name: str) -> None:
        """Remove an LV, and with it all COW snapshots of it.

        :raises errors.LogicalVolumeInUse: the LV is open
        """
        self._remove(self._commands.change_whole, 'lvremove', '--force',
                     self._full_name(name), settings=[activation.RETRY])

    def _remove(self, change: Callable[..., None], *command: str,
                settings: Sequence[str] = ()) -> None:
        """Run a command of a removal, also if LVM's archive is full."""
        try:
            change(*command, settings=settings)
        except errors.ArchiveFull as exc:
            LOG.warning('The metadata of VG %s is not archived before LVs are '
                        'removed: %s', self.vg_name, exc)
            change(*command, settings=[*settings, lvm_command.NO_ARCHIVE])

    def split_snapshot(self, name: str) -> None:
        """Make the store of a COW snapshot a plain LV of the same name.

        The origin no longer depends on it (lvconvert(8),
        ``--splitsnapshot``).

        :raises errors.LogicalVolumeInUse: the snapshot is open
        """
        self._remove(self._commands.change, 'lvconvert', '--yes',
                     '--splitsnapshot', self._full_name(name))

    def merge_tagged(self, tag: str) -> None:
        """Merge the COW snapshot that has a tag; this removes the snapshot.

        LVM copies all that has changed since, which can take hours. If the
        command is killed, :meth:`resume_merge` continues the merge. The
        command outlives its caller: without the tag it merges nothing.
        """
        self._commands.change_at_length(
            'lvconvert', '--yes', '--merge', '--interval', '1', f'@{tag}')

    def resume_merge(self, origin: str) -> None:
        """Continue an interrupted merge; do not wait for its end."""
        self._commands.change('lvchange', '--yes', '--activate', 'y',
                              '--poll', 'y', self._full_name(origin))

    def add_tag(self, name: str, tag: str) -> None:
        """Add a tag to an LV.

        :param tag: characters as in lvm(8), TAGS
        """
        self._commands.change_whole('lvchange', '--addtag', tag,
                                    self._full_name(name))

    def delete_tag(self, name: str, tag: str) -> None:
        """Delete a tag of an LV."""
        self.delete_tag_of([name], tag)

    def delete_tag_of(self, names: Iterable[str], tag: str) -> None:
        """Delete a tag of several LVs."""
        self._commands.change_whole('lvchange', '--deltag', tag,
                                    *map(self._full_name, names))

    def convert_to_raid1(self, name: str, mirrors: int) -> None:
        """Convert an LV, which may be in use, to a number of raid1 copies.

        LVM fills new copies in the background.

        :param mirrors: number of copies beside the first one
        :raises errors.InsufficientSpace: too few PVs have free extents
        :raises errors.LogicalVolumeInitializing: the copies that it has are
            not synchronized
        """
        self._commands.change(
            'lvconvert', '--yes', '--type', types.RAID1,
            '--mirrors', str(mirrors), self._full_name(name))

    def convert_mirror_to_raid1(self, name: str) -> None:
        """Convert a mirror LV, which may be in use, to raid1.

        The number of copies stays: if LVM is told one, it changes only that
        and leaves the LV a mirror.
        """
        self._commands.change('lvconvert', '--yes', '--type', types.RAID1,
                              self._full_name(name))

    def split_copy(self, name: str, new_name: str) -> None:
        """Split one copy of a mirrored LV off as an LV of its own.

        :raises errors.LogicalVolumeInitializing: the copies are not
            synchronized
        """
        names.check_length(self.vg_name, new_name)
        self._commands.change(
            'lvconvert', '--yes', '--splitmirrors', '1', '--name', new_name,
            self._full_name(name))

    def convert_to_linear(self, name: str) -> None:
        """Convert a mirrored LV, which may be in use, to a single copy.

        :raises errors.LogicalVolumeInitializing: the copies are not
            synchronized
        """
        self._commands.change('lvconvert', '--yes', '--mirrors', '0',
                              self._full_name(name))

    def rename_volume(self, name: str, new_name: str) -> None:
        """Rename an LV, which may be in use.

        :param name: of an LV that existed a moment ago
        :raises errors.LogicalVolumeExists: the new name is taken
        :raises errors.NameTooLong: the LV keeps its name
        """
        names.check_length(self.vg_name, new_name)
        try:
            self._commands.change('lvrename', self.vg_name, name, new_name)
        except errors.LogicalVolumeNotFound:
            # LVM or the rootwrap daemon may have died after the rename was
            # done, and the command was then repeated.
            lvs = self.get_volumes()
            if name in lvs or new_name not in lvs:
                raise

    def make_writable(self, name: str) -> None:
        """Make a read-only LV writable, also while it is active."""
        self._commands.change_whole('lvchange', '--permission', 'rw',
                                    self._full_name(name))
