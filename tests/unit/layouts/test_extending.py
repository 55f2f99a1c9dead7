# SPDX-License-Identifier: Apache-2.0
"""Larger volumes, and what becomes of extensions that a crash interrupts."""

from unittest import mock

import ddt

from cinder_lvm_driver import background
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from tests.fakes import layouts
from tests.fakes import machine

MIB = layouts.MIB


class ExtendTestCase(layouts.LayoutTestCase):

    layout_class = thick.Thick

    def extend(self, size_mib):
        self.layout.extend_volume(self.vg.get_volume('a'),
                                        size_mib * MIB)
        return self.lvm.volumes['a'].size // MIB

    def recover(self):
        self.layout.recover(self.vg.get_volumes().values())
        return self.lvm.volumes['a'].size // MIB


@ddt.ddt
class TestExtend(ExtendTestCase):

    def test_extend(self):
        self.lvm.add('a', 8 * MIB, is_open=True)
        self.assertEqual(16, self.extend(16))

    def test_what_is_added_is_zeroed(self):
        self.lvm.add('a', 8 * MIB, is_open=True)
        self.extend(16)
        self.assertEqual([('a', 8 * MIB)], self.zeroed)

    def test_nothing_is_zeroed_where_nothing_is_wiped(self):
        self.wipes = False
        self.lvm.add('a', 8 * MIB)
        self.extend(16)
        self.assertEqual([], self.zeroed)

    def test_thin_volume_needs_no_zeroes(self):
        self.add_thin_pool()
        self.add_thin('a')
        self.assertEqual(16, self.extend(16))
        self.assertEqual([], self.zeroed)

    def test_end_that_cannot_be_zeroed_is_taken_back(self):
        self.lvm.add('a', 8 * MIB)
        self.fill_error = layouts.DD_FAILED
        self.assertRaises(process.CommandFailed, self.extend, 16)
        self.assertEqual(8 * MIB, self.lvm.volumes['a'].size)
        self.assertEqual([], self.tags())

    @ddt.data(8, 4)
    def test_large_enough_already(self, size_mib):
        self.lvm.add('a', 8 * MIB)
        self.assertEqual(8, self.extend(size_mib))

    def test_no_space(self):
        self.lvm.add('a', 8 * MIB)
        self.assertRaises(lvm.InsufficientSpace, self.extend, 999)
        self.assertEqual([], self.tags())

    def test_origin_of_cow_snapshots(self):
        self.lvm.add('a', 8 * MIB)
        self.add_cow('s', 'a')
        self.assertEqual(16, self.extend(16))
        self.assertTrue(self.lvm.volumes['a'].active)

    def test_inactive_origin_stays_inactive(self):
        self.lvm.add('a', 8 * MIB, active=False)
        self.add_cow('s', 'a', active=False)
        self.assertEqual(16, self.extend(16))
        self.assertEqual([('a', 8 * MIB)], self.zeroed)
        self.assertFalse(self.lvm.volumes['a'].active)

    def test_origin_is_active_again_when_it_cannot_be_extended(self):
        self.lvm.add('a', 8 * MIB)
        self.add_cow('s', 'a')
        self.assertRaises(lvm.InsufficientSpace, self.extend, 999)
        self.assertTrue(self.lvm.volumes['a'].active)

    def test_origin_in_use(self):
        self.lvm.add('a', 8 * MIB, is_open=True)
        self.add_cow('s', 'a')
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.extend, 16)
        self.assertIn('detach the volume or delete its snapshots', str(error))
        self.assertTrue(self.lvm.volumes['a'].active)


@ddt.ddt
class TestInterrupted(ExtendTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(machine.work_at_once())
        self.lvm.add('a', 8 * MIB)

    def end_while_zeroing(self):
        self.fill_error = layouts.Killed()
        self.assertRaises(layouts.Killed, self.extend, 16)
        self.zeroed, self.fill_error, self.commands_left = [], None, None

    def test_at_any_moment(self):
        for commands in range(1, 9):
            self.commands_left = commands
            try:
                self.extend(16)
                break
            except layouts.Killed:
                self.commands_left = None
            self.assertEqual((8, []), (self.recover(), self.tags()))
        self.assertEqual(4, commands)
        self.commands_left = None
        self.assertEqual((16, []), (self.recover(), self.tags()))

    def test_while_zeroing(self):
        self.end_while_zeroing()
        self.assertEqual((8, [], []),
                         (self.recover(), self.tags(), self.zeroed))

    def test_extended_again_at_any_moment(self):
        self.end_while_zeroing()
        for commands in range(1, 9):
            self.zeroed, self.commands_left = [], commands
            try:
                self.extend(16)
                break
            except layouts.Killed:
                pass
        self.assertEqual([('a', 8 * MIB)], self.zeroed)
        self.assertEqual([], self.tags())

    def test_extended_further(self):
        self.end_while_zeroing()
        self.assertEqual(24, self.extend(24))
        self.assertEqual([('a', 8 * MIB), ('a', 16 * MIB)], self.zeroed)
        self.assertEqual([], self.tags())

    def test_extended_where_nothing_is_wiped_any_more(self):
        self.end_while_zeroing()
        self.wipes = False
        self.assertEqual(16, self.extend(16))
        self.assertEqual(([], []), (self.zeroed, self.tags()))

    def test_what_is_in_use_is_not_taken_back(self):
        self.end_while_zeroing()
        self.lvm.volumes['a'].is_open = True
        self.assertEqual((16, []), (self.recover(), self.tags()))
        self.assertEqual([('a', 8 * MIB)], self.zeroed)

    def test_what_is_in_use_and_is_not_wiped(self):
        self.end_while_zeroing()
        self.wipes = False
        self.lvm.volumes['a'].is_open = True
        self.assertEqual((16, []), (self.recover(), self.tags()))
        self.assertEqual([], self.zeroed)

    def recover_later(self, starts=1):
        """Return what is left to the background, of an LV in use."""
        self.end_while_zeroing()
        self.lvm.volumes['a'].is_open = True
        works = []
        with mock.patch.object(background, 'start',
                               lambda name, work: works.append(work)):
            for _ in range(starts):
                self.recover()
        return works

    def test_extended_while_it_is_completed(self):
        """What a host writes by then would be zeroed, too."""
        works = self.recover_later()
        error = self.assertRaises(lvm.LogicalVolumeInUse, self.extend, 24)
        self.assertIn('LV a is still being zeroed', str(error))
        for work in works:
            work()
        self.assertEqual(24, self.extend(24))
        self.assertEqual([('a', 8 * MIB), ('a', 16 * MIB)], self.zeroed)

    def test_start_that_is_tried_again(self):
        for work in self.recover_later(starts=2):
            work()
        self.assertEqual(([('a', 8 * MIB)], []), (self.zeroed, self.tags()))

    def test_zeroing_in_the_background_that_fails(self):
        self.end_while_zeroing()
        self.lvm.volumes['a'].is_open = True
        self.fill_error = layouts.DD_FAILED
        self.assertEqual(16, self.recover())
        self.assertIn('The extension of LV a failed and is not undone',
                      self.log.output)
        self.zeroed, self.fill_error = [], None
        self.assertEqual(16, self.extend(16))
        self.assertEqual(([('a', 8 * MIB)], []), (self.zeroed, self.tags()))

    def test_what_cannot_be_reduced_is_zeroed(self):
        self.end_while_zeroing()
        self.add_cow('s', 'a')
        self.assertEqual((16, []), (self.recover(), self.tags()))
        self.assertEqual([('a', 8 * MIB)], self.zeroed)

    def fail(self, verb):
        """Have a command do its work and fail, once."""
        run = self.lvm.run
        failures = iter([layouts.LVM_FAILED])

        def failing(*argv, timeout=None):
            answer = run(*argv, timeout=timeout)
            failure = next(failures, None) if verb in argv else None
            if failure:
                raise failure
            return answer
        self.lvm.run = failing

    def test_command_that_is_effective_and_fails(self):
        self.fail('lvextend')
        self.assertRaises(lvm.CommandOfLVMFailed, self.extend, 16)
        self.assertEqual(8 * MIB, self.lvm.volumes['a'].size)
        self.assertEqual([], self.tags())

    def test_tag_that_is_not_deleted(self):
        """Nothing would tell that the size is right, and not a rest."""
        self.fail('--deltag')
        self.assertRaises(lvm.CommandOfLVMFailed, self.extend, 16)
        self.assertEqual((8 * MIB, []),
                         (self.lvm.volumes['a'].size, self.tags()))

    def test_command_that_was_repeated(self):
        extend = self.lvm._lvextend
        self.lvm._lvextend = lambda *words: (extend(*words), extend(*words))
        self.assertEqual(16, self.extend(16))
        self.assertEqual([('a', 8 * MIB)], self.zeroed)

    def test_origin_that_is_not_active_again(self):
        """LVM cannot make it smaller; the end is zeroed the next time."""
        self.add_cow('s', 'a')
        self.fail('--activate')
        self.lvm.volumes['a'].active = True
        self.assertRaises(lvm.CommandOfLVMFailed, self.extend, 16)
        self.extend(16)
        self.assertEqual(([('a', 8 * MIB)], []), (self.zeroed, self.tags()))

    @ddt.data((8, 2052), (2049, 2048), (8, 1024))
    @ddt.unpack
    def test_size_that_is_somebody_elses(self, old, new):
        """The in-tree driver leaves the tag alone."""
        volume = self.lvm.volumes['a']
        volume.size = 2048 * MIB
        for verb in self.recover, lambda: self.extend(8):
            volume.tags.add(f'cinder.extend={old * MIB}-{new * MIB}')
            self.assertEqual((2048, []), (verb(), self.tags()))
        self.assertEqual([], self.zeroed)

    def test_rounded_up(self):
        self.lvm.volumes['a'].tags.add(
            f'cinder.extend={4 * MIB}-{7 * MIB}')
        self.assertEqual((4, []), (self.recover(), self.tags()))

    @ddt.data('cinder.extend=', 'cinder.extend=a-b', '1-2', 'extend')
    def test_tags_of_others(self, tag):
        self.lvm.volumes['a'].tags.add(tag)
        self.assertEqual((8, [tag]), (self.recover(), self.tags()))
