# SPDX-License-Identifier: Apache-2.0
"""LVM's lock, on files of this test."""

import fcntl
import os
from unittest import mock

import fixtures

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lvm_lock
from tests import base


class TestLock(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'V_vg')

    def is_free(self):
        """Take the lock as LVM does, if it is free, and give it up again."""
        with open(self.path, 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            os.unlink(self.path)
            return True

    def test_held(self):
        for _ in range(2):
            with lvm_lock.held(self.path):
                self.assertFalse(self.is_free())
            self.assertTrue(self.is_free())

    def test_given_up_after_an_error(self):
        def fail():
            with lvm_lock.held(self.path):
                raise ValueError
        self.assertRaises(ValueError, fail)
        self.assertTrue(self.is_free())

    def test_waits_for_lvm(self):
        file = open(self.path, 'w')
        self.addCleanup(file.close)
        fcntl.flock(file, fcntl.LOCK_EX)

        def lvm_ends(_seconds):
            os.unlink(self.path)
            file.close()
        with mock.patch.object(lvm_lock.threading, 'Event') as event:
            event.return_value.wait.side_effect = lvm_ends
            with lvm_lock.held(self.path):
                self.assertFalse(self.is_free())
        event.return_value.wait.assert_called_once()

    def test_lvm_does_not_end(self):
        with open(self.path, 'w') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with mock.patch.object(lvm_lock, 'WAIT_SECONDS', 0), \
                    mock.patch.object(lvm_lock.threading, 'Event'):
                error = self.assertRaises(
                    errors.VolumeGroupLocked,
                    lvm_lock.held(self.path).__enter__)
        self.assertIn(self.path, str(error))

    def test_file_that_was_removed_meanwhile(self):
        flock = fcntl.flock
        left = [os.unlink]

        def remove_first(descriptor, how):
            flock(descriptor, how)
            while left:
                left.pop()(self.path)
        with mock.patch.object(lvm_lock.fcntl, 'flock', remove_first), \
                mock.patch.object(lvm_lock.threading, 'Event'), \
                lvm_lock.held(self.path):
            self.assertFalse(self.is_free())

    def test_links_are_not_followed(self):
        os.symlink('elsewhere', self.path)
        self.assertRaises(OSError, lvm_lock.held(self.path).__enter__)
