# SPDX-License-Identifier: Apache-2.0
"""What the driver gives to each operation."""

import dataclasses
from unittest import mock

from cinder import exception
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.privileged import commands
from tests.fakes import backend

GIB = backend.GIB


class TestBackend(backend.DriverTestCase):

    def test_nothing_in_it_is_replaced(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr,
                          self.driver._pools[0], 'vg', None)

    def test_each_has_a_memory_of_its_own(self):
        self.assertIsNot(self.driver._pools[0].workarounds,
                         self.make_driver()._pools[0].workarounds)

    def test_other_vg_of_the_host(self):
        self.machine.add_vg('other', size_bytes=GIB)
        other = self.driver._pools[0].open_vg('other')
        self.machine.as_root.clear()
        self.assertEqual(GIB, other.get_vg().size_bytes)
        self.assertNotEqual([], self.machine.as_root)


class TestConfigurationOfLVM(backend.BackendTestCase):

    def test_another_user_can_change_it(self):
        self.useFixture(fixtures.MockPatchObject(
            commands, 'is_configuration_of_root', return_value=False))
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.make_driver)
        self.assertIn("Another user than root can change LVM's "
                      'configuration in /etc/lvm', str(error))


class TestPools(backend.BackendTestCase):
    """A back end with two VGs, and two pools in one of them."""

    def setUp(self):
        super().setUp()
        self.lvm.pvs = dict.fromkeys(('/dev/sda', '/dev/sdb'), 100 * GIB)
        self.other = self.machine.add_vg('other', size_bytes=100 * GIB)
        self.driver = self.make_driver(lvm_type='default', lvm_pool=[
            'name:plain', 'name:mirrored,lvm_mirrors:1',
            'name:fast,volume_group:other,lvm_type:thin'])

    def volume_in(self, pool, size=1):
        return self.volume(size, host=f'host@backend#{pool}',
                           provider_location='x')

    def place(self, pool):
        """Return a pool as the scheduler describes it."""
        stats = self.driver.get_volume_stats(refresh=True)
        return {'host': f'host@backend#{pool}', 'capabilities': next(
            each for each in stats['pools'] if each['pool_name'] == pool)}

    def lvs(self):
        """Return VG, name and segtype of all LVs but the thin pool."""
        return {(vg.vg_name, lv.name, lv.segtype)
                for vg in (self.lvm, self.other)
                for lv in vg.volumes.values() if lv.segtype != 'thin-pool'}

    def test_stats(self):
        stats = self.driver.get_volume_stats(refresh=True)
        self.assertEqual(
            [('plain', 200.0, 'linear', False, 'vg:default:0'),
             ('mirrored', 100.0, 'raid1', False, 'vg:default:1'),
             ('fast', 95.0, 'thin', True, 'other:thin:0')],
            [(pool['pool_name'], round(pool['total_capacity_gb'], 0),
              pool['lvm_layout'], pool['thin_provisioning_support'],
              pool['location_info'].split(':', 2)[2])
             for pool in stats['pools']])
        self.assertIs(False, stats['sparse_copy_volume'])

    def test_one_fault_does_not_concern_the_others(self):
        self.other.volumes['other-pool'].active = False
        states = [pool['backend_state'] for pool in
                  self.driver.get_volume_stats(refresh=True)['pools']]
        self.assertEqual(['up', 'up', 'down'], states)

    def test_each_volume_is_made_in_its_pool(self):
        made = {pool: self.volume_in(pool)
                for pool in ('plain', 'mirrored', 'fast')}
        for volume in made.values():
            self.driver.create_volume(volume)
        self.assertEqual({('vg', made['plain'].name, 'linear'),
                          ('vg', made['mirrored'].name, 'raid1'),
                          ('other', made['fast'].name, 'thin')}, self.lvs())
        self.assertEqual(
            ['/dev/mapper/other-' + made['fast'].name.replace('-', '--')],
            [self.driver.local_path(made['fast'])])
        for volume in made.values():
            self.driver.extend_volume(volume, 2)
            snapshot = self.snapshot(volume)
            self.driver.create_snapshot(snapshot)
            self.driver.delete_snapshot(snapshot)
            self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lvs())

    def test_pool_of_a_volume_without_one(self):
        volume = self.volume_in('fast')
        self.driver.create_volume(volume)
        self.assertEqual('fast', self.driver.get_pool(volume))
        self.assertEqual('plain', self.driver.get_pool(self.volume()))
        with mock.patch.object(lvm.LVM, 'find_volume',
                               side_effect=lvm.LVMError('no answer')):
            self.assertRaises(exception.VolumeBackendAPIException,
                              self.driver.get_pool, volume)

    def test_pool_that_is_no_longer_listed(self):
        volume = self.volume_in('old')
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.driver.create_volume, volume)
        self.assertIn(f'{volume.id} is in pool old, which lvm_pool of back '
                      f'end backend does not list', str(error))
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.local_path, volume)
        self.attach(volume, {'initiator': 'iqn.x:a', 'host': 'a'})
        self.driver.update_provider_info([volume], [])
        self.assertIn(f'Volume {volume.id} cannot be served: ',
                      self.log.output)

    def test_volumes_are_served_at_start(self):
        attached = [self.volume_in(pool) for pool in ('plain', 'fast')]
        for volume in attached:
            self.driver.create_volume(volume)
            self.attach(volume, {'initiator': 'iqn.x:a', 'host': 'a'})
        self.driver.update_provider_info(attached, [])
        self.assertEqual(
            [f'/dev/{vg}/{volume.name}'
             for vg, volume in zip(('vg', 'other'), attached, strict=True)],
            [path for call in self.driver.target_driver.calls
             if call[0] == 'ensure_exports' for _id, path in call[1:]])

    def test_copies_to_another_pool(self):
        source = self.volume_in('plain')
        self.driver.create_volume(source)
        self.lv(source).content = 'data'
        snapshot = self.snapshot(source)
        self.driver.create_snapshot(snapshot)
        clone, restored = self.volume_in('fast'), self.volume_in('fast', 2)
        self.driver.create_cloned_volume(clone, source)
        self.driver.create_volume_from_snapshot(restored, snapshot)
        for volume, size in (clone, 1), (restored, 2):
            lv = self.other.volumes[volume.name]
            self.assertEqual(('thin', size * GIB, 'data'),
                             (lv.segtype, lv.size, lv.content))
        self.assertEqual({source.name, f'_{snapshot.name}'},
                         self.machine.names())

    def test_retype_in_one_vg_converts(self):
        volume = self.volume_in('plain')
        self.driver.create_volume(volume)
        self.assertIs(True, self.driver.retype(
            self.context, volume, None, {'extra_specs': {}},
            self.place('mirrored')))
        self.assertEqual({('vg', volume.name, 'raid1')}, self.lvs())

    def test_retype_to_another_vg_is_a_migration(self):
        volume = self.volume_in('plain')
        self.driver.create_volume(volume)
        self.lv(volume).content = 'data'
        place = self.place('fast')
        self.assertIs(False, self.driver.retype(
            self.context, volume, None, {'extra_specs': {}}, place))
        self.assertEqual((True, None), self.driver.migrate_volume(
            self.context, volume, place))
        self.assertEqual('data', self.other.volumes[volume.name].content)
        self.assertEqual({('other', volume.name, 'thin')}, self.lvs())

    def test_manageable_of_all_vgs(self):
        self.lvm.add('a', GIB)
        self.other.add('b', GIB)
        found = self.driver.get_manageable_volumes(
            [], None, 10, 0, ['reference'], ['asc'])
        self.assertEqual(['a', 'b'], [entry['reference']['source-name']
                                      for entry in found
                                      if entry['safe_to_manage']])
        volume = self.volume_in('fast')
        self.driver.manage_existing(volume, {'source-name': 'b'})
        self.assertIn(volume.name, self.other.volumes)
