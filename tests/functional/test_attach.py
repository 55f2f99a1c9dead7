# SPDX-License-Identifier: Apache-2.0
"""Attached volumes: LIO in this kernel, os-brick as the host.

The cases are those of the other helpers, too.
"""

import contextlib
import json
import os
import socket
import sys
import tempfile

from os_brick import exception as brick_exception

from cinder import exception
from tests.functional import base
from tests.functional import initiator

GIB = base.GIB
MIB = base.MIB
CONFIGFS = '/sys/kernel/config/target'
# In these cases the helpers do not differ: those of LIO are in the sample.
AS_WITH_LIO = (
    'test_all_hosts_are_detached',
    'test_copy_of_a_volume_has_no_export_to_remove',
    'test_missing_lv_does_not_keep_others_from_being_served',
    'test_second_attachment_of_a_host_keeps_its_access',
    'test_snapshot_is_read_and_not_written',
)


class Io:
    """What the writers of all volumes have done."""

    def __init__(self, test, progress):
        self._test = test
        self._progress = progress

    def counts(self):
        with open(self._progress) as file:
            done = json.load(file)
        self._test.assertEqual({}, done['errors'])
        return done['counts']

    def wait_for_more(self, what):
        """Wait until every volume was written to some more."""
        before = self.counts()
        base.wait_until(
            lambda: all(count > before[path] + 2
                        for path, count in self.counts().items()),
            f'all volumes are written to: {what}')


class AttachTestCase(base.BackendTestCase):
    """Exports and connections, all of them gone after each test."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.host = initiator.Host()
        cls.connector = cls.host.connector()

    def setUp(self):
        super().setUp()
        self.addCleanup(self._assert_no_targets)

    def _assert_no_targets(self):
        left = self.targets() + self.backstores()
        if left:
            self.forget_targets()
        self.assertEqual([], left)

    def targets(self):
        """Return the IQNs of all targets."""
        found = self.root.try_run('find', f'{CONFIGFS}/iscsi', '-mindepth',
                                  1, '-maxdepth', 1, '-name', 'iqn.*')
        return [os.path.basename(path) for path in found.stdout.split()]

    def backstores(self):
        """Return the names of all backstores."""
        found = self.root.try_run('find', f'{CONFIGFS}/core', '-mindepth', 2,
                                  '-maxdepth', 2, '-path', '*/iblock_*/*',
                                  '-name', 'iqn.*')
        return [os.path.basename(path) for path in found.stdout.split()]

    def forget_targets(self):
        """Lose the kernel's configuration, as a reboot does."""
        self.root.run('targetctl', 'clear')

    def export(self, driver=None, **values):
        """Create and export a volume that is removed after the test."""
        return self.serve(self.create(**values), driver)

    def serve(self, volume, driver=None):
        """Export a volume until the end of the test."""
        driver = driver or self.driver
        self.store(volume, driver.create_export(self.context, volume,
                                                self.connector))
        self.addCleanup(self.driver.remove_export, self.context, volume)
        if volume.provider_auth:
            base.SECRETS.add(volume.provider_auth.split()[2])
        return volume

    def store(self, volume, update):
        """Keep what Cinder would store in its database."""
        for key, value in (update or {}).items():
            setattr(volume, key, value)

    def attach(self, volume, driver=None, **connector):
        """Let this host in; return what it is told."""
        driver = driver or self.driver
        wanted = dict(self.connector, **connector)
        driver.validate_connector(wanted)
        attachment = self.attachment(volume, wanted)
        connection = driver.initialize_connection(volume, wanted)
        attachment.connection_info = dict(
            connection['data'],
            driver_volume_type=connection['driver_volume_type'])
        return connection

    def connected(self, connection):
        """Have a volume connected to this host."""
        return self.host.connected(connection)

    def assert_round_trip(self, volume, connection):
        """Fail unless what the host writes is on the LV."""
        with self.host.connected(connection) as (_brick, path):
            self.write(path, volume.id)
            self.assertEqual(self.checksum(path),
                             self.checksum(self.device(volume.name)))

    @contextlib.contextmanager
    def writing(self, paths):
        """Have volumes written to."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(folder, 0o755)
        progress = os.path.join(folder, 'progress')
        pid = self.root.run(
            'bash', '-c', f'cd {os.getcwd()}; {sys.executable} -m '
            f'tests.functional.writer {progress} {" ".join(paths)} '
            '> /dev/null 2>&1 & echo $!').strip()
        try:
            base.wait_until(lambda: os.path.exists(progress),
                            'the writers have begun')
            yield Io(self, progress)
        finally:
            self.root.run('kill', '-9', pid)
            base.wait_until(
                lambda: self.root.try_run('test', '-e', f'/proc/{pid}').code,
                'the writers have ended')

    def tcp_connections(self):
        """Return this host's ends of its connections with the target.

        Each has a port of its own: one that is made anew has another one.
        """
        portal = ':%04X' % self.driver.configuration.target_port
        with open('/proc/net/tcp') as file:
            rows = [line.split() for line in file]
        return {local for _, local, remote, state, *_ in rows
                if remote.endswith(portal) and state == '01'}

    @contextlib.contextmanager
    def connections_kept(self):
        """Fail if this host loses a connection with the target meanwhile."""
        before = self.tcp_connections()
        self.assertTrue(before)
        yield
        self.assertEqual(before, self.tcp_connections())

    def extend_under_io(self, volume, size, connection, brick, path):
        """Extend a volume whose first block a host writes to."""
        with self.writing([path]) as io, self.connections_kept():
            self.driver.extend_volume(volume, size)
            self.assertEqual(size * GIB, brick.extend_volume(
                connection['data']))
            io.wait_for_more('after the extension')

    def assert_locked_out(self, connection):
        with self.assertRaises((brick_exception.BrickException,
                                brick_exception.VolumeDeviceNotFound)):
            self.host.connect(connection)


class SnapshotAttachCases:
    """Snapshots that are served without a copy."""

    snapshot_stays_as_it_is = True

    def test_snapshot_is_read_and_not_written(self):
        read_only = self.driver.target_driver.SERVES_READ_ONLY
        volume = self.create_small()
        self.write(self.device(volume.name), 'before')
        before = self.checksum(self.device(volume.name))
        snapshot = self.create_snapshot(volume)
        names = self.lv_names()
        self.write(self.device(volume.name), 'after')
        self.store(snapshot, self.driver.create_export_snapshot(
            self.context, snapshot, self.connector))
        self.addCleanup(self.driver.remove_export_snapshot, self.context,
                        snapshot)
        base.SECRETS.update(snapshot.provider_auth.split()[2:])
        connection = self.driver.initialize_connection_snapshot(
            snapshot, self.connector)
        self.assertEqual('ro', connection['data']['access_mode'])
        with self.host.connected(connection) as (_brick, path):
            self.assertEqual(before, self.checksum(path))
            done = self.root.try_run('dd', 'if=/dev/zero', f'of={path}',
                                     'bs=4k', 'count=1', 'oflag=direct')
            self.assertEqual(read_only, done.code != 0)
        for _ in range(2):
            self.driver.terminate_connection_snapshot(
                snapshot, self.connector, force=True)
            self.driver.remove_export_snapshot(self.context, snapshot)
        self.assertEqual(names, self.lv_names())
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.addCleanup(self.driver.delete_volume, copy)
        self.assertEqual(
            self.snapshot_stays_as_it_is,
            before == self.checksum(self.device(copy.name)))


class AccessCases(SnapshotAttachCases):
    """Who gets in, whatever serves the volumes.

    Give ``OTHER_HOST``, what the connector of another host differs in.
    """

    def test_other_host_is_locked_out(self):
        volume = self.export()
        self.assert_locked_out(self.attach(volume, **self.OTHER_HOST))

    def test_detached_host_is_locked_out(self):
        volume = self.export()
        connection = self.attach(volume)
        self.driver.terminate_connection(volume, self.connector)
        self.driver.terminate_connection(volume, self.connector)
        self.assert_locked_out(connection)

    def test_export_and_remove_twice(self):
        volume = self.export()
        first = volume.provider_location, volume.provider_auth
        self.store(volume, self.driver.create_export(
            self.context, volume, self.connector))
        self.assertEqual(first, (volume.provider_location,
                                 volume.provider_auth))
        self.driver.remove_export(self.context, volume)
        self.driver.remove_export(self.context, volume)

    def test_copy_of_a_volume_has_no_export_to_remove(self):
        """Cinder gives the clone for an image what it stores of its source."""
        source = self.export()
        connection = self.attach(source)
        copy = self.create(provider_location=source.provider_location,
                           provider_auth=source.provider_auth)
        self.driver.terminate_connection(copy, self.connector)
        self.driver.remove_export(self.context, copy)
        self.assert_round_trip(source, connection)

    def test_all_hosts_are_detached(self):
        volume = self.export()
        connection = self.attach(volume)
        self.attach(volume, **self.OTHER_HOST)
        self.assertFalse(self.driver.terminate_connection(volume, None))
        self.assert_locked_out(connection)

    def test_second_attachment_of_a_host_keeps_its_access(self):
        volume = self.export(multiattach=True)
        self.attach(volume)
        connection = self.attach(volume)
        self.assertTrue(self.driver.terminate_connection(
            volume, self.connector))
        self.assert_round_trip(volume, connection)


class RecoveryCases:
    """What comes back after a loss, see also ``test_restart``."""

    def test_missing_lv_does_not_keep_others_from_being_served(self):
        here, gone = self.export(), self.export()
        connection = self.attach(here)
        self.attach(gone)
        self.forget_targets()
        self.driver.delete_volume(gone)
        self.driver.update_provider_info([gone, here], [])
        self.assert_round_trip(here, connection)
        with self.assertRaises(exception.VolumeBackendAPIException):
            self.driver.ensure_export(self.context, gone)


class LifeCases:
    """One attachment from its beginning to its end.

    Give ``assert_is(volume, path)``, which looks at the identity of a disk,
    and ``live_on(volume, connection, brick, path)``.
    """

    def test_life_of_an_attachment(self):
        volume = self.export()
        connection = self.attach(volume)
        with self.connected(connection) as (brick, path):
            with self.subTest('the disk is the volume'):
                self.assert_is(volume, path)
            with self.subTest('what the host writes is on the LV'):
                self.write(path, volume.id, 4 * MIB)
                written = self.checksum(path, 4 * MIB)
                self.assertEqual(written, self.checksum(
                    self.device(volume.name), 4 * MIB))
            with self.subTest('delete is refused'):
                with self.assertRaises(exception.VolumeIsBusy):
                    self.driver.delete_volume(volume)
            with self.subTest('extension is seen, and I/O goes on'):
                self.extend_under_io(volume, 2, connection, brick, path)
                self.assertEqual(written, self.checksum(path, 4 * MIB))
            self.live_on(volume, connection, brick, path)
            with self.subTest('the disk still is the volume'):
                self.assert_is(volume, path)
        self.assertFalse(self.driver.terminate_connection(
            volume, self.connector))


class AttachCases(AccessCases, RecoveryCases, LifeCases):
    """What a target in the kernel keeps of an attachment of a thin volume."""

    def live_on(self, volume, _connection, _brick, path):
        with self.subTest('discard returns blocks to the pool'):
            used, = self.lv(volume.name, 'data_percent')
            self.root.run('blkdiscard', path)
            left, = self.lv(volume.name, 'data_percent')
            self.assertGreater(float(used), 0)
            self.assertEqual(0, float(left))


class ISCSICases:
    """What holds for all helpers that speak iSCSI."""

    OTHER_HOST = {'initiator': 'iqn.2001-01.org.example:other'}

    def test_wrong_and_missing_secret_are_locked_out(self):
        volume = self.export()
        connection = self.attach(volume)
        connection['data']['auth_password'] = 'not-this-one'
        self.assert_locked_out(connection)
        for key in 'auth_method', 'auth_username', 'auth_password':
            del connection['data'][key]
        self.assert_locked_out(connection)

    def test_discovery_shows_a_host_only_what_is_its_own(self):
        volume = self.export()
        self.attach(volume)
        portal, iqn, _lun = volume.provider_location.split(' ')
        ask = ('iscsiadm', '-m', 'discovery', '-t', 'sendtargets', '-p',
               portal.partition(',')[0], '-o', 'nonpersistent')
        self.assertIn(iqn, self.root.run(*ask))
        self.root.run('iscsiadm', '-m', 'iface', '-I', 'other', '-o', 'new')
        self.addCleanup(self.root.run, 'iscsiadm', '-m', 'iface', '-I',
                        'other', '-o', 'delete')
        self.root.run('iscsiadm', '-m', 'iface', '-I', 'other', '-o',
                      'update', '-n', 'iface.initiatorname', '-v',
                      self.OTHER_HOST['initiator'])
        self.assertNotIn(iqn, self.root.try_run(*ask, '-I', 'other').stdout)

    def test_two_volumes_whose_names_begin_alike(self):
        one = self.export()
        two = self.create(id=one.id[:-1] + ('0' if one.id[-1] != '0'
                                            else '1'))
        longer = f'{one.provider_location.split(" ")[1]}0'
        self.store(two, self.driver.create_export(self.context, two, None))
        self.driver.remove_export(self.context, two)
        self.assertNotIn(longer, self.targets())
        self.assert_round_trip(one, self.attach(one))

    def test_connectors_that_do_not_do(self):
        for connector in ({}, {'initiator': None}, {'initiator': ''},
                          {'host': 'x'}, {'initiator': '../../x'},
                          {'initiator': 'iqn.2001-01.org.example:a b'}):
            with self.subTest(connector=connector):
                with self.assertRaises(exception.InvalidConnectorException):
                    self.driver.validate_connector(connector)


class ThinAttachTest(ISCSICases, AttachCases, AttachTestCase):

    slow_tests = (
        'test_copy_of_a_volume_has_no_export_to_remove',
        'test_two_volumes_whose_names_begin_alike',
    )

    def assert_is(self, volume, path):
        wwid = self.root.run('/lib/udev/scsi_id', '-g', '-u', path)
        self.assertIn(volume.id.replace('-', '')[:25], wwid)

    def test_stored_and_told_as_upstream_does(self):
        volume = self.export()
        iqn = f'iqn.2010-10.org.openstack:{volume.name}'
        self.assertEqual(f'127.0.0.1:3260,{iqn} {iqn} 0',
                         volume.provider_location)
        _chap, user, secret = volume.provider_auth.split(' ')
        self.assertEqual(
            {'driver_volume_type': 'iscsi', 'data': {
                'target_discovered': False,
                'target_portal': '127.0.0.1:3260', 'target_iqn': iqn,
                'target_lun': 0, 'volume_id': volume.id,
                'auth_method': 'CHAP', 'auth_username': user,
                'auth_password': secret, 'encrypted': False,
                'discard': True}},
            self.attach(volume))


class PortalCases:
    """Several addresses, whatever serves the volumes over iSCSI."""

    settings = {'target_ip_address': '127.0.0.1', 'target_port': 3261,
                'target_secondary_ip_addresses': ['::1', '127.0.0.2']}

    def test_every_portal_serves(self):
        volume = self.export()
        connection = self.attach(volume)
        portals = connection['data']['target_portals']
        self.assertEqual(['127.0.0.1:3261', '[::1]:3261', '127.0.0.2:3261'],
                         portals)
        for portal in portals:
            with self.subTest(portal=portal):
                single = {key: value
                          for key, value in connection['data'].items()
                          if not key.endswith('s') or key == 'discards'}
                single['target_portal'] = portal
                self.assert_round_trip(volume, dict(connection, data=single))


class PortalsTest(PortalCases, AttachTestCase):
    """The portals of LIO."""


class TakenPortalTest(AttachTestCase):
    settings = {'target_ip_address': '127.0.0.9'}

    def test_port_of_somebody_else(self):
        with socket.create_server(('127.0.0.9', 3260)):
            volume = self.create()
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException,
                    r'127\.0\.0\.9:3260.*in use'):
                self.driver.create_export(self.context, volume,
                                          self.connector)
