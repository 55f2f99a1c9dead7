# SPDX-License-Identifier: Apache-2.0
"""The checks of what all back ends share."""

import os
from unittest import mock

import fixtures
from oslo_privsep import daemon

from cinder_lvm_driver.cmd import check_node
from cinder_lvm_driver import errors
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from tests.unit.cmd import base


class TestNode(base.CommandTestCase):

    def test_readable(self):
        self.useFixture(fixtures.MockPatchObject(
            self.config.conf, 'config_file', [__file__], create=True))
        self.assertEqual(__file__, check_node.check_readable())
        self.useFixture(fixtures.MockPatchObject(
            os, 'access', lambda path, mode: False))
        error = self.assertRaises(errors.ConfigurationError,
                                  check_node.check_readable)
        self.assertIn(f'cannot read {__file__}: run chgrp', str(error))

    def test_lvm(self):
        self.assertEqual('2.03.16', check_node.check_lvm())
        self.machine.missing = {'lvm'}
        self.assertRaises(process.CommandNotFound, check_node.check_lvm)

    def test_root(self):
        self.assertIn('sudo -n', check_node.check_root())
        self.machine.refused = {'lvremove'}
        self.assertRaises(process.CommandRefused, check_node.check_root)

    def test_privileged_daemon(self):
        def refuse(name):
            raise daemon.FailedToDropPrivileges('no')

        self.useFixture(fixtures.MockPatchObject(
            check_node.device_mapper, 'stack', refuse))
        self.assertRaises(target_errors.TargetConfigurationError,
                          check_node.check_privileged_daemon)

    def test_udev(self):
        for path, said in (__file__, ''), ('/nowhere', 'start systemd-udevd'):
            with mock.patch.object(check_node, '_UDEV_SOCKET', path):
                check_node.check_udev()
            self.assertIn(said, self.log.output)
