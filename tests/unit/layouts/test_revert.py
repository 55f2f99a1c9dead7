# SPDX-License-Identifier: Apache-2.0
"""Reverts, and what becomes of those that a crash interrupts."""

import contextlib
from unittest import mock

import ddt

from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import process
from tests.fakes import layouts
from tests.fakes import machine

MIB = layouts.MIB


class RevertTestCase(layouts.LayoutTestCase):

    kind = thick.Thick

    def setUp(self):
        super().setUp()
        self.useFixture(machine.work_at_once())
        self.build()
        self.before = self.state()
        self.deleted = []

    def state(self):
        return {name: (volume.content, volume.size, volume.active)
                for name, volume in self.lvm.volumes.items()}

    def is_wanted(self, snapshot_name):
        return snapshot_name not in self.deleted

    def revert(self):
        revert.revert(self.vg, self.vg.get_volumes(), 'v', 's2')

    def assert_reverted(self):
        expected = dict(self.before)
        expected['v'] = 'two', *self.before['v'][1:]
        self.assertEqual(expected, self.state())
        self.assertEqual([], self.tags())


class Cases:
    """What holds for both kinds."""

    def test_revert(self):
        self.revert()
        self.assert_reverted()

    def test_volume_in_use(self):
        self.lvm.volumes['v'].is_open = True
        self.assertRaises(lvm.LogicalVolumeInUse, self.revert)
        self.assertEqual(self.before, self.state())

    def test_end_of_the_service_at_any_moment(self):
        for commands in range(1, 20):
            self.commands_left = commands
            try:
                self.revert()
                break
            except layouts.Killed:
                self.commands_left = None
            revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
            if self.state() != self.before:
                self.assert_reverted()
            self.assertEqual([], self.tags())
            self.lvm.volumes['v'].content = 'now'
        self.assertGreater(commands, 3)
        self.commands_left = None
        self.assert_reverted()

    def test_command_that_is_repeated(self):
        """It fails, as it was done before, or it does not matter."""
        for commands in range(1, 20):
            self.repeated_after = commands
            with contextlib.suppress(lvm.LVMError):
                self.revert()
            if self.state() != self.before:
                self.assert_reverted()
            self.assertEqual([], self.tags())
            if self.repeated_after >= 0:
                break
            self.lvm.volumes['v'].content = 'now'
        self.assertGreater(commands, 3)

    def test_nothing_to_recover(self):
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        self.assertEqual(self.before, self.state())


class TestThin(Cases, RevertTestCase):

    def build(self):
        self.add_thin_pool()
        self.add_thin('v', 16, content='now')
        for number in 'one', 'two', 'three':
            self.add_thin(f's{len(self.lvm.volumes) - 1}', content=number,
                          origin='v', active=False, skip=True)

    def test_step_that_fails(self):
        for commands in range(1, 5):
            step = self.lvm.run_long
            self.fail_once_after(commands)
            with self.assertRaises(lvm.CommandOfLVMFailed, msg=commands):
                self.revert()
            self.assertEqual(self.before, self.state())
            self.lvm.run = step

    def fail_once_after(self, commands):
        steps = iter([None] * commands + [layouts.LVM_FAILED])

        def run(*argv, timeout=None):
            failure = next(steps, None)
            if failure:
                raise failure
            return self.run_really(*argv, timeout=timeout)

        self.lvm.run = run

    def test_what_cannot_be_removed_is_left_for_the_next_start(self):
        remove = self.lvm._lvremove
        self.lvm._lvremove = lambda *words: self.lvm._check_closed(
            [self.lvm.add('x', is_open=True)])
        self.revert()
        self.assertIn('looked after at the next start', self.log.output)
        self.lvm._lvremove = remove
        del self.lvm.volumes['x']
        doomed, = filter(naming.is_doomed, self.names())
        # Whatever becomes of the volume by then, it is not that one again.
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        self.vg.delete(doomed)
        self.assert_reverted()

    def test_command_whose_end_is_not_known(self):
        failure = process.DaemonFailed(('lvremove',), OSError('gone'))
        with mock.patch.object(self.vg, 'delete', side_effect=failure):
            self.revert()
        self.assertEqual([], [name for name in self.names()
                              if name.startswith('cinder-revert-')])

    def test_cow_snapshot_of_the_volume_is_not_lost(self):
        """The in-tree driver makes such snapshots of thin volumes."""
        self.add_cow('cow', 'v')
        before = self.names()
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.revert)
        self.assertIn('COW snapshots', str(error))
        self.assertEqual(before, self.names())

    def test_what_an_earlier_revert_left_is_in_nobodys_way(self):
        for word in 'from', 'to':
            self.add_thin(f'cinder-revert-{word}-v', 16, content='old')
        self.revert()
        self.assert_reverted()

    def test_left_over_that_is_in_use(self):
        self.add_thin('cinder-revert-from-v', 16, is_open=True)
        before = self.state()
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.revert)
        self.assertIn('cinder-revert-from-v in use', str(error))
        self.assertEqual(before, self.state())


@ddt.ddt
class TestThick(Cases, RevertTestCase):

    def build(self):
        self.lvm.add('v', 16 * MIB, content='now')
        for name, content in ('s1', 'one'), ('s2', 'two'):
            self.add_cow(name, 'v', 24, content=content)

    def assert_reverted(self):
        # A snapshot that is made again is as large as LVM would make it.
        size = self.lvm.volumes['s2'].size
        self.before['s2'] = 'two', size, True
        super().assert_reverted()

    def test_snapshot_of_another_volume(self):
        self.lvm.add('w', 16 * MIB)
        self.assertRaises(NotImplementedError, revert.revert, self.vg,
                          self.vg.get_volumes(), 'w', 's1')

    def test_no_room_to_keep_the_snapshot(self):
        self.lvm.volumes['v'].size = 256 * MIB
        self.lvm.add('w', 240 * MIB)
        before = self.state()
        error = self.assertRaises(lvm.InsufficientSpace, self.revert)
        self.assertIn('bytes more must be free in VG vg', str(error))
        self.assertEqual(before, self.state())
        self.assertEqual([], self.tags())

    def test_room_of_the_snapshot_is_enough_for_it(self):
        self.lvm.volumes['s2'].size = 20 * MIB
        group = self.vg.get_vg()
        self.lvm.add('w', group.free_bytes)
        self.revert()
        del self.lvm.volumes['w']
        self.assert_reverted()

    def test_thin_snapshot(self):
        self.add_thin_pool()
        self.add_thin('t')
        error = self.assertRaises(NotImplementedError, revert.revert,
                                  self.vg, self.vg.get_volumes(), 'v', 't')
        self.assertIn('LV t (thin)', str(error))

    def test_snapshot_in_use(self):
        """LVM would merge it at some later time."""
        self.lvm.volumes['s2'].is_open = True
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.revert)
        self.assertIn('LV s2 is in use', str(error))
        self.assertEqual((self.before, []), (self.state(), self.tags()))

    def test_volume_that_is_not_active(self):
        for name in self.lvm.volumes:
            self.lvm.volumes[name].active = False
        self.before = self.state()
        self.revert()
        for name, (content, size, _) in self.before.items():
            self.before[name] = content, size, True
        self.assert_reverted()

    def change(self, before=None, after=None):
        """Have something happen before or after the merging command."""
        run = self.lvm.run_long

        def changed(*argv, timeout=None):
            is_merge = '--merge' in argv
            if is_merge and before:
                before()
            answer = run(*argv, timeout=timeout)
            if is_merge and after:
                after()
            return answer
        self.lvm.run_long = changed

    def test_volume_that_is_opened_for_a_moment(self):
        volume = self.lvm.volumes['v']
        self.change(lambda: setattr(volume, 'is_open', True),
                    lambda: setattr(volume, 'is_open', False))
        self.revert()
        self.assert_reverted()

    def break_lvm(self):
        raise layouts.LVM_FAILED

    def test_merge_that_fails_before_it_begins(self):
        self.change(before=self.break_lvm)
        self.assertRaises(lvm.CommandOfLVMFailed, self.revert)
        self.assertEqual((self.before, []), (self.state(), self.tags()))

    def test_merge_that_fails_after_it_has_begun(self):
        """It is completed, as the kernel goes on with it."""
        self.change(after=self.break_lvm)
        self.assertRaises(lvm.CommandOfLVMFailed, self.revert)
        self.assert_reverted()

    def test_snapshot_that_cannot_be_made_again(self):
        """Later it would be one of other data."""
        with mock.patch.object(self.vg, 'create_cow_snapshot',
                               side_effect=lvm.InsufficientSpace('full')):
            self.assertRaises(lvm.InsufficientSpace, self.revert)
        self.assertIn('cannot be made again', self.log.output)
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        self.assertEqual(({'v', 's1'}, []), (self.names(), self.tags()))
        revert.check_settled(self.vg, 'v')

    def test_volume_whose_tag_stays_is_not_attached(self):
        """The next start would make the snapshot of what it becomes."""
        with mock.patch.object(self.vg, 'delete_tag',
                               side_effect=layouts.LVM_FAILED):
            self.assertRaises(process.CommandFailed, self.revert)
        self.assertRaises(lvm.LogicalVolumeInUse, revert.check_settled,
                          self.vg, 'v')
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        revert.check_settled(self.vg, 'v')

    def test_look_at_what_was_merged_that_fails(self):
        """It is completed at once: the volume may be written to soon."""
        volume = self.vg.get_volume('v')
        with mock.patch.object(
                self.vg, 'get_volume',
                side_effect=[lvm.CommandOfLVMFailed('lvs'), *[volume] * 9]):
            self.assertRaises(lvm.CommandOfLVMFailed, self.revert)
        self.assert_reverted()

    def test_snapshot_that_was_deleted_before_the_next_start(self):
        """By the in-tree driver, which knows nothing of a revert."""
        volume = self.leave_merging()
        self.deleted = ['s2']
        names = self.names()
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        self.assertEqual((names, [], ''),
                         (self.names(), self.tags(), volume.merging))

    def leave_merging(self):
        volume = self.lvm.volumes['v']
        volume.tags.add('cinder.revert_to=s2')
        volume.content, volume.merging = 'two', 'merging'
        del self.lvm.volumes['s2']
        return volume

    def test_merge_that_goes_on(self):
        volume = self.leave_merging()
        revert.recover(self.vg, self.vg.get_volumes(), self.is_wanted)
        self.assertEqual('', volume.merging)
        self.assert_reverted()

    def test_merge_that_cannot_be_looked_at_for_a_while(self):
        self.leave_merging()
        volumes, get_volume = self.vg.get_volumes(), self.vg.get_volume
        timed_out = process.CommandTimedOut(('lvs',), 120)
        answers = iter([timed_out, timed_out])

        def look(name):
            failure = next(answers, None)
            if failure:
                self.assertRaises(lvm.LogicalVolumeInUse,
                                  revert.check_settled, self.vg, 'v')
                raise failure
            return get_volume(name)

        with mock.patch.object(revert, '_RETRY_SECONDS', 0), \
                mock.patch.object(self.vg, 'get_volume', look):
            revert.recover(self.vg, volumes, self.is_wanted)
        self.assert_reverted()
        revert.check_settled(self.vg, 'v')

    def test_volume_that_goes_while_it_is_merged(self):
        self.leave_merging()
        volumes = self.vg.get_volumes()
        with mock.patch.object(self.vg, 'get_volume',
                               side_effect=lvm.LogicalVolumeNotFound('v')):
            revert.recover(self.vg, volumes, self.is_wanted)
        revert.check_settled(self.vg, 'v')
