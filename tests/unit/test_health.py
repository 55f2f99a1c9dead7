# SPDX-License-Identifier: Apache-2.0
"""What the scheduler and the log are told when storage is in trouble."""

from cinder.scheduler.filters import capacity_filter
from cinder.scheduler import host_manager
import ddt
import fixtures

from cinder_lvm_driver.lvm import kernel
from tests.fakes import backend
from tests.fakes import lvm as fake_lvm

GIB = backend.GIB
MIB = backend.MIB


class HealthTestCase(backend.BackendTestCase):

    settings = {'lvm_type': 'default'}

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.seen = 0

    def look(self):
        """Return the stats' pool; forget what was logged before."""
        self.seen = len(self.log.output)
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        return pool

    def lines(self, level):
        return [line for line in self.log.output[self.seen:].splitlines()
                if line.startswith(level)]

    def assert_down(self, text):
        pool = self.look()
        self.assertEqual(('down', 0), (pool['backend_state'],
                                       pool['free_capacity_gb']))
        line, = self.lines('ERROR')
        self.assertIn(text, line)
        self.assertEqual('down', self.look()['backend_state'])
        self.assertEqual([], self.lines('ERROR'))
        return pool


@ddt.ddt
class TestState(HealthTestCase):

    def test_device_that_goes_and_comes_back(self):
        self.lvm.add('a')
        self.lvm.missing.add('/dev/lost')
        pool = self.assert_down('Back end backend is down. VG vg lacks')
        self.assertEqual((1, 100), (pool['total_volumes'],
                                    pool['total_capacity_gb']))
        self.lvm.missing.clear()
        self.assertEqual('up', self.look()['backend_state'])
        self.assertIn('backend is up again', *self.lines('INFO'))

    @ddt.data((set(), True), ({'/dev/lost'}, False))
    @ddt.unpack
    def test_disk_that_came_back_under_another_name(self, missing, follows):
        self.lvm.missing |= missing
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'has_lost_disks', return_value=True))
        self.machine.as_root.clear()
        self.look()
        self.assertEqual(follows, 'lvchange' in self.machine.programs())

    def test_disk_that_came_back_and_lvs_that_cannot_be_reloaded(self):
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'has_lost_disks', return_value=True))
        self.machine.missing.add('lvchange')
        self.assert_down('cannot be reloaded')

    def test_disk_that_came_back_to_all_but_a_failed_pool(self):
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'has_lost_disks', side_effect=[True, False]))
        self.machine.missing.add('lvchange')
        self.assertEqual('up', self.look()['backend_state'])

    def test_target_that_cannot_serve(self):
        target = self.driver.target_driver
        target.fault = lambda: 'tgtd does not answer'
        self.assert_down('Back end backend is down. tgtd does not answer')
        # What is wrong with the VG says more.
        self.lvm.missing.add('/dev/lost')
        self.assert_down('VG vg lacks')
        self.lvm.missing.clear()
        target.fault = lambda: None
        self.assertEqual('up', self.look()['backend_state'])

    def test_lvm_that_cannot_be_asked(self):
        self.lvm.add('a')
        self.look()
        self.machine.missing.add('vgs')
        pool = self.assert_down('LVM does not answer')
        # The rest is what was known before.
        self.assertEqual((1, 100), (pool['total_volumes'],
                                    pool['total_capacity_gb']))

    def test_scheduler_chooses_no_back_end_that_is_down(self):
        self.lvm.missing.add('/dev/lost')
        for lvm_type in 'default', 'thin':
            self.lvm.missing.clear()
            driver = self.make_driver(lvm_type=lvm_type)
            for missing, passes in (set(), True), ({'/dev/lost'}, False):
                self.lvm.missing = missing
                state = host_manager.BackendState('host', None)
                state.update_from_volume_capability({
                    **driver.get_volume_stats(refresh=True),
                    'timestamp': None})
                self.assertIs(
                    passes, capacity_filter.CapacityFilter().backend_passes(
                        state.pools['backend'], {'size': 1}), lvm_type)

    def test_lvm_that_could_never_be_asked(self):
        self.machine.missing.add('lvs')
        self.assertEqual(0, self.assert_down('lvs')['total_capacity_gb'])

    def test_another_fault(self):
        self.lvm.missing.add('/dev/lost')
        self.look()
        self.machine.missing.add('vgs')
        self.assert_down('LVM does not answer')


@ddt.ddt
class TestCowSnapshots(HealthTestCase):

    def setUp(self):
        super().setUp()
        self.lvm.add('a', 64 * MIB)

    def add(self, size_mib, percent, state=''):
        self.lvm.add('s', size_mib * MIB, origin='a', reported={
            'data_percent': percent, 'lv_snapshot_invalid': state})
        self.look()

    def test_filling(self):
        self.add(16, '79.99')
        self.assertEqual([], self.lines('WARNING'))
        self.add(16, '80.00')
        self.assertIn('s is more than 80 % full', *self.lines('WARNING'))
        self.add(16, '95.00')
        self.assertEqual([], self.lines('WARNING'))
        # Extended, it fills once more.
        self.add(32, '40.00')
        self.add(32, '80.00')
        self.assertEqual(1, len(self.lines('WARNING')))

    def test_overflowed(self):
        self.add(16, '80.00')
        self.add(16, '100.00', 'snapshot invalid')
        self.assertIn('s has overflowed', *self.lines('ERROR'))
        self.look()
        self.assertEqual([], self.lines('ERROR'))
        self.assertEqual('up', self.look()['backend_state'])

    @ddt.data((68, '99.00', ''), (16, '', 'unknown'))
    @ddt.unpack
    def test_nothing_to_tell(self, *facts):
        """Of one that holds a whole rewrite, or is inactive."""
        self.add(*facts)
        self.assertEqual([], self.lines('WARNING') + self.lines('ERROR'))


class TestThinPoolThatFillsUp(HealthTestCase):

    settings = {'lvm_type': 'thin', 'lvm_thin_pool_autoextend_threshold': 80}

    def setUp(self):
        super().setUp()
        self.pool = self.lvm.volumes['vg-pool']
        self.pool.on.clear()
        self.resize(10 * GIB)

    def resize(self, size_bytes):
        self.pool.size = size_bytes
        self.pool.on['/dev/vg-0'] = size_bytes

    def fill(self, percent, **reported):
        """Look at a pool that is full to a degree; return its size in GiB."""
        self.pool.reported.update(reported, data_percent=percent)
        self.told = self.look()
        return self.pool.size / GIB

    def test_extended_above_the_threshold(self):
        self.assertEqual(10, self.fill('80.00'))
        self.assertEqual(12, self.fill('81.00'))
        self.assertIn('was filling up and has been extended',
                      *self.lines('INFO'))
        self.assertEqual((12, 67.5), (
            self.told['total_capacity_gb'],
            self.told['lvm_thin_pool_data_percent']))

    def test_one_that_is_full_is_up_again_at_once(self):
        self.fill('100.00')
        self.assertEqual('up', self.told['backend_state'])

    def test_it_takes_what_the_vg_has(self):
        self.resize(90 * GIB)
        self.assertEqual(99.5, self.fill('90.00'))

    def test_vg_without_room(self):
        self.resize(100 * GIB)
        self.assertEqual(100, self.fill('90.00'))
        line, = self.lines('WARNING')
        self.assertIn('vg-pool fills up and cannot be extended: add PVs', line)
        self.assertEqual('up', self.told['backend_state'])
        self.fill('91.00')
        self.assertEqual([], self.lines('WARNING'))
        # It is told anew when it has been well in between.
        self.fill('10.00')
        self.fill('90.00')
        self.assertEqual(1, len(self.lines('WARNING')))

    def test_metadata_without_room(self):
        """What is free is not given to data that does not need it."""
        self.resize(90 * GIB)
        self.lvm.__dict__['_lvextend'] = self.refuse
        self.assertEqual(90, self.fill('10.00', metadata_percent='90.00'))
        self.assertIn('cannot be extended', *self.lines('WARNING'))
        self.assertEqual(1, self.machine.programs().count('lvextend'))

    def refuse(self, options, words):
        raise fake_lvm.Failure('Insufficient free space: 9 extents needed')

    def test_not_where_it_was_not_asked_for(self):
        self.driver = self.make_driver(lvm_thin_pool_autoextend_threshold=100)
        self.assertEqual(10, self.fill('99.00'))


class TestCopies(backend.BackendTestCase):
    """A copy of a mirrored LV whose device was away."""

    settings = {'lvm_type': 'default'}
    STALE = {'lv_health_status': 'refresh needed'}

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.lvm.pvs['/dev/other'] = GIB
        self.lvm.add('a', segtype='raid1', reported=dict(self.STALE))

    def look(self):
        self.driver.get_volume_stats(refresh=True)
        return self.log.output.count('has one copy less')

    def test_refreshed(self):
        def refresh(options, words):
            self.assertEqual((True, ['vg/a']),
                             (options['--refresh'], words))
            self.lvm.volumes['a'].reported.clear()

        self.lvm._lvchange = refresh
        self.assertEqual([0, 0], [self.look(), self.look()])
        self.assertEqual(1, self.log.output.count('synchronized again'))

    def test_it_stays_as_it_is(self):
        self.lvm._lvchange = lambda options, words: None
        self.assertEqual([1, 1], [self.look(), self.look()])
        self.assertEqual(1, self.machine.programs().count('lvchange'))
        self.lvm.volumes['a'].reported.clear()
        self.look()
        self.lvm.volumes['a'].reported.update(self.STALE)
        self.assertEqual(2, self.look())

    def test_failure(self):
        self.machine.refused.add('lvchange')
        self.assertEqual(1, self.look())
        self.assertIn('cannot be refreshed', self.log.output)


class TestAdvice(backend.BackendTestCase):

    def warnings(self):
        self.make_driver()
        return [line for line in self.log.output.splitlines()
                if line.startswith('WARNING cinder_lvm_driver')]

    def test_nothing_to_say(self):
        self.assertEqual([], self.warnings())

    def test_advice(self):
        self.machine.lvm_conf = ('thin_pool_autoextend_threshold=100\n'
                                 'monitoring=1\n')
        self.assertIn('thin_pool_autoextend_threshold', *self.warnings())

    def test_lvm_conf_is_of_no_account(self):
        self.machine.lvm_conf = ('thin_pool_autoextend_threshold=100\n'
                                 'monitoring=1\n')
        self.settings = {**self.settings,
                         'lvm_thin_pool_autoextend_threshold': 99}
        self.assertEqual([], self.warnings())

    def test_configuration_that_cannot_be_read(self):
        self.machine.missing.add('lvmconfig')
        self.assertEqual([], self.warnings())
        self.assertEqual(1, self.log.output.count('cannot be read'))

    def test_configuration_that_says_nothing(self):
        self.machine.lvm_conf = ''
        self.assertEqual([], self.warnings())
        self.assertIn('did not print', self.log.output)
