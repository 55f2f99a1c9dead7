# SPDX-License-Identifier: Apache-2.0
"""The steps of an ordinary user of volumes."""

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
# Written and read in each step; little, for an emulated processor.
DATA = 32 * MIB
WIPE_SECONDS = 300
# The step before which most is in use.
DETACH = 'detach'


class Scenario(user.User):
    """The steps, and the resources that they hand to each other.

    :param thin: whether the LVs come from a thin pool
    :param discards: whether the target passes discards on
    """

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 vg: str, thin: bool, discards: bool = True) -> None:
        super().__init__(cinder, host, vg)
        self._thin = thin
        self._discards = discards
        self._volume = self._snapshot = self._copy = ''
        self._image = self._from_image = ''
        self._first = self._second = ''
        self._used_at_start = 0.0
        self._lvs_at_start = 0

    def steps(self) -> list[steps.Step]:
        """Return the steps in order."""
        work = [
            ('create volume', self.create),
            ('attach', self.attach),
            ('write', self.write),
            ('snapshot in use', self.snapshot),
            ('overwrite', self.overwrite),
            ('volume from snapshot', self.copy),
            ('extend in use', self.extend),
            ('discard', self.discard),
            (DETACH, self.detach),
            ('volume to image', self.upload),
            ('image to volume', self.download),
            ('list', self.list_all),
            ('delete', self.delete_all),
        ]
        return [steps.Step(name, function) for name, function in work]

    def create(self) -> str:
        """Create a volume; its LV has the right type and size."""
        self.remember()
        self._lvs_at_start = len(storage.lvs(self._vg))
        if self._thin:
            self._used_at_start = storage.pool_used(self._vg)
        self._volume = self._cinder.create_volume(name='first')
        lv = self._lv(f'volume-{self._volume}')
        segtype = 'thin' if self._thin else 'linear'
        user.require(lv['segtype'] == segtype,
                     f'the LV is {lv["segtype"]}, not {segtype}')
        user.require(int(lv['lv_size']) == GIB,
                     f'the LV has {lv["lv_size"]} bytes, not 1 GiB')
        return f'1 GiB volume available, LV is {segtype} and 1 GiB'

    def _lv(self, name: str) -> dict[str, str]:
        found = storage.lvs(self._vg)
        user.require(name in found, f'there is no LV {name}')
        return found[name]

    def attach(self) -> str:
        """Attach the volume to this machine."""
        device = self._attach(self._volume)
        self._require_size(device, GIB)
        protocol = device.connection['driver_volume_type']
        if protocol == 'iscsi':
            user.require(device.connection.get('auth_method') == 'CHAP',
                         'the connection does not use CHAP')
            protocol += ' with CHAP'
        return (f'in-use, {device.path.rsplit("/", 1)[-1]} is 1 GiB, over '
                f'{protocol}')

    def _require_size(self, device: compute.Device, size: int) -> None:
        found = compute.size_of(device.path)
        user.require(found == size,
                     f'{device.path} has {found} bytes, not {size}')

    def _write(self) -> str:
        """Write random data to the volume, read it, return its checksum."""
        path = self._devices[self._volume].path
        written = compute.write_random(path, 0, DATA)
        user.require_data(path, DATA, written)
        return written

    def write(self) -> str:
        """Write data and read it back."""
        self._first = self._write()
        return f'{DATA // MIB} MiB written, read back, same checksum'

    def snapshot(self) -> str:
        """Take a snapshot of the volume in use."""
        self._snapshot = self._cinder.create_snapshot(self._volume, 'before')
        name = f'_snapshot-{self._snapshot}'
        origin = self._lv(name)['origin']
        user.require(origin == f'volume-{self._volume}',
                     f'the origin of {name} is {origin!r}')
        return 'snapshot available, its LV has the right origin'

    def overwrite(self) -> str:
        """Write other data to the same place."""
        self._second = self._write()
        return 'the same blocks have other data'

    def copy(self) -> str:
        """A volume from the snapshot has the data of that time."""
        self._copy = self._cinder.create_volume(
            name='copy', snapshot_id=self._snapshot)
        device = self._attach(self._copy)
        user.require_data(device.path, DATA, self._first)
        return 'the copy, attached too, has the data from before'

    def extend(self) -> str:
        """Extend a volume; the initiator sees it without a new login.

        LVM cannot extend the origin of a COW snapshot: if the volume is
        thick, the copy is extended. A volume that is attached without a
        target cannot be extended in use.
        """
        volume, data = ((self._volume, self._second) if self._thin
                        else (self._copy, self._first))
        device = self._devices[volume]
        if device.connection['driver_volume_type'] == 'local':
            self._detach(device)
            self._cinder.extend(volume, 2, 'available')
            device = self._attach(volume)
        else:
            self._cinder.extend(volume, 2, 'in-use')
        seen = self._host.extend(device)
        user.require(seen == 2 * GIB, f'os-brick sees {seen} bytes')
        self._require_size(device, 2 * GIB)
        user.require_data(device.path, DATA, data)
        return '2 GiB at the initiator, data unchanged'

    def discard(self) -> str:
        """Discarded blocks return to the thin pool.

        They are in the second GiB: the snapshot may share those in the first.
        """
        device = self._devices[self._volume]
        if not self._thin:
            return 'not applicable to a thick volume'
        if not self._discards:
            return 'the target does not pass discards on'
        user.require(device.connection.get('discard') is True,
                     'the connection does not offer discard')
        compute.write_random(device.path, GIB, DATA)
        before = storage.pool_used(self._vg)
        compute.discard(device.path, GIB, DATA)
        after = storage.pool_used(self._vg)
        user.require(after < before,
                     f'the pool was {before} % full before and is {after} % '
                     f'full after {DATA // MIB} MiB were discarded')
        return f'pool from {before} % to {after} % full'

    def detach(self) -> str:
        """Detach; no session, node record or target remains."""
        self.detach_all()
        return 'volumes available, no session, no attachment'

    def upload(self) -> str:
        """Upload the copy to an image."""
        self._image = self._cinder.upload(self._copy, 'image', 'qcow2')
        return f'image {self._image[:8]} is active'

    def download(self) -> str:
        """A volume from the image has the data of the copy."""
        self._from_image = self._cinder.create_volume(
            name='from image', imageRef=self._image,
            size=1 if self._thin else 2)
        device = self._attach(self._from_image)
        user.require_data(device.path, DATA, self._first)
        self._detach(device)
        return 'the new volume, attached, has the same data'

    def list_all(self) -> str:
        """The API and the VG list exactly what was created."""
        created = {self._volume, self._copy, self._from_image}
        user.require(set(self._own('volume')) == created,
                     'the API does not list exactly the volumes created')
        user.require(self._own('snapshot') == [self._snapshot],
                     'the API does not list exactly the snapshot created')
        self._wait_for_wipes()
        user.require(
            len(storage.lvs(self._vg)) == self._lvs_at_start + 4,
            'the VG does not have exactly the LVs created')
        return '3 volumes and 1 snapshot, in the API and in the VG'

    def _wait_for_wipes(self) -> None:
        """Wait until the driver has wiped and removed the deleted LVs."""
        waiting.until(
            'deleted volumes to be wiped',
            lambda: not any(name.startswith('cinder-wipe-')
                            for name in storage.lvs(self._vg)),
            WIPE_SECONDS)

    def delete_all(self) -> str:
        """Delete everything; the pool is as full as at the start."""
        for delete, *arguments in self._deletions():
            delete(*arguments)
        if not self._thin:
            self._wait_for_wipes()
            return 'volumes, snapshot and image deleted, and wiped'
        used = storage.pool_used(self._vg)
        user.require(
            used <= self._used_at_start,
            f'the pool is {used} % full, {self._used_at_start} % before')
        return f'all deleted, pool {used} % full as at the start'

    def _deletions(self) -> Iterator[tuple[Any, ...]]:
        yield from super()._deletions()
        if self._image:
            yield self._cinder.delete_image, self._image
            self._image = ''
