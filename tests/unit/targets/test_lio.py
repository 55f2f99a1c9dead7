# SPDX-License-Identifier: Apache-2.0
import os
from unittest import mock

import ddt
from oslo_concurrency import lockutils

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import lio as verbs
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base as base_target
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import lio
from tests import base
from tests.unit.privileged import fake_lio
from tests.unit.targets import fake_kernel
from tests.unit.targets import fake_volume

HOST = fake_volume.HOST
OTHER_HOST = fake_volume.OTHER_HOST
CHAP = Chap('name', 'secret123456')
DEVICES = ('/dev/vg/volume-1', '/dev/vg/volume-2')


def iqn(volume):
    return fake_volume.PREFIX + volume.name


class LioTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lio = self.useFixture(fake_lio.FakeLio())
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.target = self.make()

    def make(self, **values):
        return lio.LioTarget(fake_volume.configuration(**values),
                             self.runner)

    def listed(self, volume):
        return verbs.list_targets()[iqn(volume)]

    def changes(self):
        """Return the targets and backstores changed since the last call."""
        changed = {word for step in self.lio.os.steps
                   for word in step[1].split('/') if word.startswith('iqn.')
                   and 'debian' not in word}
        self.lio.os.steps.clear()
        return changed


@ddt.ddt
class TestSetup(fake_kernel.SetupCase, LioTestCase):

    subsystem = 'target'

    def test_all_is_well(self):
        self.target.check_for_setup_error()
        self.assertEqual(
            [mock.call('modprobe', 'target_core_mod'),
             mock.call('modprobe', 'iscsi_target_mod')],
            self.runner.run.mock_calls)
        self.assertNotIn('WARNING', self.log.output)

    def test_faults(self):
        self.let_another_process_listen()
        for portal in '10.0.0.1:3260', '0.0.0.0:3260':
            path = f'{self.kernel.configfs}/target/iscsi/x/tpgt_1/np/{portal}'
            os.makedirs(path)
            self.assertIsNone(self.target.fault())
            os.rmdir(path)
        self.kernel.unmount_all()
        self.assertIn('target does not exist', self.target.fault())

    def test_no_daemon(self):
        with mock.patch.object(verbs, 'list_targets', side_effect=OSError):
            self.assert_refused('the privileged daemon of this driver cannot')

    @ddt.data('', 'openstack:', 'iqn.2010-10.org.OpenStack:',
              'iqn.2010-10.org.open_stack:')
    def test_prefix(self, prefix):
        self.assert_refused(f"target_prefix '{prefix}' gives no valid",
                            target_prefix=prefix)

    def test_template(self):
        self.config.config(volume_name_template='vol_%s')
        self.assert_refused("volume_name_template 'vol_%s' gives no valid")

    def test_addresses(self):
        self.assert_refused(
            "'storage.example.com' is not an IP address",
            target_secondary_ip_addresses=['storage.example.com'])

    def test_address_of_another_host(self):
        target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        target.check_for_setup_error()
        self.assertIn('No network interface of this node has the address of '
                      'portal 10.0.0.2:3260', target.fault())

    def test_address_in_brackets(self):
        self.make(target_ip_address='[2001:db8::1]').check_for_setup_error()

    def test_protocol(self):
        self.assert_refused('target_protocol', target_protocol='nvmet_rdma')


class TestVerbs(LioTestCase):

    def test_a_life(self):
        volume = fake_volume.new_volume()
        export = self.target.create_export(None, volume, DEVICES[0])
        self.assertEqual(
            f'10.0.0.1:3260,{iqn(volume)} {iqn(volume)} 0',
            export['location'])
        volume.provider_location = export['location']
        volume.provider_auth = export['auth']
        self.assertEqual({}, self.listed(volume).initiators)

        connection = self.target.initialize_connection(volume, HOST)
        self.assertTrue(connection['data']['discard'])
        self.target.initialize_connection(volume, OTHER_HOST)
        self.assertEqual({HOST['initiator']: True,
                          OTHER_HOST['initiator']: True},
                         self.listed(volume).initiators)

        self.target.terminate_connection(volume, HOST)
        self.assertEqual({OTHER_HOST['initiator']: True},
                         self.listed(volume).initiators)
        self.target.terminate_connection(volume, None)
        self.assertEqual({}, self.listed(volume).initiators)

        self.target.remove_export(None, volume)
        self.target.remove_export(None, volume)
        self.target.terminate_connection(volume, HOST)
        self.assertEqual({}, verbs.list_targets())
        self.assertNotIn(export['auth'].split()[2], self.log.output)

    def test_remove_what_a_migration_left_on_another_back_end(self):
        """It has the name of the volume, which is served from there."""
        moved = fake_volume.volume(connectors=[HOST])
        self.target.create_export(None, moved, DEVICES[1])
        self.target.remove_export(None, moved, DEVICES[0])
        self.assertEqual({HOST['initiator']: True},
                         self.listed(moved).initiators)
        self.target.remove_export(None, moved, DEVICES[1])
        self.assertEqual({}, verbs.list_targets())

    def test_host_that_has_just_left_is_not_let_in_again(self):
        """What Cinder hands over may be some seconds old."""
        made = fake_volume.volume(connectors=[HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.terminate_connection(made, HOST)
        self.target.create_export(None, made, DEVICES[0])
        self.assertEqual({}, self.listed(made).initiators)

    def test_device_without_discard(self):
        self.lio.os.without_discard = {DEVICES[0]}
        volume = fake_volume.volume()
        self.target.create_export(None, volume, DEVICES[0])
        connection = self.target.initialize_connection(volume, HOST)
        self.assertNotIn('discard', connection['data'])

    def test_serial_is_the_id_that_hosts_know_the_volume_by(self):
        """As it was made, also after it was migrated while in use."""
        volume = fake_volume.volume(name_id=fake_volume.UUID % 7)
        self.target.create_export(None, volume, DEVICES[0])
        hba, = (self.lio.root / 'core').directories()
        self.assertIn(volume.name_id, (hba / iqn(volume) / 'wwn').read(
            'vpd_unit_serial'))

    def test_iser(self):
        volume = fake_volume.volume()
        self.make(target_protocol='iser').create_export(
            None, volume, DEVICES[0])
        portal = (self.lio.root / 'iscsi' / iqn(volume) / 'tpgt_1' / 'np'
                  / '10.0.0.1:3260')
        self.assertEqual('1', portal.read('iser'))

    def test_create_needs_all_portals(self):
        self.lio.os.refused_portals = {'10.0.0.2:3260'}
        target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        error = self.assertRaises(
            errors.PortalNotAvailable, target.create_export, None,
            fake_volume.new_volume(), DEVICES[0])
        self.assertEqual('10.0.0.2:3260', error.portal)
        self.assertEqual({}, verbs.list_targets())

    def test_under_the_lock_of_the_in_tree_driver(self):
        volume = fake_volume.volume(connectors=[HOST])
        calls = (
            (1, lambda: self.target.create_export(None, volume, DEVICES[0])),
            (1, lambda: self.target.initialize_connection(volume, HOST)),
            (1, lambda: self.target.terminate_connection(volume, HOST)),
            # For the list, and for what is missing.
            (2, lambda: self.target.ensure_export(None, volume, DEVICES[0])),
            (1, lambda: self.target.terminate_connection(volume, None)),
            (1, lambda: self.target.remove_export(None, volume)))
        for locks, call in calls:
            with mock.patch.object(lockutils, 'lock',
                                   wraps=lockutils.lock) as lock:
                call()
            self.assertEqual(
                [mock.call('lioadm', lock_file_prefix='cinder-',
                           external=True)] * locks, lock.call_args_list)


class TestEnsure(LioTestCase):

    def setUp(self):
        super().setUp()
        self.volumes = [fake_volume.volume(1, connectors=[HOST]),
                        fake_volume.volume(2, connectors=[HOST,
                                                          OTHER_HOST])]
        self.pairs = list(zip(self.volumes, DEVICES, strict=True))

    def ensure(self):
        return self.target.ensure_exports(None, self.pairs)

    def assert_whole(self):
        for number, volume in enumerate(self.volumes, 1):
            listed = self.listed(volume)
            self.assertEqual(f'253:{number}', listed.device)
            self.assertTrue(listed.enabled and listed.closed)
            self.assertEqual((Portal('10.0.0.1', 3260),), listed.portals)
            self.assertEqual(
                {attachment.connector['initiator']: True
                 for attachment in volume.volume_attachment},
                listed.initiators)

    def test_list_served(self):
        self.ensure()
        self.lio.log_in(iqn(self.volumes[1]), HOST['initiator'])
        self.assertCountEqual(
            [base_target.Served(name=iqn(self.volumes[0]), device='253:1',
                                hosts=1, sessions=0),
             base_target.Served(name=iqn(self.volumes[1]), device='253:2',
                                hosts=2, sessions=1)],
            self.target.list_served())

    def test_after_a_reboot(self):
        self.assertEqual({}, self.ensure())
        self.assert_whole()
        auth = (self.lio.root / 'iscsi' / iqn(self.volumes[0]) / 'tpgt_1'
                / 'acls' / HOST['initiator'] / 'auth')
        self.assertEqual(('name', 'secret123456'),
                         (auth.read('userid'), auth.read('password')))

    def test_what_is_whole_is_not_touched(self):
        self.ensure()
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual([], self.lio.os.steps)

    def test_only_what_is_missing(self):
        self.ensure()
        verbs.deny_initiator(iqn(self.volumes[1]), HOST['initiator'])
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual({iqn(self.volumes[1])}, self.changes())
        self.assert_whole()

    def test_one_target_lost(self):
        self.ensure()
        verbs.delete_target(iqn(self.volumes[0]))
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual({iqn(self.volumes[0])}, self.changes())
        self.assert_whole()

    def test_one_list_for_all(self):
        with mock.patch.object(verbs, 'list_targets',
                               wraps=verbs.list_targets) as listing:
            self.ensure()
        listing.assert_called_once_with()

    def test_no_list_while_another_back_end_is_at_it(self):
        with fake_kernel.listed_under_lock(verbs, 'list_targets'):
            self.assertEqual({}, self.ensure())

    def test_none(self):
        with mock.patch.object(verbs, 'list_targets') as listing:
            self.assertEqual({}, self.target.ensure_exports(None, []))
        listing.assert_not_called()

    def test_a_volume_without_device(self):
        self.lio.os.devices.pop(DEVICES[0])
        failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertIsInstance(failures[self.volumes[0].id],
                              errors.DeviceNotUsable)
        self.assertTrue(self.listed(self.volumes[1]).enabled)

    def test_a_portal_with_a_host_name(self):
        """As a volume of tgtd may have it."""
        location = self.volumes[0].provider_location
        self.volumes[0].provider_location = location.replace(
            '10.0.0.1', 'storage.example.com')
        for _ in 'missing', 'present':
            failures = self.ensure()
            self.assertEqual([self.volumes[0].id], list(failures))
            self.assertIn("'storage.example.com' is not an IP address; to",
                          str(failures[self.volumes[0].id]))
            self.assertTrue(self.listed(self.volumes[1]).enabled)
            verbs.create_target(
                target_iqn=iqn(self.volumes[0]), device=DEVICES[0],
                serial=self.volumes[0].id, chap=CHAP, initiators=(),
                portals=[Portal('10.0.0.1', 3260)], mode='create')

    def test_a_device_that_vanished_below_a_target(self):
        self.ensure()
        self.lio.os.devices.pop(DEVICES[0])
        self.assertEqual([self.volumes[0].id], list(self.ensure()))

    def test_one_portal_is_enough(self):
        self.lio.os.refused_portals = {'10.0.0.2:3260'}
        self.target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        self.assertEqual({}, self.ensure())
        self.assert_whole()
        self.assertIn('is served, but not on portal 10.0.0.2:3260: Address '
                      'in use', self.log.output)

    def test_no_portal(self):
        self.lio.os.refused_portals = {'10.0.0.1:3260'}
        self.assertEqual(
            {errors.PortalNotAvailable},
            {type(failure) for failure in self.ensure().values()})

    def test_another_host_is_left_in(self):
        """It may be one that is just being let in."""
        self.ensure()
        verbs.allow_initiator(
            target_iqn=iqn(self.volumes[0]), chap=CHAP,
            initiator_iqn=OTHER_HOST['initiator'])
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual(set(), self.changes())
