# SPDX-License-Identifier: Apache-2.0
"""All our errors have one root."""

import ddt

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from tests import base


@ddt.ddt
class TestErrors(base.TestCase):

    @ddt.data(errors.ConfigurationError, process.CommandFailed,
              process.CommandTimedOut, lvm.LVMError,
              target_errors.TargetError)
    def test_root(self, error):
        self.assertTrue(issubclass(error, errors.DriverError))

    def test_lvm_does_not_tell_what_lvm_did_not_say(self):
        self.assertFalse(issubclass(process.CommandTimedOut, lvm.LVMError))
