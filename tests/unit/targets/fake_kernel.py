# SPDX-License-Identifier: Apache-2.0
"""The storage node as targets/node.py and listening see it."""

import contextlib
import os
import shutil
from unittest import mock

import fixtures
from oslo_concurrency import lockutils

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node


class FakeKernel(fixtures.Fixture):
    """Has one tree in configfs, the address 10.0.0.1 and no modules."""

    def __init__(self, tree):
        self._tree = tree
        self.is_mounted = True

    def _setUp(self):
        self.configfs = self.useFixture(fixtures.TempDir()).path
        self.loaded = self.useFixture(fixtures.TempDir()).path
        os.mkdir(f'{self.configfs}/{self._tree}')
        for module, name, value in (
                (configfs, 'MOUNT', self.configfs),
                (node, '_LOADED', self.loaded),
                (node, '_RDMA_DEVICES', '/none/*'),
                (node.os.path, 'ismount', lambda path: self.is_mounted),
                (listening, 'is_local',
                 lambda portal: portal.address == '10.0.0.1')):
            self.useFixture(fixtures.MockPatchObject(module, name, value))

    def unmount(self):
        self.is_mounted = False
        os.rmdir(f'{self.configfs}/{self._tree}')

    def unmount_all(self):
        self.is_mounted = False
        shutil.rmtree(self.configfs)

    def mount(self):
        self.is_mounted = True
        os.mkdir(f'{self.configfs}/{self._tree}')

    def load(self, module):
        os.mkdir(f'{self.loaded}/{module}')


@contextlib.contextmanager
def listed_under_lock(verbs, name):
    """Have nothing listed, and fail where no lock is held meanwhile."""
    with mock.patch.object(lockutils, 'lock') as lock:
        held = lock.return_value

        def listed():
            held.__enter__.assert_called_once()
            held.__exit__.assert_not_called()
            return {}

        with mock.patch.object(verbs, name, side_effect=listed) as listing:
            yield
        listing.assert_called_once_with()


class SetupCase:
    """Part of a test of the set-up of a target of the kernel.

    :cvar subsystem: its folder in configfs
    """

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(FakeKernel(self.subsystem))

    def test_no_configfs(self):
        self.kernel.unmount()
        self.assert_refused('does not exist: configfs was unmounted')
        self.runner.run.assert_called_with(
            'mount', '-t', 'configfs', 'configfs', self.kernel.configfs)

    def let_another_process_listen(self):
        """Have the portals in use; fail unless that is a fault."""
        self.assertIsNone(self.target.fault())
        self.useFixture(fixtures.MockPatchObject(
            listening, 'bind_error', lambda portal: OSError(98, 'in use')))
        self.runner.run.return_value.stdout = ''
        self.assertIn('in use by another process', self.target.fault())

    def assert_refused(self, pattern, **values):
        """Fail unless the set-up with options is refused for a reason."""
        error = self.assertRaises(
            errors.TargetConfigurationError,
            self.make(**values).check_for_setup_error)
        self.assertIn(pattern, str(error))
