# SPDX-License-Identifier: Apache-2.0
"""Thin pools that are suspended, moved, damaged, or at odds with LVM."""

import contextlib
import re

from cinder import exception

from cinder_lvm_driver import health
from cinder_lvm_driver import layouts
from cinder_lvm_driver.lvm import vg as lvm_vg
from cinder_lvm_driver import naming
from cinder_lvm_driver.operations import startup
from tests.functional import base
from tests.functional import test_health

GIB = base.GIB
MIB = base.MIB
API_EXCEPTION = exception.VolumeBackendAPIException


class PoolTestCase(test_health.HealthTestCase):
    """A back end with a thin pool of its own for each test."""

    seconds = 30
    pv_sizes = (512 * MIB,)

    def setUp(self):
        super().setUp()
        self.pool_name = f'{self.vg_name}-pool'
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.driver = self.make_driver()

    def dm_name(self, suffix='-tpool'):
        return naming.device_mapper_name(self.vg_name,
                                         self.pool_name) + suffix

    def message(self, text):
        self.root.run('dmsetup', 'message', self.dm_name(), '0', text)

    def ids(self):
        """Return the transaction ids of the kernel and of LVM."""
        status = self.root.run('dmsetup', 'status', '--noflush',
                               self.dm_name()).split()
        reported, = self.lv(self.pool_name, 'transaction_id')
        return int(status[3]), int(reported)

    def assert_in_step(self):
        kernel, reported = self.ids()
        self.assertEqual(kernel, reported)

    def suspended(self):
        """Return the names of all suspended devices that a pool needs.

        LVM (2.03.16) leaves the spare suspended that pvmove has moved.
        """
        lines = self.root.run('dmsetup', 'info', '-c', '--noheadings', '-o',
                              'suspended,name').splitlines()
        return [name for state, name in (line.split(':') for line in lines)
                if state == 'Suspended' and not name.endswith('_pmspare')]

    def made(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        return volume, snapshot

    def assert_refused(self, volume, snapshot, pattern, busy=True):
        """Fail unless nothing is changed, and the reason is told."""
        names, ids = self.lv_names(), self.ids()
        for error, verb, thing in (
                (exception.VolumeIsBusy, self.driver.delete_volume, volume),
                (exception.SnapshotIsBusy, self.driver.delete_snapshot,
                 snapshot)):
            with self.assert_raises_with(error if busy else API_EXCEPTION,
                                         pattern):
                verb(thing)
        for verb, *arguments in (
                (self.driver.create_snapshot, self.snapshot(volume)),
                (self.driver.create_cloned_volume, self.volume(), volume),
                (self.driver.create_volume_from_snapshot, self.volume(),
                 snapshot),
                (self.driver.extend_volume, volume, 2)):
            with self.assert_raises_with(API_EXCEPTION, pattern):
                verb(*arguments)
        self.assertEqual((names, ids), (self.lv_names(), self.ids()))

    def assert_works(self, volume, snapshot):
        self.assert_up(self.driver)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.driver.create_volume(volume)
        self.driver.delete_volume(volume)
        self.assert_in_step()
        self.assertEqual([], self.suspended())


class SuspendedPoolTest(PoolTestCase):

    def test_pool(self):
        self.check('-tpool')

    @base.slow
    def test_metadata(self):
        self.check('_tmeta')

    @base.slow
    def test_data(self):
        self.check('_tdata')

    def check(self, suffix):
        volume, snapshot = self.made()
        inactive = self.volume()
        self.driver.create_volume(inactive)
        self.root.run('lvchange', '-an', self.device(inactive.name))
        name = self.dm_name(suffix)
        self.root.run('dmsetup', 'suspend', '--noflush', '--nolockfs', name)
        with contextlib.ExitStack() as resumed:
            resumed.callback(self.root.run, 'dmsetup', 'resume', name)
            pattern = f'is suspended.*dmsetup resume {name}'
            self.assert_refused(volume, snapshot, pattern)
            with self.assert_raises_with(API_EXCEPTION, pattern):
                self.driver.create_volume(self.volume())
            self.assert_down(self.driver, pattern)
            # LVM would resume the pool if it activated an LV.
            with self.assert_raises_with(API_EXCEPTION, pattern):
                self.driver.create_export(self.context, inactive, None)
            # A service that starts now serves what it can.
            with self.assertLogs(health.LOG, 'ERROR'):
                self.pool(self.make_driver())
            self.assertEqual([name], self.suspended())
        self.assert_works(volume, snapshot)


class MovingPoolTest(PoolTestCase):
    """LVM leaves devices suspended if it changes a pool meanwhile."""

    pv_sizes = (256 * MIB,) * 2

    def setUp(self):
        test_health.HealthTestCase.setUp(self)
        self.pool_name = f'{self.vg_name}-pool'
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.root.run('lvcreate', '-qq', '--type', 'thin-pool', '-L', '64M',
                      '-n', self.pool_name, self.vg_name,
                      pv_paths(self)[0])
        self.driver = self.make_driver()

    def test_pool_is_moved(self):
        volume, snapshot = self.made()
        with slow_pvmove(self):
            self.assert_refused(volume, snapshot, 'being moved by pvmove')
            with self.assert_raises_with(API_EXCEPTION,
                                         'being moved by pvmove'):
                self.driver.create_volume(self.volume())
            self.assert_down(self.driver, 'being moved by pvmove.*wait')
            self.assertEqual([], self.suspended())
        self.assert_works(volume, snapshot)


def pv_paths(test):
    """Return the device paths of the PVs of a test's VG."""
    return test.root.run('vgs', '--noheadings', '-o', 'pv_name',
                         test.vg_name).split()


@contextlib.contextmanager
def slow_pvmove(test, *pvs):
    """Have pvmove move all of a PV to another one, and give up.

    :param pvs: the device paths of the two, if there are more
    """
    throttle = '/sys/module/dm_mirror/parameters/raid1_resync_throttle'
    test.root.run('modprobe', 'dm_mirror')
    was = test.root.run('cat', throttle).strip()
    test.root.run('bash', '-c', f'echo 1 > {throttle}')
    try:
        test.root.run('pvmove', '-b', *(pvs or pv_paths(test)))
        yield
    finally:
        test.root.run('pvmove', '--abort')
        test.root.run('bash', '-c', f'echo {was} > {throttle}')


class MovingVolumeTest(base.BackendTestCase):
    """Thick volumes, with a snapshot and without, that pvmove moves."""

    seconds = 30
    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    pv_sizes = (512 * MIB, 768 * MIB)
    direct = False

    def test_busy(self):
        plain, volume = self.create_small(), self.create_small()
        snapshot = self.create_snapshot(volume)
        names = self.lv_names()
        with slow_pvmove(self):
            for error, verb, *arguments in (
                    (exception.VolumeIsBusy, self.driver.delete_volume,
                     plain),
                    (exception.SnapshotIsBusy, self.driver.delete_snapshot,
                     snapshot),
                    # It would have to be deactivated.
                    (API_EXCEPTION, self.driver.extend_volume, volume, 1),
                    (API_EXCEPTION, self.driver.create_snapshot,
                     self.snapshot(volume)),
                    (API_EXCEPTION, self.driver.create_cloned_volume,
                     self.volume(), volume),
                    (exception.VolumeIsBusy, self.driver.revert_to_snapshot,
                     self.context, volume, snapshot)):
                with self.assert_raises_with(error, 'pvmove.*wait'):
                    verb(*arguments)
            self.assertEqual(names, self.lv_names())


@base.slow
class MovingMirrorTest(base.BackendTestCase):

    seconds = 30
    settings = {'lvm_type': 'default', 'lvm_mirrors': 1,
                'volume_clear': 'none'}
    pv_sizes = (256 * MIB,) * 3
    direct = False

    def test_busy(self):
        volume = self.create_small()
        first, = self.lvs('devices', '-a', '-S',
                          f'lv_name=~{volume.name}_rimage_0')[0]
        first = first.partition('(')[0]
        other, = set(pv_paths(self)) - {
            devices.partition('(')[0] for devices, in self.lvs(
                'devices', '-a', '-S', f'lv_name=~{volume.name}_rimage')}
        with slow_pvmove(self, first, other):
            with self.assert_raises_with(exception.VolumeIsBusy, 'pvmove'):
                self.driver.delete_volume(volume)


class OutOfStepTest(PoolTestCase):

    def check(self, change):
        volume, snapshot = self.made()
        kernel, _reported = self.ids()
        self.message(f'set_transaction_id {kernel} {kernel + change}')
        self.assert_refused(volume, snapshot,
                            f'id {kernel + change} in the kernel and '
                            f'{kernel} in the metadata of LVM', busy=False)
        with self.assert_raises_with(API_EXCEPTION, 'transaction id'):
            self.driver.create_volume(self.volume())
        self.assert_down(self.driver, 'id.*in the kernel.*manual')
        self.message(f'set_transaction_id {kernel + change} {kernel}')
        self.assert_works(volume, snapshot)

    def test_kernel_is_behind(self):
        self.check(-1)

    @base.slow
    def test_kernel_is_ahead(self):
        self.check(1)

    def test_pool_that_cannot_be_activated(self):
        """As after a reboot; thick volumes are served nevertheless."""
        self.driver.create_volume(self.volume())
        thick = self.volume()
        self.root.run('lvcreate', '-qq', '-L', '8M', '-n', thick.name,
                      self.vg_name)
        kernel, _reported = self.ids()
        self.message(f'set_transaction_id {kernel} {kernel + 1}')
        self.root.run('vgchange', '-an', self.vg_name)
        driver = self.make_driver()
        self.assert_down(driver, 'inactive.*transaction_id is '
                                 f'{kernel + 1}, while expected {kernel}')
        self.assert_serves(driver, thick)
        self.assertEqual(('active',), self.lv(thick.name, 'lv_active'))


class OrphanTest(PoolTestCase):
    """The pool has data under the id that LVM gives next."""

    def setUp(self):
        super().setUp()
        self.source, self.origin = self.made()
        self.write(self.device(self.source.name), 'ours')
        self.add_orphan()

    def add_orphan(self):
        """Put a thin device that LVM does not know into the pool."""
        number = 1 + max(int(number) for number, in self.lvs('thin_id')
                         if number)
        self.message(f'create_thin {number}')
        self.root.run('dmsetup', 'create', 'orphan', '--table',
                      f'0 131072 thin /dev/mapper/{self.dm_name()} {number}')
        try:
            self.write('/dev/mapper/orphan', 'data of another tenant')
            self.foreign = self.checksum('/dev/mapper/orphan')
        finally:
            self.root.run('dmsetup', 'remove', '--retry', 'orphan')

    def assert_set_aside(self, logged):
        orphan, = (name for name in self.lv_names()
                   if name.startswith('cinder-orphan-'))
        self.assertRegex(logged.output[0], f'lvremove {self.vg_name}/{orphan}')
        self.assertEqual(('', 'read-only', 'skip activation'), self.lv(
            orphan, 'lv_active,lv_permissions,lv_skip_activation'))
        self.root.run('lvchange', '-ay', '-K', self.device(orphan))
        self.assertEqual(self.foreign, self.checksum(self.device(orphan)))
        self.assert_in_step()
        self.assert_up(self.driver)

    def test_volume(self):
        volume = self.volume()
        with self.assertLogs(lvm_vg.LOG, 'ERROR') as logged:
            self.driver.create_volume(volume)
        self.assertEqual(('0.00',), self.lv(volume.name, 'data_percent'))
        self.assert_zeroes(self.device(volume.name))
        self.assert_set_aside(logged)

    def test_snapshot(self):
        with self.assertLogs(lvm_vg.LOG, 'ERROR') as logged:
            self.driver.create_snapshot(self.snapshot(self.source))
        self.assert_set_aside(logged)

    @base.slow
    def test_clone(self):
        clone = self.volume()
        with self.assertLogs(lvm_vg.LOG, 'ERROR') as logged:
            self.driver.create_cloned_volume(clone, self.source)
        self.assertEqual(self.checksum(self.device(self.source.name)),
                         self.checksum(self.device(clone.name)))
        self.assert_set_aside(logged)

    @base.slow
    def test_revert(self):
        """LVM deletes the data itself if the origin is inactive."""
        self.driver.revert_to_snapshot(self.context, self.source, self.origin)
        self.assert_zeroes(self.device(self.source.name))
        self.assert_in_step()
        self.assert_up(self.driver)

    def test_pool_that_does_not_zero(self):
        """LVM writes to the first block of a new volume there."""
        self.root.run('lvchange', '--zero', 'n',
                      f'{self.vg_name}/{self.pool_name}')
        volumes = self.volume(), self.volume()
        with self.assertLogs(lvm_vg.LOG, 'ERROR') as logged:
            for volume in volumes:
                self.driver.create_volume(volume)
        self.assertEqual(1, len(logged.output))
        self.assertNotEqual(self.foreign,
                            self.checksum(self.device(volumes[0].name)))
        self.assert_set_aside(logged)

    def test_natural_way(self):
        """A suspended pool made LVM forget a volume, and not the kernel."""
        self.root.run('dmsetup', 'suspend', '--noflush', '--nolockfs',
                      self.dm_name())
        try:
            victim = self.device(self.source.name)
            self.root.run('lvremove', '-f', victim)
        finally:
            self.root.run('dmsetup', 'resume', self.dm_name())
        kernel, reported = self.ids()
        self.assertEqual(kernel + 1, reported)
        # What the manual says.
        self.assert_down(self.driver, 'in the kernel')
        self.message(f'set_transaction_id {kernel} {reported}')
        self.assert_up(self.driver)
        with self.assertLogs(lvm_vg.LOG, 'ERROR') as logged:
            self.driver.create_volume(self.source)
        self.assert_zeroes(self.device(self.source.name))
        self.assertIn('cinder-orphan', logged.output[0])


TRACE = '/run/test-strace.log'


def dm_calls(root, *command):
    """Run a command; return the requests to device-mapper, by number.

    The numbers count all ioctls, from 1. Processes that it starts are left
    out: dmeventd does not end.
    """
    root.run('strace', '-o', TRACE, '-e', 'trace=ioctl', *command)
    lines = root.run('grep', 'ioctl(', TRACE).splitlines()
    return {number: found[0] for number, line in enumerate(lines, 1)
            if (found := re.search(r'DM_[A-Z_]+', line))}


def kill_at(root, number, *command):
    """Run a command until it is killed at an ioctl, as by a power failure."""
    done = root.try_run(
        'strace', '-o', TRACE, '-e', 'trace=ioctl', '-e',
        f'inject=ioctl:signal=KILL:when={number}', *command)
    if not done.code:
        raise AssertionError(f'{command} was not killed at {number}')


class KilledRemovalTest(PoolTestCase):
    """lvremove was killed before the kernel did what LVM has noted."""

    seconds = 60

    def check(self, message):
        volumes = [self.volume() for _ in range(3)]
        for volume in volumes:
            self.driver.create_volume(volume)
            self.write(self.device(volume.name), volume.id)
        first, second, third = volumes
        calls = dm_calls(self.root, 'lvremove', '-f',
                         self.device(second.name))
        messages = [number for number, call in calls.items()
                    if call == 'DM_TARGET_MSG']
        # There is one LV less, about which LVM asks.
        kill_at(self.root, messages[message] - 1, 'lvremove', '-f',
                self.device(third.name))
        self.assertEqual({self.pool_name, first.name}, self.lv_names())
        kernel, reported = self.ids()
        self.assertEqual(kernel + 1, reported)
        self.driver = self.make_driver()
        self.assert_in_step()
        self.assert_up(self.driver)
        self.driver.create_volume(third)
        self.assert_zeroes(self.device(third.name))
        for volume in first, third:
            self.driver.delete_volume(volume)
        self.assertEqual({self.pool_name}, self.lv_names())

    @base.slow
    def test_before_it_is_deleted(self):
        self.check(0)

    def test_before_it_is_counted(self):
        self.check(1)


class DamagedPoolTest(PoolTestCase):

    def test_thick_volumes_are_served(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        thick = self.volume()
        self.root.run('lvcreate', '-qq', '-L', '8M', '-n', thick.name,
                      self.vg_name)
        device = dict(self.lvs('lv_name,devices', '-a'))[
            f'[{self.pool_name}_tmeta]']
        self.root.run('vgchange', '-an', self.vg_name)
        path, _, first = device.strip(')').partition('(')
        self.root.run('dd', 'if=/dev/urandom', f'of={path}', 'bs=1M',
                      f'seek={1 + 4 * int(first)}', 'count=1', 'oflag=direct')
        driver = self.make_driver()
        self.assert_down(driver, 'inactive.*Check of pool.*lvconvert '
                                 '--repair')
        self.assert_serves(driver, thick)
        with self.assertRaises(API_EXCEPTION):
            driver.create_volume(self.volume())


class InterruptedPoolTest(base.TestCase):
    """The first start was killed while LVM made the thin pool."""

    pv_sizes = (512 * MIB,)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)

    def start(self):
        driver = self.make_driver(lvm_type='thin')
        volume = self.volume()
        driver.create_volume(volume)
        driver.delete_volume(volume)
        self.assertEqual({f'{self.vg_name}-pool'}, self.lv_names())
        return driver

    def check(self, name):
        """Start where parts of a pool are active, and it is not."""
        self.root.run('lvcreate', '-qq', '--type', 'thin-pool', '-L', '64M',
                      '-n', name, self.vg_name)
        self.root.run('lvchange', '-an', f'{self.vg_name}/{name}')
        self.root.run('lvchange', '-qq', '-y', '-ay',
                      f'{self.vg_name}/{name}_tmeta')
        self.start()

    def test_killed_while_it_was_activated(self):
        self.check('cinder-new-pool')

    def test_pool_of_the_in_tree_driver(self):
        self.check(f'{self.vg_name}-pool')

    @base.slow
    def test_killed_at_any_step(self):
        """Whatever LVM has done by then, the next start completes it."""
        command = ('lvcreate', '--yes', '--type', 'thin-pool', '--zero', 'y',
                   '-L', '64M', '-n', 'cinder-new-pool', self.vg_name)
        calls = dm_calls(self.root, *command)
        self.root.run('lvremove', '-ff', '-y', self.vg_name)
        steps = [number for number, call in calls.items() if call in (
            'DM_DEV_CREATE', 'DM_TABLE_LOAD', 'DM_DEV_SUSPEND',
            'DM_DEV_REMOVE')]
        self.assertGreater(len(steps), 5)
        for step in steps:
            with self.subTest(step=step):
                kill_at(self.root, step, *command)
                # The spare that LVM was making is nobody's, and stays.
                self.root.try_run('lvremove', '-ff', '-y',
                                  f'{self.vg_name}/lvol0')
                self.start()
            self.root.run('lvremove', '-ff', '-y', self.vg_name)

    def test_killed_while_its_metadata_was_zeroed(self):
        self.root.run('lvcreate', '-qq', '-L', '4M', '-n', 'cinder-new-pool',
                      self.vg_name)
        self.start()


class OtherPoolTest(test_health.HealthTestCase):

    pv_sizes = (512 * MIB,)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)

    def test_pool_that_was_renamed(self):
        driver = self.make_driver()
        volume = self.volume()
        driver.create_volume(volume)
        pool = f'{self.vg_name}-pool'
        self.root.run('lvrename', self.vg_name, pool, 'renamed')
        pattern = f'lvrename {self.vg_name} renamed {pool}'
        self.assert_down(driver, pattern)
        again = self.make_driver()
        self.assertEqual({'renamed', volume.name}, self.lv_names())
        self.assert_down(again, pattern)
        self.assert_serves(again, volume)
        self.root.run('lvrename', self.vg_name, 'renamed', pool)
        self.assert_up(again)
        again.delete_volume(volume)

    def test_choice_of_auto_is_logged(self):
        for setup, pattern, layout in (
                ((), 'thin: the VG is empty', 'thin in pool'),
                (('-L', '8M', '-n', 'other'), 'thin: the VG has thin pool',
                 'thin in pool'),
                (None, 'thick: the VG has LVs, such as other, and no thin',
                 'default')):
            if setup is None:
                self.root.run('lvremove', '-ff', '-y', f'{self.vg_name}/'
                              f'{self.vg_name}-pool')
            elif setup:
                self.root.run('lvcreate', '-qq', *setup, self.vg_name)
            with (self.assertLogs(layouts.LOG, 'INFO') as logged,
                  self.assertLogs(startup.LOG, 'INFO') as started):
                self.make_driver(lvm_type='auto')
            self.assertRegex(logged.output[0], pattern)
            self.assertRegex(
                '\n'.join(started.output),
                f'VG {self.vg_name}, LVs {layout}.*'
                'lvm_type = auto.*target_helper lioadm, portals 127.0.0.1')
