# SPDX-License-Identifier: Apache-2.0
"""The contract of the verbs on LIO, kept by the real kernel.

It needs root and two LVs that nobody uses, so ``test_contract`` runs it in a
process of its own::

    LIO_DEVICES='/dev/vg/lv1 /dev/vg/lv2' python -m unittest \\
        tests.functional.lio_on_kernel
"""

import unittest

from cinder_lvm_driver.privileged import lio
from tests.contract import test_lio
from tests.functional import on_kernel


class OnKernelTest(on_kernel.OnKernel, test_lio.Cases, unittest.TestCase):

    VARIABLE = 'LIO_DEVICES'

    def clean_up(self):
        for target in (test_lio.TARGET, test_lio.LONGER):
            lio.delete_target(target)
