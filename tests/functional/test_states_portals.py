# SPDX-License-Identifier: Apache-2.0
"""Targets that cannot listen, or that have gone."""

import contextlib
import itertools
import sys

from cinder import exception

from tests.functional import base
from tests.functional import test_health
from tests.functional import test_nvmet
from tests.functional import test_tgt

# tgtd goes on listening on a port of an earlier test.
_ports = itertools.count(3977)


class PortalCases:

    def setUp(self):
        super().setUp()
        self.port = next(_ports)

    @contextlib.contextmanager
    def port_taken(self):
        port = self.port
        pid = self.root.run(
            'bash', '-c', f'{sys.executable} -c "import socket, time; '
            f's = socket.create_server((\'127.0.0.1\', {port})); '
            'time.sleep(10000)" > /dev/null 2>&1 & echo $!').strip()
        base.wait_until(lambda: self.root.run(
            'ss', '-Hltn', f'sport = :{port}'), 'the port is taken')
        try:
            yield pid
        finally:
            self.root.run('kill', '-9', pid)
            base.wait_until(lambda: not self.root.run(
                'ss', '-Hltn', f'sport = :{port}'), 'the port is free')

    def make(self, **settings):
        return self.make_driver(**{**self.settings, 'target_port': self.port,
                                   **settings})

    def test_port_of_another_process(self):
        with self.port_taken() as pid:
            driver = self.make()
            self.assert_down(driver, fr'127\.0\.0\.1:{self.port} is in use by '
                             fr'python\S* \(process {pid}\)')
        self.assert_up(driver)

    def test_address_that_the_node_lacks(self):
        if self.settings['target_helper'] == 'nvmet':
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, '192.0.2.1'):
                self.make(target_ip_address='192.0.2.1')
            return
        driver = self.make(target_ip_address='192.0.2.1')
        self.assert_down(driver, r'has the address of portal 192\.0\.2\.1')

    def test_port_that_the_target_serves_itself(self):
        driver = self.make(target_port=self.settings.get('target_port',
                                                         3260))
        volume = self.volume()
        driver.create_volume(volume)
        for key, value in driver.create_export(self.context, volume,
                                               None).items():
            setattr(volume, key, value)
        self.assert_up(driver)
        driver.remove_export(self.context, volume)
        driver.delete_volume(volume)


class LioPortalsTest(PortalCases, test_health.HealthTestCase):
    settings = {'target_helper': 'lioadm'}

    def test_iser_without_rdma(self):
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     "'iser'.*no RDMA device"):
            self.make(target_protocol='iser')

    def test_scst_that_is_not_installed(self):
        with self.assert_raises_with(
                exception.VolumeBackendAPIException,
                'the program scstadmin is not installed: install SCST'):
            self.make(target_helper='scstadmin')

    def test_configfs_that_is_not_mounted(self):
        self.root.run('umount', '/sys/kernel/config')
        driver = self.make()
        self.assert_up(driver)
        self.root.run('umount', '/sys/kernel/config')
        self.assert_down(driver, 'does not exist: configfs was unmounted')
        self.assert_up(self.make())


class NvmetPortalsTest(PortalCases, test_health.HealthTestCase):
    settings = {**test_nvmet.NvmetTestCase.nvmet_settings}


class TgtPortalsTest(PortalCases, test_health.HealthTestCase,
                     test_tgt.TgtTestCase):

    def test_daemon_that_dies(self):
        driver = self.make()
        self.assert_up(driver)
        self.daemon.kill()
        self.assert_down(driver, 'systemctl start tgt')
        self.daemon.start()
        self.assert_up(driver)
        self.assertIn(f':{self.port} ', self.root.run('ss', '-Hltn'))
