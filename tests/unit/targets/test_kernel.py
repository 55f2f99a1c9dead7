# SPDX-License-Identifier: Apache-2.0
from unittest import mock

import ddt

from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import kernel
from cinder_lvm_driver.targets import types
from tests import base
from tests.unit.targets import fake_kernel


@ddt.ddt
class TestKernel(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.kernel = self.useFixture(fake_kernel.FakeKernel('target'))

    def assert_refused(self, pattern, check, *arguments):
        error = self.assertRaises(errors.TargetConfigurationError, check,
                                  *arguments)
        self.assertIn(pattern, str(error))

    def test_modules_are_loaded_unless_they_are(self):
        self.kernel.load('one')
        kernel.load_modules(('one', 'two'), 'helper', self.runner)
        self.runner.run.assert_called_once_with('modprobe', 'two')

    @ddt.data(process.CommandFailed(('modprobe', 'x'), 1, '', 'not found'),
              process.CommandRefused(('modprobe', 'x'), 99, '', ''),
              process.CommandTimedOut(('modprobe', 'x'), 5))
    def test_no_module(self, failure):
        self.runner.run.side_effect = failure
        self.assert_refused(
            'the kernel module one, which target_helper helper needs, cannot '
            'be loaded', kernel.load_modules, ('one',), 'helper', self.runner)

    def test_tree(self):
        kernel.check_tree('target')
        self.assert_refused('configfs is not mounted', kernel.check_tree,
                            'nvmet')

    @ddt.data('storage.example.com', 'fe80::1%eth0')
    def test_no_address(self, address):
        portals = [types.Portal('10.0.0.1', 3260),
                   types.Portal(address, 3260)]
        self.assert_refused(
            f"'{address}' is no IP address, which target_helper lioadm needs",
            kernel.check_addresses, portals, 'lioadm')
