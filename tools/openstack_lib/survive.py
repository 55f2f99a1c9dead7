# SPDX-License-Identifier: Apache-2.0
"""Volumes that stay attached while cinder-volume or its whole host restarts.

Run on the storage node as ``python -m openstack_lib.survive FOLDER PART``.
What the parts tell each other is on the storage node's disk, because the last
ones run after a reboot.
"""

from collections.abc import Sequence
import dataclasses
import json
import os
import signal
import sys

from cloud_lib import compute
from cloud_lib import rest
from cloud_lib import user
from openstack_lib import attach
from openstack_lib import disk
from openstack_lib import passwords
from openstack_lib import settings

COUNT = 10
DATA = 4 << 20
STATE = os.path.join(disk.FOLDER, 'survive.json')


class Survivor(user.User):
    """A host with volumes, before and after."""

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 group: str) -> None:
        super().__init__(cinder, host, group)
        self._written: dict[str, str] = {}

    def begin(self) -> str:
        """Attach volumes and write to each."""
        self.remember()
        try:
            for number in range(COUNT):
                volume = self._cinder.create_volume(name=f'{number}')
                self._attach(volume)
            self._write()
        except BaseException:
            self.clean()
            raise
        self._save()
        return f'{COUNT} volumes are attached and hold data'

    def _write(self) -> None:
        self._written = {
            volume: compute.write_random(device.path, 0, DATA)
            for volume, device in self._devices.items()}

    def _save(self) -> None:
        settings.write_private(STATE, json.dumps(
            [[dataclasses.asdict(device), self._written[volume]]
             for volume, device in self._devices.items()]))

    def load(self) -> None:
        """Take up what ``begin`` has left."""
        with open(STATE) as file:
            for fields, written in json.load(file):
                device = compute.Device(**fields)
                self._devices[device.volume] = device
                self._written[device.volume] = written

    def check(self) -> str:
        """Read what was written, and write anew, without a new login."""
        for volume, device in self._devices.items():
            user.require(
                compute.checksum(device.path, 0, DATA)
                == self._written[volume],
                f'volume {volume} does not have its data')
            user.require(self._cinder.reached('volume', volume, 'in-use'),
                         f'volume {volume} is not in use any more')
        self._write()
        self._save()
        return f'{len(self._devices)} volumes read and written'

    def connect(self) -> str:
        """Log in with what Cinder said long ago, and look at the data."""
        for device in self._devices.values():
            device.info = self._host.attach(device.connection)
        return f'logged in again; {self.check()}'

    def end(self) -> str:
        """Detach and delete everything."""
        for device in list(self._devices.values()):
            self._detach(device)
            self._cinder.delete('volume', device.volume)
        os.unlink(STATE)
        return 'detached and deleted'


def main(argv: Sequence[str]) -> None:
    """Do one part."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    places = settings.Places(argv[1])
    with open(places.settings) as file:
        wanted = settings.Settings.from_json(file.read())
    survivor = Survivor(
        attach.client(wanted, passwords.ensure(places.passwords)),
        compute.Host(), wanted.back_ends()[0].group)
    part = argv[2]
    if part != 'begin':
        survivor.load()
    print(f'survive: {getattr(survivor, part)()}', flush=True)


if __name__ == '__main__':
    main(sys.argv)
