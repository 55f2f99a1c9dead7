# SPDX-License-Identifier: Apache-2.0
"""The contract of the verbs on nvmet, kept by the real kernel.

It needs root and two LVs that nobody uses, so ``test_contract`` runs it in a
process of its own::

    NVMET_DEVICES='/dev/vg/lv1 /dev/vg/lv2' python -m unittest \\
        tests.functional.nvmet_on_kernel
"""

import os
import unittest

from cinder_lvm_driver.privileged import nvmet
from tests.contract import test_nvmet
from tests.functional import on_kernel


class OnKernelTest(on_kernel.OnKernel, test_nvmet.Cases, unittest.TestCase):

    VARIABLE = 'NVMET_DEVICES'

    def clean_up(self):
        for subsystem in (test_nvmet.SUBSYSTEM, test_nvmet.LONGER):
            nvmet.delete_subsystem(subsystem)
        for host in (test_nvmet.HOST, test_nvmet.OTHER_HOST):
            nvmet.deny_host(test_nvmet.SUBSYSTEM, host)
        for path in sorted(self.tree(), reverse=True):
            os.rmdir(os.path.join(test_nvmet.nvmet_tree.ROOT.path, path))
