# SPDX-License-Identifier: Apache-2.0
"""The contract of the verbs on tgtd, kept by the real daemon.

It needs root and two LVs that nobody uses, so ``test_contract`` runs it in a
process of its own, with a daemon of its own::

    TGT_DEVICES='/dev/vg/lv1 /dev/vg/lv2' python -m unittest \\
        tests.functional.tgt_on_daemon
"""

import contextlib
import os
import subprocess
import tempfile
import time
import unittest
from unittest import mock

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgtd
from tests.contract import test_tgt
from tests.unit.privileged import fake_channel
from tests.unit.privileged import fake_tgtd

_DEADLINE = 60


@contextlib.contextmanager
def running(folder):
    """Have the verbs ask a daemon whose socket is in a folder."""
    with mock.patch.object(tgtd, 'SOCKET', f'{folder}/socket.0'), \
            subprocess.Popen(
                ['tgtd', '-f', '--iscsi', 'portal=127.0.0.1:3299'],
                env={**os.environ, 'TGT_IPC_SOCKET': f'{folder}/socket'},
            ) as daemon:
        try:
            _wait_for_daemon()
            yield
        finally:
            daemon.kill()


def _wait_for_daemon():
    deadline = time.monotonic() + _DEADLINE
    while True:
        try:
            return tgt.describe_daemon()
        except errors.TargetDaemonNotRunning:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class OnDaemonTest(test_tgt.Cases, unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(fake_channel.patch())
        cls.enterClassContext(running(cls.enterClassContext(
            tempfile.TemporaryDirectory())))

    # testtools' returns the error.
    def assertRaises(self, error, function, *args, **kwargs):
        with super().assertRaises(error) as caught:
            function(*args, **kwargs)
        return caught.exception

    def setUp(self):
        super().setUp()
        self.devices = os.environ['TGT_DEVICES'].split()
        self.door = fake_tgtd.KillingDaemon(tgtd._exchange)
        self.enterContext(mock.patch.object(tgtd, '_exchange', self.door))
        self.addCleanup(self._clean_up)

    def no_daemon(self):
        return mock.patch.object(tgtd, 'SOCKET', f'{tgtd.SOCKET}.none')

    def _clean_up(self):
        self.door.steps_left = None
        for target in test_tgt.TARGET, test_tgt.LONGER, test_tgt.SHOUTING:
            tgt.delete_target(target)
