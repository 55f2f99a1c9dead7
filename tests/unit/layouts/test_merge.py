# SPDX-License-Identifier: Apache-2.0
"""Reverts of thick volumes, also those that a crash interrupts."""

from unittest import mock

from cinder_lvm_driver.layouts import merge
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import process
from tests.fakes import layouts
from tests.unit.layouts import test_revert

MIB = layouts.MIB


class TestMerge(test_revert.Cases, test_revert.RevertTestCase):

    def build(self):
        self.lvm.add('v', 16 * MIB, content='now')
        for name, content in ('s1', 'one'), ('s2', 'two'):
            self.add_cow(name, 'v', 24, content=content)

    def assert_reverted(self):
        # A snapshot that is made again is as large as LVM would make it.
        size = self.lvm.volumes['s2'].size
        self.before['s2'] = 'two', size, True
        super().assert_reverted()

    def test_no_room_to_keep_the_snapshot(self):
        self.lvm.volumes['v'].size = 256 * MIB
        self.lvm.add('w', 240 * MIB)
        before = self.state()
        error = self.assertRaises(lvm.InsufficientSpace, self.revert)
        self.assertIn('bytes more must be free on the PVs of VG vg',
                      str(error))
        self.assertEqual(before, self.state())
        self.assertEqual([], self.tags())

    def test_room_of_the_snapshot_is_on_a_closed_pv(self):
        self.lvm.closed = set(self.lvm.pvs)
        before = self.state()
        self.assertRaises(lvm.InsufficientSpace, self.revert)
        self.assertEqual((before, []), (self.state(), self.tags()))

    def test_merge_that_begins_after_the_recovery(self):
        """The command outlives the service, and waits for the VG's lock."""
        before = self.state()
        commands = []
        run_long, self.lvm.run_long = (
            self.lvm.run_long, lambda *argv: commands.append(argv))
        self.vg.merge_tagged, merge_tagged = mock.Mock(
            side_effect=layouts.Killed), self.vg.merge_tagged
        self.assertRaises(layouts.Killed, self.revert)
        merge_tagged(naming.MERGE_TAG + 's2')
        self.recover()
        run_long(*commands[0])
        self.assertEqual((before, []), (self.state(), self.tags()))

    def test_room_of_the_snapshot_is_enough_for_it(self):
        self.lvm.volumes['s2'].size = 20 * MIB
        vg = self.vg.get_vg()
        self.lvm.add('w', vg.free_bytes)
        self.revert()
        del self.lvm.volumes['w']
        self.assert_reverted()

    def test_store_of_the_snapshot_is_used_again(self):
        """It has data of the volume, which is wiped with the snapshot."""
        with mock.patch.object(self.vg, 'create_cow_snapshot') as create:
            self.revert()
        create.assert_called_once_with(
            's2', 'v', 16 * MIB,
            [lvm.Extents(path='/dev/vg-0', first=0, last=5)])

    def test_store_of_the_snapshot_was_taken_meanwhile(self):
        create = self.vg.create_cow_snapshot

        def create_elsewhere(name, origin, size_bytes, extents=()):
            if extents:
                raise lvm.InsufficientSpace('taken')
            create(name, origin, size_bytes)

        with mock.patch.object(self.vg, 'create_cow_snapshot',
                               create_elsewhere):
            self.revert()
        self.assert_reverted()
        self.assertIn('are not wiped: snapshot s2 is created again in other',
                      self.log.output)

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

    def test_tag_that_cannot_be_added(self):
        for failing in 1, 2:
            self.fail_at(failing)
            self.assertRaises(lvm.CommandOfLVMFailed, self.revert)
            self.assertEqual((self.before, []), (self.state(), self.tags()))
            self.reverts.check_settled('v')

    def fail_at(self, number):
        """Have the n-th change of a tag fail, and no other command."""
        run, left = self.run_really, [number]

        def run_or_fail(*argv, timeout=None):
            if {'--addtag', '--deltag'} & set(argv):
                left[0] -= 1
                if left[0] == 0:
                    raise process.CommandFailed(argv, 5, '', 'Broken.')
            return run(*argv, timeout=timeout)

        self.run_really = run_or_fail

    def test_tag_that_is_deleted_at_the_second_try(self):
        self.fail_at(3)
        self.revert()
        self.assert_reverted()
        self.assertIn('once more', self.log.output)

    def test_snapshot_that_is_made_at_the_second_try(self):
        with mock.patch.object(
                self.vg, 'create_cow_snapshot',
                wraps=self.vg.create_cow_snapshot,
                side_effect=[lvm.CommandOfLVMFailed('lvcreate'),
                             mock.DEFAULT]):
            self.revert()
        self.assert_reverted()

    def test_snapshot_that_cannot_be_made_again(self):
        """Later it would be one of other data."""
        with mock.patch.object(self.vg, 'create_cow_snapshot',
                               side_effect=lvm.InsufficientSpace('full')):
            self.assertRaises(lvm.InsufficientSpace, self.revert)
        self.assertIn('cannot be created again', self.log.output)
        self.reverts.check_settled('v')
        self.recover()
        self.assertEqual(({'v', 's1'}, []), (self.names(), self.tags()))
        self.reverts.check_settled('v')

    def test_volume_whose_tag_stays_is_not_attached(self):
        """The next start would make the snapshot of what it becomes."""
        with mock.patch.object(self.vg, 'delete_tag',
                               side_effect=layouts.LVM_FAILED):
            self.assertRaises(process.CommandFailed, self.revert)
        self.assertRaises(lvm.LogicalVolumeInUse,
                          self.reverts.check_settled, 'v')
        self.recover()
        self.reverts.check_settled('v')

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
        self.recover()
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
        self.recover()
        self.assertEqual('', volume.merging)
        self.assert_reverted()

    def test_merge_with_devices_that_a_killed_command_was_changing(self):
        self.leave_merging()
        with mock.patch.object(self.vg, 'find_unfinished',
                               return_value=['vg-s2']) as find, \
                mock.patch.object(self.vg, 'deactivate_lv',
                                  wraps=self.vg.deactivate_lv) as deactivate:
            self.recover()
        find.assert_called_once_with('v', 's2')
        deactivate.assert_called_once_with('v')
        self.assert_reverted()

    def test_merge_that_has_ended_but_for_the_store(self):
        self.leave_merging().merging = ''
        self.lvm.add('s2', 24 * MIB, content='store', active=False)
        self.recover()
        self.assert_reverted()

    def test_merge_that_cannot_be_looked_at_for_a_while(self):
        self.leave_merging()
        get_volume = self.vg.get_volume
        timed_out = process.CommandTimedOut(('lvs',), 120)
        answers = iter([timed_out, timed_out])

        def look(name):
            failure = next(answers, None)
            if failure:
                self.assertRaises(lvm.LogicalVolumeInUse,
                                  self.reverts.check_settled, 'v')
                raise failure
            return get_volume(name)

        with mock.patch.object(merge, '_RETRY_SECONDS', 0), \
                mock.patch.object(self.vg, 'get_volume', look):
            self.recover()
        self.assert_reverted()
        self.reverts.check_settled('v')

    def test_volume_that_goes_while_it_is_merged(self):
        self.leave_merging()
        with mock.patch.object(self.vg, 'get_volume',
                               side_effect=lvm.LogicalVolumeNotFound('v')):
            self.recover()
        self.reverts.check_settled('v')
