# SPDX-License-Identifier: Apache-2.0
"""What an operator may have got wrong: one clear sentence for each."""

from cinder import exception
from oslo_config import cfg

from tests.functional import base

MIB = base.MIB
FILTERS = '/etc/cinder/rootwrap.d/lvm-driver.filters'


class SetupTest(base.TestCase):
    pv_sizes = (256 * MIB,)

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)

    @classmethod
    def share_daemons(cls, runner):
        """Have each driver start its own: that is what is tested."""

    def assert_refused(self, pattern, **settings):
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     pattern):
            self.make_driver(**settings)

    def test_missing_volume_group(self):
        self.assert_refused('VG nope was not found.*volume_group',
                            volume_group='nope')

    def test_missing_filter_file(self):
        self.root.run('mv', FILTERS, '/root/filters')
        self.addCleanup(self.root.run, 'mv', '/root/filters', FILTERS)
        self.assert_refused(
            r'rootwrap refused.*lvm-driver\.filters.*filters_path')

    def test_missing_lvm(self):
        self.hide('/usr/sbin/lvm')
        self.assert_refused('LVM is not installed')

    def test_program_that_rootwrap_does_not_find(self):
        conf = '/etc/cinder/rootwrap.conf'
        self.root.run('cp', '-a', conf, '/root/rootwrap.conf')
        self.addCleanup(self.root.run, 'cp', '-a', '/root/rootwrap.conf',
                        conf)
        self.root.run('sed', '-i', 's#^exec_dirs=[^,]*,#exec_dirs=#', conf)
        self.assert_refused("'cinder-lvm-root' was not found.*exec_dirs")

    def test_values_that_are_no_choices(self):
        for option in 'lvm_type', 'target_helper':
            with self.subTest(option=option):
                with self.assert_raises_with(
                        cfg.ConfigFileValueError,
                        f'{option}.*cinder.conf.*nonsense'):
                    self.construct_driver(group=f'bad-{option}')

    def test_protocol_that_the_helper_does_not_speak(self):
        self.assert_refused("target_protocol is 'nvmet_tcp'",
                            target_protocol='nvmet_tcp')

    def test_address_that_is_none(self):
        self.assert_refused('target_ip_address', target_ip_address='no ip')
        self.assertEqual(set(), self.lv_names())

    @base.slow
    def test_lv_in_the_place_of_the_pool(self):
        name = self.vg_name + '-pool'
        self.root.run('lvcreate', '-qq', '-L', '8M', '-n', name,
                      self.vg_name)
        self.assert_refused('not a thin pool', lvm_type='thin')

    def test_full_volume_group(self):
        self.root.run('lvcreate', '-qq', '-l', '100%FREE', '-n', 'all',
                      self.vg_name)
        self.assert_refused('no free space', lvm_type='thin')

    @base.slow
    def test_auto_is_thick_beside_other_lvs(self):
        self.root.run('lvcreate', '-qq', '-L', '8M', '-n', 'other',
                      self.vg_name)
        driver = self.make_driver(lvm_type='auto')
        pool, = driver.get_volume_stats(refresh=True)['pools']
        self.assertTrue(pool['thick_provisioning_support'])
        self.assertEqual({'other'}, self.lv_names())

    @base.slow
    def test_auto_is_thin_on_an_empty_vg_and_on_its_pool(self):
        for _ in 'empty', 'with the pool':
            driver = self.make_driver(lvm_type='auto')
            pool, = driver.get_volume_stats(refresh=True)['pools']
            self.assertTrue(pool['thin_provisioning_support'])
            self.assertEqual({f'{self.vg_name}-pool'}, self.lv_names())
            self.assertIn(':thin:0', pool['location_info'])

    def hide(self, path):
        """Take a program away until the end of the test."""
        self.root.run('mv', path, path + '.hidden')
        self.addCleanup(self.root.run, 'mv', path + '.hidden', path)
