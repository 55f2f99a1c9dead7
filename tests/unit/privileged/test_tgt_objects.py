# SPDX-License-Identifier: Apache-2.0
"""What tests/contract/test_tgt.py cannot ask of a real daemon."""

import ddt

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged.listening import Refused
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import tgt_report
from tests.unit.privileged import fake_tgtd

Mode, Op, Refusal = fake_tgtd.Mode, fake_tgtd.Op, fake_tgtd.Refusal


@ddt.ddt
class TestTargets(fake_tgtd.TgtTestCase):

    def test_the_same_number_each_time(self):
        tid = self.create()
        self.assertTrue(0 < tid <= 1 << 24)
        tgt.delete_target(self.TARGET)
        self.assertEqual(tid, self.create())

    def test_a_number_that_is_taken(self):
        tid = self.create()
        tgt.delete_target(self.TARGET)
        self.daemon.targets[tid] = fake_tgtd.Target(tid, 'iqn.x:y', 'iscsi')
        self.assertEqual(tid + 1, self.create())

    def test_many_numbers_that_are_taken(self):
        tid = self.create()
        tgt.delete_target(self.TARGET)
        for taken in range(tid, tid + 8):
            self.daemon.targets[taken] = fake_tgtd.Target(
                taken, f'iqn.x:{taken}', 'iscsi')
        self.assertEqual(tid + 8, self.create())

    def test_sessions_end_before_the_target(self):
        self.create(initiators=[self.HOST])
        self.daemon.log_in(self.TARGET, self.HOST)
        tgt.delete_target(self.TARGET)
        self.assertEqual({}, self.daemon.targets)
        self.assertEqual({}, self.daemon.accounts)

    def test_io_that_ends(self):
        self.create(initiators=[self.HOST])
        self.daemon.log_in(self.TARGET, self.HOST)
        self.daemon.in_flight = 5
        tgt.delete_target(self.TARGET)
        self.assertEqual({}, self.daemon.targets)

    def test_io_that_does_not_end(self):
        self.create(initiators=[self.HOST])
        self.daemon.log_in(self.TARGET, self.HOST)
        self.daemon.in_flight = 1000
        error = self.assertRaises(errors.TargetBusy, tgt.delete_target,
                                  self.TARGET)
        self.assertIn('still has I/O in flight after 30', str(error))
        self.assertEqual([], self.fake().acl)
        # Once each, as its descriptor may be another's by then.
        self.assertEqual(1, len([
            step for step in self.door.steps if step.mode == Mode.CONN]))

    def test_target_that_is_refused_for_long(self):
        self.create()
        self.daemon.refuses = {(Op.DELETE, Mode.TARGET):
                               Refusal.TARGET_ACTIVE}
        self.assertRaises(errors.TargetBusy, tgt.delete_target, self.TARGET)
        self.daemon.refuses = {(Op.DELETE, Mode.TARGET): 1}
        self.assertRaises(errors.TargetDaemonRefused, tgt.delete_target,
                          self.TARGET)


class TestDisk(fake_tgtd.TgtTestCase):

    def test_write_through(self):
        self.create(write_cache=False)
        self.assertTrue(self.fake().luns[1].mode_page.startswith('8:0:18:'))

    def test_one_question_sets_all(self):
        self.create(write_cache=False)
        update, = (step for step in self.door.steps
                   if (step.mode, step.op) == (Mode.LOGICALUNIT, Op.UPDATE))
        self.assertEqual({'scsi_id', 'scsi_sn', 'readonly', 'mode_page'},
                         set(update.values))

    def test_failure_that_is_not_the_device(self):
        self.daemon.refuses = {(Op.NEW, Mode.LOGICALUNIT): 2}
        error = self.assertRaises(errors.TargetDaemonRefused, self.create)
        self.assertIn('out of memory', str(error))
        self.assertEqual({}, self.daemon.targets)


@ddt.ddt
class TestUndo(fake_tgtd.TgtTestCase):

    @ddt.data((Op.NEW, Mode.LOGICALUNIT), (Op.UPDATE, Mode.LOGICALUNIT),
              (Op.NEW, Mode.ACCOUNT), (Op.BIND, Mode.ACCOUNT),
              (Op.BIND, Mode.TARGET))
    def test_nothing_is_left(self, refused):
        self.daemon.refuses = {refused: 1}
        self.assertRaises(errors.TargetDaemonRefused, self.create,
                          initiators=[self.HOST])
        self.assertEqual(({}, {}),
                         (self.daemon.targets, self.daemon.accounts))

    def test_what_cannot_be_undone_is_logged(self):
        self.daemon.refuses = {(Op.NEW, Mode.ACCOUNT): 1,
                               (Op.DELETE, Mode.TARGET): 1}
        error = self.assertRaises(errors.TargetDaemonRefused, self.create)
        self.assertEqual('new account', error.action)
        self.assertIn('While undoing what could not be completed: tgtd '
                      "refuses 'delete target'", self.log.output)


class TestAccounts(fake_tgtd.TgtTestCase):

    def test_a_stale_account_gets_the_secret(self):
        self.daemon.accounts['name'] = 'stale'
        self.create()
        self.assertEqual({'name': 'secret123456'}, self.daemon.accounts)

    def test_an_account_that_another_target_has_as_well(self):
        self.create()
        self.create(self.OTHER, chap=Chap('other', 'secret'))
        self.fake(self.OTHER).accounts.append('name')
        tgt.delete_target(self.TARGET)
        self.assertIn('name', self.daemon.accounts)
        self.assertEqual(['other', 'name'], self.fake(self.OTHER).accounts)


class TestIser(fake_tgtd.TgtTestCase):
    """Over iSER the name and the address of a host have to be in the list."""

    def create(self, **kwargs):
        return super().create(lld='iser', **kwargs)

    def assert_closed(self):
        self.assertTrue(self.listed().closed)
        self.assertRaises(AssertionError, self.daemon.log_in, self.TARGET,
                          self.OTHER_HOST)

    def test_by_name_alone(self):
        self.create()
        self.assert_closed()
        tgt.allow_initiator(target_iqn=self.TARGET, initiator_iqn=self.HOST,
                            chap=self.CHAP)
        self.assert_closed()
        self.daemon.log_in(self.TARGET, self.HOST)
        self.door.steps.clear()
        self.create(initiators=[self.HOST])
        self.assertEqual([], self.door.steps)
        tgt.deny_all_initiators(self.TARGET)
        self.create(initiators=[self.HOST])
        self.daemon.log_in(self.TARGET, self.HOST)

    def test_target_that_lets_nobody_in(self):
        """As it was made before the driver knew."""
        self.create(initiators=[self.HOST])
        self.fake().acl.remove('ALL')
        self.assertFalse(self.listed().closed)
        self.create()
        self.assert_closed()
        self.daemon.log_in(self.TARGET, self.HOST)

    def test_new_account(self):
        self.create(initiators=[self.HOST])
        self.create(chap=Chap('new', 'secret'))
        self.assertEqual({'ALL', self.HOST}, set(self.fake().acl))


class TestPortals(fake_tgtd.TgtTestCase):

    def test_wildcards(self):
        self.assertEqual((), tgt_objects.ensure_portals(
            [Portal('10.0.0.1', 3260), Portal('2001:db8::1', 3260)]))
        self.assertEqual([], self.door.steps)

    def test_missing(self):
        self.assertEqual((), tgt_objects.ensure_portals(
            [Portal('10.0.0.1', 3261), Portal('2001:db8::1', 3261)]))
        self.assertEqual({'10.0.0.1:3261', '[2001:db8::1]:3261'},
                         set(self.daemon.portals[2:]))
        self.assertIn(Portal('2001:db8::1', 3261), tgt_report.portals())

    def test_refused(self):
        self.daemon.refused_portals = {'10.0.0.1:3261'}
        self.assertEqual(
            (Refused('10.0.0.1:3261', 'Address in use'),),
            tgt_objects.ensure_portals([Portal('10.0.0.1', 3261)]))
