# SPDX-License-Identifier: Apache-2.0
from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import tgt_report
from tests.unit.privileged import fake_tgtd

# Of tgtd 1.0.85, with a session.
TARGETS = '''\
Target 5: iqn.2010-10.org.openstack:volume-1
    System information:
        Driver: iscsi
        State: ready
    I_T nexus information:
        I_T nexus: 3
            Initiator: iqn.1993-08.org.debian:01:aaaa alias: host
            Connection: 0
                IP Address: 127.0.0.1
    LUN information:
        LUN: 0
            Type: controller
            SCSI ID: IET     00050000
            Readonly: No
            Backing store path: None
            Backing store flags:
        LUN: 1
            Type: disk
            SCSI ID: volume-1
            SCSI SN: volume-1
            Size: 67 MB, Block size: 512
            Online: Yes
            Readonly: Yes
            Thin-provisioning: No
            Backing store type: rdwr
            Backing store path: /dev/vg/volume-1
            Backing store flags: sync:direct
    Account information:
        name
        out (outgoing)
    ACL information:
        ALL
        iqn.1993-08.org.debian:01:aaaa
Target 10: iqn.2010-10.org.openstack:volume-10
    System information:
        Driver: iser
        State: offline
    I_T nexus information:
    LUN information:
        LUN: 0
            Type: controller
    Account information:
    ACL information:
'''


class TestReport(fake_tgtd.TgtTestCase):

    def answer(self, text):
        text = text.encode() + b'\0'
        self.daemon.answer = fake_tgtd.tgtd.ANSWER.pack(
            0, 8 + len(text)) + text

    def test_targets(self):
        self.answer(TARGETS)
        host = 'iqn.1993-08.org.debian:01:aaaa'
        found = tgt_report.targets()
        self.assertEqual([self.TARGET, self.OTHER], list(found))
        self.assertEqual(
            (5, 'iscsi', True, True, ('name',), ('ALL', host),
             tgt_report.Lun('/dev/vg/volume-1', 'volume-1', 'sync:direct',
                            True)), self.told(found[self.TARGET]))
        self.assertEqual((host,), found[self.TARGET].initiators)
        self.assertEqual((10, 'iser', False, False, (), (), None),
                         self.told(found[self.OTHER]))

    def told(self, target):
        return (target.tid, target.lld, target.ready, target.in_use,
                target.accounts, target.acl, target.lun)

    def test_none(self):
        self.assertEqual({}, tgt_report.targets())

    def test_an_alias_that_looks_like_a_target(self):
        """It is the initiator's to choose, and stands in the report."""
        self.create(initiators=[self.HOST])
        self.create(self.OTHER, chap=Chap('other', 'secret'))
        self.daemon.log_in(self.TARGET, self.HOST,
                           f'x\nTarget 99: {self.OTHER}')
        self.assertRaises(errors.TargetDaemonUnknown, tgt_report.targets)

    def test_an_alias_that_hides_the_list_of_initiators(self):
        self.create(initiators=[self.HOST])
        self.daemon.log_in(self.TARGET, self.HOST, 'x\nTarget 99: iqn.x:y')
        self.assertRaises(errors.TargetDaemonUnknown, tgt_report.targets)

    def test_a_target_of_another_transport(self):
        self.answer('Target 3: ibm\n    System information:\n'
                    '        Driver: ibmvio\n    ACL information:\n')
        self.assertEqual((3, 'ibmvio', False, False, (), (), None),
                         self.told(tgt_report.targets()['ibm']))

    def test_something_else(self):
        self.answer('hello')
        for question in (tgt_report.targets, tgt_report.portals,
                         tgt_report.drivers):
            error = self.assertRaises(errors.TargetDaemonUnknown, question)
            self.assertIn('hello', str(error))

    def test_connections(self):
        target = tgt_report.Target.new(5, self.TARGET, 'iscsi')
        self.assertEqual([], tgt_report.connections(target))
        self.answer('Session: 3\n    Connection: 0\n'
                    '        Initiator: iqn.1993-08.org.debian:01:AAAA\n'
                    '        IP Address: 127.0.0.1\n'
                    'Session: 2\n    Connection: 1\n'
                    '        Initiator: iqn.1993-08.org.debian:01:bbbb\n')
        self.assertEqual(
            [tgt_report.Connection(3, 0, self.HOST),
             tgt_report.Connection(2, 1, self.OTHER_HOST)],
            tgt_report.connections(target))

    def test_connections_that_cannot_be_shown(self):
        self.create()
        target = tgt_report.targets()[self.TARGET]
        self.daemon.refuses = {
            (fake_tgtd.Op.SHOW, fake_tgtd.Mode.CONN): 1}
        self.assertRaises(errors.TargetDaemonRefused,
                          tgt_report.connections, target)

    def test_portals(self):
        self.assertEqual([Portal('0.0.0.0', 3260), Portal('::', 3260)],
                         tgt_report.portals())

    def test_drivers(self):
        self.assertEqual({'iscsi': 'ready', 'iser': 'error'},
                         tgt_report.drivers())
