# SPDX-License-Identifier: Apache-2.0
"""Room that is not there: in a VG's metadata, on PVs, in /etc/lvm."""

import contextlib
import os
from unittest import mock

from cinder import exception

from cinder_lvm_driver import health
from cinder_lvm_driver.lvm import vg as lvm_vg
from cinder_lvm_driver.operations import managing
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_health
from tests.functional import test_revert
from tests.functional import test_states_pools

GIB = base.GIB
MIB = base.MIB
API_EXCEPTION = exception.VolumeBackendAPIException
SYSTEM_DIR = '/run/test-lvm'


@base.slow
class FullMetadataTest(test_health.HealthTestCase):

    seconds = 100
    pv_sizes = (24 * GIB,)
    # By default it is four times as large.
    vg_options = ('--metadatasize', '256k')

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.addCleanup(self.drop_tags)

    def drop_tags(self):
        tags = self.root.run('vgs', '--noheadings', '-o', 'vg_tags',
                             self.vg_name).strip().split(',')
        for number in range(0, len(tags), 50):
            self.root.run('vgchange', '-qq', *(
                word for tag in tags[number:number + 50]
                for word in ('--deltag', tag)), self.vg_name)

    def free(self):
        return int(self.root.run(
            'vgs', '--noheadings', '--units', 'b', '--nosuffix', '-o',
            'vg_mda_free', self.vg_name))

    def fill(self, left):
        """Fill the metadata area with tags, which may be 1 KiB long."""
        number = 0
        while self.free() - left > 1100:
            tags = [f'{number + each:04}' + 'x' * 1000
                    for each in range(min(60, (self.free() - left) // 1100))]
            number += len(tags)
            self.root.run('vgchange', '-qq', *(
                word for tag in tags for word in ('--addtag', tag)),
                self.vg_name)

    def check(self, **settings):
        driver = self.make_driver(**settings)
        volumes = [self.volume(), self.volume()]
        if settings['lvm_type'] == 'default':
            self.root.run('lvcreate', '-qq', '-L', '8M', '-n',
                          volumes[0].name, self.vg_name)
            volumes.pop()
        else:
            for volume in volumes:
                driver.create_volume(volume)
        self.assert_up(driver)
        self.fill(8192)
        with self.assertLogs(health.LOG, 'WARNING') as logged:
            self.assert_up(driver)
        self.assertRegex(logged.output[0], 'metadata area.*90 % full')
        with self.assertNoLogs(health.LOG):
            self.assertGreater(
                self.assert_up(driver)['lvm_vg_metadata_percent'], 90)
        self.fill(2048)
        self.assert_down(driver, 'metadata area.*is full.*delete')
        names = self.lv_names()
        with self.assert_raises_with(API_EXCEPTION,
                                     'exceeds maximum metadata size'):
            for _ in range(20):
                created = self.volume()
                driver.create_volume(created)
                volumes.append(created)
                names.add(created.name)
        self.assertEqual(names, self.lv_names())
        for volume in volumes:
            driver.delete_volume(volume)

    def test_thin(self):
        self.check(lvm_type='thin')

    def test_thick(self):
        self.check(lvm_type='default', volume_clear='none')


class LimitTest(test_health.HealthTestCase):

    pv_sizes = (512 * MIB,)

    def test_limit_of_lvs(self):
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        driver = self.make_driver()
        volume = self.volume()
        driver.create_volume(volume)
        self.root.run('vgchange', '-qq', '-l', 2, self.vg_name)
        self.addCleanup(self.root.run, 'vgchange', '-qq', '-l', 0,
                        self.vg_name)
        self.assert_down(driver, 'vgchange --logicalvolume')
        with self.assert_raises_with(API_EXCEPTION, 'Maximum number'):
            driver.create_volume(self.volume())
        driver.delete_volume(volume)
        self.assert_up(driver)


class ClosedPvTest(test_health.HealthTestCase):

    pv_sizes = (256 * MIB, 512 * MIB)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.small, self.large = test_states_pools.pv_paths(self)

    def close(self, path):
        self.root.run('pvchange', '-qq', '-xn', path)
        self.addCleanup(self.root.run, 'pvchange', '-qq', '-xy', path)

    def test_free_space(self):
        driver = self.make_driver(lvm_type='default')
        self.close(self.large)
        pool = self.assert_up(driver)
        self.assertEqual(0.25, pool['free_capacity_gb'])
        self.assertEqual((0.74, 0), (pool['total_capacity_gb'],
                                     pool['provisioned_capacity_gb']))
        self.close(self.small)
        self.assertEqual(0, self.pool(driver)['free_capacity_gb'])

    def test_pool_is_made_on_what_is_open(self):
        self.close(self.large)
        self.assert_up(self.make_driver(lvm_type='thin'))
        self.assertEqual({f'{self.vg_name}-pool'}, self.lv_names())


class RevertRoomTest(base.BackendTestCase):
    """The snapshot of a reverted volume is to be made again."""

    seconds = 30
    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    pv_sizes = (256 * MIB,) * 2
    direct = False

    def test_snapshot_on_a_closed_pv(self):
        volume = self.create_small()
        small, large = test_states_pools.pv_paths(self)
        self.root.run('lvcreate', '-qq', '-l', '100%PVS', '-n', 'filler',
                      self.vg_name, small)
        self.addCleanup(self.root.run, 'lvremove', '-f',
                        self.device('filler'))
        snapshot = self.create_snapshot(volume)
        self.write(self.device(volume.name), 'now')
        before = self.checksum(self.device(volume.name))
        self.root.run('pvchange', '-qq', '-xn', large)
        self.addCleanup(self.root.run, 'pvchange', '-qq', '-xy', large)
        names = self.lv_names()
        with self.assert_raises_with(API_EXCEPTION,
                                     'loss of its snapshot.*open for alloc'):
            self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual((names, before, ('',)), (
            self.lv_names(), self.checksum(self.device(volume.name)),
            self.lv(volume.name, 'lv_tags')))
        self.root.run('pvchange', '-qq', '-xy', large)
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(names, self.lv_names())


class KilledMergeTest(base.BackendTestCase):
    """The service is killed, or LVM's command, or both."""

    seconds = 40
    settings = RevertRoomTest.settings
    pv_sizes = (GIB,)
    direct = False

    def setUp(self):
        super().setUp()
        self.volume_ = self.create_small()
        self.write(self.device(self.volume_.name), 'then')
        self.taken = self.create_snapshot(self.volume_)
        self.then = self.checksum(self.device(self.volume_.name))
        self.write(self.device(self.volume_.name), 'now')
        self.now = self.checksum(self.device(self.volume_.name))
        self.names = self.lv_names()

    def revert(self):
        """Have the service killed at the merge; return the command."""
        commands = self.driver.vg._commands
        runner = commands._runner
        self.addCleanup(setattr, commands, '_runner', runner)
        late = LateRunner(runner)
        commands._runner = late
        with self.assertRaises(test_revert.Killed):
            self.driver.revert_to_snapshot(self.context, self.volume_,
                                           self.taken)
        commands._runner = runner
        return late.argv

    def start(self):
        with mock.patch.object(managing, 'is_snapshot_of_cinder',
                               return_value=True):
            self.driver.check_for_setup_error()

    def assert_recovered(self, *contents):
        """Fail unless the volume has one of some contents."""
        base.wait_until(
            lambda: self.lv_names() == self.names
            and self.lv(self.volume_.name, 'lv_tags') == ('',),
            'no trace is left of the interrupted revert')
        self.root.run('lvchange', '-y', '-ay',
                      self.device('_' + self.taken.name))
        self.assertEqual(self.then, self.checksum(
            self.device('_' + self.taken.name)))
        self.assertIn(self.checksum(self.device(self.volume_.name)), contents)

    def test_command_that_begins_after_the_next_start(self):
        command = self.revert()
        self.start()
        self.driver.runner.run_long(*command)
        self.assert_recovered(self.now)

    def test_command_that_ends_before_the_next_start(self):
        self.driver.runner.run_long(*self.revert())
        self.start()
        self.assert_recovered(self.then)

    def test_command_that_is_killed_while_it_merges(self):
        command = self.revert()
        calls = test_states_pools.dm_calls(self.root, *command)
        self.start()
        self.assert_recovered(self.then)
        self.write(self.device(self.volume_.name), 'now')
        # The first one is that of the volume, which then has a table that
        # merges for its resumption.
        second = [number for number, call in calls.items()
                  if call == 'DM_DEV_SUSPEND'][1]
        self.revert()
        test_states_pools.kill_at(self.root, second, *command)
        self.start()
        self.assert_recovered(self.now)

    @base.slow
    def test_command_that_is_killed_at_any_step(self):
        command = self.revert()
        calls = test_states_pools.dm_calls(self.root, *command)
        steps = [number for number, call in calls.items() if call in (
            'DM_TABLE_LOAD', 'DM_DEV_SUSPEND', 'DM_DEV_REMOVE')]
        self.assertGreater(len(steps), 5)
        for step in steps:
            self.start()
            self.assert_recovered(self.then, self.now)
            self.write(self.device(self.volume_.name), 'now')
            self.revert()
            with self.subTest(step=step):
                test_states_pools.kill_at(self.root, step, *command)
        self.start()
        self.assert_recovered(self.then, self.now)


class LateRunner:
    """Runs commands until the one that takes long; then the service ends."""

    def __init__(self, runner):
        self._runner = runner
        self.run = runner.run

    def run_long(self, *argv):
        self.argv = argv
        # Nothing is undone by a service that is dead.
        self.run = self._end
        self._end()

    def _end(self, *argv, **keywords):
        raise test_revert.Killed


class FullArchiveTest(test_health.HealthTestCase):

    pv_sizes = (2048 * MIB,)

    @contextlib.contextmanager
    def full_archive(self):
        self.root.run('bash', '-c', 'cat /dev/zero > '
                      f'{SYSTEM_DIR}/archive/filler || true')
        try:
            yield
        finally:
            self.root.run('rm', f'{SYSTEM_DIR}/archive/filler')

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.root.run('mkdir', '-p', SYSTEM_DIR)
        self.root.run('mount', '-t', 'tmpfs', '-o', 'size=2m,mode=755',
                      'none', SYSTEM_DIR)
        self.addCleanup(self.root.run, 'umount', SYSTEM_DIR)
        self.root.run('cp', '-a', '/etc/lvm/lvm.conf', '/etc/lvm/profile',
                      SYSTEM_DIR)
        self.root.run('mkdir', f'{SYSTEM_DIR}/archive')

    def check(self, **settings):
        driver = self.make_driver(
            lvm_conf_file=os.path.join(SYSTEM_DIR, 'lvm.conf'), **settings)
        self.root.run('lvcreate', '-qq', '-L', '8M', '-n', 'thick',
                      self.vg_name)
        volume = self.volume()
        snapshot = self.snapshot(volume)
        driver.manage_existing(volume, {'source-name': 'thick'})
        if settings['lvm_type'] == 'thin':
            driver.delete_volume(volume)
            driver.create_volume(volume)
        driver.create_snapshot(snapshot)
        self.assert_up(driver)
        with self.full_archive():
            self.assert_up(driver)
            driver.create_volume(self.volume())
            with self.assertLogs(lvm_vg.LOG, 'WARNING') as logged:
                driver.delete_snapshot(snapshot)
                driver.delete_volume(volume)
            self.assertIn('is not archived', logged.output[0])
        self.assert_up(driver)

    def test_thin(self):
        self.check(lvm_type='thin')

    @base.slow
    def test_thick(self):
        self.check(lvm_type='default', volume_clear='none')


class ReturningLegTest(test_health.HealthTestCase):

    def test_copy_is_synchronized_again(self):
        name = 'leg-vg'
        with contextlib.ExitStack() as stack:
            sectors, linear = stack.enter_context(
                fixtures.volume_group_to_break(self.root, name))
            driver = self.make_driver(volume_group=name, lvm_type='default',
                                      lvm_mirrors=1)
            self.root.run('lvcreate', '-qq', '--type', 'raid1', '-m1', '-L',
                          '16M', '-n', 'both', name)
            base.wait_until(lambda: self.of(name, 'sync_percent') == '100.00',
                            'the copies are equal')
            self.assert_up(driver)
            test_health.replace_table(self.root, name,
                                      f'0 {sectors} error')
            stack.callback(test_health.replace_table, self.root, name,
                           linear)
            self.write(f'/dev/{name}/both', 'data')
            self.assert_down(driver, 'lacks the devices')
            test_health.replace_table(self.root, name, linear)
            self.assertEqual('refresh needed',
                             self.of(name, 'lv_health_status'))
            with self.assertLogs(health.LOG, 'INFO') as logged:
                self.assert_up(driver)
            self.assertRegex(' '.join(logged.output),
                             'A copy of LV leg-vg/both.*up again')
            base.wait_until(
                lambda: (self.of(name, 'lv_health_status') == ''
                         and self.of(name, 'sync_percent') == '100.00'),
                'the copies are equal again')
            self.assertEqual(1, len({
                self.root.run('sha256sum', '/dev/mapper/leg--vg-both_rimage_'
                              f'{number}').split()[0]
                for number in range(2)}))

    def of(self, name, field):
        return self.root.run('lvs', '--noheadings', '-o', field, '-S',
                             'lv_name=both', name).strip()
