# SPDX-License-Identifier: Apache-2.0
"""Snapshots, on a host with a fake LVM."""

import uuid

from cinder import exception
from cinder import objects

from tests.fakes import backend

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException
THICK = {'lvm_type': 'default'}


class SnapshotVerbs:
    """What holds for thin and thick back ends."""

    def test_delete_a_snapshot_of_which_little_is_known(self):
        volume = self.create()
        snapshot = objects.Snapshot(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            volume_size=volume.size, volume=volume)
        self.driver.create_snapshot(snapshot)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual({volume.name} | self.pools, self.machine.names())

    def test_delete_a_snapshot_that_a_revert_makes_again(self):
        volume = self.create()
        snapshot = self.snapshot(volume)
        self.lvm.volumes[volume.name].tags.add(
            f'cinder.revert_to=_{snapshot.name}')
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)

    def test_delete_snapshot_in_use(self):
        snapshot = self.create_snapshot(self.create())
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)

    def test_delete_with_a_snapshot_in_use(self):
        """Cinder deletes all snapshots, and goes on when one is busy."""
        volume, other = self.create(), self.create()
        snapshot = self.create_snapshot(volume)
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        for _ in range(2):
            self.assertRaises(exception.SnapshotIsBusy,
                              self.driver.delete_snapshot, snapshot)
            self.assertRaises(exception.VolumeIsBusy,
                              self.driver.delete_volume, volume)
        self.driver.delete_volume(other)
        self.lv(snapshot).is_open = False
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assertEqual(self.pools, self.machine.names())

    def test_snapshot_keeps_what_the_volume_loses(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).content = 'new data'
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.assertEqual('data', self.lv(copy).content)
        self.driver.delete_snapshot(snapshot)
        self.assertEqual('new data', self.lv(volume).content)
        self.assertNotIn(f'_{snapshot.name}', self.machine.names())


class TestThin(SnapshotVerbs, backend.DriverTestCase):

    pools = {'vg-pool'}

    def test_volume_goes_before_its_snapshot(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.delete_volume(volume)
        self.assertEqual('data', self.lv(snapshot).content)

    def test_snapshot_that_was_in_use_and_is_not_of_cinder_any_more(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        vars(self.lv(snapshot)).update(is_open=True, active=True)
        self.assertRaises(exception.SnapshotIsBusy,
                          self.driver.delete_snapshot, snapshot)
        self.driver.unmanage_snapshot(snapshot)
        error = self.assertRaises(exception.VolumeIsBusy,
                                  self.driver.delete_volume, volume)
        self.assertIn(snapshot.name, str(error))
        self.driver.delete_volume(volume)
        self.assertEqual('data', self.lv(snapshot).content)

    def test_snapshot_of_a_thick_volume(self):
        volume = self.volume()
        self.add_lv(volume, content='secret')
        snapshot = self.create_snapshot(volume)
        self.assertTrue(self.lv(snapshot).is_cow)
        self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume,
                          volume)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assert_wiped(f'_{snapshot.name}', volume.name)


class TestThick(SnapshotVerbs, backend.DriverTestCase):

    settings = THICK
    pools = set()

    def test_volume_with_a_snapshot_stays(self):
        volume = self.create()
        self.create_snapshot(volume)
        names = self.machine.names()
        self.assertRaises(exception.VolumeIsBusy, self.driver.delete_volume,
                          volume)
        self.assertEqual(names, self.machine.names())
        self.assertEqual('data', self.lv(volume).content)

    def test_inactive_snapshot_is_wiped(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume, active=False)
        self.lv(volume).active = False
        self.driver.delete_snapshot(snapshot)
        self.assert_wiped(f'_{snapshot.name}')


class TestRevert(backend.DriverTestCase):

    def test_thin(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.driver.extend_volume(volume, 2)
        self.lv(volume).content = 'new'
        self.machine.as_root.clear()
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(('data', 2 * GIB), (self.lv(volume).content,
                                             self.lv(volume).size))
        self.assertEqual('data', self.lv(snapshot).content)
        self.assertEqual(['lvs', 'lvcreate', 'lvextend', 'lvrename',
                          'lvrename', 'lvremove'], self.machine.programs())
        self.assertFalse(self.driver.snapshot_revert_use_temp_snapshot())

    def test_thick(self):
        self.driver = self.make_driver(**THICK)
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).content = 'new'
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual('data', self.lv(volume).content)
        self.assertTrue(self.lv(snapshot).is_cow)
        self.assertTrue(self.driver.snapshot_revert_use_temp_snapshot())

    def test_volume_in_use(self):
        volume = self.create()
        snapshot = self.create_snapshot(volume)
        self.lv(volume).is_open = True
        self.assertRaises(exception.VolumeIsBusy,
                          self.driver.revert_to_snapshot, self.context,
                          volume, snapshot)

    def test_what_is_gone(self):
        for volume in self.volume(), self.create():
            error = self.assertRaises(
                BACKEND_ERROR, self.driver.revert_to_snapshot, self.context,
                volume, self.snapshot(volume))
            self.assertIn('was not found', str(error))
