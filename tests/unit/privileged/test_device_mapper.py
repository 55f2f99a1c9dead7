# SPDX-License-Identifier: Apache-2.0
"""Questions to device-mapper, answered by a fake of its ioctls."""

import errno
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lvm_lock
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import validation
from tests import base
from tests.unit.privileged import fake_device_mapper


@ddt.ddt
class TestStack(base.TestCase):

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(fake_device_mapper.FakeKernel())

    def test_pool(self):
        self.kernel.add(5, 'vg-pool-tpool', 'thin-pool', '3 1/2 -',
                        '253:1 253:2 128 0 0', below=[3, 4])
        self.kernel.add(3, 'vg-pool_tmeta', below=[1792])
        self.kernel.add(4, 'vg-pool_tdata', below=[1792])
        self.kernel.suspended.add(4)
        self.assertEqual(
            [('vg-pool-tpool', False, '3 1/2 -', '253:1 253:2 128 0 0'),
             ('vg-pool_tmeta', False, '', ''),
             ('vg-pool_tdata', True, '', '')],
            [(each.name, each.is_suspended, each.status, each.table)
             for each in device_mapper.stack('vg-pool-tpool')])

    def test_no_device(self):
        self.assertEqual([], device_mapper.stack('vg-a'))

    def test_device_mapper_is_not_loaded(self):
        with mock.patch.object(dm_control, '_CONTROL', '/nowhere'):
            self.assertEqual([], device_mapper.stack('vg-a'))

    def test_keys_are_not_told(self):
        self.kernel.add(1, 'secret', 'crypt', '', 'aes-xts 0123456789abcdef')
        device, = device_mapper.stack('secret')
        self.assertEqual(('crypt', '', ''), (
            device.target, device.table, device.status))

    def test_device_on_itself(self):
        self.kernel.add(1, 'a', below=[1, 2])
        self.kernel.add(2, 'b', below=[1])
        self.assertEqual(['a', 'b'], [each.name for each in
                                      device_mapper.stack('a')])

    def test_kernel_that_refuses(self):
        with mock.patch.object(dm_control.fcntl, 'ioctl',
                               side_effect=OSError(errno.EPERM, 'no')):
            self.assertRaises(OSError, device_mapper.stack, 'a')

    @ddt.data('', 'a/b', 'a b', 'a' * 128, 'a\0', None, '../control')
    def test_name_that_is_none(self, name):
        self.assertRaises(errors.InvalidArgument, device_mapper.stack, name)


class ChangeTestCase(base.TestCase):

    LOCK = '/run/lock/lvm/V_vg'

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(fake_device_mapper.FakeKernel())
        self.held = mock.MagicMock()
        for owner, attribute, value in (
                (lvm_lock, 'held', self.held),
                (ownership, 'volume_groups', lambda: frozenset({'vg'})),
                (validation, 'lvm_lock_file', lambda path: path)):
            self.useFixture(fixtures.MockPatchObject(owner, attribute, value))


@ddt.ddt
class TestLoaded(ChangeTestCase):

    def setUp(self):
        super().setUp()
        for number, name in enumerate(('vg-a', 'vg-b', 'vg-c'), 1):
            self.kernel.add(number, name)
        self.kernel.loaded |= {1, 3}

    def test_found(self):
        self.assertEqual(['vg-c'], device_mapper.find_loaded(
            ['vg-b', 'vg-c', 'vg-gone']))
        self.held.assert_not_called()
        self.assertEqual([], self.kernel.requests)

    def test_cleared_under_the_lock(self):
        self.kernel.before = lambda request: self.held.assert_called_with(
            self.LOCK)
        self.assertEqual(['vg-a', 'vg-c'], device_mapper.clear(
            self.LOCK, ['vg-a', 'vg-b', 'vg-c']))
        self.assertEqual(['clear vg-a', 'clear vg-c'], self.kernel.requests)
        self.assertEqual([], device_mapper.clear(self.LOCK, ['vg-a']))

    @ddt.data('other-a', 'a/b', '')
    def test_devices_of_others(self, name):
        for verb in (device_mapper.find_loaded,
                     lambda names: device_mapper.clear(self.LOCK, names)):
            self.assertRaises(errors.InvalidArgument, verb, ['vg-a', name])
        self.assertEqual([], self.kernel.requests)


@ddt.ddt
class TestCountChange(ChangeTestCase):

    def setUp(self):
        super().setUp()
        self.kernel.add(1, 'vg-pool-tpool', 'thin-pool')

    def test_counted_under_the_lock(self):
        self.kernel.before = lambda request: self.held.assert_called_with(
            self.LOCK)
        device_mapper.count_change(self.LOCK, 'vg-pool-tpool', 7)
        self.assertEqual(['vg-pool-tpool: set_transaction_id 7 8'],
                         self.kernel.requests)

    def test_pool_that_is_not_active(self):
        with self.assertRaisesRegex(OSError, 'vg-gone-tpool'):
            device_mapper.count_change(self.LOCK, 'vg-gone-tpool', 7)

    @ddt.data(('other-pool-tpool', 7), ('vg-pool-tpool', -1),
              ('vg-pool-tpool', '7 8'))
    @ddt.unpack
    def test_refused(self, name, transaction_id):
        self.assertRaises(errors.InvalidArgument, device_mapper.count_change,
                          self.LOCK, name, transaction_id)
        self.assertEqual([], self.kernel.requests)
