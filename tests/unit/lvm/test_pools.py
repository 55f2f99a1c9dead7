# SPDX-License-Identifier: Apache-2.0
import dataclasses
from unittest import mock

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import pools
from tests.unit.lvm import test_kernel_thin
from tests.unit.lvm import test_types

POOL = test_kernel_thin.POOL
SUSPENDED = dataclasses.replace(POOL, is_suspended=True)
REPORTED = dataclasses.replace(
    test_types.LINEAR, name='pool', segtype='thin-pool', transaction_id=3)


class TestCheck(test_kernel_thin.KernelTestCase):

    def check(self, known_id=None, **facts):
        """Check a pool of which LVM reports some facts."""
        self.find = mock.Mock(
            return_value=dataclasses.replace(REPORTED, **facts))
        pools.ThinPools('my-vg', self.find).check('pool', known_id)

    def test_well(self):
        self.having(POOL)
        for known_id in None, 3:
            self.check(known_id)
            self.find.assert_not_called()

    def test_not_active(self):
        self.having()
        self.check(7)

    def test_suspended(self):
        self.having(SUSPENDED)
        error = self.assertRaises(errors.LogicalVolumeSuspended, self.check,
                                  is_suspended=True)
        self.assertIn('dmsetup resume my--vg-pool-tpool', str(error))

    def test_device_below_that_is_suspended(self):
        """LVM does not report it."""
        self.having(POOL, test_kernel_thin.device('my--vg-pool_tdata',
                                             is_suspended=True))
        error = self.assertRaises(errors.LogicalVolumeSuspended, self.check)
        self.assertIn('dmsetup resume my--vg-pool_tdata', str(error))

    def test_suspended_for_a_moment(self):
        """Another command does that while it changes the pool."""
        self.having()
        self.stack.side_effect = [SUSPENDED], [POOL]
        self.check()
        self.find.assert_called_once_with('pool')

    def test_moving(self):
        self.having(POOL, test_kernel_thin.device('my--vg-pvmove0'))
        error = self.assertRaises(errors.LogicalVolumeMoving, self.check)
        self.assertIn('pvmove', str(error))

    def test_activation(self):
        """It is possible while the pool is moving."""
        find = mock.Mock(return_value=dataclasses.replace(
            REPORTED, is_suspended=True))
        ours = pools.ThinPools('my-vg', find)
        self.having(POOL, test_kernel_thin.device('my--vg-pvmove0'))
        ours.check_answering('pool')
        self.having(SUSPENDED)
        self.assertRaises(errors.LogicalVolumeSuspended,
                          ours.check_answering, 'pool')
        self.having()
        ours.check_answering('pool')

    def test_out_of_step(self):
        self.having(POOL)
        error = self.assertRaises(errors.ThinPoolOutOfStep, self.check, 4,
                                  transaction_id=4)
        self.assertIn('id 3 in the kernel and 4 in the metadata of LVM',
                      str(error))

    def test_changed_since_it_was_reported(self):
        self.having(POOL)
        self.check(2)
        self.find.assert_called_once_with('pool')

    def test_changed_while_it_is_reported(self):
        self.having()
        self.stack.side_effect = [POOL], [dataclasses.replace(
            POOL, status=POOL.status.replace('3 ', '4 ', 1))]
        self.check(2)

    def test_failed(self):
        """What is wrong with it, the stats say."""
        self.having(dataclasses.replace(POOL, status='Fail'))
        self.check(3)

    def test_gone_meanwhile(self):
        self.having()
        self.stack.side_effect = [SUSPENDED], []
        self.check()


class TestIsBlank(test_kernel_thin.KernelTestCase):

    def test_all_cases(self):
        ours = pools.ThinPools('my-vg', None)
        zeroing, other = POOL, dataclasses.replace(
            POOL, table='253:0 253:1 128 0 1 skip_block_zeroing')
        for pool, mapped, is_blank in (
                (zeroing, '0 -', True), (zeroing, '128 127', False),
                (other, '128 127', True), (other, '256 1023', False)):
            self.having()
            self.stack.side_effect = [pool], [
                test_kernel_thin.device('my--vg-a', 'thin', mapped)]
            self.assertIs(is_blank, ours.is_blank('a', 'pool'))
