# SPDX-License-Identifier: Apache-2.0
"""What every test starts from."""

import logging
import os
import subprocess
import time
import traceback
from unittest import mock

import fixtures
from oslo_concurrency.fixture import lockutils as lockutils_fixture
from oslo_config import fixture as config_fixture
import testtools

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import udev
from cinder_lvm_driver.privileged import ownership

# Seconds a test may take; a hanging one fails instead of blocking the run.
DEFAULT_TIMEOUT = 60


class Forbidden(fixtures.Fixture):
    """Makes a test fail when something calls what no unit test may call.

    The call raises, and because product code may catch what it raises, the
    test fails at its end once more.
    """

    def __init__(self, target, attribute, reason):
        super().__init__()
        self._target = target
        self._attribute = attribute
        self._reason = reason
        self.calls = []

    def _setUp(self):
        patcher = mock.patch.object(self._target, self._attribute,
                                    self._refuse)
        patcher.start()
        self.addCleanup(self._complain)
        self.addCleanup(patcher.stop)

    def _refuse(self, *args, **kwargs):
        self.calls.append(''.join(traceback.format_stack(limit=8)[:-1]))
        raise AssertionError(self._reason)

    def _complain(self):
        if self.calls:
            raise AssertionError(f'{self._reason}:\n{self.calls[0]}')


class TestCase(testtools.TestCase):
    """A test that is alone in the world.

    :cvar may_sleep: allow ``time.sleep``
    :cvar may_run_processes: allow ``subprocess``
    """

    may_sleep = False
    may_run_processes = False

    def setUp(self):
        super().setUp()
        timeout = int(os.environ.get('OS_TEST_TIMEOUT', DEFAULT_TIMEOUT))
        if timeout:
            self.useFixture(fixtures.Timeout(timeout, gentle=True))
        self.useFixture(fixtures.NestedTempfile())
        #: the log as text: ``self.log.output``
        self.log = self.useFixture(fixtures.FakeLogger(
            level=logging.DEBUG,
            format='%(levelname)s %(name)s: %(message)s'))
        # External locks are files: each test has a folder of its own.
        self.useFixture(lockutils_fixture.ExternalLockFixture())
        # What this machine's udev and kernel know is nobody's concern.
        for module, folder in (udev, '_FOLDER'), (blockdev, 'SYS'):
            self.useFixture(fixtures.MockPatchObject(
                module, folder, '/nonexistent'))
        # No LV has a device here; each is found where it should be.
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'why_not_lv', lambda path: None))
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_own_lv', lambda path: True))
        #: sets options of oslo.config; they are put back at the end
        self.config = self.useFixture(config_fixture.Config())
        # This host's device-mapper is of no matter.
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', lambda name: []))
        if not self.may_sleep:
            self.useFixture(Forbidden(
                time, 'sleep', 'a unit test must not sleep'))
        if not self.may_run_processes:
            self.useFixture(Forbidden(
                subprocess.Popen, '__init__',
                'a unit test must not run a process'))
