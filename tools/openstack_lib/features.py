# SPDX-License-Identifier: Apache-2.0
"""What tempest without nova cannot do: features that need an attached volume.

Steps of one user each, on the storage node, who is the administrator.
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

    :param key: what encrypted volumes are encrypted with
    """

    kinds = ('snapshot', 'backup', 'volume')

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 wanted: settings.Settings, key: bytes) -> None:
        self._backends = wanted.back_ends()
        super().__init__(cinder, host, self._backends[0].group)
        self._wanted = wanted
        self._key = key
        self._types: list[str] = []

    def steps(self) -> list[steps.Step]:
        """Return what is to be done, in order."""
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
        """Look at what is there."""
        self.remember()
        return 'what is there is known'

    def _type(self, **specs: str) -> str:
        """Return the name of a new type of volumes."""
        name = f'feature-{uuid.uuid4().hex[:8]}'
        self._types.append(self._cinder.create_type(name, specs))
        return name

    def _type_of_first(self, **specs: str) -> str:
        """Return the name of a new type of volumes of the first back end."""
        return self._type(volume_backend_name=self._backends[0].name, **specs)

    def _doomed(self) -> Iterator[tuple[Any, ...]]:
        """Yield what deletes each thing that was made."""
        yield from super()._doomed()
        while self._types:
            yield self._cinder.delete_type, self._types.pop()

    def multiattach(self) -> str:
        """The end of one attachment is not that of the other."""
        volume = self._cinder.create_volume(
            name='multiattach',
            volume_type=self._type_of_first(multiattach='<is> True'))
        device = self._attach(volume)
        written = compute.write_random(device.path, 0, DATA)
        second = self._let_in(volume)
        self._cinder.complete_attachment(second.attachment, volume)
        self._cinder.delete_attachment(second.attachment, volume, 'in-use')
        user.require(compute.checksum(device.path, 0, DATA) == written,
                     'what was read back is not what was written')
        self._detach(device)
        return 'one ended, the other one reads what it wrote'

    @contextlib.contextmanager
    def _plain(self, volume: str) -> Iterator[str]:
        """Attach an encrypted volume and decrypt it, for a while."""
        device = self._attach(volume)
        plain = self._host.decrypt(device, self._cinder.encryption(volume),
                                   self._key)
        try:
            yield plain.path
        finally:
            plain.close()
            self._detach(device)

    def encrypted(self) -> str:
        """Only the host sees the data; a clone is encrypted as well."""
        name = self._type_of_first()
        self._cinder.encrypt(self._types[-1])
        volume = self._cinder.create_volume(name='secret', volume_type=name)
        with self._plain(volume) as path:
            written = compute.write_random(path, 0, DATA)
        copy = self._cinder.create_volume(name='copy', source_volid=volume)
        with self._plain(copy) as path:
            user.require(compute.checksum(path, 0, DATA) == written,
                         'the clone does not have the data')
            for one in volume, copy:
                self._require_luks(one)
        return 'LUKS on the LV, the clone has the data'

    def _require_luks(self, volume: str) -> None:
        name = f'/dev/{self._group}/volume-{volume}'
        # A volume that is not attached is not active everywhere.
        storage.run('lvchange', '--activate', 'y', '--ignoreactivationskip',
                    name.removeprefix('/dev/'))
        with open(name, 'rb') as file:
            user.require(file.read(len(_LUKS_MAGIC)) == _LUKS_MAGIC,
                         f'{name} is not encrypted')

    def backup(self) -> str:
        """The data of one moment, taken from a snapshot if so configured."""
        volume = self._cinder.create_volume(name='backed up')
        device = self._attach(volume)
        written = compute.write_random(device.path, 0, DATA)
        before = set(storage.volumes(self._group))
        seen: set[str] = set()
        backup = self._cinder.create_backup(volume, 'backup')

        def done() -> bool:
            seen.update(storage.volumes(self._group))
            return self._cinder.reached('backup', backup, 'available')

        waiting.until(f'backup {backup} to be available', done,
                      rest.STATUS_SECONDS, rest.LOOK_SECONDS)
        new = sorted(seen - before)
        if self._takes_snapshots:
            user.require(
                new != [] and not any(name.startswith('volume-')
                                      for name in new),
                f'a snapshot was to be read, and there was {new}')
        compute.write_random(device.path, 0, DATA)
        self._detach(device)
        restored = self._cinder.create_volume(name='restored')
        self._cinder.restore(backup, restored)
        device = self._attach(restored)
        user.require(compute.checksum(device.path, 0, DATA) == written,
                     'the restored volume does not have the data')
        self._detach(device)
        how = 'a snapshot' if self._takes_snapshots else 'a clone'
        return f'read from {how}, restored, same data'

    @property
    def _takes_snapshots(self) -> bool:
        return strutils.bool_from_string(
            self._wanted.extra_options().get('backup_use_temp_snapshot'))

    def migrate(self) -> str:
        """To the other volume group of this host, and back again."""
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
                     if f'volume-{volume}' in storage.volumes(one.group)]
            user.require(found == [backend.name],
                         f'the LV is in {found}, not in {backend.name} alone')
        device = self._attach(volume)
        user.require(compute.checksum(device.path, 0, DATA) == written,
                     'the data changed on its way')
        self._detach(device)
        return 'one LV each time, and the same data'

    def end(self) -> str:
        """Everything goes."""
        self.leave()
        for delete, *arguments in self._doomed():
            delete(*arguments)
        return 'nothing is left'
