# SPDX-License-Identifier: Apache-2.0
"""The contract of the verbs on nvmet, kept by the real kernel.

It needs root and two LVs that nobody uses, so ``test_contract`` runs it in a
process of its own::

    NVMET_DEVICES='/dev/vg/lv1 /dev/vg/lv2' python -m unittest \\
        tests.functional.nvmet_on_kernel
"""

import os
import unittest
from unittest import mock

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import nvmet
from tests.contract import test_nvmet
from tests.unit.privileged import fake_configfs


class OnKernelTest(test_nvmet.Cases, unittest.TestCase):

    maxDiff = None

    def setUp(self):
        super().setUp()
        self.devices = os.environ['NVMET_DEVICES'].split()
        self.os = fake_configfs.KillingOs()
        for patch in (
                mock.patch.object(configfs, 'os', self.os),
                mock.patch.object(privileged.context, 'client_mode', False)):
            self.enterContext(patch)
        self.addCleanup(self._clean_up)

    def _clean_up(self):
        self.os.steps_left = None
        for subsystem in (test_nvmet.SUBSYSTEM, test_nvmet.LONGER):
            nvmet.delete_subsystem(subsystem)
        for host in (test_nvmet.HOST, test_nvmet.OTHER_HOST):
            nvmet.deny_host(test_nvmet.SUBSYSTEM, host)
        for path in sorted(self.tree(), reverse=True):
            os.rmdir(os.path.join(test_nvmet.nvmet_tree.ROOT.path, path))
