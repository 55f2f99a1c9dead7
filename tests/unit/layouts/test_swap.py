# SPDX-License-Identifier: Apache-2.0
"""Reverts of thin volumes, also those that a crash interrupts."""

from unittest import mock

from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import process
from tests.fakes import layouts
from tests.unit.layouts import test_revert


class TestSwap(test_revert.Cases, test_revert.RevertTestCase):

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
        self.assertIn('removes them at its next start', self.log.output)
        self.lvm._lvremove = remove
        del self.lvm.volumes['x']
        doomed, = filter(naming.is_doomed, self.names())
        # Whatever becomes of the volume by then, it is not that one again.
        self.recover()
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
