# SPDX-License-Identifier: Apache-2.0
"""The devices of LVs that the privileged verbs are told of."""

from unittest import mock

import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation
from tests.unit.privileged import fake_channel


# Those that are there at first: numbers by path.
VOLUMES = {'/dev/vg/volume-1': '253:1', '/dev/vg/volume-2': '253:2'}


class FakeDevices(fixtures.Fixture):
    """Makes privileged verbs run here, and find these devices only.

    :ivar numbers: the major and the minor number of each, by its path
    """

    def __init__(self, numbers):
        self.numbers = numbers

    def _setUp(self):
        for patch in (
                mock.patch.object(validation, 'device_number', self._number),
                mock.patch.object(blockdev, 'number', self.numbers.get),
                fake_channel.patch()):
            patch.start()
            self.addCleanup(patch.stop)

    def _number(self, path):
        try:
            return self.numbers[path]
        except KeyError:
            raise errors.DeviceNotUsable(path, 'is not there') from None
