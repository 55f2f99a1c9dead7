# SPDX-License-Identifier: Apache-2.0
"""Volumes stay attached while cinder-volume or the storage node restarts.

``python -m openstack_lib.survive FOLDER PART`` runs on the storage node. The
state between the parts is on the disk of the node, because the last parts run
after a reboot.
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
from openstack_lib import cloud as clouds
from openstack_lib import disk
from openstack_lib import settings

COUNT = 10
DATA = 4 << 20
STATE = os.path.join(disk.FOLDER, 'survive.json')


class Survivor(user.User):
    """A host with volumes attached across restarts."""

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 vg: str) -> None:
        super().__init__(cinder, host, vg)
        self._written: dict[str, str] = {}

    def begin(self) -> str:
        """Attach volumes and write to each."""
        self.remember()
        try:
            for number in range(COUNT):
                self._attach(self._cinder.create_volume(name=f'{number}'))
            self._write()
        except BaseException:
            self.clean()
            raise
        return f'{COUNT} volumes are attached and hold data'

    def _write(self) -> None:
        """Write new data to each volume and save the state."""
        self._written = {
            volume: compute.write_random(device.path, 0, DATA)
            for volume, device in self._devices.items()}
        settings.write_private(STATE, json.dumps(
            [[dataclasses.asdict(device), self._written[volume]]
             for volume, device in self._devices.items()]))

    def load(self) -> None:
        """Load the state of the previous part."""
        with open(STATE) as file:
            for fields, written in json.load(file):
                device = compute.Device(**fields)
                self._devices[device.volume] = device
                self._written[device.volume] = written

    def check(self) -> str:
        """Compare the data and write new data, without a new login."""
        for volume, device in self._devices.items():
            user.require_data(device.path, DATA, self._written[volume])
            user.require(self._cinder.reached('volume', volume, 'in-use'),
                         f'volume {volume} is no longer in use')
        self._write()
        return f'{len(self._devices)} volumes read and written'

    def connect(self) -> str:
        """Log in with the first connection information; compare the data."""
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
    """Run one part."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cloud = clouds.Cloud.read(argv[1])
    survivor = Survivor(attach.client(cloud), compute.Host(),
                        cloud.settings.back_ends()[0].vg)
    part = argv[2]
    if part != 'begin':
        survivor.load()
    print(f'survive: {getattr(survivor, part)()}', flush=True)


if __name__ == '__main__':
    main(sys.argv)
