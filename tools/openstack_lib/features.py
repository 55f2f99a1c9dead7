# SPDX-License-Identifier: Apache-2.0
"""Steps of an administrator that need attached volumes.

Tempest without Nova leaves them out.
"""

from collections.abc import Iterator
import contextlib
from typing import Any
import uuid

from oslo_utils import strutils

from cloud_lib import compute
from cloud_lib import rest
from cloud_lib import steps
from cloud_lib import storage
from cloud_lib import user
from cloud_lib import waiting
from openstack_lib import configuration
from openstack_lib import settings

DATA = 8 << 20
_LUKS_MAGIC = b'LUKS\xba\xbe'


class Features(user.User):
    """The steps.

    :param key: encrypts the encrypted volumes
    """

    resources = ('snapshot', 'backup', 'volume')

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 wanted: settings.Settings, key: bytes) -> None:
        self._backends = wanted.back_ends()
        super().__init__(cinder, host, self._backends[0].vg)
        self._wanted = wanted
        self._key = key
        self._types: list[str] = []

    def steps(self) -> list[steps.Step]:
        """Return the steps in order."""
        work = [('begin', self.begin),
                ('two attachments of one host', self.multiattach),
                ('encrypted volume', self.encrypted)]
        if self._wanted.backup:
            work.append(('backup of a volume in use', self.backup))
        if len(self._backends) > 1:
            work.append(('migration and back', self.migrate))
        return [steps.Step(name, function)
                for name, function in (*work, ('end', self.end))]

    def begin(self) -> str:
        """Record the resources of others."""
        self.remember()
        return 'existing resources are recorded'

    def _type(self, **specs: str) -> str:
        """Create a volume type and return its name."""
        name = f'feature-{uuid.uuid4().hex[:8]}'
        self._types.append(self._cinder.create_type(name, specs))
        return name

    def _type_of_first(self, **specs: str) -> str:
        """Create a volume type of the first back end; return its name."""
        return self._type(volume_backend_name=self._backends[0].name, **specs)

    def _deletions(self) -> Iterator[tuple[Any, ...]]:
        yield from super()._deletions()
        while self._types:
            yield self._cinder.delete_type, self._types.pop()

    def multiattach(self) -> str:
        """One attachment survives the deletion of another."""
        volume = self._cinder.create_volume(
            name='multiattach',
            volume_type=self._type_of_first(multiattach='<is> True'))
        device = self._attach(volume)
        written = compute.write_random(device.path, 0, DATA)
        second = self._create_attachment(volume)
        self._cinder.complete_attachment(second.attachment, volume)
        self._cinder.delete_attachment(second.attachment, volume, 'in-use')
        user.require_data(device.path, DATA, written)
        self._detach(device)
        return 'one deleted, the other reads its data'

    @contextlib.contextmanager
    def _decrypted(self, volume: str) -> Iterator[str]:
        """Attach and decrypt a volume; yield the path of the device."""
        device = self._attach(volume)
        with self._host.decrypted(device, self._cinder.encryption(volume),
                                  self._key) as path:
            yield path
        self._detach(device)

    def encrypted(self) -> str:
        """The LVs of an encrypted volume and its clone are encrypted."""
        name = self._type_of_first()
        self._cinder.encrypt(self._types[-1])
        volume = self._cinder.create_volume(name='secret', volume_type=name)
        with self._decrypted(volume) as path:
            written = compute.write_random(path, 0, DATA)
        copy = self._cinder.create_volume(name='copy', source_volid=volume)
        with self._decrypted(copy) as path:
            user.require_data(path, DATA, written)
            for one in volume, copy:
                self._require_luks(one)
        return 'LUKS on the LV, the clone has the data'

    def _require_luks(self, volume: str) -> None:
        lv = f'{self._vg}/volume-{volume}'
        # The LV of a detached volume may be inactive.
        storage.run('lvchange', '--activate', 'y', '--ignoreactivationskip',
                    lv)
        with open(f'/dev/{lv}', 'rb') as file:
            user.require(file.read(len(_LUKS_MAGIC)) == _LUKS_MAGIC,
                         f'LV {lv} is not encrypted')

    def backup(self) -> str:
        """A backup of a volume in use restores its data.

        With backup_use_temp_snapshot, it reads a snapshot.
        """
        volume = self._cinder.create_volume(name='backed up')
        device = self._attach(volume)
        written = compute.write_random(device.path, 0, DATA)
        before = set(storage.lvs(self._vg))
        seen: set[str] = set()
        backup = self._cinder.create_backup(volume, 'backup')

        def done() -> bool:
            seen.update(storage.lvs(self._vg))
            return self._cinder.reached('backup', backup, 'available')

        waiting.until(f'backup {backup} to be available', done,
                      rest.STATUS_SECONDS, rest.LOOK_SECONDS)
        new = sorted(seen - before)
        snapshots = strutils.bool_from_string(
            self._wanted.extra_options().get('backup_use_temp_snapshot'))
        if snapshots:
            user.require(
                new != [] and not any(name.startswith('volume-')
                                      for name in new),
                f'the new LVs were {new}, not only a snapshot')
        compute.write_random(device.path, 0, DATA)
        self._detach(device)
        restored = self._cinder.create_volume(name='restored')
        self._cinder.restore(backup, restored)
        device = self._attach(restored)
        user.require_data(device.path, DATA, written)
        self._detach(device)
        source = 'a snapshot' if snapshots else 'a clone'
        return f'read from {source}, restored, same data'

    def migrate(self) -> str:
        """Migrate a volume to the other VG of this node and back."""
        volume = self._cinder.create_volume(name='moved',
                                            volume_type=self._type())
        device = self._attach(volume)
        written = compute.write_random(device.path, 0, DATA)
        self._detach(device)
        start = self._cinder.show('volume', volume)['os-vol-host-attr:host']
        for backend in sorted(self._backends,
                              key=lambda one: start.endswith(f'#{one.name}')):
            self._cinder.migrate(
                volume, f'{configuration.NODE_HOST}@{backend.name}'
                f'#{backend.name}')
            found = [one.name for one in self._backends
                     if f'volume-{volume}' in storage.lvs(one.vg)]
            user.require(found == [backend.name],
                         f'the LV is in {found}, not only in {backend.name}')
        device = self._attach(volume)
        user.require_data(device.path, DATA, written)
        self._detach(device)
        return 'one LV each time, and the same data'

    def end(self) -> str:
        """Detach and delete everything."""
        self.detach_all()
        for delete, *arguments in self._deletions():
            delete(*arguments)
        return 'nothing is left'
