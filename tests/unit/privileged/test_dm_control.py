# SPDX-License-Identifier: Apache-2.0
"""Requests to device-mapper, answered by a fake of its ioctls."""

import errno
import os

from cinder_lvm_driver.privileged import dm_control
from tests import base
from tests.unit.privileged import fake_device_mapper


class TestControl(base.TestCase):

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(fake_device_mapper.FakeKernel())
        self.kernel.add(5, 'vg-a', 'thin', '128 -', '253:4 7', [4],
                        'LVM-abc')
        self.control = self.enterContext(dm_control.opened())

    def test_status(self):
        for key in {'name': 'vg-a'}, {'number': 5}:
            answer = dm_control.ask(self.control, dm_control.Command.STATUS,
                                    **key)
            self.assertEqual(('vg-a', 5, 'LVM-abc', False), (
                answer.name, answer.number, answer.uuid, answer.is_suspended))

    def test_no_such_device(self):
        self.assertIsNone(dm_control.ask(
            self.control, dm_control.Command.STATUS, name='vg-b'))
        self.assertEqual(('', ''), dm_control.target(self.control, 9))
        self.assertEqual((), dm_control.dependencies(self.control, 9))

    def test_target(self):
        self.assertEqual(('thin', '128 -'),
                         dm_control.target(self.control, 5))
        self.assertEqual(('thin', '253:4 7'), dm_control.target(
            self.control, 5, dm_control.Flag.TABLE))
        self.assertEqual((4,), dm_control.dependencies(self.control, 5))

    def test_suspend_and_resume(self):
        dm_control.resume(self.control, 5)
        dm_control.suspend(self.control, 5)
        self.assertEqual({5}, self.kernel.suspended)
        for _ in range(2):
            dm_control.resume(self.control, 5)
        self.assertEqual(['suspend vg-a', 'resume vg-a'],
                         self.kernel.requests)

    def test_message(self):
        dm_control.message(self.control, 5, 'delete 1')
        self.assertEqual(['vg-a: delete 1'], self.kernel.requests)

    def test_refusal(self):
        self.kernel.refusals['vg-a: delete 1'] = errno.EBUSY
        error = self.assertRaises(OSError, dm_control.message, self.control,
                                  5, 'delete 1')
        self.assertEqual(errno.EBUSY, error.errno)

    def test_closed(self):
        with dm_control.opened() as control:
            os.fstat(control)
        self.assertRaises(OSError, os.fstat, control)
