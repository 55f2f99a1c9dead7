# SPDX-License-Identifier: Apache-2.0
"""What the verbs of a target in configfs need on the real kernel."""

import os
from unittest import mock

from cinder_lvm_driver.privileged import configfs
from tests.unit.privileged import fake_channel
from tests.unit.privileged import fake_configfs


class OnKernel:
    """Makes the verbs run here, as root, and die at any step.

    Give ``VARIABLE``, the environment variable with two unused LVs, and
    ``clean_up()``.
    """

    maxDiff = None

    def setUp(self):
        super().setUp()
        self.devices = os.environ[self.VARIABLE].split()
        self.os = fake_configfs.KillingOs()
        for patch in (
                mock.patch.object(configfs, 'os', self.os),
                fake_channel.patch()):
            self.enterContext(patch)
        self.addCleanup(self.clean_up)
        self.addCleanup(setattr, self.os, 'steps_left', None)
