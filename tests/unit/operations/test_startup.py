# SPDX-License-Identifier: Apache-2.0
"""How a back end starts, and what it does about the end of the last run."""

from cinder import exception
import ddt

from cinder_lvm_driver import lvm
from cinder_lvm_driver.targets import errors as target_errors
from tests.fakes import backend
from tests.fakes import lvm as fake_lvm

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException
THIN = {'lvm_type': 'thin'}
THICK = {'lvm_type': 'default'}
VG_OF_58 = 'v' * 58


@ddt.ddt
class TestSetup(backend.BackendTestCase):

    def set_up(self, *arguments, **settings):
        made = self.construct(*arguments, **settings)
        made.do_setup(self.context)
        made.check_for_setup_error()
        return made

    def assert_fails(self, *texts, **settings):
        error = self.assertRaises(BACKEND_ERROR, self.set_up, **settings)
        for text in texts:
            self.assertIn(text, str(error))

    def test_thin(self):
        made = self.set_up(**THIN)
        self.assertEqual({'vg-pool'}, self.machine.names())
        self.assertEqual([('check_for_setup_error',)],
                         made.target_driver.calls)
        self.assertEqual(1, len(self.machine.started))

    def test_thick(self):
        self.set_up(**THICK)
        self.assertEqual(set(), self.machine.names())

    @ddt.data((THIN, 'LVs thin in pool vg-pool (lvm_type = thin)'),
              (THICK, 'LVs default (lvm_type = default)'),
              ({'lvm_type': 'auto'}, 'LVs thin in pool vg-pool (lvm_type = '
                                     'auto)'),
              ({**THICK, 'lvm_mirrors': 1}, 'LVs default with 2 copies'))
    @ddt.unpack
    def test_log_says_what_is_started(self, settings, lvs):
        self.set_up(**settings)
        for text in ('INFO cinder_lvm_driver.operations.startup: Back end '
                     'backend: cinder-lvm-driver ', 'class '
                     'cinder_lvm_driver.driver.LVMVolumeDriver, VG vg, ',
                     lvs, 'target_helper lioadm, portals unknown'):
            self.assertIn(text, self.log.output)

    def test_auto_finds_other_volumes(self):
        self.lvm.add('a')
        self.set_up(lvm_type='auto')
        self.assertEqual({'a'}, self.machine.names())

    def test_again(self):
        made = self.set_up()
        made.check_for_setup_error()
        self.assertEqual({'vg-pool'}, self.machine.names())

    def test_vg_that_was_handed_in(self):
        other = fake_lvm.FakeLVM('other')
        made = self.set_up(lvm.LVM('other', other, version=(2, 3, 16)))
        self.assertEqual({'other-pool'}, set(other.volumes))
        self.assertEqual(set(), self.machine.names())
        self.assertEqual('other', made.vg.vg_name)

    def test_no_such_vg(self):
        self.machine.named_vgs.add('nope')
        self.assert_fails('VG nope was not found', 'volume_group',
                          volume_group='nope')

    def test_lvm_is_not_installed(self):
        self.machine.missing.add('lvm')
        self.assert_fails('LVM is not installed')

    def test_lvm_is_not_where_rootwrap_looks(self):
        self.machine.missing.add('lvremove')
        self.assert_fails('LVM is not installed', 'exec_dirs')

    def test_filter_file_is_missing(self):
        self.machine.daemon_starts = False
        self.machine.refused.add('cinder-lvm-root')
        self.assert_fails('lvm-driver.filters', 'filters_path')

    def test_driver_is_not_where_rootwrap_looks(self):
        self.machine.daemon_starts = False
        self.machine.missing.add('cinder-lvm-root')
        self.assert_fails("'cinder-lvm-root' was not found", 'exec_dirs')

    def test_daemon_does_not_start(self):
        self.machine.daemon_starts = False
        self.assert_fails('no rootwrap daemon could run')

    def test_thin_volumes_cannot_be_mirrored(self):
        self.assert_fails('lvm_mirrors', 'lvm_type', lvm_mirrors=1, **THIN)

    def test_pool_is_none(self):
        self.lvm.add('vg-pool')
        self.assert_fails('not a thin pool', 'lvm_type', **THIN)

    def test_target_helper_cannot_serve(self):
        made = self.construct()
        made.target_driver.failures['check_for_setup_error'] = (
            target_errors.TargetConfigurationError('no configfs'))
        error = self.assertRaises(BACKEND_ERROR, made.check_for_setup_error)
        self.assertIn('no configfs', str(error))


@ddt.ddt
class TestNames(backend.BackendTestCase):

    def start(self, vg_name, **settings):
        self.lvm = self.machine.add_vg(vg_name,
                                          size_bytes=100 * GIB)
        return self.make_driver(volume_group=vg_name, **settings)

    def test_pool_that_could_have_no_device(self):
        error = self.assertRaises(BACKEND_ERROR,
                                  self.start, VG_OF_58)
        self.assertIn(f'LV {VG_OF_58}-pool in VG {VG_OF_58} would have',
                      str(error))
        self.assertIn('a name of up to 57 characters works', str(error))
        self.assertEqual({}, self.lvm.volumes)

    @ddt.data(('volume_name_template', 'v' * 60 + '%s'),
              ('snapshot_name_template', 's' * 60 + '%s'))
    @ddt.unpack
    def test_template_that_is_too_long(self, option, template):
        self.config.config(**{option: template})
        error = self.assertRaises(BACKEND_ERROR,
                                  self.start, 'v' * 40, lvm_type='default')
        self.assertIn('would have', str(error))

    def test_verbs_whose_names_are_too_long(self):
        self.start('v' * 60, lvm_type='default')
        self.assertIn('No volume can be reverted: ', self.log.output)
        self.assertNotIn('be cloned', self.log.output)

    def test_names_that_are_short_enough(self):
        self.start('v' * 50)
        self.assertNotIn('No volume can be', self.log.output)


class TestRecovery(backend.DriverTestCase):

    settings = THICK

    def test_wipe_that_fails_is_tried_again_at_the_next_start(self):
        volume = self.create()
        self.machine.refused.add('blkdiscard')
        self.driver.delete_volume(volume)
        doomed, = self.machine.names()
        self.assertIn(f'LV {doomed} of a deleted volume is not wiped',
                      self.log.output)
        self.assertEqual(0, self.driver.get_volume_stats(True)[
            'pools'][0]['total_volumes'])
        self.machine.refused.clear()
        self.make_driver()
        self.assert_wiped(volume.name)

    def test_deleted_volume_that_somebody_has_opened_is_kept(self):
        lv = self.lvm.add('cinder-wipe-x-01234567', GIB, is_open=True,
                          content='x')
        driver = self.make_driver()
        self.assertEqual('x', lv.content)
        lv.is_open = False
        driver.get_volume_stats(True)
        self.assert_wiped('x')

    def test_interrupted_extension_is_taken_back(self):
        volume = self.create()
        lv = self.lvm.volumes[volume.name]
        lv.size = 2 * GIB
        lv.tags.add(f'cinder.extend={GIB}-{2 * GIB}')
        self.make_driver()
        self.assertEqual((GIB, set()), (lv.size, lv.tags))

    def test_what_an_interrupted_clone_left_is_removed(self):
        origin = self.create().name
        removed, kept = (f'clone-snap-{self.volume().name}' for _ in '12')
        arrived = f'cinder-arriving-{self.volume().name}'
        exported = f'cinder-export-{self.volume().name}'
        for name, is_open in ((removed, False), (kept, True),
                              (arrived, False),
                              (exported, True),
                              ('clone-snap-of-the-operator', False)):
            self.lvm.add(name, GIB, origin=origin, is_open=is_open)
        self.make_driver()
        self.assert_wiped(arrived, removed)
        self.assertEqual({origin, kept, exported,
                          'clone-snap-of-the-operator'},
                         self.machine.names())

    def test_left_over_that_cannot_be_removed_stops_nothing(self):
        origin = self.create(is_open=True).name
        kept, removed = sorted(
            f'clone-snap-{self.volume().name}' for _ in '12')
        for name in kept, removed:
            self.lvm.add(name, GIB, origin=origin)
        split = self.lvm._lvconvert

        def fail_once(options, words):
            self.lvm._lvconvert = split
            raise fake_lvm.Failure('Broken by the test.')

        self.lvm._lvconvert = fail_once
        self.make_driver()
        self.assertEqual({origin, kept}, self.machine.names())
        self.assertIn(f'LV {kept} cannot be removed; the next start tries '
                      'again', self.log.output)


    def test_suspended_volume_is_resumed(self):
        lv = self.lv(self.create(is_suspended=True))
        self.make_driver()
        self.assertFalse(lv.is_suspended)
        self.assertIn(f'Resuming LV vg/{lv.name}', self.log.output)

    def test_suspended_volume_that_is_merging(self):
        lv = self.lv(self.create(is_suspended=True))
        lv.merging = 'merging'
        self.make_driver()
        self.assertNotIn('Resuming LV', self.log.output)


class TestThinRecovery(backend.DriverTestCase):

    def test_lvs_that_were_to_take_an_id(self):
        self.create()
        for number, facts in enumerate((
                {}, {'content': 'data', 'skip': True})):
            self.lvm.add(f'cinder-orphan-{number}', segtype='thin',
                         pool='vg-pool', **facts)
        self.lvm.add('cinder-orphan-2', content='data')
        self.make_driver()
        self.assertEqual({'cinder-orphan-1', 'cinder-orphan-2'}, {
            name for name in self.machine.names() if 'orphan' in name})

    def test_volume_in_a_suspended_pool(self):
        lv = self.lv(self.create(is_suspended=True))
        pool = self.lvm.volumes['vg-pool']
        pool.is_suspended = True
        self.make_driver()
        self.assertTrue(lv.is_suspended)
        self.assertTrue(pool.is_suspended)
        self.assertIn(f'LV vg/{lv.name} answers no I/O', self.log.output)

    def test_interrupted_revert_is_looked_after_at_the_next_start(self):
        volume = self.create()
        lv = self.lvm.volumes.pop(volume.name)
        lv.name = f'cinder-revert-from-{volume.name}'
        self.lvm.volumes[lv.name] = lv
        self.make_driver()
        self.assertEqual('data', self.lv(volume).content)

    def test_incomplete_set_of_snapshots_is_removed(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume, tags={'cinder.snapshot_set=0'})
        self.lv(volume).is_suspended = True
        resumed = []
        activate = self.lvm._lvchange

        def resume(options, words):
            if '--activate' in options:
                resumed.extend(words)
            return activate(options, words)

        self.lvm._lvchange = resume
        self.make_driver()
        self.assertNotIn(snapshot.name, str(self.machine.names()))
        self.assertEqual([f'vg/{volume.name}'], resumed)
