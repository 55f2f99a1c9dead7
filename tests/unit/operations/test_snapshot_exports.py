# SPDX-License-Identifier: Apache-2.0
"""Snapshots and their targets."""

from unittest import mock

from cinder import exception
from cinder.volume import driver as cinder_driver

from cinder_lvm_driver.operations import snapshot_exports
from cinder_lvm_driver.targets import intree
from tests.fakes import backend
from tests.fakes import target

HOST = {'initiator': 'iqn.host', 'host': 'host'}


class SnapshotTestCase(backend.BackendTestCase):

    serves_read_only = True

    def setUp(self):
        super().setUp()
        patch = mock.patch.object(target.RecordingTarget, 'SERVES_READ_ONLY',
                                  self.serves_read_only)
        patch.start()
        self.addCleanup(patch.stop)
        self.driver = self.make_driver()
        self.target = self.driver.target_driver
        volume = self.volume(provider_location=None)
        self.driver.create_volume(volume)
        self.snapshot = self.snapshot(volume)
        self.driver.create_snapshot(self.snapshot)
        self.lv_name = f'_{self.snapshot.name}'
        self.names = self.machine.names()

    def create_export(self):
        return self.driver.create_export_snapshot(self.context, self.snapshot,
                                                  HOST)

    def remove_export(self):
        self.driver.remove_export_snapshot(self.context, self.snapshot)


class TestReadOnlyTarget(SnapshotTestCase):

    def test_create_and_remove(self):
        self.assertEqual(
            {'provider_location': f'portal,1 iqn:{self.snapshot.name} 0',
             'provider_auth': 'CHAP name secret'}, self.create_export())
        self.assertTrue(self.lv(self.snapshot).active)
        self.remove_export()
        self.assertFalse(self.lv(self.snapshot).active)
        self.assertEqual([
            ('create_export', self.snapshot.id, f'/dev/vg/{self.lv_name}',
             'read-only'),
            ('remove_export', self.snapshot.id)], self.target.calls)

    def test_deleted_while_it_is_exported(self):
        """cinder-backup was killed, and tells nobody to remove the export."""
        self.snapshot.update(self.create_export())
        self.driver.delete_snapshot(self.snapshot)
        self.assertEqual(('remove_export', self.snapshot.id),
                         self.target.calls[-1])
        self.assertEqual(self.names - {self.lv_name}, self.machine.names())

    def test_deleted_after_a_switch_to_a_target_that_serves_none(self):
        self.snapshot.provider_location = 'of another helper'
        with mock.patch.object(self.driver.target_driver, 'SERVES_SNAPSHOTS',
                               False):
            self.driver.delete_snapshot(self.snapshot)
        self.assertNotIn(f'_{self.snapshot.name}', self.machine.names())

    def test_remove_again(self):
        self.remove_export()
        self.driver.delete_snapshot(self.snapshot)
        self.remove_export()

    def test_snapshot_that_is_gone(self):
        self.driver.delete_snapshot(self.snapshot)
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.create_export)
        self.assertEqual([], self.target.calls)

    def test_connect_and_disconnect(self):
        connection = self.driver.initialize_connection_snapshot(
            self.snapshot, HOST)
        self.assertEqual('ro', connection['data']['access_mode'])
        for connector in HOST, None:
            self.driver.terminate_connection_snapshot(
                self.snapshot, connector, force=True)
        self.assertEqual([
            ('initialize_connection', self.snapshot.id, HOST),
            ('terminate_connection', self.snapshot.id, HOST),
            ('terminate_connection', self.snapshot.id, None)],
            self.target.calls)

    def test_what_the_target_is_told_of_a_snapshot(self):
        self.snapshot.provider_location = 'portal,1 iqn 0'
        self.snapshot.provider_auth = 'CHAP name secret'
        told = snapshot_exports.AttachedSnapshot.of(self.snapshot)
        self.assertEqual(
            (self.snapshot.id, self.snapshot.id, self.snapshot.name,
             'portal,1 iqn 0', 'CHAP name secret', None, ()),
            (told.id, told.name_id, told.name,
             told.provider_location, told.provider_auth,
             told.encryption_key_id, told.volume_attachment))


class TestTargetThatCannotRefuseWrites(SnapshotTestCase):

    serves_read_only = False

    def test_stand_in_for_a_thin_snapshot(self):
        stand_in = f'cinder-export-{self.lv_name}'
        for _ in range(2):
            self.create_export()
        self.assertEqual(self.names | {stand_in}, self.machine.names())
        self.assertTrue(self.lvm.volumes[stand_in].active)
        self.assertEqual(
            ('create_export', self.snapshot.id, f'/dev/vg/{stand_in}'),
            self.target.calls[0])
        for _ in range(2):
            self.remove_export()
        self.assertEqual(self.names, self.machine.names())


    def test_stand_in_that_a_killed_service_has_left(self):
        self.create_export()
        self.driver.update_provider_info([], [self.snapshot])
        self.assertNotEqual(self.names, self.machine.names())
        self.target.unused = {self.snapshot.id}
        self.driver.update_provider_info([], [self.snapshot])
        self.assertEqual(self.names, self.machine.names())
        self.assertEqual(('remove_export', self.snapshot.id),
                         self.target.calls[-1])


class TestThick(SnapshotTestCase):

    settings = {'lvm_type': 'default'}
    serves_read_only = False

    def test_cow_snapshot_is_served_itself(self):
        self.create_export()
        self.assertEqual(
            [('create_export', self.snapshot.id, f'/dev/vg/{self.lv_name}')],
            self.target.calls)
        self.remove_export()
        self.assertTrue(self.lv(self.snapshot).active)
        self.assertEqual(self.names, self.machine.names())


class TestBackups(SnapshotTestCase):

    def configured(self, value):
        return mock.patch.object(cinder_driver.BaseVD,
                                 'backup_use_temp_snapshot',
                                 lambda driver: value)

    def test_from_snapshots_if_that_is_configured(self):
        for value in True, False:
            with self.configured(value):
                self.assertIs(value, self.driver.backup_use_temp_snapshot())

    def test_target_of_cinder(self):
        with self.configured(True), mock.patch.object(
                self.driver.target_driver, 'SERVES_SNAPSHOTS',
                intree.InTreeTarget.SERVES_SNAPSHOTS):
            self.assertFalse(self.driver.backup_use_temp_snapshot())
        self.assertIn('cannot serve snapshots', self.log.output)
