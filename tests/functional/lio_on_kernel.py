# SPDX-License-Identifier: Apache-2.0
"""The contract of the verbs on LIO, kept by the real kernel.

It needs root and two LVs that nobody uses, so ``test_contract`` runs it in a
process of its own::

    LIO_DEVICES='/dev/vg/lv1 /dev/vg/lv2' python -m unittest \\
        tests.functional.lio_on_kernel
"""

import os
import unittest
from unittest import mock

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import lio
from tests.contract import test_lio
from tests.unit.privileged import fake_configfs


class OnKernelTest(test_lio.Cases, unittest.TestCase):

    def setUp(self):
        super().setUp()
        self.devices = os.environ['LIO_DEVICES'].split()
        self.os = fake_configfs.KillingOs()
        for patch in (
                mock.patch.object(configfs, 'os', self.os),
                mock.patch.object(privileged.context, 'client_mode', False)):
            self.enterContext(patch)
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        self.os.steps_left = None
        for target in (test_lio.TARGET, test_lio.LONGER):
            lio.delete_target(target)
