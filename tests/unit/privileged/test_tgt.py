# SPDX-License-Identifier: Apache-2.0
"""What tests/contract/test_tgt.py cannot ask of a real daemon."""

from unittest import mock

import ddt

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.privileged import verbs
from tests.unit.privileged import fake_tgtd

TARGET = fake_tgtd.TgtTestCase.TARGET
HOST = fake_tgtd.TgtTestCase.HOST
CHAP = fake_tgtd.TgtTestCase.CHAP
Mode, Op = fake_tgtd.Mode, fake_tgtd.Op


@ddt.ddt
class TestRefusals(fake_tgtd.TgtTestCase):

    def test_only_the_verbs_can_be_called(self):
        self.assertEqual(
            {'describe_daemon', 'ensure_portals', 'create_target',
             'allow_initiator', 'deny_initiator', 'deny_all_initiators',
             'delete_target', 'resize_target', 'list_targets'},
            {name for name, found in vars(tgt).items()
             if verbs.context.is_entrypoint(found)})

    @ddt.data({'target': 'iqn.2010-10.org.x:y,force=1'}, {'lld': 'bsg'},
              {'device': '/dev/../etc/passwd'}, {'scsi_id': 'a,readonly=0'},
              {'bsoflags': 'sync,bstype=sg'},
              {'chap': Chap('a,password=b', 'secret')},
              {'chap': Chap('name', 'sec$(ret')},
              {'chap': Chap('name', 'sec\nret')},
              {'chap': Chap('', 'secret')}, {'initiators': ['ALL']},
              {'initiators': ['iqn.2010-10.org.x:y\n']})
    def test_create(self, arguments):
        error = self.assertRaises(errors.InvalidArgument,
                                  self.create, **arguments)
        self.assertNotIn('ret', str(error).partition('secret')[2])
        self.assertEqual([], self.door.steps)

    @ddt.data(('x', HOST, CHAP), (TARGET, 'ALL', CHAP),
              (TARGET, HOST, Chap('a,b', 'secret')))
    @ddt.unpack
    def test_allow(self, target_iqn, initiator_iqn, chap):
        self.create()
        self.door.steps.clear()
        self.assertRaises(
            errors.InvalidArgument, tgt.allow_initiator, chap=chap,
            target_iqn=target_iqn, initiator_iqn=initiator_iqn)
        self.assertEqual([], self.door.steps)

    @ddt.data((tgt.deny_initiator, TARGET, 'ALL'),
              (tgt.deny_initiator, 'x', HOST),
              (tgt.deny_all_initiators, 'x'), (tgt.delete_target, 'x'),
              (tgt.resize_target, 'x', True),
              (tgt.ensure_portals, [Portal('10.0.0.1,portal=x', 1)]))
    @ddt.unpack
    def test_others(self, verb, *arguments):
        self.create()
        self.door.steps.clear()
        self.assertRaises(errors.InvalidArgument, verb, *arguments)
        self.assertEqual([], self.door.steps)


class TestAnotherDevice(fake_tgtd.TgtTestCase):

    def test_in_use(self):
        self.create(initiators=[HOST])
        self.daemon.log_in(TARGET, HOST)
        error = self.assertRaises(errors.TargetInUse, self.create,
                                  device=self.OTHER_DEVICE)
        self.assertIn('/dev/vg/volume-1 over iscsi', str(error))
        self.assertEqual(self.DEVICE, self.fake().luns[1].path)

    def test_the_same_by_another_path(self):
        self.create(initiators=[HOST])
        self.daemon.log_in(TARGET, HOST)
        self.daemon.devices['/dev/mapper/vg-volume--1'] = '253:1'
        self.create(device='/dev/mapper/vg-volume--1')
        self.assertEqual(self.DEVICE, self.fake().luns[1].path)

    def test_one_that_is_gone(self):
        self.create()
        del self.daemon.devices[self.DEVICE]
        self.assertIsNone(self.listed().device)
        self.create(device=self.OTHER_DEVICE)
        self.assertEqual('253:2', self.listed().device)

    def test_another_transport(self):
        self.create()
        self.create(lld='iser')
        self.assertEqual('iser', self.fake().lld)


class TestAccess(fake_tgtd.TgtTestCase):

    def setUp(self):
        super().setUp()
        self.create(initiators=[self.HOST, self.OTHER_HOST])
        for host in self.HOST, self.OTHER_HOST:
            self.daemon.log_in(TARGET, host)

    def hosts(self):
        return [name for name, _ in self.fake().sessions.values()]

    def test_deny_one(self):
        tgt.deny_initiator(TARGET, HOST)
        self.assertEqual([self.OTHER_HOST], self.hosts())
        self.assertEqual([self.OTHER_HOST], self.fake().acl)

    def test_deny_all(self):
        self.fake().acl.append('ALL')
        tgt.deny_all_initiators(TARGET)
        self.assertEqual([], self.hosts())
        self.assertEqual([], self.fake().acl)

    def test_deny_with_io_in_flight(self):
        self.daemon.in_flight = 1000
        self.assertRaises(errors.TargetBusy, tgt.deny_initiator, TARGET,
                          HOST)
        self.assertEqual([self.OTHER_HOST], self.fake().acl)

    def test_a_target_without_its_disk(self):
        self.fake().luns.clear()
        self.assertRaises(
            errors.TargetNotFound, tgt.allow_initiator, target_iqn=TARGET,
            initiator_iqn=HOST, chap=CHAP)


class TestResize(fake_tgtd.TgtTestCase):

    def setUp(self):
        super().setUp()
        self.create(initiators=[HOST], bsoflags='sync', read_only=True)
        self.daemon.log_in(TARGET, HOST)
        self.before = dict(vars(self.fake().luns[1]))
        self.daemon.sizes[self.DEVICE] = 2
        self.door.steps.clear()

    def assert_ready(self, **changes):
        self.assertEqual({**self.before, **changes},
                         vars(self.fake().luns[1]))
        self.assertEqual('ready', self.fake().state)

    def test_order(self):
        """No I/O meets a target without its disk."""
        tgt.resize_target(TARGET, True)
        self.assertEqual(
            [(Mode.TARGET, Op.UPDATE), (Mode.CONN, Op.DELETE),
             (Mode.LOGICALUNIT, Op.DELETE), (Mode.LOGICALUNIT, Op.NEW),
             (Mode.LOGICALUNIT, Op.UPDATE), (Mode.TARGET, Op.UPDATE)],
            [(step.mode, step.op) for step in self.door.steps])
        self.assert_ready(size_seen=2)

    def test_io_that_ends(self):
        self.daemon.in_flight = 3
        tgt.resize_target(TARGET, True)
        self.assert_ready(size_seen=2)

    def test_io_that_does_not_end(self):
        self.daemon.in_flight = 1000
        self.assertRaises(errors.TargetBusy, tgt.resize_target, TARGET, True)
        self.assert_ready()

    def test_a_device_that_is_gone(self):
        del self.daemon.devices[self.DEVICE]
        self.assertRaises(errors.DeviceNotUsable, tgt.resize_target, TARGET,
                          True)
        self.assert_ready()

    def test_a_device_that_cannot_be_opened_again(self):
        self.daemon.refuses = {(Op.NEW, Mode.LOGICALUNIT): 17}
        self.assertRaises(errors.DeviceNotUsable, tgt.resize_target, TARGET,
                          True)
        # Initiators come again, until it is completed.
        self.assertEqual('offline', self.fake().state)
        self.daemon.refuses = {}
        # Another extension must not pass for one that they see.
        self.assertRaises(errors.TargetNotFound, tgt.resize_target, TARGET,
                          True)
        self.create(initiators=[HOST], bsoflags='sync', read_only=True)
        self.assert_ready(size_seen=2)


class TestDaemonThatHangsUp(fake_tgtd.TgtTestCase):
    """One answer is lost, before or after tgtd has done its part."""

    def hang_up(self, number, when_done):
        """Lose the answer to a change, counted from 0."""
        left = [number]

        def exchange(packet, timeout):
            question = fake_tgtd.Question.unpack(packet)
            if question.op == Op.SHOW:
                return self.daemon.exchange(packet, timeout)
            left[0] -= 1
            if left[0] == -1 and not when_done:
                raise ConnectionResetError
            answer = self.daemon.exchange(packet, timeout)
            if left[0] == -1:
                raise ConnectionResetError
            return answer

        return mock.patch.object(tgtd, '_exchange', exchange)

    def each(self, verb, before):
        """Call a verb until no answer is lost; yield after each failure."""
        for when_done in False, True:
            for number in range(20):
                before()
                try:
                    with self.hang_up(number, when_done):
                        verb()
                except errors.TargetDaemonSilent:
                    yield
                else:
                    self.assertGreater(number, 3)
                    break

    def clear(self):
        self.daemon.targets.clear()
        self.daemon.accounts.clear()

    def test_create(self):
        for _ in self.each(lambda: self.create(initiators=[HOST]),
                           self.clear):
            self.assertEqual(({}, {}),
                             (self.daemon.targets, self.daemon.accounts))

    def test_resize(self):
        def make():
            self.clear()
            self.create(initiators=[HOST])

        for _ in self.each(lambda: tgt.resize_target(TARGET, True), make):
            self.assertEqual(([1], 'ready'),
                             (list(self.fake().luns), self.fake().state))


@ddt.ddt
class TestDaemonThatIsDown(fake_tgtd.TgtTestCase):

    @ddt.data((tgt.describe_daemon,), (tgt.list_targets,),
              (tgt.delete_target, TARGET), (tgt.deny_all_initiators, TARGET),
              (tgt.resize_target, TARGET, True),
              (tgt.deny_initiator, TARGET, HOST),
              (tgt.ensure_portals, [Portal('10.0.0.1', 1)]))
    @ddt.unpack
    def test_verbs(self, verb, *arguments):
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        error = self.assertRaises(errors.TargetDaemonNotRunning, verb,
                                  *arguments)
        self.assertIn('systemctl start tgt', str(error))

    def test_allow(self):
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        self.assertRaises(
            errors.TargetDaemonNotRunning, tgt.allow_initiator,
            target_iqn=TARGET, initiator_iqn=HOST, chap=CHAP)
