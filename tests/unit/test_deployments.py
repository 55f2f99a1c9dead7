# SPDX-License-Identifier: Apache-2.0
"""The files that the pages on deployment tools tell to copy."""

import configparser
import pathlib

from cinder.volume import driver
from oslo_utils import importutils
import yaml

from cinder_lvm_driver import options
from tests import base

TREE = pathlib.Path(__file__).parents[2]
DEPLOYMENTS = TREE / 'deployments'


class TestDeployments(base.TestCase):

    def check_backend(self, section):
        """Check the options of a back end, and that the class exists."""
        known = {'volume_driver'} | {option.dest for option in (
            *options.driver_options(), *driver.volume_opts,
            *driver.nvmeof_opts)}
        self.assertEqual(set(), set(section) - known)
        importutils.import_class(section['volume_driver'])

    def read_yaml(self, name):
        return yaml.safe_load((DEPLOYMENTS / name).read_text())

    def read_ini(self, path):
        parser = configparser.ConfigParser()
        parser.read_string(path.read_text())
        return parser

    def test_example_of_the_configuration(self):
        example = self.read_ini(TREE / 'etc/cinder/cinder.conf.example')
        for section in example.sections():
            self.check_backend({
                name: value for name, value in example.items(section)
                if name not in example.defaults()})

    def test_kolla_ansible(self):
        parser = self.read_ini(
            DEPLOYMENTS / 'kolla-ansible/cinder-volume.conf')
        section, = parser.sections()
        self.check_backend(dict(parser[section]))
        settings = self.read_yaml('kolla-ansible/globals.yml')
        self.assertTrue(settings['enable_cinder_backend_lvm'])

    def test_openstack_ansible(self):
        settings = self.read_yaml('openstack-ansible/user_variables.yml')
        for section in settings['cinder_backends'].values():
            self.check_backend(section)

    def test_openstack_helm(self):
        settings = self.read_yaml('openstack-helm/values.yaml')
        names = settings['conf']['cinder']['DEFAULT']['enabled_backends']
        for name in names.split(','):
            self.check_backend(settings['conf']['backends'][name])
        mounts = settings['pod']['mounts']['cinder_volume']['cinder_volume']
        self.assertEqual({mount['name'] for mount in mounts['volumeMounts']},
                         {volume['name'] for volume in mounts['volumes']})

    def test_systemd(self):
        unit = (DEPLOYMENTS / 'systemd/cinder-lvm-driver.conf').read_text()
        self.assertIn('\nAfter=network-online.target\n', unit)
        self.assertIn('\nWants=network-online.target\n', unit)
