# SPDX-License-Identifier: Apache-2.0
"""The stats are those of the in-tree driver, key by key."""

from unittest import mock

from cinder.volume.drivers import lvm as in_tree
import ddt

from tests.fakes import backend

GIB = backend.GIB
PERCENTAGES = ('lvm_thin_pool_data_percent',
               'lvm_thin_pool_metadata_percent', 'lvm_vg_metadata_percent')
OWN_KEYS = (*PERCENTAGES, 'consistent_group_snapshot_enabled')


@ddt.ddt
class TestStats(backend.BackendTestCase):

    def in_tree_stats(self, **settings):
        """Return what the in-tree driver says of a VG of 100 GiB."""
        vg = mock.Mock(
            vg_size=100.0, vg_free_space=97.0, vg_thin_pool_size=95.0,
            vg_thin_pool_free_space=95.0, vg_provisioned_capacity=3.0)
        vg.get_volumes.return_value = [{}] * (
            2 if settings['lvm_type'] == 'thin' else 1)
        driver = in_tree.LVMVolumeDriver(
            vg_obj=vg, configuration=self.configure(**settings),
            execute=self.machine.execute)
        driver._sparse_copy_volume = settings['lvm_type'] == 'thin'
        driver._update_volume_stats()
        return driver._stats

    @ddt.data({'lvm_type': 'thin'}, {'lvm_type': 'default'},
              {'lvm_type': 'thin', 'reserved_percentage': 7,
               'max_over_subscription_ratio': '1.5',
               'filter_function': '1 < 2', 'goodness_function': '50'})
    def test_same_as_in_tree(self, settings):
        settings['target_helper'] = 'fake'
        driver = self.make_driver(**settings)
        driver.create_volume(self.volume(3))
        ours = driver.get_volume_stats(refresh=True)
        theirs = self.in_tree_stats(**settings)
        ours['driver_version'] = theirs['driver_version']
        for key in OWN_KEYS:
            ours['pools'][0].pop(key, None)
        self.assertEqual(theirs, ours)
        for mine, other in ((ours, theirs),
                            (ours['pools'][0], theirs['pools'][0])):
            self.assertEqual(
                {key: type(value) for key, value in other.items()},
                {key: type(value) for key, value in mine.items()})

    def test_mirrored(self):
        self.lvm.pvs = dict.fromkeys(('/dev/a', '/dev/b', '/dev/c'),
                                     100 * GIB)
        driver = self.make_driver(lvm_type='default', lvm_mirrors=1)
        driver.create_volume(self.volume(3))
        pool, = driver.get_volume_stats(refresh=True)['pools']
        self.assertEqual((150.0, 100.0, 3.0), (
            pool['total_capacity_gb'], pool['free_capacity_gb'],
            pool['provisioned_capacity_gb']))
        self.assertEqual(f'LVMVolumeDriver:{driver.hostname}:vg:default:1',
                         pool['location_info'])
        self.assertIs(True, pool['thick_provisioning_support'])

    def test_capacities_are_rounded_to_two_places(self):
        driver = self.make_driver(lvm_type='default')
        self.lvm.add('a', 4 * 2 ** 20)
        pool, = driver.get_volume_stats(refresh=True)['pools']
        self.assertEqual((100.0, 100.0, 0.0), (
            pool['total_capacity_gb'], pool['free_capacity_gb'],
            pool['provisioned_capacity_gb']))
        self.assertEqual(1, pool['total_volumes'])

    @ddt.data(({'data_percent': '12.30', 'metadata_percent': '4.56'},
               [12.3, 4.56]),
              ({'data_percent': '', 'metadata_percent': ''}, [None, None]))
    @ddt.unpack
    def test_how_full_the_thin_pool_is(self, reported, percentages):
        driver = self.make_driver()
        self.lvm.volumes['vg-pool'].reported = reported
        pool, = driver.get_volume_stats(refresh=True)['pools']
        self.assertEqual(percentages,
                         [pool.get(key) for key in PERCENTAGES[:2]])

    @ddt.data(('thin', True), ('default', False))
    @ddt.unpack
    def test_snapshots_of_one_moment(self, lvm_type, enabled):
        driver = self.make_driver(lvm_type=lvm_type)
        pool, = driver.get_volume_stats(refresh=True)['pools']
        self.assertIs(enabled, pool['consistent_group_snapshot_enabled'])

    def test_copies_are_not_sparse_in_a_pool_that_does_not_zero(self):
        for zero in 'zero', '':
            self.lvm.add('vg-pool', 100 * 2 ** 20, segtype='thin-pool',
                         reported={'zero': zero})
            self.assertIs(bool(zero), self.make_driver().get_volume_stats(
                refresh=True)['sparse_copy_volume'])

    def test_two_commands_however_many_volumes(self):
        driver = self.make_driver()
        for number in range(20):
            self.lvm.add(f'a{number}', **backend.THIN)
        driver.get_volume_stats(refresh=True)
        self.assertEqual(['vgs', 'lvs'], self.machine.programs())
