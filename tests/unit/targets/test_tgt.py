# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import socket
from unittest import mock

import ddt
import fixtures
from oslo_concurrency import lockutils
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt as verbs
from cinder_lvm_driver.targets import base as base_target
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import portals
from cinder_lvm_driver.targets import tgt
from tests.unit.privileged import fake_tgtd
from tests.unit.targets import fake_volume
from tests.unit.targets import test_tgt_persist

HOST = fake_volume.HOST
OTHER_HOST = fake_volume.OTHER_HOST
NAMES = (HOST['initiator'], OTHER_HOST['initiator'])
DEVICES = ('/dev/vg/volume-1', '/dev/vg/volume-2')


def iqn(volume):
    return fake_volume.PREFIX + volume.name


def exported(number=1, connectors=(), **values):
    volume = fake_volume.volume(number, connectors, **values)
    volume.provider_location = f'10.0.0.1:3260,7 {iqn(volume)} 1'
    volume.provider_auth = f'CHAP name{number} secret123456'
    return volume


class TargetTestCase(fake_tgtd.TgtTestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.target = self.make()
        self.useFixture(fixtures.MockPatchObject(
            listening, 'is_local',
            lambda portal: not portal.address.endswith('9')))

    def make(self, **values):
        return tgt.TgtTarget(fake_volume.configuration(**{
            'target_helper': 'tgtadm', 'volumes_dir': self.folder,
            **values}), mock.Mock())

    def listed(self, volume):
        return verbs.list_targets()[iqn(volume)]

    def file(self, volume):
        """Return the text of the file of a volume, None without one."""
        path = pathlib.Path(self.folder, volume.name)
        return path.read_text() if path.exists() else None

    def write(self, volume, text):
        pathlib.Path(self.folder, volume.name).write_text(text)

    def stored_initiators(self, volume):
        return self.target.folder.read(iqn(volume)).initiators

    def changed(self):
        """Return the numbers of the targets changed since the last call."""
        tids = {step.tid for step in self.door.steps}
        self.door.steps.clear()
        return tids


@ddt.ddt
class TestSetup(TargetTestCase):

    def add_rdma(self):
        """Have an RDMA device."""
        self.useFixture(fixtures.MockPatchObject(node, '_RDMA_DEVICES',
                                                 '/sys/*'))

    def assert_refused(self, pattern, target=None):
        error = self.assertRaises(
            errors.TargetConfigurationError,
            (target or self.target).check_for_setup_error)
        self.assertIn(pattern, str(error))

    def test_all_is_well(self):
        self.target.check_for_setup_error()
        self.assertNotIn('WARNING', self.log.output)
        self.assertEqual([], self.door.steps)

    def test_a_missing_portal_is_added(self):
        self.make(target_port=3261, target_secondary_ip_addresses=['::1']
                  ).check_for_setup_error()
        self.assertEqual(['10.0.0.1:3261', '[::1]:3261'],
                         self.daemon.portals[2:])

    def test_a_portal_of_somebody_else(self):
        self.daemon.refused_portals = {'10.0.0.1:3261'}
        target = self.make(target_port=3261)
        target.check_for_setup_error()
        for error, pattern in (
                (None, 'tgtd cannot listen on portal 10.0.0.1:3261: Address '
                       'in use'),
                (OSError(98, 'x'), 'Portal 10.0.0.1:3261 is in use by')):
            with mock.patch.object(listening, 'is_local', bool), \
                    mock.patch.object(portals, '_holder'), \
                    mock.patch.object(listening, 'bind_error',
                                      lambda portal, error=error: error):
                self.assertIn(pattern, target.fault())

    def test_address_of_another_host(self):
        self.daemon.refused_portals = {'10.0.0.9:3261'}
        target = self.make(target_port=3261,
                           target_secondary_ip_addresses=['10.0.0.9'])
        target.check_for_setup_error()
        self.assertIn('No network interface of this node has the address of '
                      'portal 10.0.0.9:3261', target.fault())

    def test_daemon_that_has_died(self):
        self.assertIsNone(self.target.fault())
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        self.assertIn('systemctl start tgt', self.target.fault())

    @ddt.data((ConnectionRefusedError(111, 'Connection refused'),
               'install the package tgt and start'),
              (TimeoutError('timed out'), 'if it hangs, restart it'))
    @ddt.unpack
    def test_no_tgtd(self, failure, pattern):
        self.daemon.answer = failure
        self.assert_refused(pattern)

    def test_something_else_in_its_place(self):
        self.daemon.answer = b'hello'
        self.assert_refused('is not one of a supported tgtd')

    def test_no_privileged_daemon(self):
        failure = daemon.FailedToDropPrivileges('exited non-zero (99)')
        with mock.patch.object(verbs, 'describe_daemon',
                               side_effect=failure):
            self.assert_refused('the privileged daemon of this driver cannot')

    def test_no_iser(self):
        target = self.make(target_protocol='iser')
        self.assert_refused('this node has no RDMA device', target)
        self.add_rdma()
        self.assert_refused("transport of tgtd is in state 'error'", target)
        del self.daemon.transports['iser']
        self.assert_refused("in state 'not built in'", target)

    def test_iser(self):
        self.daemon.transports['iser'] = 'ready'
        self.add_rdma()
        self.make(target_protocol='iser', target_port=5
                  ).check_for_setup_error()
        self.assertEqual(2, len(self.daemon.portals))

    @ddt.data(({'target_prefix': 'openstack:'}, "target_prefix 'openstack:'"),
              ({'iscsi_target_flags': 'direct,x'}, "is not 'sync', 'direct'"),
              ({'volumes_dir': '/proc/x'},
               "volumes_dir '/proc/x' is not usable"),
              ({'target_protocol': 'nvmet_tcp'}, 'target_protocol'))
    @ddt.unpack
    def test_options(self, values, pattern):
        self.assert_refused(pattern, self.make(**values))

    def test_templates(self):
        self.config.config(volume_name_template='Volume-%s',
                           snapshot_name_template='SNAP%s')
        self.target.check_for_setup_error()
        # The last two would be options of commands and hidden files.
        for template in 'vol_%s', 'vol/%s', '-%s', '.%s':
            self.config.config(volume_name_template=template)
            self.assert_refused(
                f"volume_name_template '{template}' gives no valid")

    def test_names(self):
        target = self.make(target_ip_address='storage')
        found = [(None, None, None, '', ('10.0.0.1', 3260))]
        with mock.patch.object(socket, 'getaddrinfo', return_value=found):
            target.check_for_setup_error()
        with mock.patch.object(socket, 'getaddrinfo',
                               side_effect=socket.gaierror(-2, 'not known')):
            self.assert_refused("'storage' is neither an IP address nor a",
                                target)
            self.assertEqual(
                [listening.Refused('storage:3260', 'not known')],
                target._listen(target.portals))

    def test_name_with_an_address_that_cannot_be_served(self):
        """As where the kernel has no IPv6, and the name has both."""
        self.daemon.portals = ['0.0.0.0:3260']
        self.daemon.refused_portals = {'[2001:db8::9]:3260'}
        target = self.make(target_ip_address='storage')
        addresses = ['10.0.0.1', '2001:db8::9']
        with mock.patch.object(
                socket, 'getaddrinfo', side_effect=lambda *_, **__: [
                    (None, None, None, '', (address, 3260))
                    for address in addresses]):
            target.check_for_setup_error()
            target.create_export(None, fake_volume.new_volume(), DEVICES[0])
            self.assertNotIn('WARNING', self.log.output)
            addresses.remove('10.0.0.1')
            self.assertRaises(
                errors.PortalNotAvailable, target.create_export, None,
                fake_volume.new_volume(2), DEVICES[1])


@ddt.ddt
class TestVerbs(TargetTestCase):

    def test_host_that_has_just_left_is_not_let_in_again(self):
        """What Cinder hands over may be some seconds old."""
        made = exported(connectors=[HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.terminate_connection(made, HOST)
        self.target.create_export(None, made, DEVICES[0])
        self.assertEqual((), self.listed(made).initiators)

    def test_list_served(self):
        volume = exported(connectors=[HOST, OTHER_HOST])
        self.target.ensure_exports(None, [(volume, DEVICES[0])])
        self.daemon.log_in(iqn(volume), NAMES[0], 'alias: I_T nexus: 1')
        self.assertEqual([base_target.Served(
            name=iqn(volume), device='253:1', hosts=2, sessions=1,
        )], self.target.list_served())

    def test_a_life(self):
        volume = fake_volume.new_volume()
        export = self.target.create_export(None, volume, DEVICES[0])
        tid, = self.daemon.targets
        self.assertEqual(f'10.0.0.1:3260,{tid} {iqn(volume)} 1',
                         export['location'])
        volume.provider_location = export['location']
        volume.provider_auth = export['auth']
        _, username, secret = export['auth'].split()
        self.assertEqual({username: secret}, self.daemon.accounts)
        self.assertIn(f'incominguser {username} {secret}\n',
                      self.file(volume))

        connection = self.target.initialize_connection(volume, HOST)
        self.assertNotIn('discard', connection['data'])
        self.target.initialize_connection(volume, OTHER_HOST)
        self.target.initialize_connection(volume, OTHER_HOST)
        self.assertEqual(NAMES, tuple(self.listed(volume).initiators))
        self.assertEqual(NAMES, self.stored_initiators(volume))

        self.target.terminate_connection(volume, HOST)
        self.assertEqual(NAMES[1:], tuple(self.listed(volume).initiators))
        self.assertNotIn(NAMES[0], self.file(volume))
        self.target.terminate_connection(volume, None)
        self.assertEqual((), tuple(self.listed(volume).initiators))
        self.assertNotIn('initiator-name', self.file(volume))

        self.target.remove_export(None, volume)
        self.target.remove_export(None, volume)
        self.target.terminate_connection(volume, HOST)
        self.assertEqual({}, verbs.list_targets())
        self.assertEqual({}, self.daemon.accounts)
        self.assertEqual([], os.listdir(self.folder))
        self.assertNotIn(secret, self.log.output)

    def test_remove_what_a_migration_left_on_another_back_end(self):
        """It has the name of the volume, which is served from there."""
        moved = exported(connectors=[HOST])
        self.target.create_export(None, moved, DEVICES[1])
        before = self.file(moved)
        self.target.remove_export(None, moved, DEVICES[0])
        self.assertEqual([NAMES[0]], list(self.listed(moved).initiators))
        self.assertEqual(before, self.file(moved))
        self.target.remove_export(None, moved, DEVICES[1])
        self.assertEqual({}, verbs.list_targets())
        self.assertIsNone(self.file(moved))

    def test_host_with_upper_case_in_its_name(self):
        """iscsid sends the name as it is written, and tgtd compares so."""
        name = 'iqn.1991-05.com.Microsoft:PC'
        shouting = {**HOST, 'initiator': name}
        names = (name, name.lower())
        volume = exported(connectors=[OTHER_HOST])
        self.target.create_export(None, volume, DEVICES[0])
        for _ in 'once', 'again':
            self.target.initialize_connection(volume, shouting)
        self.assertEqual((NAMES[1], *names),
                         tuple(self.listed(volume).initiators))
        self.assertEqual((NAMES[1], *names),
                         self.stored_initiators(volume))
        self.daemon.log_in(iqn(volume), name)
        self.target.terminate_connection(volume, shouting)
        self.assertEqual({}, self.fake(iqn(volume)).sessions)
        self.assertEqual(NAMES[1:], tuple(self.listed(volume).initiators))
        self.assertNotIn('Microsoft', self.file(volume))

        volume = exported(connectors=[shouting])
        for _ in 'once', 'again':
            self.assertEqual({}, self.target.ensure_exports(
                None, [(volume, DEVICES[0])]))
        self.assertEqual({NAMES[1], *names},
                         set(self.listed(volume).initiators))

    def test_host_with_a_name_that_no_standard_knows(self):
        """The in-tree class lets it in, and it keeps its volume then."""
        name = 'iqn.2004-10.host_1'
        connector = {**HOST, 'initiator': name}
        volume = exported(connectors=[connector])
        self.assertEqual({}, self.target.ensure_exports(
            None, [(volume, DEVICES[0])]))
        self.daemon.log_in(iqn(volume), name)
        self.assertTrue(self.target.validate_connector(connector))
        self.target.terminate_connection(volume, connector)
        self.assertEqual((), tuple(self.listed(volume).initiators))
        self.assertEqual({}, self.fake(iqn(volume)).sessions)

    def test_volume_with_upper_case_in_its_name(self):
        """As volume_name_template may have it."""
        volume = fake_volume.volume(name='Volume-1', provider_location=None)
        volume.provider_location = self.target.create_export(
            None, volume, DEVICES[0])['location']
        self.assertEqual(iqn(volume), self.target.initialize_connection(
            volume, HOST)['data']['target_iqn'])
        self.assertEqual(['Volume-1'], os.listdir(self.folder))
        self.target.terminate_connection(volume, HOST)
        self.target.extend_target(volume)
        self.target.remove_export(None, fake_volume.volume(
            name='volume-1', provider_location=None))
        self.assertEqual((), tuple(self.listed(volume).initiators))
        self.target.remove_export(None, volume)
        self.assertEqual({}, verbs.list_targets())
        self.assertEqual([], os.listdir(self.folder))

    def test_unused(self):
        volumes = [exported(number) for number in range(4)]
        never, used, unused, rest = volumes
        for volume in used, unused:
            self.target.create_export(None, volume, DEVICES[0])
        self.target.initialize_connection(used, HOST)
        self.target.create_export(None, rest, DEVICES[0])
        verbs.delete_target(iqn(rest))
        self.assertEqual({unused.id, rest.id},
                         self.target.find_unused(volumes))
        for volume in unused, rest:
            self.target.remove_export(None, volume)
        self.write(never, test_tgt_persist.IN_TREE)
        self.assertEqual(set(), self.target.find_unused(volumes))

    def test_stored(self):
        served, rest = exported(1), exported(2)
        for volume in served, rest:
            self.target.create_export(None, volume, DEVICES[0])
        verbs.delete_target(iqn(rest))
        self.assertEqual({iqn(served): DEVICES[0], iqn(rest): DEVICES[0]},
                         self.target.stored_devices())
        for volume in served, rest:
            self.target.remove_stored(iqn(volume))
        self.assertEqual(({}, {}, []), (
            self.target.stored_devices(), verbs.list_targets(),
            os.listdir(self.folder)))

    def test_file_that_was_being_written(self):
        volume = exported()
        path = pathlib.Path(self.folder, f'.{volume.name}.new')
        path.write_text('half')
        self.assertEqual({volume.id}, self.target.find_unused([volume]))
        self.target.remove_export(None, volume)
        self.assertFalse(path.exists())

    def test_removal_that_was_killed(self):
        """Only the file names an account that is not bound."""
        volume = exported()
        self.target.create_export(None, volume, DEVICES[0])
        self.daemon.targets[self.listed_tid(volume)].accounts.clear()
        with mock.patch.object(verbs, 'delete_target',
                               side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.target.remove_export,
                              None, volume)
        self.assertIsNone(self.file(volume))
        self.assertEqual({volume.id}, self.target.find_unused([volume]))
        self.target.remove_export(None, volume)
        self.assertEqual(({}, []), (self.daemon.accounts,
                                    os.listdir(self.folder)))

    def listed_tid(self, volume):
        return self.fake(iqn(volume)).tid

    def test_denial_that_was_killed(self):
        volume = exported(connectors=[HOST])
        self.target.create_export(None, volume, DEVICES[0])
        path = pathlib.Path(self.folder, f'.{volume.name}.new')
        path.write_text('half')
        self.assertEqual({}, self.target.ensure_exports(
            None, [(volume, DEVICES[0])]))
        self.assertFalse(path.exists())

    def test_host_with_a_name_that_is_none(self):
        volume = exported(connectors=[HOST, {**HOST, 'initiator': 'x y'}])
        self.assertEqual({}, self.target.ensure_exports(
            None, [(volume, DEVICES[0])]))
        self.assertEqual(NAMES[:1], tuple(self.listed(volume).initiators))
        self.assertIn("'x y' is not the name of an initiator",
                      self.log.output)

    def test_host_that_the_daemon_refuses(self):
        volume = exported()
        self.target.create_export(None, volume, DEVICES[0])
        self.target.initialize_connection(volume, OTHER_HOST)
        before = self.file(volume)
        self.useFixture(fixtures.MockPatchObject(
            verbs, 'allow_initiator',
            side_effect=errors.TargetNotFound(iqn(volume))))
        self.assertRaises(errors.TargetNotFound,
                          self.target.initialize_connection, volume, HOST)
        self.assertEqual(before, self.file(volume))

    def test_host_that_cannot_be_stored(self):
        volume = exported()
        self.target.create_export(None, volume, DEVICES[0])
        self.useFixture(fixtures.MockPatchObject(
            self.target.folder, 'write',
            side_effect=errors.TargetFileNotUsable('x', 'No space left')))
        self.assertRaises(errors.TargetFileNotUsable,
                          self.target.initialize_connection, volume, HOST)
        self.assertEqual((), tuple(self.listed(volume).initiators))

    def test_two_hosts_at_once(self):
        """Cinder stores the first one only after it was let in."""
        volume = exported()
        for connector in HOST, OTHER_HOST:
            self.target.create_export(None, volume, DEVICES[0])
            self.target.initialize_connection(volume, connector)
        self.assertEqual(NAMES, tuple(self.listed(volume).initiators))
        self.assertEqual(NAMES, self.stored_initiators(volume))

    def test_options(self):
        target = self.make(iscsi_write_cache='off', iscsi_target_flags='sync')
        volume = fake_volume.new_volume()
        target.create_export(None, volume, DEVICES[0], read_only=True)
        lun = self.fake(iqn(volume)).luns[1]
        self.assertEqual(('sync', '1'), (lun.flags, lun.readonly))
        self.assertTrue(lun.mode_page)
        self.assertEqual(volume.name[:36], lun.scsi_id)

    @ddt.data(('volume-', 'volume-'),
              ('openstack-eu-west-', 'openstack-eu-west-'),
              ('openstack-eu-west-1-', ''),
              ('openstack-production-eu-west-1-volume-', ''), ('', ''))
    @ddt.unpack
    def test_wwid(self, prefix, kept):
        """Two volumes never share what hosts take for the disk."""
        volumes = [fake_volume.new_volume(
            number, name=prefix + fake_volume.UUID % number)
            for number in (1, 2)]
        for volume, device in zip(volumes, DEVICES, strict=False):
            self.target.create_export(None, volume, device)
            expected = (kept + volume.id)[:36]
            self.assertEqual(expected,
                             self.fake(iqn(volume)).luns[1].scsi_id)
            self.assertIn(f'scsi_id {kept}{volume.id}',
                          self.target.folder.read(iqn(volume)).format())

    def test_iser(self):
        """There, a host needs its name and an address in the list."""
        target = self.make(target_protocol='iser')
        volume = exported(connectors=[HOST])
        for serve in target.create_export, target.ensure_export:
            serve(None, volume, DEVICES[0])
            self.assertTrue(self.listed(volume).closed)
            self.assertIn('    initiator-address ALL\n', self.file(volume))
            self.assertNotIn('255.255.255.255', self.file(volume))
            self.daemon.log_in(iqn(volume), NAMES[0])
            self.assertRaises(AssertionError, self.daemon.log_in,
                              iqn(volume), NAMES[1])
            self.fake(iqn(volume)).acl.remove('ALL')
            self.write(volume, self.file(volume).replace(
                'ALL', '255.255.255.255'))

    def test_create_needs_all_portals(self):
        self.daemon.refused_portals = {'10.0.0.2:3261'}
        target = self.make(target_port=3261,
                           target_secondary_ip_addresses=['10.0.0.2'])
        error = self.assertRaises(
            errors.PortalNotAvailable, target.create_export, None,
            fake_volume.new_volume(), DEVICES[0])
        self.assertEqual('10.0.0.2:3261', error.portal)
        self.assertEqual({}, verbs.list_targets())

    def test_failure_leaves_no_file(self):
        self.daemon.devices.pop(DEVICES[0])
        self.assertRaises(errors.DeviceNotUsable, self.target.create_export,
                          None, fake_volume.new_volume(), DEVICES[0])
        self.assertEqual([], os.listdir(self.folder))

    def test_failure_keeps_the_file_of_before(self):
        volume = exported()
        self.target.create_export(None, volume, DEVICES[0])
        self.daemon.devices.pop(DEVICES[0])
        self.assertRaises(errors.DeviceNotUsable, self.target.create_export,
                          None, volume, DEVICES[0])
        self.assertIn('incominguser', self.file(volume))

    def test_a_host_without_a_file(self):
        volume = exported()
        self.target.create_export(None, volume, DEVICES[0])
        self.target.folder.remove(iqn(volume))
        self.target.initialize_connection(volume, HOST)
        self.assertEqual(NAMES[:1], tuple(self.listed(volume).initiators))
        self.assertIsNone(self.file(volume))

    def test_extend(self):
        volume = exported(connectors=[HOST])
        self.target.create_export(None, volume, DEVICES[0])
        self.daemon.sizes[DEVICES[0]] = 2
        self.target.extend_target(volume)
        self.assertEqual(2, self.fake(iqn(volume)).luns[1].size_seen)

    def test_extend_of_what_was_copied_from_another_volume(self):
        """The hosts of that one are not sent away."""
        volume = exported(connectors=[HOST])
        self.target.create_export(None, volume, DEVICES[0])
        self.daemon.sizes[DEVICES[0]] = 2
        self.target.extend_target(fake_volume.volume(
            2, provider_location=volume.provider_location))
        self.assertNotEqual(2, self.fake(iqn(volume)).luns[1].size_seen)

    def test_extend_of_what_is_not_served(self):
        self.target.extend_target(exported())
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        self.target.extend_target(fake_volume.new_volume())

    def test_io_that_keeps_a_target_from_being_removed(self):
        volume = exported(connectors=[HOST])
        self.target.create_export(None, volume, DEVICES[0])
        self.daemon.log_in(iqn(volume), NAMES[0])
        self.daemon.in_flight = 1000
        self.assertRaises(errors.TargetBusy, self.target.remove_export, None,
                          volume)
        # Not brought back at a start of the daemon.
        self.assertIsNone(self.file(volume))
        self.daemon.in_flight = 1
        self.target.remove_export(None, volume)
        self.assertEqual({}, verbs.list_targets())

    def test_under_one_lock(self):
        volume = exported(connectors=[HOST])
        calls = (
            lambda: self.target.create_export(None, volume, DEVICES[0]),
            lambda: self.target.initialize_connection(volume, HOST),
            lambda: self.target.extend_target(volume),
            lambda: self.target.terminate_connection(volume, HOST),
            lambda: self.target.ensure_export(None, volume, DEVICES[0]),
            lambda: self.target.terminate_connection(volume, None),
            lambda: self.target.remove_export(None, volume))
        for call in calls:
            with mock.patch.object(lockutils, 'lock',
                                   wraps=lockutils.lock) as lock:
                call()
            self.assertEqual(
                mock.call('tgtadm', lock_file_prefix='cinder-',
                          external=True), lock.call_args)


@ddt.ddt
class TestNoDaemon(TargetTestCase):
    """A daemon that has ended took its targets along."""

    GONE = ConnectionRefusedError(111, 'Connection refused')

    def setUp(self):
        super().setUp()
        self.volume = exported(connectors=[HOST, OTHER_HOST])
        self.target.create_export(None, self.volume, DEVICES[0])
        self.before = self.file(self.volume)
        self.daemon.answer = self.GONE

    def initiators(self):
        """Return whom the next daemon is to let in."""
        return self.stored_initiators(self.volume)

    def test_remove(self):
        self.target.remove_export(None, self.volume)
        self.assertIsNone(self.file(self.volume))
        self.assertIn(f'WARNING cinder_lvm_driver.targets.tgt: Target '
                      f'{iqn(self.volume)} is not served', self.log.output)

    def test_remove_what_was_never_exported(self):
        self.target.remove_export(None, fake_volume.new_volume(2))
        self.assertEqual(self.before, self.file(self.volume))

    def test_terminate(self):
        self.target.terminate_connection(self.volume, HOST)
        self.assertEqual(NAMES[1:], self.initiators())
        self.target.terminate_connection(self.volume, None)
        self.assertEqual((), self.initiators())
        self.assertIn('start the daemon (systemctl start tgt)',
                      self.log.output)

    def test_what_needs_it(self):
        for verb in (
                lambda: self.target.create_export(None, self.volume,
                                                  DEVICES[0]),
                lambda: self.target.initialize_connection(
                    self.volume, {**HOST, 'initiator': 'iqn.2000-01.org.x'}),
                lambda: self.target.extend_target(self.volume)):
            self.assertRaises(errors.TargetDaemonNotRunning, verb)
        self.assertEqual(self.before, self.file(self.volume))

    @ddt.data((TimeoutError('timed out'), errors.TargetDaemonSilent),
              (ConnectionResetError(104, 'reset'), errors.TargetDaemonSilent),
              (b'', errors.TargetDaemonUnknown))
    @ddt.unpack
    def test_one_that_may_be_there(self, answer, expected):
        self.daemon.answer = answer
        self.assertRaises(expected, self.target.remove_export, None,
                          self.volume)
        self.assertRaises(expected, self.target.terminate_connection,
                          self.volume, HOST)


class TestEnsure(TargetTestCase):

    def setUp(self):
        super().setUp()
        self.volumes = [exported(1, [HOST]), exported(2, [HOST, OTHER_HOST])]
        self.pairs = list(zip(self.volumes, DEVICES, strict=True))
        self.assertEqual({}, self.ensure())
        self.changed()

    def ensure(self):
        return self.target.ensure_exports(None, self.pairs)

    def tid(self, number):
        return self.fake(iqn(self.volumes[number])).tid

    def assert_whole(self):
        for number, volume in enumerate(self.volumes, 1):
            listed = self.listed(volume)
            self.assertEqual(f'253:{number}', listed.device)
            self.assertTrue(listed.ready and listed.closed)
            self.assertEqual(
                [attachment.connector['initiator']
                 for attachment in volume.volume_attachment],
                list(listed.initiators))
            self.assertEqual('secret123456',
                             self.daemon.accounts[f'name{number}'])
            self.assertEqual(
                tuple(listed.initiators),
                self.stored_initiators(volume))

    def test_after_a_restart(self):
        self.assert_whole()
        before = self.tid(0)
        self.daemon.targets.clear()
        self.daemon.accounts.clear()
        self.assertEqual({}, self.ensure())
        self.assert_whole()
        self.assertEqual(before, self.tid(0))

    def test_what_is_whole_is_not_touched(self):
        with mock.patch.object(verbs, 'list_targets',
                               wraps=verbs.list_targets) as listing:
            self.assertEqual({}, self.ensure())
        listing.assert_called_once_with()
        self.assertEqual([], self.door.steps)

    def test_only_what_is_missing(self):
        self.fake(iqn(self.volumes[1])).acl.remove(NAMES[0])
        self.assertEqual({}, self.ensure())
        self.assertEqual({self.tid(1)}, self.changed())

    def test_a_target_that_is_open_to_all(self):
        """As the in-tree class leaves it, with its file."""
        volume = self.volumes[0]
        self.fake(iqn(volume)).acl[:] = ['ALL']
        self.write(volume, test_tgt_persist.IN_TREE)
        self.daemon.log_in(iqn(volume), NAMES[0])
        self.assertEqual({}, self.ensure())
        self.assertEqual({self.tid(0)}, self.changed())
        self.assert_whole()
        self.assertEqual(1, len(self.fake(iqn(volume)).sessions))

    def test_one_that_was_killed_in_the_middle_of_a_resize(self):
        self.fake(iqn(self.volumes[0])).state = 'offline'
        self.fake(iqn(self.volumes[0])).luns.clear()
        self.assertEqual({}, self.ensure())
        self.assert_whole()

    def test_only_the_file_is_missing(self):
        self.target.folder.remove(iqn(self.volumes[0]))
        self.write(self.volumes[1], test_tgt_persist.IN_TREE)
        self.assertEqual({}, self.ensure())
        self.assertEqual(set(), self.changed())
        self.assert_whole()

    def test_another_host_is_left_in(self):
        """It may be one that is just being let in."""
        volume = self.volumes[0]
        self.target.initialize_connection(volume, OTHER_HOST)
        self.fake(iqn(volume)).acl.append('ALL')
        self.assertEqual({}, self.ensure())
        self.assertEqual(NAMES, tuple(self.listed(volume).initiators))
        self.assertIn(NAMES[1], self.file(volume))

    def test_none(self):
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        self.assertEqual({}, self.target.ensure_exports(None, []))

    def test_no_daemon(self):
        self.daemon.answer = ConnectionRefusedError(111, 'refused')
        failures = self.ensure()
        self.assertEqual({volume.id for volume in self.volumes},
                         set(failures))
        for failure in failures.values():
            self.assertIsInstance(failure, errors.TargetDaemonNotRunning)

    def test_a_volume_without_device(self):
        self.daemon.devices.pop(DEVICES[0])
        failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertIsInstance(failures[self.volumes[0].id],
                              errors.DeviceNotUsable)

    def test_one_portal_is_enough(self):
        self.daemon.refused_portals = {'10.0.0.2:3261'}
        self.target = self.make(target_port=3261,
                                target_secondary_ip_addresses=['10.0.0.2'])
        self.assertEqual({}, self.ensure())
        self.assertIn('but not on portal 10.0.0.2:3261: Address in use',
                      self.log.output)
