# SPDX-License-Identifier: Apache-2.0
"""The brick-style handle of one VG: verbs in, typed facts out."""

from collections.abc import Sequence

from oslo_utils import units

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import names
from cinder_lvm_driver.lvm import questions
from cinder_lvm_driver.lvm import types

_POOL_SHARE_PERCENT = 95
# Metadata and its spare have one each at least.
_POOL_EXTRA_EXTENTS = 2
# LVM waits some seconds for udev to let go of a device (LP#1270192), unless
# lvm.conf(5) says that it is not to.
_RETRY = 'activation{retry_deactivation=1}'


class LVM(questions.Questions):
    """One VG and what can be done in it.

    Every verb asks LVM anew.
    """

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
        group = self.get_vg()
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
                'lvextend', '--use-policies', path, settings=[policy.config])
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

        :raises errors.LogicalVolumeInUse: the LV is open
        :raises errors.LogicalVolumeNotFound: there is none of that name
        """
        self._commands.change('lvremove', '--force',
                              f'{self.vg_name}/{name}', settings=[_RETRY])

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

    def bring_up(self, name: str) -> types.LogicalVolume:
        """Return an LV as it is found, and have its device there.

        What is active and well is left alone. Whether what lacks a PV can be
        used, LVM knows: it is asked to activate that once more.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        :raises errors.LogicalVolumeOfWrongKind: it is a pool
        :raises errors.LogicalVolumeSuspended: it holds back all I/O
        """
        volume = self.get_volume(name)
        if not volume.active or volume.health:
            self.activate_lv(name)
        return volume

    def deactivate_lv(self, name: str) -> None:
        """Deactivate an LV.

        :raises errors.LogicalVolumeInUse: the LV is open
        """
        self._commands.change('lvchange', '--activate', 'n',
                              f'{self.vg_name}/{name}', settings=[_RETRY])
