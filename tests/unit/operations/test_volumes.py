# SPDX-License-Identifier: Apache-2.0
"""Volumes, on a host with a fake LVM."""

from unittest import mock

from cinder import exception
import ddt
from oslo_concurrency import processutils

from cinder_lvm_driver import background
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from cinder_lvm_driver import wiping
from tests.fakes import backend

GIB = backend.GIB
MIB = backend.MIB
BACKEND_ERROR = exception.VolumeBackendAPIException


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

    def test_delete_what_is_gone(self):
        volume = self.volume()
        self.driver.delete_volume(volume)
        self.driver.delete_snapshot(self.snapshot(volume))
        self.assertEqual(2, self.log.output.count('nothing to delete'))

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
        self.assertIn("refused 'lvcreate'", str(error))

    def test_report_that_hangs(self):
        volume = self.create()
        with mock.patch.object(
                self.driver._pools[0].runner, 'run',
                side_effect=process.CommandTimedOut(('lvs',), 120)):
            error = self.assertRaises(BACKEND_ERROR,
                                      self.driver.delete_volume, volume)
        self.assertIn('did not end within 120 seconds', str(error))


class TestThin(VolumeVerbs, backend.DriverTestCase):

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

    def test_thick_volume_is_wiped_here_too(self):
        volume = self.volume()
        self.add_lv(volume, content='secret')
        self.driver.delete_volume(volume)
        self.assert_wiped(volume.name)


@ddt.ddt
class TestThick(VolumeVerbs, backend.DriverTestCase):

    settings = {'lvm_type': 'default'}
    segtype = 'linear'
    pools = set()

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

    def test_origin_in_use_is_not_extended(self):
        volume = self.create()
        self.create_snapshot(volume)
        self.lv(volume).is_open = True
        error = self.assertRaises(BACKEND_ERROR, self.driver.extend_volume,
                                  volume, 2)
        self.assertIn('detach the volume', str(error))
        self.assertEqual(GIB, self.lv(volume).size)

    def test_what_is_freed_is_wiped(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.delete_snapshot(snapshot)
        self.lv(volume).active = False
        self.driver.delete_volume(volume)
        self.assert_wiped(f'_{snapshot.name}', volume.name)
        self.assertEqual(set(), self.machine.names())

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


@ddt.ddt
class TestSpace(backend.DriverTestCase):

    settings = {'lvm_type': 'default'}

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
