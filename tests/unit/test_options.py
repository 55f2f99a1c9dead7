# SPDX-License-Identifier: Apache-2.0
"""Options equal Cinder's where they share a name with them."""

import dataclasses
import os
import tempfile

from cinder.volume import configuration
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import lvm as in_tree
import ddt
from oslo_config import cfg

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import options
from tests import base


class TestOptions(base.TestCase):

    def test_shared_options_are_the_in_tree_drivers(self):
        self.assertEqual(in_tree.volume_opts, options.SHARED_OPTIONS)

    def test_own_options_say_whose_they_are(self):
        for option in options.OWN_OPTIONS:
            self.assertTrue(option.name.startswith('lvm_'), option.name)
            self.assertTrue(option.help)

    def test_no_own_option_has_a_name_of_cinders(self):
        cinders = {option.name for option in
                   [*in_tree.volume_opts, *cinder_driver.volume_opts]}
        self.assertEqual(set(), cinders & {
            option.name for option in options.OWN_OPTIONS})

    def test_own_options_are_registered_for_all_back_ends(self):
        self.assertEqual(
            120, cfg.CONF.backend_defaults.lvm_report_timeout)

    def test_list_opts(self):
        self.assertEqual([('backend_defaults', options.OWN_OPTIONS)],
                         options.list_opts())


@ddt.ddt
class TestSettings(base.TestCase):

    def configuration(self, **values):
        config = configuration.Configuration(
            [*cinder_driver.volume_opts, *in_tree.volume_opts,
             *options.OWN_OPTIONS], config_group='settings')
        self.config.config(group='settings', **values)
        return config

    def read(self, **values):
        return options.Settings.read(self.configuration(**values))

    def pools(self, *pools, **values):
        config = self.configuration(lvm_pool=list(pools), **values)
        return options.read_pools(config, options.Settings.read(config))

    def test_pools(self):
        self.assertEqual(
            [('fast', 'nvme', 'thin', 0, 0), ('slow', 'vg', 'raid6', 0, 4)],
            [(pool.pool_name, pool.volume_group, pool.lvm_type,
              pool.lvm_mirrors, pool.lvm_stripes) for pool in self.pools(
                'name:fast,volume_group:nvme,lvm_type:thin',
                'name:slow,lvm_stripes:4,lvm_type:raid6',
                volume_group='vg')])

    def test_a_back_end_is_one_pool(self):
        pool, = self.pools()
        self.assertEqual(('LVM', False), (pool.pool_name, pool.is_listed))

    @ddt.data((['volume_group:vg'], "pool '': set name: to"),
              (['name:a#b'], "pool 'a#b'"),
              (['name:a', 'name:a'], 'two pools of name a'),
              (['name:a,stripes:2'], 'sets stripes for pool a: use only'),
              (['name:a,lvm_mirrors:x'], "lvm_mirrors to 'x' for pool a"))
    @ddt.unpack
    def test_pools_that_cannot_be(self, pools, text):
        error = self.assertRaises(errors.ConfigurationError, self.pools,
                                  *pools)
        self.assertIn(text, str(error))

    def test_defaults_are_cinders(self):
        settings = self.read()
        self.assertEqual(
            ('LVM', 'cinder-volumes', 'auto', 0, False, (), 'zero', 0, None,
             '1M', 0, '20.0', 120, 2000),
            (settings.backend_name, settings.volume_group, settings.lvm_type,
             settings.lvm_mirrors, settings.share_target,
             settings.secondary_addresses, settings.volume_clear,
             settings.volume_clear_size, settings.volume_clear_ionice,
             settings.dd_blocksize, settings.reserved_percentage,
             settings.max_over_subscription_ratio, settings.report_timeout,
             settings.group_snapshot_limit))

    def test_pools_are_extended_where_a_threshold_is_set(self):
        self.assertIsNone(self.read().autoextend_policy)
        self.assertEqual(
            lvm.AutoextendPolicy(threshold_percent=80, percent=5),
            self.read(lvm_thin_pool_autoextend_threshold=80,
                      lvm_thin_pool_autoextend_percent=5).autoextend_policy)

    def test_limits_of_the_pool(self):
        self.assertEqual(lvm.PoolLimits(), self.read().pool_limits)
        settings = self.read(lvm_thin_pool_reserve_percent=10,
                             lvm_thin_pool_overcommit=False)
        self.assertEqual(
            (lvm.PoolLimits(reserve_percent=10, overcommit=False), '1.0'),
            (settings.pool_limits, settings.max_over_subscription_ratio))

    def test_values_of_the_back_end(self):
        settings = self.read(
            volume_backend_name='fast', volume_group='ssd', lvm_type='thin',
            lvm_mirrors=1, volume_clear='none', volume_clear_size=8,
            volume_clear_ionice='-c3', lvm_share_target=True,
            target_secondary_ip_addresses=['10.0.0.2'], target_helper='tgtadm',
            reserved_percentage=5, lvm_report_timeout=3)
        self.assertEqual(
            ('fast', 'ssd', 'thin', 1, 'none', 8, '-c3', True, ('10.0.0.2',),
             'tgtadm', 5, 3),
            (settings.backend_name, settings.volume_group, settings.lvm_type,
             settings.lvm_mirrors, settings.volume_clear,
             settings.volume_clear_size, settings.volume_clear_ionice,
             settings.share_target, settings.secondary_addresses,
             settings.target_helper, settings.reserved_percentage,
             settings.report_timeout))

    def test_settings_do_not_change(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr,
                          self.read(), 'lvm_type', 'thin')

    @ddt.data('1', '4K', '1536K', '2G', '8192')
    def test_block_size(self, size):
        used = self.read(volume_dd_blocksize=size).dd_blocksize
        self.assertEqual('1M' if size == '1' else size, used)

    @ddt.data('0', '1m', '1.5M', '1MB', '5000', '-4K', '', '04K')
    def test_block_size_that_is_none(self, size):
        self.assertEqual('1M', self.read(
            volume_dd_blocksize=size).dd_blocksize)
        self.assertIn(f"volume_dd_blocksize is '{size}'", self.log.output)

    @ddt.data(('-c 3', '-c3'), ('-c2 -n 7', '-c2 -n7'), (' -c1 ', '-c1'),
              ('', None))
    @ddt.unpack
    def test_ionice(self, text, words):
        self.assertEqual(words, self.read(
            volume_clear_ionice=text).volume_clear_ionice)

    @ddt.data('-c4', '-n7', '--class idle', '-c3; true')
    def test_ionice_that_is_none(self, text):
        error = self.assertRaises(errors.ConfigurationError, self.read,
                                  volume_clear_ionice=text)
        self.assertIn(f"volume_clear_ionice is '{text}'", str(error))

    @ddt.data('none', 'None', '/nowhere/lvm.conf', '')
    def test_system_dir_of_lvm(self, conf_file):
        self.assertEqual('/etc/lvm',
                         self.read(lvm_conf_file=conf_file).system_dir)

    def test_system_dir_of_a_conf_file(self):
        folder = tempfile.mkdtemp()
        conf_file = os.path.join(folder, 'lvm.conf')
        with open(conf_file, 'w'):
            pass
        self.assertEqual(folder,
                         self.read(lvm_conf_file=conf_file).system_dir)

    def test_value_that_is_no_choice(self):
        self.assertRaises(ValueError, self.read, lvm_type='thinn')
