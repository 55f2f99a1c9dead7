# SPDX-License-Identifier: Apache-2.0
"""The user's steps: what somebody does with volumes on an ordinary day."""

from collections.abc import Iterator
from typing import Any

from cloud_lib import compute
from cloud_lib import rest
from cloud_lib import steps
from cloud_lib import storage
from cloud_lib import user
from cloud_lib import waiting

MIB = 1 << 20
GIB = 1 << 30
# Enough to tell blocks apart, little enough for an emulated processor.
DATA = 32 * MIB
SECOND_GIB = GIB
WIPE_SECONDS = 300


class Scenario(user.User):
    """The steps and what they remember of each other.

    :param thin: whether the volumes of the group come from a thin pool
    :param discards: whether the target passes discards on
    """

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 group: str, thin: bool, discards: bool = True) -> None:
        super().__init__(cinder, host, group)
        self._thin = thin
        self._discards = discards
        self._volume = self._snapshot = self._copy = ''
        self._image = self._from_image = ''
        self._first = self._second = ''
        self._used_at_start = 0.0
        self._lvs_there = 0

    def steps(self) -> list[steps.Step]:
        """Return what is to be done, in order."""
        work = [
            ('create volume', self.create),
            ('attach', self.attach_volume),
            ('write', self.write),
            ('snapshot in use', self.snapshot),
            ('overwrite', self.overwrite),
            ('volume from snapshot', self.copy),
            ('extend in use', self.extend),
            ('discard', self.discard),
            ('detach', self.detach_all),
            ('volume to image', self.upload),
            ('image to volume', self.download),
            ('list', self.list_all),
            ('delete', self.delete_all),
        ]
        return [steps.Step(name, function) for name, function in work]

    def create(self) -> str:
        """A volume, and the logical volume that it should be."""
        self.remember()
        self._lvs_there = len(storage.volumes(self._group))
        if self._thin:
            self._used_at_start = storage.pool_used(self._group)
        self._volume = self._cinder.create_volume(name='first')
        found = self._lv(self._volume)
        kind = 'thin' if self._thin else 'linear'
        user.require(found['segtype'] == kind,
                f'the logical volume is {found["segtype"]}, not {kind}')
        user.require(int(found['lv_size']) == GIB,
                f'the logical volume has {found["lv_size"]} bytes')
        return f'1 GiB volume available, LV is {kind} and 1 GiB'

    def attach_volume(self) -> str:
        """The volume as a device of this machine."""
        device = self._attach(self._volume)
        user.require(compute.size_of(device.path) == GIB,
                f'{device.path} has {compute.size_of(device.path)} bytes')
        protocol = device.connection['driver_volume_type']
        if protocol == 'iscsi':
            user.require(device.connection.get('auth_method') == 'CHAP',
                    'the connection has no CHAP')
            protocol += ' with CHAP'
        return (f'in-use, {device.path.rsplit("/", 1)[-1]} is 1 GiB, over '
                f'{protocol}')

    def write(self) -> str:
        """Data, and the same data again."""
        path = self._devices[self._volume].path
        self._first = compute.write_random(path, 0, DATA)
        user.require(compute.checksum(path, 0, DATA) == self._first,
                'what was read back is not what was written')
        return f'{DATA // MIB} MiB written, read back, same checksum'

    def snapshot(self) -> str:
        """A snapshot of the volume while it is written to."""
        self._snapshot = self._cinder.create_snapshot(self._volume, 'before')
        name = f'_snapshot-{self._snapshot}'
        found = storage.volumes(self._group)
        user.require(name in found, f'there is no logical volume {name}')
        user.require(found[name]['origin'] == f'volume-{self._volume}',
                f'the origin of {name} is {found[name]["origin"]!r}')
        return 'snapshot available, its LV has the right origin'

    def overwrite(self) -> str:
        """Other data in the same place."""
        path = self._devices[self._volume].path
        self._second = compute.write_random(path, 0, DATA)
        user.require(compute.checksum(path, 0, DATA) == self._second,
                'what was read back is not what was written')
        return 'the same blocks have other data'

    def copy(self) -> str:
        """A volume from the snapshot has the data of that time."""
        self._copy = self._cinder.create_volume(
            name='copy', snapshot_id=self._snapshot)
        device = self._attach(self._copy)
        user.require(compute.checksum(device.path, 0, DATA) == self._first,
                'the copy does not have the data from before the snapshot')
        return 'the copy, attached as well, has the data from before'

    def extend(self) -> str:
        """A bigger volume, seen by the initiator without a new login.

        A thick volume cannot grow while it has a snapshot: there it is the
        copy that grows.
        """
        volume, data = ((self._volume, self._second) if self._thin
                        else (self._copy, self._first))
        device = self._devices[volume]
        self._cinder.extend(volume, 2, 'in-use')
        seen = self._host.extend(device)
        user.require(seen == 2 * GIB, f'os-brick sees {seen} bytes')
        user.require(compute.size_of(device.path) == 2 * GIB,
                f'{device.path} has {compute.size_of(device.path)} bytes')
        user.require(compute.checksum(device.path, 0, DATA) == data,
                'the data changed when the volume was extended')
        return '2 GiB at the initiator, data unchanged'

    def discard(self) -> str:
        """Blocks that are discarded come back to the thin pool.

        They are in the second GiB: those in the first may be the snapshot's.
        """
        device = self._devices[self._volume]
        if not self._thin:
            return 'a thick volume has nothing to give back'
        if not self._discards:
            return 'the target does not pass discards on'
        user.require(device.connection.get('discard') is True,
                'the connection does not offer discard')
        compute.write_random(device.path, SECOND_GIB, DATA)
        before = storage.pool_used(self._group)
        compute.discard(device.path, SECOND_GIB, DATA)
        after = storage.pool_used(self._group)
        user.require(after < before,
                f'the pool was {before} % full before and is {after} % full '
                f'after {DATA // MIB} MiB were discarded')
        return f'pool from {before} % to {after} % full'

    def detach_all(self) -> str:
        """No session, no node record and no target are left."""
        self.leave()
        return 'volumes available, no session, no attachment'

    def upload(self) -> str:
        """The copy becomes an image."""
        self._image = self._cinder.upload(self._copy, 'image', 'qcow2')
        return f'image {self._image[:8]} is active'

    def download(self) -> str:
        """The image becomes a volume with the copy's data."""
        self._from_image = self._cinder.create_volume(
            name='from image', imageRef=self._image,
            size=1 if self._thin else 2)
        device = self._attach(self._from_image)
        user.require(compute.checksum(device.path, 0, DATA) == self._first,
                'the volume does not have the data of the image')
        self._detach(device)
        return 'the new volume, attached, has the same data'

    def list_all(self) -> str:
        """What the API lists is what was made."""
        made = {self._volume, self._copy, self._from_image}
        user.require(set(self._ours('volume')) == made,
                'the API does not list exactly the volumes made')
        user.require(self._ours('snapshot') == [self._snapshot],
                'the API does not list exactly the snapshot made')
        self._wait_for_wipes()
        user.require(len(storage.volumes(self._group)) == self._lvs_there + 4,
                'the volume group does not have exactly what was made')
        return '3 volumes and 1 snapshot, in the API and in the VG'

    def _wait_for_wipes(self) -> None:
        """Wait for the driver to wipe and remove what was deleted."""
        waiting.until(
            'deleted volumes to be wiped',
            lambda: not any(name.startswith('cinder-wipe-')
                            for name in storage.volumes(self._group)),
            WIPE_SECONDS)

    def delete_all(self) -> str:
        """Everything goes, and the pool is as it was at the start."""
        for delete, *arguments in self._doomed():
            delete(*arguments)
        if not self._thin:
            self._wait_for_wipes()
            return 'volumes, snapshot and image deleted, and wiped'
        used = storage.pool_used(self._group)
        user.require(used <= self._used_at_start,
                f'the pool is {used} % full, {self._used_at_start} % before')
        return f'all deleted, pool {used} % full as at the start'

    def _doomed(self) -> Iterator[tuple[Any, ...]]:
        """Yield what deletes each thing that was made."""
        yield from super()._doomed()
        if self._image:
            yield self._cinder.delete_image, self._image
            self._image = ''
