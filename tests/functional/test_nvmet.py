# SPDX-License-Identifier: Apache-2.0
"""Volumes attached over NVMe/TCP: nvmet in this kernel, os-brick as host."""

import functools
import json
import os
import tempfile

from cinder import exception

from tests.functional import base
from tests.functional import test_attach

CONFIGFS = '/sys/kernel/config/nvmet'
HOST_CONFIG = '/etc/nvme/config.json'
# Links first, then what they tie together.
FORGET = f'''
cd {CONFIGFS}
rm -f ports/*/subsystems/* subsystems/*/allowed_hosts/*
rmdir subsystems/*/namespaces/* subsystems/nqn.*-* hosts/* ports/*
true
'''


class NvmetTestCase(test_attach.AttachTestCase):
    """Exports and connections over NVMe/TCP, gone after each test."""

    settings = {'target_port': 4420}
    nvmet_settings = {'target_helper': 'nvmet', 'target_protocol': 'nvmet_tcp',
                      'nvmeof_conn_info_version': 2}

    @classmethod
    def make_driver(cls, *arguments, **settings):
        return super().make_driver(
            *arguments, **{**cls.nvmet_settings, **settings})

    def setUp(self):
        super().setUp()
        self.addCleanup(self.disconnect_all)

    def disconnect_all(self):
        """End what a failed test left connected."""
        self.root.try_run('nvme', 'disconnect-all')

    def targets(self):
        """Return all subsystems, and the hosts and ports that are left."""
        return [name for folder in ('subsystems', 'hosts', 'ports')
                for name in self.root.run(
                    'ls', f'{CONFIGFS}/{folder}').split()
                if not name.endswith('.discovery')]

    def backstores(self):
        return []

    def forget_targets(self):
        self.root.run('bash', '-c', FORGET)

    def allowed(self, volume):
        """Return the hosts that a volume's subsystem lets in."""
        nqn = volume.provider_location.split(' ')[2]
        return set(self.root.run(
            'ls', f'{CONFIGFS}/subsystems/{nqn}/allowed_hosts').split())

    def controllers(self):
        """Return the connections of this host, with their states."""
        found = self.root.run(
            'bash', '-c', 'cd /sys/class/nvme-fabrics/ctl && '
            'grep -s . nvme*/state || true')
        return found.split()


class NvmetAttachTest(test_attach.AttachCases, NvmetTestCase):
    slow_tests = test_attach.AS_WITH_LIO

    OTHER_HOST = {'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
                         'bbbbbbbb-2222-3333-4444-555555555555'}

    def assert_is(self, volume, path):
        name = os.path.basename(path)
        for identity in 'uuid', 'nguid':
            self.assertEqual(volume.id, self.root.run(
                'cat', f'/sys/block/{name}/{identity}').strip())

    def test_stored_and_told_as_upstream_does(self):
        volume = self.export()
        nqn = f'nqn.iqn.2010-10.org.openstack:-{volume.id}'
        self.assertEqual(f'127.0.0.1:4420 tcp {nqn} 10',
                         volume.provider_location)
        self.assertEqual('', volume.provider_auth)
        self.assertEqual(
            {'driver_volume_type': 'nvmeof', 'data': {
                'target_nqn': nqn, 'vol_uuid': volume.id,
                'portals': [('127.0.0.1', '4420', 'tcp')], 'ns_id': '10',
                'encrypted': False, 'discard': True}},
            self.attach(volume))

    def test_discovery_shows_a_host_only_what_is_its_own(self):
        volume = self.export()
        self.attach(volume)
        nqn = volume.provider_location.split(' ')[2]
        ask = ('nvme', 'discover', '-t', 'tcp', '-a', '127.0.0.1', '-s',
               4420, '--hostnqn')
        self.assertIn(nqn, self.root.run(*ask, self.connector['nqn']))
        self.assertNotIn(nqn, self.root.try_run(
            *ask, self.OTHER_HOST['nqn']).stdout)

    @base.slow
    def test_locked_out_while_connected(self):
        volume = self.export(multiattach=True)
        connection = self.attach(volume)
        _brick, device = self.host.connect(connection)
        path = device['path']
        with self.subTest('another host leaves and this one goes on'):
            self.attach(volume, **self.OTHER_HOST)
            self.assertEqual({self.connector['nqn'], self.OTHER_HOST['nqn']},
                             self.allowed(volume))
            self.assertTrue(self.driver.terminate_connection(
                volume, {**self.connector, **self.OTHER_HOST}))
            self.assertEqual({self.connector['nqn']}, self.allowed(volume))
            self.write(path, 'still there')
        with self.subTest('this one leaves and loses the disk'):
            volume.volume_attachment.objects.clear()
            with self.writing([path]):
                self.driver.terminate_connection(volume, self.connector)
                base.wait_until(lambda: not os.path.exists(path),
                                'disk is left')
        with self.subTest('another one comes and this one sees nothing'):
            self.attach(volume, **self.OTHER_HOST)
            base.wait_until(lambda: not self.controllers(),
                            'the host is still connected')
            self.assertFalse(os.path.exists(path))

    def test_extension_is_seen_without_a_rescan(self):
        volume = self.export()
        with self.host.connected(self.attach(volume)) as (_brick, path):
            self.driver.extend_volume(volume, 2)
            size = f'/sys/block/{os.path.basename(path)}/size'
            base.wait_until(lambda: int(self.root.run(
                'cat', size)) * 512 == 2 * base.GIB, 'size is the old one')


class NvmetPortalsTest(NvmetTestCase):
    settings = {'target_ip_address': '::1', 'target_port': 4421,
                'target_secondary_ip_addresses': ['127.0.0.1', '127.0.0.2']}

    def test_every_portal_serves(self):
        volume = self.export()
        connection = self.attach(volume)
        portals = connection['data']['portals']
        self.assertEqual(['::1', '127.0.0.1', '127.0.0.2'],
                         [portal[0] for portal in portals])
        for portal in portals:
            with self.subTest(portal=portal):
                data = dict(connection['data'], portals=[portal])
                self.assert_round_trip(volume, dict(connection, data=data))

    def test_ids_from_the_lowest_to_the_highest(self):
        driver = self.make_driver(nvmet_port_id=0, nvmet_ns_id=8192,
                                  **self.settings)
        volume = self.export(driver)
        connection = self.attach(volume, driver)
        self.assertEqual('8192', connection['data']['ns_id'])
        self.assert_round_trip(volume, connection)

    def test_address_that_is_not_there(self):
        settings = {'target_ip_address': '192.0.2.1', 'target_port': 4421}
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     'no network interface of this node has '
                                     r'an address.*: 192\.0\.2\.1'):
            self.make_driver(target_secondary_ip_addresses=[], **settings)
        driver = self.make_driver(
            target_secondary_ip_addresses=['127.0.0.1'], **settings)
        volume = self.create()
        with self.assert_raises_with(
                exception.VolumeBackendAPIException,
                r'192\.0\.2\.1:4421: Cannot assign requested address'):
            driver.create_export(self.context, volume, self.connector)


class NvmetSharedTest(NvmetTestCase):
    settings = {'target_port': 4422, 'lvm_share_target': True,
                'nvmeof_conn_info_version': 1}

    def test_two_volumes_of_one_host(self):
        volumes = [self.export() for _ in range(2)]
        connections = [self.attach(volume) for volume in volumes]
        name = f'nqn.iqn.2010-10.org.openstack:-{self.connector["host"]}'
        self.assertEqual({name}, {connection['data']['nqn']
                                  for connection in connections})
        nsids = [connection['data']['ns_id'] for connection in connections]
        self.assertEqual(2, len(set(nsids)))
        with self.host.connected(connections[0]) as (_brick, one):
            with self.host.connected(connections[1]) as (_brick, two):
                self.forget_targets()
                self.driver.update_provider_info(volumes, [])
                for volume, path in zip(volumes, (one, two), strict=True):
                    self.write(path, volume.id)
                    self.assertEqual(self.checksum(path), self.checksum(
                        self.device(volume.name)))
            self.driver.terminate_connection(volumes[1], self.connector)
            self.write(one, 'still there')
            self.assertEqual(1, len(self.root.run(
                'ls', f'{CONFIGFS}/subsystems/{name}/namespaces').split()))
        self.driver.terminate_connection(volumes[0], None)


@base.slow
class NvmetKeysTest(NvmetTestCase):
    """Hosts that authenticate, as a stock os-brick makes them."""

    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory())
        cls.key_file = f'{cls.folder}/keys.json'
        cls.write_keys({})
        cls.settings = {'target_port': 4423, 'lvm_nvme_require_keys': True,
                        'lvm_nvme_key_file': cls.key_file}
        super().setUpClass()

    @classmethod
    def write_keys(cls, keys):
        descriptor = os.open(cls.key_file,
                             os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, 'w') as file:
            json.dump(keys, file)

    def new_key(self):
        key = self.root.run('nvme', 'gen-dhchap-key').split()[-1]
        base.SECRETS.add(key)
        return key

    def give_host(self, key):
        """Write the key of this host to where nvme-cli finds it."""
        host = {'hostnqn': self.connector['nqn'],
                'hostid': self.root.run('cat', '/etc/nvme/hostid').strip()}
        if key:
            host['dhchap_key'] = key
        self.addCleanup(self.root.try_run, 'rm', '-f', HOST_CONFIG)
        self.root.run('bash', '-c', f'umask 077; cat > {HOST_CONFIG}',
                      text=json.dumps([host]))

    def test_keys(self):
        key, newer = self.new_key(), self.new_key()
        volume = self.export()
        for ask in (self.driver.validate_connector,
                    functools.partial(self.driver.initialize_connection,
                                      volume)):
            with self.assert_raises_with(exception.InvalidConnectorException,
                                         'has no DH-HMAC-CHAP key'):
                ask(self.connector)
        self.write_keys({self.connector['nqn']: key})
        connection = self.attach(volume)
        self.assertNotIn(key, json.dumps(connection))
        kept = f'{CONFIGFS}/hosts/{self.connector["nqn"]}/dhchap_key'
        with self.subTest('other users of this node'):
            self.assertEqual('600\n',
                             self.root.run('stat', '-c', '%a', kept))
        for wrong in None, newer:
            with self.subTest('wrong key' if wrong else 'no key'):
                self.give_host(wrong)
                self.assert_locked_out(connection)
        with self.subTest('right key'):
            self.give_host(key)
            self.assert_round_trip(volume, connection)
        with self.subTest('new key'):
            self.write_keys({self.connector['nqn']: newer})
            self.driver.initialize_connection(volume, self.connector)
            self.assert_locked_out(connection)
            self.give_host(newer)
            self.assert_round_trip(volume, connection)
