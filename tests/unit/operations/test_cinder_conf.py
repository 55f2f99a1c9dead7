# SPDX-License-Identifier: Apache-2.0
"""Sections of cinder.conf that an operator hardly meant."""

import os

from cinder.volume import configuration as cinder_configuration
from cinder.volume import manager
import ddt
import fixtures

from cinder_lvm_driver.operations import cinder_conf
from tests.fakes import backend

DRIVER = 'volume_driver = cinder_lvm_driver.driver.LVMVolumeDriver\n'
IN_TREE = 'volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver\n'


@ddt.ddt
class TestWarn(backend.BackendTestCase):

    def warn(self, text, enabled=('one',)):
        """Return the warnings about section [one] of a file."""
        folder = self.useFixture(fixtures.TempDir()).path
        path = os.path.join(folder, 'cinder.conf')
        with open(path, 'w') as file:
            file.write(text)
        self.useFixture(fixtures.MockPatchObject(
            cinder_conf, '_paths', lambda: [path]))
        self.config.config(enabled_backends=enabled)
        # As the manager does it.
        cinder_conf.warn(cinder_configuration.Configuration(
            manager.volume_backend_opts, config_group='one'))
        return [line.partition(': ')[2]
                for line in self.log.output.splitlines()
                if line.startswith('WARNING')]

    @ddt.data(('lvm_tpye', 'set lvm_type'), ('volume-grup', 'set volume_gro'),
              ('target_ip_adress', 'set target_ip_address'),
              ('colour', 'remove it'))
    @ddt.unpack
    def test_unknown_option(self, option, remedy):
        line, = self.warn(f'[one]\n{DRIVER}{option} = x\n[two]\nodd = 1\n')
        self.assertIn(f'Section [one] of cinder.conf sets '
                      f'{option.replace("-", "_")}, which', line)
        self.assertIn(remedy, line)

    @ddt.data('lvm_type', 'lvm-type', 'lvm_report_timeout', 'volume_driver',
              'volume_backend_name', 'use_chap_auth')
    def test_known_option(self, option):
        self.assertEqual([], self.warn(f'[one]\n{option} = x\n'))

    def two(self, one, two, shared=''):
        return self.warn(f'[one]\n{one}[two]\n{two}'
                         f'[backend_defaults]\n{shared}',
                         enabled=['one', 'two'])

    def test_one_vg_of_two_back_ends(self):
        line, = self.two(
            f'{DRIVER}volume_backend_name = a\nlvm_type = thin\n',
            f'{IN_TREE}volume_backend_name = a\nlvm_type = default\n',
            'volume_group = shared\n')
        self.assertEqual(
            'Back ends one and two use one VG, shared, so that its space is '
            'counted twice, and the same volume_backend_name, with another '
            'lvm_type: give each a VG of its own, or remove one from '
            'enabled_backends', line)

    def test_one_vg_of_names_of_their_own(self):
        line, = self.two(f'{DRIVER}volume_backend_name = a\n',
                         f'{DRIVER}volume_backend_name = b\n')
        self.assertIn('cinder-volumes, so that its space is counted twice: ',
                      line)

    def test_one_vg_of_two_pools(self):
        line, = self.two(
            f'{DRIVER}volume_backend_name = a\n'
            'lvm_pool = name:x,volume_group:disks,lvm_type:thin\n'
            'lvm_pool = name:y,volume_group:more\n',
            f'{DRIVER}volume_backend_name = b\nvolume_group = disks\n')
        self.assertIn('disks, so that its space is counted twice: ', line)

    @ddt.data(('lvm_pool = name:x,volume_group:other\n' + DRIVER, DRIVER),
              ('', 'volume_group = other\n' + DRIVER),
              (DRIVER, 'volume_group = other\n' + DRIVER),
              (DRIVER, 'volume_driver = x.NfsDriver\n'))
    @ddt.unpack
    def test_no_shared_vg(self, one, two):
        self.assertEqual([], self.two(one, two))

    def test_back_end_that_is_not_enabled(self):
        self.assertEqual([], self.warn(f'[one]\n{DRIVER}[two]\n{DRIVER}'))

    def test_program_without_configuration_files(self):
        configuration = self.configure()
        cinder_conf.warn(configuration)
        self.assertNotIn('cinder.conf', self.log.output)
