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

    def test_attempt_that_fails_is_logged(self):
        def fail(number):
            raise errors.ConfigurationError(f'number {number}')

        errors.attempt('LV a is left', fail, 5)
        self.assertIn('ERROR cinder_lvm_driver.errors: LV a is left: '
                      'number 5', self.log.output)

    def test_attempt_hides_no_mistake_of_ours(self):
        self.assertRaises(ZeroDivisionError, errors.attempt, 'x',
                          lambda: 1 / 0)

    def test_insist(self):
        failures = [errors.ConfigurationError('one')]

        def step(*arguments):
            if failures:
                raise failures.pop()
            self.assertEqual((1, 2), arguments)

        errors.insist(step, 1, 2)
        self.assertIn('once more after a failure: one', self.log.output)
        failures += [errors.ConfigurationError('two')] * 2
        self.assertRaises(errors.ConfigurationError, errors.insist, step)

    def test_lvm_does_not_tell_what_lvm_did_not_say(self):
        self.assertFalse(issubclass(process.CommandTimedOut, lvm.LVMError))
