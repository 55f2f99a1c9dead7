# SPDX-License-Identifier: Apache-2.0
"""Attached volumes: tgtd as the target, os-brick as the host."""

import contextlib
import os
import stat

from cinder import exception

from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_cost
from tests.functional import test_in_tree
from tests.functional import tgt_daemon

GIB = test_attach.GIB
VOLUMES_DIR = '/var/lib/cinder/volumes'
OTHER = 'iqn.2001-01.org.example:other'


class TgtTestCase(test_attach.AttachTestCase):
    """A test with a tgtd of its own class."""

    settings = {'target_helper': 'tgtadm', 'target_port': tgt_daemon.PORT}

    @classmethod
    def setUpClass(cls):
        base._agent.run('tee', tgt_daemon.CONFIGURATION,
                        text=f'include {VOLUMES_DIR}/*\n')
        cls.addClassCleanup(base._agent.run, 'rm', '-f',
                            tgt_daemon.CONFIGURATION)
        cls.daemon = tgt_daemon.Daemon(base._agent)
        cls.addClassCleanup(cls.daemon.kill)
        cls.daemon.start()
        super().setUpClass()

    def targets(self):
        return self.daemon.targets()

    def backstores(self):
        """Return what else would be left of a volume."""
        return os.listdir(VOLUMES_DIR) + self.daemon.accounts()

    def forget_targets(self):
        self.daemon.restart()

    def file(self, volume):
        """Return the file of a volume that tgt-admin reads."""
        path = os.path.join(VOLUMES_DIR, volume.name)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        with open(path) as file:
            return file.read()

    @contextlib.contextmanager
    def connected(self, connection):
        """Have a volume connected by a host that waits as long as most do.

        The test machine's iscsid gives up after 8 seconds. What is written
        here is kept through a new login.
        """
        with self.host.connected(connection) as (brick, path):
            self.root.run(
                'bash', '-c', 'for tmo in /sys/class/iscsi_session/*/'
                'recovery_tmo; do echo 120 > $tmo; done')
            yield brick, path

    def connections_kept(self):
        """Expect nothing: tgtd sends hosts away to resize their volume."""
        return contextlib.nullcontext()

    def sessions(self):
        """Return the states of the sessions of this machine."""
        return self.root.try_run(
            'bash', '-c', 'cat /sys/class/iscsi_session/*/state'
        ).stdout.split()


class TgtAttachTest(test_attach.ISCSICases, test_attach.AccessCases,
                    test_attach.RecoveryCases, test_attach.LifeCases,
                    TgtTestCase):

    slow_tests = (*test_attach.AS_WITH_LIO,
                  'test_two_volumes_whose_names_begin_alike')

    def assert_is(self, volume, path):
        self.assertEqual(
            '36e0' + volume.id[:29].replace('-', '0'),
            self.root.run('/lib/udev/scsi_id', '-g', '-u', path).strip())

    def live_on(self, volume, connection, _brick, _path):
        self.assertRegex(
            volume.provider_location,
            r'^127\.0\.0\.1:3262,\d+ iqn\.2010-10\.org\.openstack:'
            rf'{volume.name} 1$')
        self.assertNotIn('discard', connection['data'])

    def test_read_only(self):
        volume = self.create()
        self.write(self.device(volume.name), 'before')
        before = self.checksum(self.device(volume.name))
        target = self.driver.target_driver
        export = target.create_export(
            self.context, volume, self.device(volume.name), read_only=True)
        self.addCleanup(self.driver.remove_export, self.context, volume)
        volume.provider_location = export['location']
        volume.provider_auth = export['auth']
        base.SECRETS.add(volume.provider_auth.split()[2])
        with self.connected(self.attach(volume)) as (_brick, path):
            self.assertEqual(before, self.checksum(path))
            self.assertTrue(self.root.try_run(
                'dd', 'if=/dev/urandom', f'of={path}', 'bs=1M', 'count=1',
                'oflag=direct').code)
        self.assertEqual(before, self.checksum(self.device(volume.name)))

    @base.slow
    def test_two_hosts(self):
        volume = self.export(multiattach=True)
        connection = self.attach(volume)
        other = dict(self.connector, initiator=OTHER)
        data = self.attach(volume, initiator=OTHER)['data']
        with self.connected(connection) as (_brick, path):
            self.log_in_as(OTHER, data)
            self.wait_for_sessions(2)
            with self.subTest('one host less'):
                self.driver.terminate_connection(volume, other)
                self.wait_for_sessions(1)
                self.write(path, 'still there')
                self.assertIn(self.connector['initiator'], self.file(volume))
                self.assertNotIn(OTHER, self.file(volume))
            with self.subTest('no host'):
                volume.volume_attachment.objects.pop()
                self.driver.terminate_connection(volume, self.connector)
                self.wait_for_sessions(0)
            with self.subTest('both again'):
                for connector in self.connector, other:
                    self.driver.initialize_connection(volume, connector)
                self.wait_for_sessions(2)

    def wait_for_sessions(self, count):
        """Wait until this machine has so many sessions that work."""
        base.wait_until(
            lambda: self.sessions().count('LOGGED_IN') == count,
            f'{count} sessions are logged in')

    def log_in_as(self, initiator, data):
        """Have this machine log in as another host, too."""
        node = ['iscsiadm', '-m', 'node', '-T', data['target_iqn'], '-p',
                data['target_portal'], '-I', 'other']
        interface = ['iscsiadm', '-m', 'iface', '-I', 'other']
        self.root.run(*interface, '--op', 'new')
        self.addCleanup(self.root.run, *interface, '--op', 'delete')
        self.root.run(*interface, '--op', 'update', '-n',
                      'iface.initiatorname', '-v', initiator)
        self.root.run(*node, '--op', 'new')
        self.addCleanup(self.root.try_run, *node, '--op', 'delete')
        for name, value in (('authmethod', 'CHAP'),
                            ('username', data['auth_username']),
                            ('password', data['auth_password'])):
            self.root.run(*node, '--op', 'update', '-n',
                          f'node.session.auth.{name}', '-v', value)
        self.root.run(*node, '--login')
        self.addCleanup(self.root.try_run, *node, '--logout')

    @base.slow
    def test_daemon_is_started_before_us(self):
        volume = self.export()
        with self.connected(self.attach(volume)) as (_brick, path):
            with self.writing([path]) as io:
                io.wait_for_more('at the start')
                self.daemon.restart_as_service()
                io.wait_for_more('after tgt-admin has read our files')
                shown = self.daemon.try_ask('target').stdout
                self.driver.update_provider_info([volume], [])
                self.assertEqual(shown, self.daemon.try_ask('target').stdout)

    def test_names_in_upper_case(self):
        option = 'volume_name_template'
        base.CONF.set_override(option, 'Volume-%s')
        self.addCleanup(base.CONF.clear_override, option)
        volume = self.export()
        self.assert_round_trip(volume, self.attach(volume))
        self.daemon.restart_as_service()
        self.assertEqual([f'iqn.2010-10.org.openstack:{volume.name}'],
                         self.targets())

    def test_no_daemon(self):
        volume = self.export()
        connection = self.attach(volume)
        doomed = self.export()
        self.attach(doomed)
        self.daemon.kill()
        try:
            with self.subTest('what goes without it'):
                self.driver.terminate_connection(doomed, self.connector)
                self.assertNotIn('initiator-name', self.file(doomed))
                self.driver.remove_export(self.context, doomed)
                self.assertEqual([volume.name], os.listdir(VOLUMES_DIR))
                self.driver.delete_volume(doomed)
            for verb in (
                    lambda: self.make_driver(**self.settings),
                    lambda: self.driver.initialize_connection(
                        volume, self.connector)):
                with self.assert_raises_with(
                        exception.VolumeBackendAPIException,
                        'systemctl start tgt'):
                    verb()
        finally:
            self.daemon.start()
        self.driver.ensure_export(self.context, volume)
        self.assert_round_trip(volume, connection)
        # One that fails would keep the export from being removed.
        self.attach(volume)


class TgtPortalsTest(test_attach.PortalCases, TgtTestCase):
    settings = {**test_attach.PortalCases.settings,
                'target_helper': 'tgtadm'}


class TgtCostTest(TgtTestCase, test_cost.CostTest):

    def test_costs(self):
        volume = self.create()
        self.assert_costs({'lvs': 1}, self.serve_and_remove, volume)


@base.slow
class TgtBothWaysTest(test_in_tree.BothWays, TgtTestCase):
    """The in-tree class for tgtd takes our volumes and we take its."""

    settings = {**TgtTestCase.settings, 'lvm_type': 'default',
                'volume_clear': 'none'}
    pv_sizes = (6 * GIB,)
    direct = False

    def backstores(self):
        """Return the files; the in-tree class leaves accounts behind."""
        return os.listdir(VOLUMES_DIR)
