# SPDX-License-Identifier: Apache-2.0
"""Which way a revert goes, and the cases of both ways."""

import contextlib

from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm
from tests.fakes import layouts
from tests.fakes import machine

MIB = layouts.MIB


class RevertTestCase(layouts.LayoutTestCase):

    layout_class = thick.Thick

    def setUp(self):
        super().setUp()
        self.useFixture(machine.work_at_once())
        self.build()
        self.reverts = revert.Reverts(self.vg)
        self.before = self.state()
        self.deleted = []

    def state(self):
        return {name: (volume.content, volume.size, volume.active)
                for name, volume in self.lvm.volumes.items()}

    def is_wanted(self, snapshot_name):
        return snapshot_name not in self.deleted

    def revert(self):
        self.revert_to('s2')

    def revert_to(self, snapshot_name, volume_name='v'):
        self.reverts.revert(self.vg.get_volumes(), volume_name, snapshot_name)

    def recover(self):
        """Start the service again."""
        self.reverts = revert.Reverts(self.vg)
        self.reverts.recover(self.vg.get_volumes(), self.is_wanted)

    def assert_reverted(self):
        expected = dict(self.before)
        expected['v'] = 'two', *self.before['v'][1:]
        self.assertEqual(expected, self.state())
        self.assertEqual([], self.tags())


class Cases:
    """What holds for thin and thick volumes."""

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
            self.recover()
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
        self.recover()
        self.assertEqual(self.before, self.state())


class TestChoice(RevertTestCase):

    def build(self):
        self.lvm.add('v', 16 * MIB)
        self.add_cow('s1', 'v')

    def test_snapshot_of_another_volume(self):
        self.lvm.add('w', 16 * MIB)
        self.assertRaises(NotImplementedError, self.revert_to, 's1', 'w')

    def test_thin_snapshot(self):
        self.add_thin_pool()
        self.add_thin('t')
        error = self.assertRaises(NotImplementedError, self.revert_to, 't')
        self.assertIn('LV t (thin)', str(error))

    def test_lv_that_is_not_there(self):
        for names in ('x', 'v'), ('s1', 'x'):
            error = self.assertRaises(lvm.LogicalVolumeNotFound,
                                      self.revert_to, *names)
            self.assertIn('LV x was not found', str(error))
        self.assertEqual(self.before, self.state())
