# SPDX-License-Identifier: Apache-2.0
"""A daemon that answers like tgtd, as far as we ask it.

tests/contract/test_tgt.py holds it to the real one.
"""

import dataclasses
import re
from unittest import mock

import fixtures

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import tgtd
from tests import base
from tests.unit.privileged import fake_devices

Mode, Op, Refusal = tgtd.Mode, tgtd.Op, tgtd.Refusal


class Killed(BaseException):
    """The process has ended here, with all it had still to do."""


class Refused(Exception):
    """The daemon says no."""


@dataclasses.dataclass
class Question:
    mode: Mode
    op: Op
    lld: str
    tid: int
    sid: int
    lun: int
    text: str

    @classmethod
    def unpack(cls, packet):
        (mode, op, lld, length, tid, sid, lun,
         *_) = tgtd.REQUEST.unpack_from(packet)
        text = packet[tgtd.REQUEST.size:]
        if length != len(packet) or text[-1:] not in (b'', b'\0'):
            raise AssertionError('not a question of tgtadm')
        return cls(Mode(mode), Op(op), lld.rstrip(b'\0').decode(), tid, sid,
                   lun, text[:-1].decode())

    @property
    def values(self):
        return dict(pair.split('=', 1) for pair in self.text.split(','))


class KillingDaemon:
    """Between us and a daemon; a process can be killed at each question.

    :ivar steps_left: after so many changes the process dies; None is never
    :ivar steps: the changes so far
    """

    def __init__(self, exchange):
        self._exchange = exchange
        self.steps = []
        self.steps_left = None

    def __call__(self, packet, timeout):
        question = Question.unpack(packet)
        if question.op != Op.SHOW:
            if self.steps_left is not None:
                if not self.steps_left:
                    raise Killed(question.mode.name, question.op.name)
                self.steps_left -= 1
            self.steps.append(question)
        return self._exchange(packet, timeout)


@dataclasses.dataclass
class Lun:
    path: str
    flags: str
    scsi_id: str = 'IET     00010001'
    readonly: str = '0'
    mode_page: str = ''
    size_seen: int = 0


class Target:

    def __init__(self, tid, name, lld):
        self.tid, self.name, self.lld = tid, name, lld
        self.state = 'ready'
        self.luns = {}
        self.accounts = []
        self.acl = []
        self.sessions = {}


class FakeTgtd:
    """The daemon.

    :ivar devices: numbers of the LVs that can be opened, by path
    :ivar sizes: what the LVs have grown to, by path
    :ivar in_flight: sleeps until the I/O in flight has ended
    :ivar refused_portals: portals that cannot be bound
    :ivar transports: the state of each
    """

    def __init__(self):
        self.devices = {}
        self.sizes = {}
        self.targets = {}
        self.accounts = {}
        self.portals = ['0.0.0.0:3260', '[::]:3260']
        self.refused_portals = set()
        self.transports = {'iscsi': 'ready', 'iser': 'error'}
        self.in_flight = 0
        self.refuses = {}
        self.last_sid = 0
        self.answer = None

    def exchange(self, packet, timeout):
        if isinstance(self.answer, OSError):
            raise self.answer
        if self.answer is not None:
            return self.answer
        question = Question.unpack(packet)
        react = getattr(
            self, f'_{question.op.name}_{question.mode.name}'.lower())
        try:
            code = self.refuses.get((question.op, question.mode))
            if code:
                raise Refused(code)
            text = (react(question) or '').encode()
        except Refused as refused:
            return tgtd.ANSWER.pack(refused.args[0], tgtd.ANSWER.size)
        text += b'\0' if text else b''
        return tgtd.ANSWER.pack(0, tgtd.ANSWER.size + len(text)) + text

    def log_in(self, name, initiator, alias='none'):
        """Let an initiator have a session, as it may."""
        target, = (target for target in self.targets.values()
                   if target.name == name)
        # usr/iscsi/iscsid.c and usr/iscsi/iser_text.c of tgt
        enough = all if target.lld == 'iser' else any
        if not (enough(entry in target.acl for entry in (initiator, 'ALL'))
                and target.state == 'ready'):
            raise AssertionError('the login is refused')
        self.last_sid += 1
        target.sessions[self.last_sid] = (initiator, alias)

    def _target(self, question):
        if question.tid not in self.targets:
            raise Refused(Refusal.NO_TARGET)
        return self.targets[question.tid]

    # show -----------------------------------------------------------------

    def _show_sys(self, question):
        drivers = ''.join(f'    {name}: {state}\n'
                          for name, state in self.transports.items())
        return f'System:\n    State: ready\n    debug: off\nLLDs:\n{drivers}'

    def _show_portal(self, question):
        return ''.join(f'Portal: {portal},1\n' for portal in self.portals)

    def _show_conn(self, question):
        return ''.join(
            f'Session: {sid}\n    Connection: 0\n        Initiator: {name}\n'
            '        IP Address: 127.0.0.1\n'
            for sid, (name, _) in self._target(question).sessions.items())

    def _show_target(self, question):
        return ''.join(self._describe(self.targets[tid])
                       for tid in sorted(self.targets))

    def _show_account(self, question):
        return 'Account list:\n' + ''.join(
            f'    {user}\n' for user in self.accounts)

    def _describe(self, target):
        lines = [f'Target {target.tid}: {target.name}',
                 '    System information:', f'        Driver: {target.lld}',
                 f'        State: {target.state}',
                 '    I_T nexus information:']
        for sid, (name, alias) in target.sessions.items():
            lines += [f'        I_T nexus: {sid}',
                      f'            Initiator: {name} alias: {alias}',
                      '            Connection: 0']
        lines += ['    LUN information:', '        LUN: 0',
                  '            Type: controller']
        for number, lun in target.luns.items():
            lines += [f'        LUN: {number}', '            Type: disk',
                      f'            SCSI ID: {lun.scsi_id}',
                      '            Readonly: ' + (
                          'Yes' if lun.readonly == '1' else 'No'),
                      f'            Backing store path: {lun.path}',
                      f'            Backing store flags: {lun.flags}']
        lines += ['    Account information:',
                  *(f'        {name}' for name in target.accounts),
                  '    ACL information:',
                  *(f'        {entry}' for entry in target.acl)]
        return '\n'.join(lines) + '\n'

    # targets --------------------------------------------------------------

    def _new_target(self, question):
        name = question.values['targetname']
        if not re.fullmatch('[A-Za-z0-9:.-]+', name):
            raise Refused(Refusal.INVALID_REQUEST)
        if question.tid in self.targets or name in {
                target.name for target in self.targets.values()}:
            raise Refused(Refusal.TARGET_EXIST)
        self.targets[question.tid] = Target(question.tid, name, question.lld)

    def _delete_target(self, question):
        target = self._target(question)
        if target.sessions:
            raise Refused(Refusal.TARGET_ACTIVE)
        self._check_idle()
        del self.targets[question.tid]

    def _update_target(self, question):
        self._target(question).state = question.values['state']

    def _bind_target(self, question):
        (_kind, entry), = question.values.items()
        acl = self._target(question).acl
        if entry in acl:
            raise Refused(Refusal.ACL_EXIST)
        acl.append(entry)

    def _unbind_target(self, question):
        (_kind, entry), = question.values.items()
        acl = self._target(question).acl
        if entry not in acl:
            raise Refused(Refusal.ACL_NOEXIST)
        acl.remove(entry)

    def _delete_conn(self, question):
        sessions = self._target(question).sessions
        if question.sid not in sessions:
            raise Refused(Refusal.NO_SESSION)
        if not self.in_flight:
            del sessions[question.sid]

    # disks ----------------------------------------------------------------

    def _check_idle(self):
        if self.in_flight:
            raise Refused(Refusal.LUN_ACTIVE)

    def _new_logicalunit(self, question):
        target = self._target(question)
        values = question.values
        if question.lun in target.luns:
            raise Refused(Refusal.LUN_EXIST)
        path = values['path']
        if path not in self.devices:
            raise Refused(Refusal.INVALID_REQUEST)
        target.luns[question.lun] = Lun(
            path, values.get('bsoflags', ''),
            size_seen=self.sizes.get(path, 0))

    def _update_logicalunit(self, question):
        lun = self._lun(question)
        for name, value in question.values.items():
            if name == 'scsi_id':
                lun.scsi_id = value[:36]
            elif name != 'scsi_sn':
                setattr(lun, name, value)

    def _delete_logicalunit(self, question):
        self._lun(question)
        self._check_idle()
        del self._target(question).luns[question.lun]

    def _lun(self, question):
        target = self._target(question)
        if question.lun not in target.luns:
            raise Refused(Refusal.NO_LUN)
        return target.luns[question.lun]

    # accounts and portals -------------------------------------------------

    def _new_account(self, question):
        user, _, password = question.text.removeprefix('user=').partition(
            ',password=')
        if user in self.accounts:
            raise Refused(Refusal.USER_EXIST)
        self.accounts[user] = password

    def _delete_account(self, question):
        user = self._user(question)
        del self.accounts[user]
        for target in self.targets.values():
            if user in target.accounts:
                self._unbind(target, user)

    def _bind_account(self, question):
        self._target(question).accounts.append(self._user(question))

    def _unbind_account(self, question):
        target = self._target(question)
        user = self._user(question)
        if user not in target.accounts:
            raise Refused(Refusal.NO_USER)
        self._unbind(target, user)

    def _unbind(self, target, user):
        if target.accounts[-1] != user:
            raise AssertionError('the next show would kill the daemon')
        target.accounts.remove(user)

    def _user(self, question):
        user = question.text.removeprefix('user=')
        if user not in self.accounts:
            raise Refused(Refusal.NO_USER)
        return user

    def _new_portal(self, question):
        portal = question.values['portal']
        if portal in self.refused_portals or portal in self.portals:
            raise Refused(Refusal.INVALID_REQUEST)
        self.portals.append(portal)


class FakeTime:
    """Time in which the daemon gets on with its work."""

    def __init__(self, daemon):
        self.now = 0
        self._daemon = daemon

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += max(seconds, 1)
        if self._daemon.in_flight:
            self._daemon.in_flight -= 1
            if not self._daemon.in_flight:
                for target in self._daemon.targets.values():
                    target.sessions.clear()


class FakeDaemon(fixtures.Fixture):
    """Gives the verbs of privileged/tgt.py a daemon of their own.

    :ivar daemon: the ``FakeTgtd``
    :ivar door: the ``KillingDaemon`` before it
    """

    def _setUp(self):
        self.daemon = FakeTgtd()
        self.daemon.devices.update(fake_devices.VOLUMES)
        self.useFixture(fake_devices.FakeDevices(self.daemon.devices))
        self.door = KillingDaemon(self.daemon.exchange)
        for patch in (
                mock.patch.object(tgtd, '_exchange', self.door),
                mock.patch.object(tgt_objects, 'time',
                                  FakeTime(self.daemon)),
                mock.patch.object(listening, 'why_not_bound',
                                  lambda portal: 'Address in use')):
            patch.start()
            self.addCleanup(patch.stop)


class TgtTestCase(base.TestCase):
    """A test of the verbs on a fake daemon."""

    TARGET = 'iqn.2010-10.org.openstack:volume-1'
    OTHER = 'iqn.2010-10.org.openstack:volume-10'
    HOST = 'iqn.1993-08.org.debian:01:aaaa'
    OTHER_HOST = 'iqn.1993-08.org.debian:01:bbbb'
    DEVICE = '/dev/vg/volume-1'
    OTHER_DEVICE = '/dev/vg/volume-2'
    SCSI_ID = 'volume-11111111-2222-3333-4444-555555555555'
    CHAP = Chap('name', 'secret123456')

    def setUp(self):
        super().setUp()
        fixture = self.useFixture(FakeDaemon())
        self.daemon, self.door = fixture.daemon, fixture.door

    def create(self, target=TARGET, chap=CHAP, initiators=(), lld='iscsi',
               **values):
        disk = tgt.Disk(**{
            'device': self.DEVICE, 'scsi_id': self.SCSI_ID,
            'write_cache': True, 'bsoflags': '', 'read_only': False,
            **values})
        return tgt.create_target(target_iqn=target, lld=lld, disk=disk,
                                 chap=chap, initiators=initiators)

    def listed(self, target=TARGET):
        return tgt.list_targets()[target]

    def fake(self, target=TARGET):
        """Return the daemon's own idea of a target."""
        found, = (each for each in self.daemon.targets.values()
                  if each.name == target)
        return found
