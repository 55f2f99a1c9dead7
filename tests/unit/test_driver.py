# SPDX-License-Identifier: Apache-2.0
"""Cinder's verbs, on a host with a fake LVM."""

import inspect
from unittest import mock
import uuid

from cinder import exception
from cinder import interface
from cinder.interface import util
from cinder.interface import volume_driver
from cinder import objects
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import lvm as in_tree
import ddt
from oslo_concurrency import processutils

from cinder_lvm_driver import background
from cinder_lvm_driver import driver
from cinder_lvm_driver import lvm
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from cinder_lvm_driver import wiping
from tests import base
from tests.fakes import backend
from tests.fakes import lvm as fake_lvm

GIB = backend.GIB
MIB = backend.MIB
THIN = {'lvm_type': 'thin'}
THICK = {'lvm_type': 'default'}
BACKEND_ERROR = exception.VolumeBackendAPIException


@ddt.ddt
class TestInterface(base.TestCase):
    """What Cinder and its tools look for in a driver's class."""

    CLASS = driver.LVMVolumeDriver

    def test_registered(self):
        self.assertIn(self.CLASS, interface._volume_register)

    def test_compliance(self):
        self.assertTrue(issubclass(self.CLASS,
                                   volume_driver.VolumeDriverCore))
        info = util.DriverInfo(self.CLASS)
        self.assertTrue(info.desc and info.version and info.ci_wiki_name)
        self.assertTrue(info.supported)

    @ddt.data(volume_driver.VolumeDriverCore, cinder_driver.VolumeDriver,
              in_tree.LVMVolumeDriver)
    def test_signatures(self, contract):
        for name, method in inspect.getmembers(contract, inspect.isfunction):
            ours = getattr(self.CLASS, name, None)
            if name.startswith('_') or not inspect.isfunction(ours):
                continue
            signature = inspect.signature(ours)
            parameters = list(inspect.signature(method).parameters.values())
            with self.subTest(name):
                signature.bind(*(parameter.name for parameter in parameters
                                 if parameter.kind not in (
                                     parameter.VAR_POSITIONAL,
                                     parameter.VAR_KEYWORD)
                                 and (parameter.default is parameter.empty
                                      or parameter.name
                                      in signature.parameters)))

    def test_verbs_of_the_interface(self):
        for name, _ in inspect.getmembers(volume_driver.VolumeDriverCore,
                                          inspect.isfunction):
            self.assertTrue(hasattr(self.CLASS, name), name)

    def test_first_argument_is_the_group(self):
        self.assertEqual(
            ['self', 'vg_obj'],
            list(inspect.signature(self.CLASS.__init__).parameters)[:2])

    def test_driver_options(self):
        ours = {option.name for option in self.CLASS.get_driver_options()}
        theirs = {option.name
                  for option in in_tree.LVMVolumeDriver.get_driver_options()}
        own = {option.name for option in options.OWN_OPTIONS}
        self.assertEqual(set(), theirs - ours)
        self.assertTrue(own <= ours)


@ddt.ddt
class TestConstruction(backend.BackendTestCase):

    def test_runs_no_command(self):
        self.construct()
        self.assertEqual([], self.machine.as_root)

    def test_option_that_makes_no_sense(self):
        error = self.assertRaises(BACKEND_ERROR, self.construct,
                                  volume_clear_ionice='idle')
        self.assertIn('volume_clear_ionice', str(error))

    def test_group_that_is_given(self):
        made = self.construct(mock.Mock(vg_name='given'))
        self.assertTrue(made.local_path(self.volume()).startswith(
            '/dev/mapper/given-volume--'))

    def test_target_helper_that_cannot_share(self):
        self.assertRaises(exception.InvalidConfigurationValue, self.construct,
                          lvm_share_target=True)

    def test_target_helper_without_secondary_addresses(self):
        with mock.patch('tests.fakes.target.RecordingTarget'
                        '.SECONDARY_IP_SUPPORT', False):
            self.assertRaises(exception.InvalidConfigurationValue,
                              self.construct,
                              target_secondary_ip_addresses=['10.0.0.2'])

    def test_target_helper_that_is_not_known(self):
        with mock.patch.dict('cinder_lvm_driver.targets.MAPPING',
                             clear=True):
            error = self.assertRaises(BACKEND_ERROR, self.construct)
        self.assertIn("target_helper is 'lioadm'", str(error))

    @ddt.data(('backend', 'backend'), (None, 'LVM'))
    @ddt.unpack
    def test_pool_is_named_like_the_back_end(self, option, name):
        made = self.construct(volume_backend_name=option)
        self.assertEqual(name, made.get_pool(self.volume()))


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

    def test_auto_finds_other_volumes(self):
        self.lvm.add('a')
        self.set_up(lvm_type='auto')
        self.assertEqual({'a'}, self.machine.names())

    def test_again(self):
        made = self.set_up()
        made.check_for_setup_error()
        self.assertEqual({'vg-pool'}, self.machine.names())

    def test_group_that_was_handed_in(self):
        other = fake_lvm.FakeLVM('other')
        made = self.set_up(lvm.LVM('other', other, version=(2, 3, 16)))
        self.assertEqual({'other-pool'}, set(other.volumes))
        self.assertEqual(set(), self.machine.names())
        self.assertEqual('other', made.vg.vg_name)

    def test_no_such_group(self):
        self.assert_fails('VG nope was not found', 'volume_group',
                          volume_group='nope')

    def test_lvm_is_not_installed(self):
        self.machine.missing.add('lvm')
        self.assert_fails('LVM is not installed')

    def test_lvm_is_not_where_rootwrap_looks(self):
        self.machine.missing.add('lvremove')
        self.assert_fails('LVM is not installed', 'exec_dirs')

    def test_filter_file_is_missing(self):
        self.machine.refused.add('lvremove')
        self.assert_fails('lvm-driver.filters', 'filters_path')

    def test_daemon_does_not_start(self):
        self.machine.daemon_starts = False
        made = self.set_up()
        made.create_volume(self.volume())
        self.assertEqual(1, self.log.output.count('WARNING cinder'))
        self.assertEqual(self.machine.as_root, self.machine.one_by_one)

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


class DriverTestCase(backend.BackendTestCase):

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()

    def create(self, size=1, **facts):
        """Create a volume with the driver."""
        volume = self.volume(size)
        self.driver.create_volume(volume)
        vars(self.lv(volume)).update(content='data', **facts)
        return volume

    def create_snapshot(self, volume, **facts):
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        vars(self.lv(snapshot)).update(facts)
        return snapshot

    def assert_wiped(self, *names):
        """Fail unless all of these LVs were wiped and removed, no others."""
        self.assertEqual([(name, 0, self.lvm.removed[name].size)
                          for name in self.lvm.removed], self.machine.wiped)
        for name, removed in zip(names, self.lvm.removed, strict=True):
            self.assertRegex(removed,
                             f'^cinder-wipe-{name[-12:]}-[0-9a-f]{{8}}$')
            self.assertEqual('', self.lvm.removed[removed].content)


class VolumeVerbs:
    """What holds for thin and thick back ends."""

    def test_create(self):
        volume = self.create(3)
        lv = self.lv(volume)
        self.assertEqual((self.segtype, 3 * GIB), (lv.segtype, lv.size))

    def test_create_over_another_volume(self):
        volume = self.create()
        self.assertRaises(BACKEND_ERROR, self.driver.create_volume, volume)
        self.assertEqual('data', self.lv(volume).content)

    def test_create_is_one_command(self):
        self.create()
        self.machine.as_root.clear()
        self.create()
        self.assertEqual(['lvcreate'], self.machine.programs())

    def test_delete(self):
        volume, other = self.create(), self.create()
        self.driver.delete_volume(volume)
        self.assertNotIn(volume.name, self.machine.names())
        self.assertIn(other.name, self.machine.names())

    def test_delete_a_snapshot_of_which_little_is_known(self):
        volume = self.create()
        snapshot = objects.Snapshot(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            volume_size=volume.size, volume=volume)
        self.driver.create_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual({volume.name} | self.pools, self.machine.names())

    def test_delete_what_is_gone(self):
        volume = self.volume()
        self.driver.delete_volume(volume)
        self.driver.delete_snapshot(self.snapshot(volume))
        self.assertEqual(2, self.log.output.count('nothing to delete'))

    def test_delete_a_snapshot_that_a_revert_makes_again(self):
        volume = self.create()
        snapshot = self.snapshot(volume)
        self.lvm.volumes[volume.name].tags.add(
            f'cinder.revert_to=_{snapshot.name}')
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)

    def test_delete_what_goes_meanwhile(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        find = self.driver.vg.find_volume

        def find_and_lose(name):
            found = find(name)
            self.lvm.volumes.pop(name)
            return found

        with mock.patch.object(self.driver.vg, 'find_volume', find_and_lose):
            self.driver.delete_snapshot(snapshot)
            self.driver.delete_volume(volume)
        self.assertEqual(2, self.log.output.count(
            'was deleted outside this service'))

    def test_delete_of_an_inactive_volume(self):
        volume = self.create(active=False)
        self.driver.delete_volume(volume)
        self.assertNotIn(volume.name, self.machine.names())

    def test_delete_in_use(self):
        volume = self.create(is_open=True)
        self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume,
                          volume)
        self.assertEqual('data', self.lv(volume).content)

    def test_delete_snapshot_in_use(self):
        snapshot = self.create_snapshot(self.create())
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)

    def test_delete_with_a_snapshot_in_use(self):
        """Cinder deletes all snapshots, and goes on when one is busy."""
        volume, other = self.create(), self.create()
        snapshot = self.create_snapshot(volume)
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        for _ in range(2):
            self.assertRaises(exception.SnapshotIsBusy,
                              self.driver.delete_snapshot, snapshot)
            self.assertRaises(exception.VolumeIsBusy,
                              self.driver.delete_volume, volume)
        self.driver.delete_volume(other)
        self.lv(snapshot).is_open = False
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assertEqual(self.pools, self.machine.names())

    def test_snapshot_keeps_what_the_volume_loses(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).content = 'new data'
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.assertEqual('data', self.lv(copy).content)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual('new data', self.lv(volume).content)
        self.assertNotIn(f'_{snapshot.name}', self.machine.names())

    def test_clone(self):
        volume = self.create(is_open=True)
        clone = self.volume(2)
        self.driver.create_cloned_volume(clone, volume)
        lv = self.lv(clone)
        self.assertEqual(('data', 2 * GIB, True),
                         (lv.content, lv.size, lv.active))
        self.assertEqual({volume.name, clone.name} | self.pools,
                         self.machine.names())

    def test_source_that_is_gone(self):
        gone = self.volume()
        for verb, *arguments in (
                (self.driver.create_cloned_volume, self.volume(), gone),
                (self.driver.create_volume_from_snapshot, self.volume(),
                 self.snapshot(gone)),
                (self.driver.create_snapshot, self.snapshot(gone)),
                (self.driver.extend_volume, gone, 2)):
            error = self.assertRaises(BACKEND_ERROR, verb, *arguments)
            self.assertIn('was not found in VG vg', str(error))
        self.assertEqual(self.pools, self.machine.names())

    def test_each_step_that_can_fail(self):
        """Whatever fails, nothing is left of what was begun."""
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        for name, source in (('create_volume_from_snapshot', snapshot),
                             ('create_cloned_volume', volume)):
            before = self.machine.names()
            for step in range(20):
                copy = self.volume(2)
                self.machine.fail_after(step)
                try:
                    getattr(self.driver, name)(copy, source)
                except BACKEND_ERROR as error:
                    self.assertTrue(self.machine.has_failed)
                    self.assertIn('Broken by the test', str(error))
                    self.assertEqual(before, self.machine.names(),
                                     f'{name}, step {step}')
                else:
                    break
            self.assertGreater(step, 1)
            self.machine.fail_after(-2)
            self.driver.delete_volume(copy)

    def test_extend(self):
        volume = self.create(is_open=True)
        self.driver.extend_volume(volume, 2)
        self.assertEqual(2 * GIB, self.lv(volume).size)
        self.assertEqual([('extend_target', volume.id)],
                         self.driver.target_driver.calls)

    def test_extend_again(self):
        volume = self.create(2)
        self.driver.extend_volume(volume, 2)
        self.assertEqual([('extend_target', volume.id)],
                         self.driver.target_driver.calls)

    def test_extend_with_a_snapshot(self):
        volume = self.create()
        self.create_snapshot(volume)
        self.driver.extend_volume(volume, 2)
        self.assertEqual(2 * GIB, self.lv(volume).size)
        self.assertTrue(self.lv(volume).active)

    def test_target_that_does_not_show_the_new_size(self):
        volume = self.create()
        for problem in (target_errors.TargetError('broken'),
                        exception.CinderException('broken')):
            self.driver.target_driver.failures['extend_target'] = problem
            self.assertRaises(exception.TargetUpdateFailed,
                              self.driver.extend_volume, volume, 2)
            self.assertIn('broken', self.log.output)

    def test_target_of_cinder_fails_with_its_own_error(self):
        volume = self.create()
        self.driver.target_driver.failures['extend_target'] = (
            processutils.ProcessExecutionError('tgtadm'))
        self.assertRaises(exception.TargetUpdateFailed,
                          self.driver.extend_volume, volume, 2)

    def test_daemon_that_dies_and_does_not_come_back(self):
        self.machine.daemon_starts = False
        self.assertRaises(BACKEND_ERROR, self.driver.create_volume,
                          self.volume())

    def test_refused_command(self):
        self.machine.refused.add('lvcreate')
        error = self.assertRaises(BACKEND_ERROR, self.driver.create_volume,
                                  self.volume())
        self.assertIn('lvm-driver.filters', str(error))

    def test_report_that_hangs(self):
        volume = self.create()
        with mock.patch.object(
                self.driver._backend.runner, 'run',
                side_effect=process.CommandTimedOut(('lvs',), 120)):
            error = self.assertRaises(BACKEND_ERROR,
                                      self.driver.delete_volume, volume)
        self.assertIn('did not end within 120 seconds', str(error))


class TestThin(VolumeVerbs, DriverTestCase):

    settings = THIN
    segtype = 'thin'
    pools = {'vg-pool'}

    def test_nothing_is_copied_or_wiped(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        copies = [self.volume(), self.volume()]
        self.driver.create_volume_from_snapshot(copies[0], snapshot)
        self.driver.create_cloned_volume(copies[1], volume)
        for copy in copies:
            self.driver.delete_volume(copy)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assertNotIn('dd', self.machine.programs())
        self.assertEqual(self.pools, self.machine.names())

    def test_volume_goes_before_its_snapshot(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.delete_volume(volume)
        self.assertEqual('data', self.lv(snapshot).content)

    def test_snapshot_that_was_in_use_and_is_not_of_cinder_any_more(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)
        self.driver.unmanage_snapshot(snapshot)
        error = self.assertRaises(exception.VolumeIsBusy,
                                  self.driver.delete_volume, volume)
        self.assertIn(snapshot.name, str(error))
        self.driver.delete_volume(volume)
        self.assertEqual('data', self.lv(snapshot).content)

    def test_thick_volume_is_wiped_here_too(self):
        volume = self.volume()
        self.add_lv(volume, content='secret')
        self.driver.delete_volume(volume)
        self.assert_wiped(volume.name)

    def test_snapshot_of_a_thick_volume(self):
        volume = self.volume()
        self.add_lv(volume, content='secret')
        snapshot = self.create_snapshot(volume)
        self.assertTrue(self.lv(snapshot).is_cow)
        self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume,
                          volume)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assert_wiped(f'_{snapshot.name}', volume.name)


@ddt.ddt
class TestThick(VolumeVerbs, DriverTestCase):

    settings = THICK
    segtype = 'linear'
    pools = set()

    def test_volume_with_a_snapshot_stays(self):
        volume = self.create()
        self.create_snapshot(volume)
        names = self.machine.names()
        self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume,
                          volume)
        self.assertEqual(names, self.machine.names())
        self.assertEqual('data', self.lv(volume).content)

    def test_no_space(self):
        volume = self.create(60)
        names = self.machine.names()
        for verb, *arguments in (
                (self.driver.create_volume, self.volume(60)),
                (self.driver.create_snapshot, self.snapshot(volume)),
                (self.driver.create_cloned_volume, self.volume(60), volume),
                (self.driver.extend_volume, volume, 200)):
            error = self.assertRaises(BACKEND_ERROR, verb, *arguments)
            self.assertIn('insufficient free space', str(error))
            self.assertEqual(names, self.machine.names())

    def delete_unwiped(self, volume):
        """Delete a volume, and return the work that is left then."""
        works = []
        with mock.patch.object(background, 'start',
                               lambda name, work: works.append(work)):
            self.driver.delete_volume(volume)
        work, = works
        return work

    @ddt.data(*range(5))
    def test_space_of_a_deleted_volume(self, number):
        volume = self.create(20)
        snapshot = self.create_snapshot(volume)
        work = self.delete_unwiped(self.create(58))
        verb, *arguments = (
            (self.driver.create_volume, self.volume(50)),
            (self.driver.create_snapshot, self.snapshot(volume)),
            (self.driver.create_cloned_volume, self.volume(30), volume),
            (self.driver.create_volume_from_snapshot, self.volume(50),
             snapshot),
            (self.driver.extend_volume, volume, 70))[number]
        with mock.patch.object(wiping.Remover, 'wait',
                               lambda remover: work()):
            verb(*arguments)
        self.assertFalse([name for name in self.machine.names()
                          if name.startswith('cinder-')])
        self.assertNotEqual([], self.machine.wiped)

    def test_space_of_a_deleted_volume_that_takes_too_long(self):
        self.delete_unwiped(self.create(60))
        names = self.machine.names()
        with mock.patch.object(wiping.Remover, 'wait'):
            self.assertRaises(BACKEND_ERROR, self.driver.create_volume,
                              self.volume(60))
        self.assertEqual(names, self.machine.names())

    def test_volume_that_is_extended_while_its_snapshot_waits(self):
        volume = self.create(20)
        work = self.delete_unwiped(self.create(70))

        def wait(remover):
            work()
            self.driver.extend_volume(volume, 30)

        snapshot = self.snapshot(volume)
        with mock.patch.object(wiping.Remover, 'wait', wait):
            self.driver.create_snapshot(snapshot)
        # LVM makes a store as small as it is asked to.
        argv = self.machine.as_root[-1]
        store = argv[argv.index('--size') + 1]
        self.assertGreater(int(store.removesuffix('b')), 30 * GIB)

    def test_origin_in_use_is_not_extended(self):
        volume = self.create()
        self.create_snapshot(volume)
        self.lv(volume).is_open = True
        error = self.assertRaises(BACKEND_ERROR, self.driver.extend_volume,
                                  volume, 2)
        self.assertIn('Detach the volume', str(error))
        self.assertEqual(GIB, self.lv(volume).size)

    def test_what_is_freed_is_wiped(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.delete_snapshot(snapshot)
        self.lv(volume).active = False
        self.driver.delete_volume(volume)
        self.assert_wiped(f'_{snapshot.name}', volume.name)
        self.assertEqual(set(), self.machine.names())

    def test_inactive_snapshot_is_wiped(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume, active=False)
        self.lv(volume).active = False
        self.driver.delete_snapshot(snapshot)
        self.assert_wiped(f'_{snapshot.name}')

    def test_what_a_clone_needed_for_a_moment_is_wiped(self):
        clone = self.volume()
        self.driver.create_cloned_volume(clone, self.create())
        self.assert_wiped(f'clone-snap-{clone.name}')

    def test_what_a_failed_copy_left_is_wiped(self):
        snapshot = self.create_snapshot(self.create())
        self.machine.fail_after(2)
        copy = self.volume()
        self.assertRaises(BACKEND_ERROR,
                          self.driver.create_volume_from_snapshot,
                          copy, snapshot)
        self.assert_wiped(copy.name)

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

    def test_thin_volume_is_not_wiped_here_either(self):
        self.lvm.add('vg-pool', GIB, segtype='thin-pool')
        volume = self.volume()
        self.add_lv(volume, **backend.THIN)
        snapshot = self.create_snapshot(volume)
        self.assertEqual('thin', self.lv(snapshot).segtype)
        self.driver.delete_volume(volume)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual([], self.machine.wiped)

    @ddt.data(({'volume_clear': 'none'}, []),
              ({'volume_clear_size': 8}, [8 * MIB]),
              ({'volume_clear_ionice': '-c3'}, [GIB]))
    @ddt.unpack
    def test_options_of_wiping(self, settings, wiped):
        self.driver = self.make_driver(**settings)
        volume = self.create()
        self.driver.delete_volume(volume)
        self.assertEqual(wiped, [size for _, _, size in self.machine.wiped])
        self.assertNotIn(volume.name, self.machine.names())


class TestRevert(DriverTestCase):

    def test_thin(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.extend_volume(volume, 2)
        self.lv(volume).content = 'new'
        self.machine.as_root.clear()
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(('data', 2 * GIB), (self.lv(volume).content,
                                             self.lv(volume).size))
        self.assertEqual('data', self.lv(snapshot).content)
        self.assertEqual(['lvs', 'lvcreate', 'lvextend', 'lvrename',
                          'lvrename', 'lvremove'], self.machine.programs())
        self.assertFalse(self.driver.snapshot_revert_use_temp_snapshot())

    def test_thick(self):
        self.driver = self.make_driver(**THICK)
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).content = 'new'
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual('data', self.lv(volume).content)
        self.assertTrue(self.lv(snapshot).is_cow)
        self.assertTrue(self.driver.snapshot_revert_use_temp_snapshot())

    def test_volume_in_use(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).is_open = True
        self.assertRaises(exception.VolumeIsBusy,
                          self.driver.revert_to_snapshot, self.context,
                          volume, snapshot)

    def test_what_is_gone(self):
        for volume in self.volume(), self.create():
            error = self.assertRaises(
                BACKEND_ERROR, self.driver.revert_to_snapshot, self.context,
                volume, self.snapshot(volume))
            self.assertIn('was not found', str(error))

    def test_interrupted_revert_is_looked_after_at_the_next_start(self):
        volume = self.create()
        lv = self.lvm.volumes.pop(volume.name)
        lv.name = f'cinder-revert-from-{volume.name}'
        self.lvm.volumes[lv.name] = lv
        self.make_driver()
        self.assertEqual('data', self.lv(volume).content)


class TestPlaces(DriverTestCase):

    def test_local_path_is_the_in_tree_drivers(self):
        theirs = in_tree.LVMVolumeDriver(
            configuration=self.configure(target_helper='fake'))
        volume = self.volume()
        for thing in (volume, self.snapshot(volume)):
            for arguments in ((), ('other-vg',)):
                self.assertEqual(theirs.local_path(thing, *arguments),
                                 self.driver.local_path(thing, *arguments))

    def test_migrated_volume_keeps_the_lv_it_was_migrated_to(self):
        volume = self.volume(_name_id='7a5b2f3e')
        self.assertEqual('/dev/mapper/vg-volume--7a5b2f3e',
                         self.driver.local_path(volume))
