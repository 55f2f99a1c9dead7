# SPDX-License-Identifier: Apache-2.0
"""The devices of LVs, against LVM and the kernel."""

from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import activation
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver import process
from tests import base
from tests.fakes import lvm as fake_lvm
from tests.unit.lvm import test_vg


class TestPoolsThatAreHalfActive(test_vg.CommandTestCase):

    ACTIVATE = ('lvchange', '--yes', '--activate', 'y',
                '--ignoreactivationskip', 'vg/pool')

    def test_parts_are_deactivated(self):
        self.runner.expect(
            *test_vg.ENVIRONMENT, self.ACTIVATE[0], *test_vg.DEVICES,
            '--config', 'backup{archive=0}', *self.ACTIVATE[1:],
            error=process.CommandFailed(
                self.ACTIVATE, 5, '', 'Activation of logical volume vg/pool '
                'is prohibited while logical volume vg/pool_tmeta is active'))
        for part in 'vg/pool_tmeta', 'vg/pool_tdata':
            self.runner.expect(
                *test_vg.ENVIRONMENT, 'lvchange', *test_vg.DEVICES, '--config',
                f'{activation.RETRY} backup{{archive=0}}',
                '--activate', 'n', part)
        self.expect(*self.ACTIVATE)
        self.vg.activate_pool('pool')


@ddt.ddt
class TestBringUp(base.TestCase):

    def bring_up(self, **facts):
        """Bring an LV up, and return the programs that it took."""
        self.lvm = fake_lvm.FakeLVM('vg')
        self.lvm.add('a', **facts)
        vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        vg.find_volume('a')
        with mock.patch.object(self.lvm, 'run', wraps=self.lvm.run) as run:
            vg.bring_up('a')
        return [fake_lvm.parse(call.args)[0] for call in run.call_args_list]

    @ddt.data(({}, ['lvs']), ({'active': False}, ['lvs', 'lvchange']),
              ({'reported': {'lv_health_status': 'partial'}},
               ['lvs', 'lvchange']))
    @ddt.unpack
    def test_bring_up(self, facts, programs):
        """LVM activates what is partial if it is redundant."""
        self.assertEqual(programs, self.bring_up(**facts))
        self.assertTrue(self.lvm.volumes['a'].active)

    @ddt.data([True], [True, False])
    def test_disk_that_came_back_under_another_name(self, is_lost):
        """What LVM says of other LVs does not matter."""
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'is_on_lost_disk', side_effect=is_lost))
        if len(is_lost) == 1:
            self.assertEqual(['lvs', 'lvchange'], self.bring_up())
            return
        with mock.patch.object(lvm.LVM, 'follow_disks',
                               side_effect=lvm.CommandOfLVMFailed('busy')):
            self.assertEqual(['lvs'], self.bring_up())

    def test_disk_that_is_gone(self):
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'is_on_lost_disk', return_value=True))
        with mock.patch.object(lvm.LVM, 'follow_disks',
                               side_effect=lvm.CommandOfLVMFailed('gone')):
            self.assertRaises(lvm.CommandOfLVMFailed, self.bring_up)

    @ddt.data({'is_suspended': True}, {'segtype': 'thin-pool'})
    def test_what_is_not_brought_up(self, facts):
        self.assertRaises(lvm.LVMError, self.bring_up, active=False, **facts)
        self.assertFalse(self.lvm.volumes['a'].active)


class TestUnfinished(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        for name in 'a', 'b', 'a_tdata':
            self.lvm.add(name)
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        self.names = ['vg-a', 'vg-b']
        self.asked = None
        self.loaded = ['vg-b']
        self.clear = mock.Mock(side_effect=lambda _lock, names: names)
        for owner, name, value in (
                (kernel, 'devices_of', lambda vg_name: self.names),
                (kernel_thin, 'find_loaded', self.find_loaded),
                (kernel_thin, 'clear', self.clear),
                (self.vg, 'lock_file', lambda: '/run/lock/lvm/V_vg')):
            self.useFixture(fixtures.MockPatchObject(owner, name, value))

    def find_loaded(self, names):
        self.asked = names
        return self.loaded

    def test_devices_of_lvs(self):
        """A merging snapshot is hidden; its volume is not."""
        self.lvm.volumes['b'].reported['lv_merging'] = 'merging'
        self.names = ['vg-a', 'vg-a-real', 'vg-a_tdata', 'vg-a_tmeta',
                      'vg-a_rimage_12', 'vg-a-tpool', 'vg-b', 'vg-b-real',
                      'vg-_snapshot', 'vg-_snapshot-cow']
        self.vg.discard_unfinished(self.vg.get_volumes())
        self.assertEqual(self.names[:6], self.asked)

    def test_table_is_discarded(self):
        with self.assertLogs(activation.LOG, 'WARNING') as logged:
            self.vg.discard_unfinished(self.vg.get_volumes())
        self.clear.assert_called_once_with('/run/lock/lvm/V_vg', ['vg-b'])
        self.assertIn('table of device vg-b', logged.output[0])

    def test_nothing_is_loaded(self):
        self.loaded = []
        self.vg.discard_unfinished(self.vg.get_volumes())
        self.names = []
        self.loaded = AssertionError
        self.vg.discard_unfinished(self.vg.get_volumes())
        self.clear.assert_not_called()


class TestNodes(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        for name in 'a', 'b':
            self.lvm.add(name)
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        self.vg.find_volume('a')
        # Paths that lead elsewhere.
        self.wrong = set()
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'why_not_lv',
            lambda path: 'leads elsewhere' if path in self.wrong else None))
        self.run = self.useFixture(fixtures.MockPatchObject(
            self.lvm, 'run', wraps=self.lvm.run)).mock

    def programs(self):
        return [fake_lvm.parse(call.args)[0]
                for call in self.run.call_args_list]

    def create_nodes(self, options, words):
        self.words = words
        self.wrong.clear()

    def test_nodes_that_are_right(self):
        self.vg.ensure_nodes('a', 'b')
        self.assertEqual([], self.programs())

    def test_nodes_that_lead_elsewhere(self):
        for path in '/dev/vg/b', '/dev/mapper/vg-b':
            self.wrong.add(path)
            self.useFixture(fixtures.MockPatchObject(
                self.lvm, '_vgmknodes', self.create_nodes))
            self.vg.ensure_nodes('a', 'b')
            self.assertEqual(['vg/b'], self.words)

    def test_nodes_of_an_lv_that_is_brought_up(self):
        self.useFixture(fixtures.MockPatchObject(
            self.lvm, '_vgmknodes', self.create_nodes))
        self.wrong.add('/dev/vg/a')
        self.vg.bring_up('a')
        self.wrong.add('/dev/vg/a')
        self.vg.activate_lv('a')
        self.assertEqual(['lvs', 'vgmknodes', 'lvchange', 'vgmknodes'],
                         self.programs())

    def test_nodes_that_cannot_be_created(self):
        self.wrong.add('/dev/vg/a')
        error = self.assertRaises(lvm.errors.DeviceNodeWrong,
                                  self.vg.ensure_nodes, 'a')
        self.assertIn('/dev/vg/a does not lead to the device of its LV',
                      str(error))
