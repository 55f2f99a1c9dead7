# SPDX-License-Identifier: Apache-2.0
"""Storage in trouble: what the scheduler and the log are told, and when."""

from concurrent import futures
import contextlib
import logging

from cinder import exception

from cinder_lvm_driver import health
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_lvm

MIB = base.MIB


class HealthTestCase(base.TestCase):

    def pool(self, driver):
        """Return what the scheduler is told."""
        pool, = driver.get_volume_stats(refresh=True)['pools']
        return pool

    def assert_down(self, driver, pattern):
        """Fail unless one line says why, and a second look is silent."""
        with self.assertLogs(health.LOG, 'ERROR') as logged:
            pool = self.pool(driver)
        self.assertEqual(('down', 0), (pool['backend_state'],
                                       pool['free_capacity_gb']))
        self.assertEqual(1, len(logged.output), logged.output)
        self.assertRegex(logged.output[0], pattern)
        with self.assertNoLogs(health.LOG):
            self.assertEqual('down', self.pool(driver)['backend_state'])
        return pool

    def assert_serves(self, driver, volume):
        """Fail unless a volume can be exported."""
        found = driver.create_export(self.context, volume, None)
        name = found['provider_location'].split()[1]
        self.root.run('test', '-d', f'/sys/kernel/config/target/iscsi/{name}')
        driver.remove_export(self.context, volume)

    def assert_up(self, driver):
        pool = self.pool(driver)
        self.assertEqual('up', pool['backend_state'])
        self.assertGreater(pool['free_capacity_gb'], 0)
        return pool


class ThinPoolTest(HealthTestCase):
    pv_sizes = (256 * MIB,)

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.path = f'{self.vg_name}/{self.vg_name}-pool'
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)

    def test_pool_filled_to_the_brim(self):
        # Otherwise what is written waits for space for a minute.
        self.root.run('lvchange', '--errorwhenfull', 'y', self.path)
        volume = self.volume()
        self.driver.create_volume(volume)
        self.assertEqual(0, self.assert_up(self.driver)[
            'lvm_thin_pool_data_percent'])
        self.root.try_run('dd', 'if=/dev/zero', 'bs=4M', 'oflag=direct',
                          'of=' + self.device(volume.name))
        pool = self.assert_down(self.driver, 'out of data space.*lvextend')
        self.assertEqual(100, pool['lvm_thin_pool_data_percent'])
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     'threshold'):
            self.driver.create_volume(self.volume())
        # A service that is started now must still be able to delete.
        self.make_driver().delete_volume(volume)
        self.assert_up(self.driver)

    def test_pool_that_is_taken_down(self):
        self.root.run('lvchange', '-an', self.path)
        self.assert_down(self.driver, 'inactive.*lvchange')
        self.make_driver()
        self.assert_up(self.driver)

    def test_advice_at_start(self):
        self.root.run('lvchange', '--zero', 'n', self.path)
        self.root.run('lvremove', '-f', f'{self.vg_name}/lvol0_pmspare')
        with self.assertLogs(health.LOG, 'WARNING') as logged:
            driver = self.make_driver()
        for line, pattern in zip(logged.output, (
                'does not zero blocks.*lvchange --zero y',
                'no spare LV.*lvextend --poolmetadatasize',
                'not extended.*lvm_thin_pool_autoextend_threshold'),
                strict=True):
            self.assertRegex(line, pattern)
        self.assertFalse(driver.get_volume_stats()['sparse_copy_volume'])


class ThinPoolAutoextensionTest(HealthTestCase):

    def test_pool_that_fills_up_while_it_is_written_to(self):
        """A guest waits for the stats, and notices nothing else."""
        name = self.enterContext(fixtures.volume_group(
            self.root, 'growing-vg', (512 * MIB,)))
        self.root.run('lvcreate', '-qq', '--type', 'thin-pool', '-L', '64M',
                      '-n', f'{name}-pool', name)
        driver = self.make_driver(volume_group=name,
                                  lvm_thin_pool_autoextend_threshold=80)
        volume = self.volume()
        driver.create_volume(volume)
        with futures.ThreadPoolExecutor(1) as executor:
            writing = executor.submit(
                self.write, f'/dev/{name}/{volume.name}', 'data',
                size=128 * MIB)
            base.wait_until(
                lambda: self.pool(driver) and writing.done(),
                'the guest has written')
            writing.result()
        self.assertLess(self.assert_up(driver)['lvm_thin_pool_data_percent'],
                        81)
        driver.delete_volume(volume)


def replace_table(root, name, table):
    root.run('dmsetup', 'suspend', '--noflush', '--nolockfs', name)
    try:
        root.run('dmsetup', 'load', name, '--table', table)
    finally:
        root.run('dmsetup', 'resume', name)


class MissingDeviceTest(HealthTestCase):

    def test_device_that_goes_and_comes_back(self):
        name = 'lame-vg'
        with contextlib.ExitStack() as stack:
            sectors, linear = stack.enter_context(
                fixtures.volume_group_to_break(self.root, name))
            self.root.run('lvcreate', '-qq', '-l', '80%FREE', '-n', 'both',
                          name)
            driver = self.make_driver(volume_group=name, lvm_type='default')
            self.assert_up(driver)

            replace_table(self.root, name, f'0 {sectors} error')
            stack.callback(replace_table, self.root, name, linear)
            pool = self.assert_down(driver, 'lacks the devices.*vgreduce')
            self.assertEqual((1, 0.24), (pool['total_volumes'],
                                         pool['total_capacity_gb']))
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, 'missing'):
                driver.create_volume(self.volume())

            replace_table(self.root, name, linear)
            with self.assertLogs(health.LOG, 'INFO') as logged:
                self.assert_up(driver)
            self.assertIn('is up again', logged.output[0])


class CowSnapshotTest(HealthTestCase, test_lvm.LVMTestCase):

    direct = False

    def test_snapshot_that_overflows(self):
        driver = self.make_driver(lvm_type='default', volume_clear='none')
        self.vg.create_volume('a', 32 * MIB)
        self.root.run('lvcreate', '-qq', '-s', '-L', '12M', '-n', 's',
                      f'{self.vg_name}/a')
        self.assertTrue(self.vg.get_volume('s').can_overflow)
        with self.assertNoLogs(health.LOG, 'WARNING'):
            self.pool(driver)
        for size, level, pattern in (
                (10, logging.WARNING, 's is more than 80 % full.*lvextend'),
                (16, logging.ERROR, 's has overflowed.*Delete')):
            self.write(self.device('a'), 'data', size=size * MIB)
            with self.assertLogs(health.LOG, level) as logged:
                self.pool(driver)
            self.assertRegex(logged.output[0], pattern)
            with self.assertNoLogs(health.LOG):
                self.assertEqual('up', self.pool(driver)['backend_state'])
        # Inactive, it does not know that it is invalid.
        self.vg.deactivate_lv('a')
        snapshot = self.snapshot(self.volume())
        self.vg.rename_volume('s', f'_{snapshot.name}')
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     'has overflowed'):
            driver.create_volume_from_snapshot(self.volume(), snapshot)
        driver.delete_snapshot(snapshot)

    def test_snapshot_of_ours_does_not_overflow(self):
        self.vg.create_volume('a', 32 * MIB)
        self.vg.create_cow_snapshot('s', 'a', 32 * MIB)
        self.assertFalse(self.vg.get_volume('s').can_overflow)
        self.vg.deactivate_lv('a')
        self.vg.extend_volume('a', 64 * MIB)
        self.vg.activate_lv('a')
        self.write(self.device('a'), 'data', size=64 * MIB)
        snapshot = self.vg.get_volume('s')
        self.assertGreater(snapshot.data_percent, 80)
        self.assertFalse(snapshot.is_invalid)
