# SPDX-License-Identifier: Apache-2.0
"""What becomes of deleted thick LVs."""

import threading
from unittest import mock

import fixtures

from cinder_lvm_driver import background
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from cinder_lvm_driver import wiping
from tests import base
from tests.fakes import lvm as fake_lvm


class TestRemover(base.TestCase):
    """The test itself is what wipes devices."""

    wipes = True

    def setUp(self):
        super().setUp()
        self.wiped = []
        self.works = []
        self.useFixture(fixtures.MockPatchObject(
            background, 'start', lambda name, work: self.works.append(work)))
        self.useFixture(fake_lvm.never_waiting())
        self.take('vg')

    def take(self, vg_name):
        self.lvm = fake_lvm.FakeLVM(vg_name)
        self.vg = lvm.LVM(vg_name, self.lvm, version=(2, 3, 16))
        self.remover = wiping.Remover(self.vg, self)

    def wipe(self, device):
        name = device.removeprefix(f'/dev/{self.vg.vg_name}/')
        volume = self.lvm.volumes[name]
        self.assertTrue(volume.active and not volume.read_only)
        if 'mistake' in name:
            raise ZeroDivisionError
        if 'broken' in name:
            raise process.CommandFailed(('dd',), 1, '', 'I/O error')
        self.wiped.append(name)

    def remove(self, name, **facts):
        self.lvm.add(name, **facts)
        self.remover.remove(self.vg.get_volume(name))

    def test_caller_does_not_wait_and_the_name_is_free(self):
        for _ in range(2):
            self.remove('a')
        self.assertEqual([], self.wiped)
        for name in self.lvm.volumes:
            self.assertRegex(name, '^cinder-wipe-a-')

    def test_one_worker_does_it_all(self):
        self.remove('a')
        self.remove('b', active=False)
        doomed = list(self.lvm.volumes)
        work, = self.works
        work()
        self.assertEqual((doomed, {}), (self.wiped, self.lvm.volumes))

    def test_next_one_is_done_by_another_worker(self):
        for name in 'ab':
            self.remove(name)
            self.works.pop()()
        self.assertEqual({}, self.lvm.volumes)

    def test_back_end_that_does_not_wipe(self):
        self.wipes = False
        self.remove('a')
        self.assertEqual(([], {}), (self.works, self.lvm.volumes))

    def test_lv_that_thin_lvs_of_a_pool_read_through(self):
        error = self.assertRaises(
            lvm.LogicalVolumeInUse, self.remove, 'a',
            reported={'lv_role': 'public,origin,extthinorigin'})
        self.assertIn('external origin', str(error))
        self.assertEqual({'a'}, set(self.lvm.volumes))

    def test_snapshot_is_split_off_first(self):
        self.lvm.add('a')
        self.remove('s', origin='a')
        self.assertFalse(self.vg.get_volume('a').is_cow_origin)
        self.works.pop()()
        self.assertEqual({'a'}, set(self.lvm.volumes))

    def test_snapshot_that_takes_no_writes(self):
        # lvcreate --snapshot --permission r, and managed
        self.lvm.add('a')
        self.remove('s', origin='a', read_only=True)
        self.works.pop()()
        self.assertEqual(1, len(self.wiped))
        self.assertEqual({'a'}, set(self.lvm.volumes))

    def test_one_that_has_such_a_name_keeps_it(self):
        # What a crash would leave to be wiped, too.
        name = 'cinder-wipe-a-01234567'
        self.remove(name)
        self.assertEqual({name}, set(self.lvm.volumes))
        self.works.pop()()
        self.assertEqual(([name], {}), (self.wiped, self.lvm.volumes))

    def test_thin_volume_is_removed_at_once(self):
        self.lvm.add('pool', segtype='thin-pool')
        self.remove('t', segtype='thin', pool='pool')
        self.assertEqual(([], {'pool'}), (self.works, set(self.lvm.volumes)))

    def test_thin_volume_that_could_not_be_removed_is_not_filled(self):
        self.lvm.add('pool', segtype='thin-pool')
        self.lvm.add('cinder-wipe-t-01234567', segtype='thin', pool='pool')
        self.remover.resume(self.lvm.volumes)
        self.works.pop()()
        self.assertEqual(([], {'pool'}), (self.wiped, set(self.lvm.volumes)))

    def test_vg_that_lacks_a_device(self):
        """There, LVM removes an LV, but neither renames nor splits it."""
        for verb in 'rename_volume', 'split_snapshot':
            self.useFixture(fixtures.MockPatchObject(
                self.vg, verb, side_effect=lvm.PhysicalVolumeMissing('x')))
        self.remove('a')
        self.assertEqual(([], ['a'], {}),
                         (self.works, self.wiped, self.lvm.volumes))
        self.lvm.add('b')
        self.assertRaises(lvm.PhysicalVolumeMissing, self.remove, 's',
                          origin='b')
        self.assertEqual({'b', 's'}, set(self.lvm.volumes))

    def test_what_is_not_removed(self):
        self.assertRaises(lvm.LogicalVolumeInUse, self.remove, 'a',
                          is_open=True)
        pools = {'thin-pool', 'cache-pool'}
        for name in pools:
            self.assertRaises(lvm.LogicalVolumeOfWrongKind, self.remove, name,
                              segtype=name)
        self.assertEqual({'a', *pools}, set(self.lvm.volumes))

    def test_mistake_of_ours_does_not_end_the_wiping(self):
        for name in 'mistake', 'a':
            self.remove(name)
        self.works.pop()()
        self.assertIn('ZeroDivisionError', self.log.output)
        self.remove('b')
        self.works.pop()()
        name, = self.lvm.volumes
        self.assertIn('mistake', name)

    def test_no_thread_can_be_had(self):
        start = fixtures.MockPatchObject(
            background, 'start',
            side_effect=RuntimeError("can't start new thread"))
        with start:
            self.remove('a')
        self.assertIn("can't start new thread", self.log.output)
        # When Cinder asks for the stats.
        self.remover.retry()
        self.works.pop()()
        self.assertEqual({}, self.lvm.volumes)

    def test_somebody_waits_for_the_space(self):
        self.remover.wait()
        self.remove('a')
        self.assertTrue(self.remover.is_working)
        worker = threading.Thread(target=self.works.pop())
        worker.start()
        self.remover.wait()
        self.assertEqual({}, self.lvm.volumes)
        worker.join()
        self.assertFalse(self.remover.is_working)

    def test_space_that_is_not_there_in_time(self):
        self.useFixture(fixtures.MockPatchObject(wiping, '_WAIT_SECONDS', 0))
        self.remove('a')
        self.remover.wait()
        self.assertTrue(self.remover.is_working)

    def test_space_of_what_is_in_use_is_not_waited_for(self):
        self.lvm.add('cinder-wipe-a-01234567', is_open=True)
        self.remover.resume(self.lvm.volumes)
        self.works.pop()()
        self.remover.wait()

    def test_space_of_what_is_deleted_later_is_not_waited_for(self):
        for name in 'a', 'mistake':
            self.remove(name)
        with mock.patch.object(self.remover._has_ended,
                               'wait_for') as wait_for:
            self.remover.wait()
        is_over = wait_for.call_args.args[0]
        self.remove('b')
        seen = []
        wipe = self.wipe

        def look_and_wipe(device):
            seen.append(is_over())
            wipe(device)

        self.wipe = look_and_wipe
        self.works.pop()()
        self.assertEqual([False, False, True], seen)

    def test_nothing_to_resume(self):
        self.lvm.add('a')
        self.remover.resume(self.lvm.volumes)
        self.assertEqual([], self.works)

    def test_what_cannot_be_wiped_stays_and_keeps_nobody_waiting(self):
        names = [f'cinder-wipe-{word}-01234567'
                 for word in ('broken', 'open', 'gone', 'fine')]
        for name in names:
            self.lvm.add(name, is_open='open' in name)
        self.remover.resume(list(self.lvm.volumes))
        del self.lvm.volumes[names[2]]
        self.works.pop()()
        self.assertEqual(names[3:], self.wiped)
        self.assertEqual(set(names[:2]), set(self.lvm.volumes))
        self.assertIn(f'LV {names[0]} of a deleted volume is not wiped',
                      self.log.output)
        self.assertIn(f'LV {names[1]} of a deleted volume is wiped once it '
                      f'is closed', self.log.output)
        self.assertNotIn('gone', self.log.output)

    def test_what_was_in_use_is_tried_again(self):
        name = 'cinder-wipe-a-01234567'
        self.lvm.add(name, is_open=True)
        self.remover.resume(self.lvm.volumes)
        for _ in range(2):
            self.works.pop()()
            self.remover.retry()
        self.assertEqual(1, self.log.output.count('once it is closed'))
        self.lvm.volumes[name].is_open = False
        self.works.pop()()
        self.assertEqual(([name], {}), (self.wiped, self.lvm.volumes))
        self.remover.retry()
        self.assertEqual([], self.works)

    def test_suspended_one_does_not_keep_others_waiting(self):
        names = [f'cinder-wipe-{word}-01234567' for word in 'ab']
        for name in names:
            self.lvm.add(name, is_suspended=name == names[0])
        self.remover.resume(names)
        self.works.pop()()
        self.assertEqual(names[1:], self.wiped)

    def test_what_is_broken_is_not_tried_again(self):
        self.remove('broken')
        self.works.pop()()
        self.remover.retry()
        self.assertEqual([], self.works)
