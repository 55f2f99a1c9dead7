# SPDX-License-Identifier: Apache-2.0
"""What the verbs on tgtd promise, on the fake daemon here.

The same cases run on the real one: ``tests/functional/tgt_on_daemon.py``.
"""

from unittest import mock

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import tgtd
from tests import base
from tests.unit.privileged import fake_tgtd

TARGET = 'iqn.2010-10.org.openstack:volume-1'
LONGER = 'iqn.2010-10.org.openstack:volume-10'
SHOUTING = 'iqn.2010-10.org.openstack:Volume-1'
HOST = 'iqn.1993-08.org.debian:01:aaaa'
OTHER_HOST = 'iqn.1993-08.org.debian:01:bbbb'
SCSI_ID = 'volume-11111111-2222-3333-4444-555555555555'
CHAP = Chap('name', 'secret123456')


class Cases:
    """Give ``self.devices``, the paths of two LVs, and ``self.door``.

    Inside of ``self.no_daemon()`` nobody listens.
    """

    def create(self, target=TARGET, device=0, chap=CHAP, initiators=(HOST,),
               write_cache=True, bsoflags='', read_only=False):
        disk = tgt.Disk(device=self.devices[device], scsi_id=SCSI_ID,
                        write_cache=write_cache, bsoflags=bsoflags,
                        read_only=read_only)
        return tgt.create_target(target_iqn=target, lld='iscsi', disk=disk,
                                 chap=chap, initiators=initiators)

    def allow(self, host=HOST):
        return tgt.allow_initiator(target_iqn=TARGET, initiator_iqn=host,
                                   chap=CHAP)

    def assert_whole(self, target=TARGET, initiators=(HOST,),
                     accounts=('name',)):
        listed = tgt.list_targets()[target]
        self.assertEqual(SCSI_ID[:36], listed.scsi_id)
        self.assertEqual(initiators, listed.initiators)
        self.assertEqual(accounts, listed.accounts)
        self.assertIsNotNone(listed.device)
        self.assertEqual('iscsi', listed.lld)
        self.assertTrue(listed.ready)
        self.assertTrue(listed.closed)

    def bind(self, entry, target=TARGET):
        """Let somebody in as tgt-admin does."""
        tgtd.ask(tgtd.Mode.TARGET, tgtd.Op.BIND,
                 tid=tgt_report.targets()[target].tid, parameters=entry)

    def account(self, name, target=TARGET):
        """Add an account as tgt-admin does."""
        tid = tgt_report.targets()[target].tid
        tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.NEW,
                 parameters=f'user={name},password=other')
        tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.BIND, tid=tid,
                 parameters=f'user={name}')

    def test_create_and_delete(self):
        tid = self.create()
        self.assert_whole()
        self.assertEqual(tid, tgt_report.targets()[TARGET].tid)
        tgt.delete_target(TARGET)
        tgt.delete_target(TARGET)
        self.assertEqual({}, tgt.list_targets())
        # Its number and its account are free again.
        self.assertEqual(tid, self.create())

    def test_delete_spares_what_serves_another_device(self):
        self.create()
        for device in self.devices[1], '/dev/vg/gone':
            tgt.delete_target(TARGET, device)
            self.assert_whole()
        for _ in range(2):
            tgt.delete_target(TARGET, self.devices[0])
            self.assertEqual({}, tgt.list_targets())

    def test_create_again_changes_nothing(self):
        tid = self.create()
        self.door.steps.clear()
        self.assertEqual(tid, self.create())
        self.assertEqual([], self.door.steps)

    def test_disk(self):
        self.create(write_cache=False, bsoflags='sync:direct',
                    read_only=True)
        lun = tgt_report.targets()[TARGET].lun
        self.assertEqual(
            tgt_report.Lun(self.devices[0], SCSI_ID[:36], 'sync:direct',
                           True), lun)
        tgt.resize_target(TARGET, False)
        self.assertEqual(lun, tgt_report.targets()[TARGET].lun)
        self.create(read_only=False)
        self.assertFalse(tgt_report.targets()[TARGET].lun.read_only)

    def test_a_name_that_begins_like_another(self):
        self.create(LONGER, device=1, chap=Chap('longer', 'secret'))
        tgt.delete_target(TARGET)
        self.create()
        tgt.deny_all_initiators(TARGET)
        self.assert_whole(LONGER, accounts=('longer',))
        tgt.delete_target(TARGET)
        self.assert_whole(LONGER, accounts=('longer',))

    def test_the_case_of_targets(self):
        self.create()
        self.create(SHOUTING, device=1, chap=Chap('shouting', 'secret'))
        self.assert_whole(SHOUTING, accounts=('shouting',))
        tgt.deny_all_initiators(SHOUTING)
        tgt.delete_target(SHOUTING)
        self.assertEqual([TARGET], list(tgt.list_targets()))
        self.assert_whole()

    def test_a_target_with_an_underscore(self):
        self.assertRaises(errors.InvalidArgument, self.create, f'{TARGET}_2')
        error = self.assertRaises(
            errors.TargetDaemonRefused, tgtd.ask, tgtd.Mode.TARGET,
            tgtd.Op.NEW, tid=7, parameters=f'targetname={TARGET}_2')
        self.assertEqual(tgtd.Refusal.INVALID_REQUEST, error.code)

    def test_initiators(self):
        self.create(initiators=())
        self.allow()
        self.assertEqual(self.devices[0], self.allow(OTHER_HOST))
        self.assert_whole(initiators=(HOST, OTHER_HOST))
        tgt.deny_initiator(TARGET, HOST)
        tgt.deny_initiator(TARGET, HOST)
        self.assert_whole(initiators=(OTHER_HOST,))
        self.allow()
        tgt.deny_all_initiators(TARGET)
        self.assert_whole(initiators=())

    def test_the_case_of_names(self):
        self.create(initiators=())
        names = (HOST.replace('debian', 'Debian'), HOST.upper(), HOST)
        for name in names:
            self.allow(name)
        self.assert_whole(initiators=names)
        tgt.deny_initiator(TARGET, HOST)
        self.assert_whole(initiators=())

    def test_a_target_that_is_open_to_all_is_closed(self):
        self.create()
        self.bind('initiator-address=ALL')
        self.assertFalse(tgt.list_targets()[TARGET].closed)
        self.create()
        self.assert_whole()

    def test_the_address_of_nobody_may_stay(self):
        self.create()
        self.bind('initiator-address=255.255.255.255')
        self.door.steps.clear()
        self.create()
        self.assertEqual([], self.door.steps)
        self.assert_whole()

    def test_another_account(self):
        self.create(initiators=(HOST, OTHER_HOST))
        for name in 'one', 'two':
            self.account(name)
        self.create(initiators=(), chap=Chap('new', 'secret'))
        self.assert_whole(initiators=(HOST, OTHER_HOST), accounts=('new',))
        tgt.delete_target(TARGET)
        for name in 'one', 'two', 'name', 'new':
            error = self.assertRaises(
                errors.TargetDaemonRefused, tgtd.ask, tgtd.Mode.ACCOUNT,
                tgtd.Op.DELETE, parameters=f'user={name}')
            self.assertEqual(tgtd.Refusal.NO_USER, error.code)

    def test_the_account_of_another_target(self):
        self.create(LONGER, device=1)
        self.assertRaises(errors.InvalidArgument, self.create)
        self.assertEqual([LONGER], list(tgt.list_targets()))
        self.assert_whole(LONGER)

    def test_no_such_target(self):
        self.assertRaises(errors.TargetNotFound, self.allow)
        tgt.deny_initiator(TARGET, HOST)
        tgt.deny_all_initiators(TARGET)
        tgt.resize_target(TARGET, True)

    def test_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(self.create):
            for listed in tgt.list_targets().values():
                # Nobody gets in before it is whole.
                if listed.initiators:
                    self.assertIsNone(died)
            self.create()
            self.assert_whole()
            tgt.delete_target(TARGET)
            self.assertEqual({}, tgt.list_targets(), died)

    def test_deleted_after_being_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(
                lambda: self.create(initiators=())):
            self.assertTrue(all(listed.unused for listed
                                in tgt.list_targets().values()), died)
            tgt.delete_target(TARGET, username=CHAP.username)
            self.assertEqual({}, tgt.list_targets(), died)
            self.assertNotIn(CHAP.username, self.accounts(), died)

    def test_used(self):
        self.create()
        self.assertFalse(tgt.list_targets()[TARGET].unused)
        tgt.deny_initiator(TARGET, HOST)
        self.assertTrue(tgt.list_targets()[TARGET].unused)
        self.bind('initiator-address=ALL')
        self.assertFalse(tgt.list_targets()[TARGET].unused)

    def test_account_of_another_target(self):
        self.create()
        tgt.delete_target(LONGER, username=CHAP.username)
        self.assert_whole()

    def accounts(self):
        """Return the text in which tgtd lists all accounts."""
        return tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.SHOW)

    def test_killed_at_each_step_of_delete(self):
        self.create()
        for died in self.kill_at_each_step(
                lambda: tgt.delete_target(TARGET)):
            listed = tgt.list_targets().get(TARGET)
            if listed and listed.initiators:
                self.assertTrue(listed.closed, died)
            self.create()
            self.assert_whole()

    def test_killed_at_each_step_of_resize(self):
        self.create()
        for died in self.kill_at_each_step(
                lambda: tgt.resize_target(TARGET, True)):
            listed = tgt.list_targets()[TARGET]
            # Without its disk it would answer I/O with errors.
            self.assertFalse(listed.ready and listed.device is None,
                             died)
            self.create()
            self.assert_whole()

    def test_killed_at_each_step_of_a_new_account(self):
        self.create()
        for number, died in enumerate(self.kill_at_each_step(
                lambda: self.create(chap=Chap('new', 'secret')))):
            listed = tgt.list_targets()[TARGET]
            self.assertTrue(listed.closed or not listed.initiators,
                            died)
            self.create(chap=Chap(f'again{number}', 'secret'))
            self.assert_whole(accounts=(f'again{number}',))

    def kill_at_each_step(self, verb):
        """Call a verb until it ends, dying one step later each time."""
        for steps in range(100):
            self.door.steps_left = steps
            try:
                verb()
            except fake_tgtd.Killed as died:
                self.door.steps_left = None
                yield died.args
            else:
                self.door.steps_left = None
                self.assertGreater(steps, 2)
                yield None
                return
        self.fail('the verb does not end')

    def test_another_device(self):
        self.create()
        self.create(device=1)
        self.assert_whole()
        self.assertEqual(self.devices[1],
                         tgt.list_targets()[TARGET].path)

    def test_portals(self):
        portal = Portal('127.0.0.1', 3298)
        self.assertEqual((), tgt.ensure_portals([portal, portal]))
        self.door.steps.clear()
        self.assertEqual((), tgt.ensure_portals([portal]))
        self.assertEqual([], self.door.steps)
        self.assertIn(portal, tgt_report.portals())
        refused, = tgt.ensure_portals([Portal('192.0.2.1', 3298)])
        self.assertEqual('192.0.2.1:3298', refused.portal)
        self.assertTrue(refused.reason)

    def test_daemon(self):
        self.assertEqual('ready', tgt.describe_daemon()['iscsi'])

    def test_no_daemon(self):
        with self.no_daemon():
            for verb in (tgt.describe_daemon, self.create,
                         lambda: tgt.delete_target(TARGET),
                         lambda: tgt.deny_all_initiators(TARGET),
                         lambda: tgt.deny_initiator(TARGET, HOST)):
                self.assertRaises(errors.TargetDaemonNotRunning, verb)


class TestOnFake(Cases, base.TestCase):

    def setUp(self):
        super().setUp()
        fixture = self.useFixture(fake_tgtd.FakeDaemon())
        fixture.daemon.refused_portals = {'192.0.2.1:3298'}
        self.daemon = fixture.daemon
        self.door = fixture.door
        self.devices = ['/dev/vg/volume-1', '/dev/vg/volume-2']

    def no_daemon(self):
        return mock.patch.object(
            self.daemon, 'answer', FileNotFoundError(2, 'No such file'))
