# SPDX-License-Identifier: Apache-2.0
import dataclasses
from unittest import mock

import fixtures
from oslo_privsep import daemon

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.privileged import device_mapper
from tests import base

_STACK = kernel_thin._stack


def device(name, target='linear', status='', table='', is_suspended=False):
    return device_mapper.Device(name=name, target=target, status=status,
                                table=table, is_suspended=is_suspended)


# As recorded on Linux 6.12.
POOL = device(
    'my--vg-pool-tpool', 'thin-pool', '3 114/1024 0/3200 - rw '
    'discard_passdown queue_if_no_space - 256', '253:0 253:1 128 0 0')


class KernelTestCase(base.TestCase):

    def having(self, *devices):
        """Have the kernel know some devices, the first on the others."""
        self.stack = mock.Mock(return_value=list(devices))
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', _STACK))
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin.device_mapper, 'stack', self.stack))


class TestThinPool(KernelTestCase):

    def test_well(self):
        self.having(POOL, device('my--vg-pool_tdata'))
        self.assertEqual(
            kernel_thin.ThinPool(transaction_id=3, block_bytes=65536,
                            zeroes_blocks=True, suspended=(),
                            is_moving=False, used_percent={
                                'metadata': 11.1328125, 'data': 0.0}),
            kernel_thin.thin_pool('my-vg', 'pool'))
        self.stack.assert_called_once_with('my--vg-pool-tpool')

    def test_not_active(self):
        self.having()
        self.assertIsNone(kernel_thin.thin_pool('my-vg', 'pool'))

    def test_other_device_of_that_name(self):
        self.having(device('my--vg-pool-tpool'))
        self.assertIsNone(kernel_thin.thin_pool('my-vg', 'pool'))

    def test_suspended(self):
        self.having(dataclasses.replace(POOL, is_suspended=True),
                    device('my--vg-pool_tdata', is_suspended=True),
                    device('my--vg-pool_tmeta'))
        self.assertEqual(('my--vg-pool-tpool', 'my--vg-pool_tdata'),
                         kernel_thin.thin_pool('my-vg', 'pool').suspended)

    def test_moving(self):
        self.having(POOL, device('my--vg-pool_tdata'),
                    device('my--vg-pvmove0', 'mirror'))
        self.assertTrue(kernel_thin.thin_pool('my-vg', 'pool').is_moving)

    def test_blocks_that_are_not_zeroed(self):
        self.having(dataclasses.replace(
            POOL, table='253:0 253:1 128 0 1 skip_block_zeroing'))
        self.assertFalse(kernel_thin.thin_pool('my-vg', 'pool').zeroes_blocks)

    def test_failed(self):
        self.having(dataclasses.replace(POOL, status='Fail'))
        self.assertIsNone(
            kernel_thin.thin_pool('my-vg', 'pool').transaction_id)

    def test_kernel_that_cannot_be_asked(self):
        for error in OSError('dead'), daemon.FailedToDropPrivileges('no'):
            self.having()
            self.stack.side_effect = error
            caught = self.assertRaises(
                errors.KernelSilent, kernel_thin.thin_pool, 'my-vg', 'pool')
            self.assertIn('filters_path', str(caught))


class TestDevice(KernelTestCase):

    def test_moving(self):
        for devices, is_moving in (
                ([], False), ([device('vg-a')], False),
                ([device('vg-pvmove0')], False),
                ([device('vg-a'), device('other-pvmove0')], False),
                ([device('vg-a'), device('vg-a-real'),
                  device('vg-pvmove0')], True)):
            self.having(*devices)
            self.assertIs(is_moving, kernel_thin.device('vg', 'a').is_moving)

    def test_suspended(self):
        self.having(device('vg-a'), device('vg-a_rimage_0',
                                           is_suspended=True))
        self.assertEqual(('vg-a_rimage_0',),
                         kernel_thin.device('vg', 'a').suspended)


class TestMappedBytes(KernelTestCase):

    def test_all_cases(self):
        for devices, mapped in (
                ([], 0), ([device('vg-a')], 0),
                ([device('vg-a', 'thin', '0 -')], 0),
                ([device('vg-a', 'thin', 'Fail')], 0),
                ([device('vg-a', 'thin', '2048 2047')], 2 ** 20)):
            self.having(*devices)
            self.assertEqual(mapped, kernel_thin.mapped_bytes('vg', 'a'))


class TestRetake(base.TestCase):

    def setUp(self):
        super().setUp()
        self.retake = self.useFixture(fixtures.MockPatchObject(
            kernel_thin.snapshot_set, 'retake')).mock

    def test_well(self):
        self.assertIs(self.retake.return_value,
                      kernel_thin.retake('/run/V_vg', [], 5))
        self.retake.assert_called_once_with('/run/V_vg', [], 5)

    def test_daemon_that_does_not_start(self):
        self.retake.side_effect = daemon.FailedToDropPrivileges('no')
        self.assertRaises(errors.KernelSilent, kernel_thin.retake,
                          '/run/V_vg', [], 5)


class TestCountChange(base.TestCase):

    def test_well(self):
        with mock.patch.object(kernel_thin.device_mapper,
                               'count_change') as count_change:
            kernel_thin.count_change('/run/V_vg', 'my-vg', 'pool', 5)
        count_change.assert_called_once_with(
            '/run/V_vg', 'my--vg-pool-tpool', 5)
