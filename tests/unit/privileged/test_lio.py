# SPDX-License-Identifier: Apache-2.0
"""What tests/contract/test_lio.py cannot ask of a kernel."""

import errno
import shutil
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import verbs
from tests import base
from tests.unit.privileged import fake_lio

TARGET = fake_lio.LioTestCase.TARGET
HOST = fake_lio.LioTestCase.HOST
CHAP = fake_lio.LioTestCase.CHAP


class TestContext(base.TestCase):

    def test_command_of_the_daemon(self):
        """What the filter file has to allow."""
        self.assertEqual(
            ['cinder-lvm-root', 'verbs', '/tmp/x/privsep.sock'],
            [word for word in verbs.context.helper_command(
                '/tmp/x/privsep.sock') if word != 'sudo'])

    def test_command_that_the_operator_has_chosen(self):
        self.config.config(group='cinder_lvm_driver_privileged',
                           helper_command='doas helper')
        self.assertEqual(
            ['doas', 'helper', '--privsep_context'],
            verbs.context.helper_command('/tmp/x/privsep.sock')[:3])

    def test_only_the_verbs_can_be_called(self):
        self.assertEqual(
            {'create_target', 'allow_initiator', 'deny_initiator',
             'deny_all_initiators', 'delete_target', 'find_unused',
             'list_targets'},
            {name for name, found in vars(lio).items()
             if verbs.context.is_entrypoint(found)})


@ddt.ddt
class TestRefusals(fake_lio.LioTestCase):

    @ddt.data({'target_iqn': '../core'}, {'target_iqn': 'discovery_auth'},
              {'device': '/dev/../etc/passwd'}, {'serial': '../x'},
              {'portals': [Portal('x', 3260)]},
              {'portals': [Portal('10.0.0.1/../../x', 3260)]},
              {'initiators': ['../x']}, {'chap': Chap('na me', 'secret')},
              {'chap': Chap('name', 'sec\nret')})
    def test_create(self, arguments):
        error = self.assertRaises(errors.InvalidArgument,
                                  self.create, **arguments)
        self.assertNotIn('ret', str(error).partition('secret')[2])
        self.assertEqual([], self.lio.os.steps)

    @ddt.data((TARGET + '/..', HOST, CHAP), (TARGET, 'a/b', CHAP),
              ('../x', HOST, CHAP), (TARGET, HOST, Chap('', 'secret')))
    @ddt.unpack
    def test_allow(self, target_iqn, initiator_iqn, chap):
        self.create()
        self.lio.os.steps.clear()
        self.assertRaises(
            errors.InvalidArgument, lio.allow_initiator, chap=chap,
            target_iqn=target_iqn, initiator_iqn=initiator_iqn)
        self.assertEqual([], self.lio.os.steps)

    @ddt.data((lio.deny_initiator, '../x', HOST),
              (lio.deny_initiator, TARGET, '..'),
              (lio.deny_all_initiators, '..'),
              (lio.delete_target, 'lio_version'))
    @ddt.unpack
    def test_others(self, verb, *arguments):
        self.create()
        self.lio.os.steps.clear()
        self.assertRaises(errors.InvalidArgument, verb, *arguments)
        self.assertEqual([], self.lio.os.steps)


class TestAnotherDevice(fake_lio.LioTestCase):

    def test_with_a_session(self):
        self.create(initiators=[self.HOST])
        self.lio.log_in(self.TARGET, self.HOST)
        error = self.assertRaises(errors.TargetInUse, self.create,
                                  device=self.OTHER_DEVICE)
        self.assertEqual(
            (self.TARGET, '/dev/vg/volume-1 (253:1)', self.OTHER_DEVICE),
            error.args)
        self.create(initiators=[self.HOST])

    def test_without_a_session(self):
        self.create(initiators=[self.HOST])
        self.create(device=self.OTHER_DEVICE)
        self.assertEqual('253:2', self.listed().device)
        self.assertEqual({}, self.listed().initiators)

    def test_the_same_device_by_another_name(self):
        self.lio.add_device('/dev/mapper/vg-volume--1', '253:1')
        self.create(initiators=[self.HOST])
        self.lio.log_in(self.TARGET, self.HOST)
        self.create(device='/dev/mapper/vg-volume--1')

    def test_backstore_without_target(self):
        self.create()
        (self.tpg / 'lun' / 'lun_0').unlink('backstore')
        self.create(device=self.OTHER_DEVICE)
        self.assertEqual('253:2', self.listed().device)


class TestList(fake_lio.LioTestCase):

    def test_targets_that_are_not_whole(self):
        self.create(initiators=[self.HOST])
        (self.lio.root / 'iscsi' / (self.TARGET + '0')).make()
        (self.tpg / 'acls' / self.HOST / 'auth').write('password', '')
        (self.tpg / 'attrib').write('generate_node_acls', '1')
        listed = lio.list_targets()
        self.assertEqual({self.HOST: False}, listed[self.TARGET].initiators)
        self.assertFalse(listed[self.TARGET].closed)
        self.assertIsNone(listed[self.TARGET + '0'].device)
        self.assertFalse(listed[self.TARGET + '0'].enabled)

    def test_unused(self):
        """A killed process has let an initiator in, and given it no LUN."""
        self.create()
        acl = self.tpg / 'acls' / self.HOST
        for verb, unused in ((acl.make, True), (self.allow, False)):
            verb()
            self.assertEqual((self.TARGET,) * unused,
                             lio.find_unused([self.TARGET]))

    def test_target_that_another_tool_removes_meanwhile(self):
        self.create()
        other = self.TARGET + '0'
        self.create(target_iqn=other, device=self.OTHER_DEVICE)
        opened = self.lio.os.open

        def open_too_late(path, flags):
            if path == f'{self.tpg.path}/enable':
                shutil.rmtree(self.tpg.parent.path)
            return opened(path, flags)

        with mock.patch.object(self.lio.os, 'open', open_too_late):
            self.assertEqual([other], list(lio.list_targets()))

    def test_no_secret(self):
        self.create(initiators=[self.HOST])
        self.assertNotIn('secret', repr(lio.list_targets()))
        self.assertNotIn('secret', self.log.output)

    def test_an_open_target_is_closed(self):
        self.create()
        (self.tpg / 'attrib').write('authentication', '0')
        (self.tpg / 'attrib').write('generate_node_acls', '1')
        self.create()
        self.assertTrue(self.listed().closed)

    def test_target_that_other_hosts_do_not_discover(self):
        self.create()
        self.assertEqual('0', (self.tpg / 'attrib').read(
            'demo_mode_discovery'))


class TestNoConfigfs(fake_lio.LioTestCase):

    def test_create(self):
        root = self.lio.root
        self.useFixture(fixtures.MockPatchObject(
            configfs, 'MOUNT', root.parent.path))
        shutil.rmtree(root.path)
        error = self.assertRaises(errors.ConfigfsNotThere, self.create)
        self.assertIn('mount -t configfs', str(error))


class TestUndo(fake_lio.LioTestCase):

    def test_a_failing_undo_does_not_hide_the_failure(self):
        self.lio.os.refused_portals = {'10.0.0.1:3260'}
        with mock.patch.object(
                self.lio.os, 'rmdir', side_effect=OSError(errno.EBUSY, 'x')):
            self.assertRaises(errors.PortalNotAvailable, self.create,
                              mode='create')
        self.assertIn('While undoing what could not be completed',
                      self.log.output)

    def test_what_was_there_before_stays(self):
        self.create(portals=self.PORTALS[:1])
        self.lio.os.refused_portals = {'[2001:db8::1]:3260'}
        self.assertRaises(errors.PortalNotAvailable, self.create,
                          portals=self.PORTALS[1:], initiators=[self.HOST])
        listed = self.listed()
        self.assertTrue(listed.enabled)
        self.assertEqual({}, listed.initiators)
