# SPDX-License-Identifier: Apache-2.0
"""Volumes that a host on the storage node attaches without a target."""

import contextlib
import types
from unittest import mock
import uuid

from castellan.common.objects import symmetric_key
from cinder import exception
from cinder import utils
from cinder.volume.drivers import lvm as in_tree
from cinder.volume import volume_utils
from os_brick import encryptors

from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_thick

NODE = {'host': 'the-node', 'system uuid': '4c4c4544-0000-4a10-8051',
        'initiator': 'iqn.2001-01.org.example:the-node',
        'nqn': 'nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0000-4a10-8051'}


class LocalAttachTestCase(test_attach.AttachTestCase):
    """This machine is the storage node, and a host of another name as well.

    :cvar node: the connector of the node; ``connector`` is the other host's
    """

    options = {'lvm_local_attach': True}

    @classmethod
    def setUpClass(cls):
        cls.settings = {**cls.settings, **cls.options}
        with mock.patch.object(volume_utils, 'brick_get_connector_properties',
                               return_value=NODE):
            super().setUpClass()
        cls.node = dict(cls.connector, **NODE)

    def attach_here(self, volume):
        """Attach a volume to the node, as Cinder does."""
        self.driver.validate_connector(self.node)
        self.store(volume, self.driver.create_export(
            self.context, volume, self.node))
        return self.attach(volume, **NODE)

    def detach(self, volume, connector, driver=None):
        """Detach a volume, as Cinder does; tell whether others have it."""
        driver = driver or self.driver
        others = driver.terminate_connection(volume, connector)
        if not others:
            driver.remove_export(self.context, volume)
        volume.volume_attachment.objects = [
            each for each in volume.volume_attachment
            if each.connector != connector]
        return others

    @contextlib.contextmanager
    def attached_here(self, volume):
        """Have a volume attached and connected; give os-brick and path."""
        connection = self.attach_here(volume)
        self.assertEqual('local', connection['driver_volume_type'])
        with self.connected(connection) as (brick, path):
            self.assertTrue(brick.check_valid_device(path))
            yield brick, path
        self.assertFalse(self.detach(volume, self.node))

    def assert_here_only(self):
        self.assertEqual([], self.targets() + self.backstores())


class LocalCases:
    """What holds for each layout."""

    def test_life_of_an_attachment(self):
        volume = self.create_small()
        with self.attached_here(volume) as (_brick, path):
            self.assert_here_only()
            self.write(path, volume.id)
            self.assertEqual(self.checksum(path),
                             self.checksum(self.device(volume.name)))
            with base.opened(self.root, path):
                with self.assertRaises(exception.VolumeIsBusy):
                    self.driver.delete_volume(volume)
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException,
                    'Nova cannot extend it: detach'):
                self.driver.extend_volume(volume, 1)
            written = self.checksum(path)
            snapshot = self.create_snapshot(volume)
            self.write(path, 'after')
            copy = self.volume()
            self.driver.create_volume_from_snapshot(copy, snapshot)
            self.addCleanup(self.driver.delete_volume, copy)
            self.assertEqual(written, self.checksum(self.device(copy.name)))
        self.assertIsNone(volume.provider_location)

    def test_other_host_at_the_same_time(self):
        """As in a live migration away, and back."""
        volume = self.create_small()
        self.attach_here(volume)
        self.write(self.device(volume.name), 'of the node')
        self.serve(volume)
        connection = self.attach(volume)
        self.assertNotEqual('local', connection['driver_volume_type'])
        with self.connected(connection) as (_brick, path):
            self.assertEqual(self.checksum(self.device(volume.name)),
                             self.checksum(path))
            self.assertTrue(self.detach(volume, self.node))
            self.write(path, 'of the other host')
            self.assertEqual(
                'local', self.attach_here(volume)['driver_volume_type'])
            self.assertEqual(self.checksum(self.device(volume.name)),
                             self.checksum(path))
        self.assertTrue(self.detach(volume, self.connector))
        self.assert_locked_out(connection)
        self.assertFalse(self.detach(volume, self.node))
        self.assert_here_only()


class ThinLocalAttachTest(LocalCases, LocalAttachTestCase):

    def test_what_the_host_is_told(self):
        volume = self.create()
        self.assertEqual(
            {'driver_volume_type': 'local', 'data': {
                'volume_id': volume.id, 'discard': True,
                'device_path': self.device(volume.name)}},
            self.attach_here(volume))

    def test_discard_returns_blocks_to_the_pool(self):
        volume = self.create()
        with self.attached_here(volume) as (_brick, path):
            self.write(path, 'some')
            self.root.run('blkdiscard', path)
            self.assertEqual(
                0, float(self.lv(volume.name, 'data_percent')[0]))

    @base.slow
    def test_detached_while_a_process_has_it_open(self):
        volume = self.create()
        self.attach_here(volume)
        for connector in self.node, None:
            with base.opened(self.root, self.device(volume.name)):
                with self.assert_raises_with(
                        exception.VolumeBackendAPIException,
                        f'LV {volume.name} is in use by .*: the volume stays '
                        'attached until'):
                    self.driver.terminate_connection(volume, connector)
        self.assertFalse(self.driver.terminate_connection(volume, None))

    def test_reboot_and_the_option_off(self):
        """What is attached stays so, and is detached as it was attached."""
        volume = self.create()
        self.attach_here(volume)
        served = self.export()
        connection = self.attach(served)
        off = self.make_driver(lvm_local_attach=False)
        for driver in self.driver, off:
            self.forget_targets()
            self.root.run('lvchange', '-an', f'{self.vg_name}/{volume.name}')
            driver.update_provider_info([volume, served], [])
            self.assertEqual(['active'],
                             [*self.lv(volume.name, 'lv_active')])
            self.assertEqual(1, len(self.targets()))
            driver.ensure_export(self.context, volume)
        self.assertFalse(self.detach(volume, self.node, off))
        self.assert_round_trip(served, connection)
        self.store(volume, off.create_export(self.context, volume, self.node))
        self.assertEqual('iscsi', self.attach(volume, off, **NODE)[
            'driver_volume_type'])
        self.assertFalse(self.detach(volume, self.node))
        self.assertEqual(1, len(self.targets()))

    @base.slow
    def test_in_tree_driver_detaches(self):
        volume = self.create()
        self.write(self.device(volume.name), 'data')
        before = self.checksum(self.device(volume.name))
        self.attach_here(volume)
        upstream = self.make_driver(in_tree.LVMVolumeDriver,
                                    target_helper='lioadm')
        self.detach(volume, self.node, upstream)
        self.assertEqual(before, self.checksum(self.device(volume.name)))

    @base.slow
    def test_encrypted_volume_has_a_target(self):
        """With a driver whose node is this machine, by its own names."""
        driver = self.make_driver(**self.settings)
        plain = self.serve(self.create(), driver)
        self.assertEqual('local', self.attach(plain, driver)[
            'driver_volume_type'])
        self.assertFalse(self.detach(plain, self.connector, driver))
        volume = self.serve(
            self.create(encryption_key_id=str(uuid.uuid4())), driver)
        self.assertEqual(1, len(self.targets()))
        connection = self.attach(volume, driver)
        self.assertTrue(connection['data']['encrypted'])
        with self.decrypted(volume, connection) as clear:
            self.write(clear, 'secret')
            written = self.checksum(clear)
        self.root.run('cryptsetup', 'isLuks', self.device(volume.name))
        with self.decrypted(volume, connection) as clear:
            self.assertEqual(written, self.checksum(clear))
        self.assertFalse(self.detach(volume, self.connector, driver))
        self.assert_here_only()

    @contextlib.contextmanager
    def decrypted(self, volume, connection):
        """Have a volume connected; give its clear side, as Nova opens it."""
        key = symmetric_key.SymmetricKey('AES', 256, bytes(range(32)))
        manager = types.SimpleNamespace(get=lambda context, key_id: key)
        settings = {'provider': 'luks', 'control_location': 'front-end'}
        with self.connected(connection) as (_brick, path):
            encryptor = encryptors.get_volume_encryptor(
                utils.get_root_helper(), keymgr=manager,
                connection_info={**connection, 'data': {
                    **connection['data'], 'device_path': path}},
                encryption_key_id=volume.encryption_key_id, **settings)
            encryptor.attach_volume(self.context, **settings)
            try:
                yield f'/dev/mapper/{encryptor.dev_name}'
            finally:
                encryptor.detach_volume()

    @base.slow
    def test_snapshot_is_read_and_not_written(self):
        volume = self.create()
        self.write(self.device(volume.name), 'before')
        before = self.checksum(self.device(volume.name))
        snapshot = self.create_snapshot(volume)
        self.write(self.device(volume.name), 'after')
        names = self.lv_names()
        self.store(snapshot, self.driver.create_export_snapshot(
            self.context, snapshot, self.node))
        connection = self.driver.initialize_connection_snapshot(
            snapshot, self.node)
        self.assertEqual(('local', 'ro'), (
            connection['driver_volume_type'],
            connection['data']['access_mode']))
        self.assert_here_only()
        with self.connected(connection) as (_brick, path):
            self.assertEqual(before, self.checksum(path))
            self.assertNotEqual(0, self.root.try_run(
                'dd', 'if=/dev/zero', f'of={path}', 'bs=4k', 'count=1').code)
            with base.opened(self.root, path):
                with self.assertRaises(exception.SnapshotIsBusy):
                    self.driver.remove_export_snapshot(self.context, snapshot)
        for _ in range(2):
            self.driver.terminate_connection_snapshot(snapshot, self.node)
            self.driver.remove_export_snapshot(self.context, snapshot)
        self.assertEqual(names, self.lv_names())
        self.assertEqual('', self.lv(f'_{snapshot.name}', 'lv_active')[0])


class ThickLocalAttachTest(LocalCases, LocalAttachTestCase):

    slow_tests = ('test_life_of_an_attachment',)
    settings = test_thick.THICK

    def test_snapshot_has_a_target_that_refuses_writes(self):
        snapshot = self.create_snapshot(self.create_small())
        self.store(snapshot, self.driver.create_export_snapshot(
            self.context, snapshot, self.node))
        self.assertEqual(1, len(self.targets()))
        connection = self.driver.initialize_connection_snapshot(
            snapshot, self.node)
        self.assertEqual('iscsi', connection['driver_volume_type'])
        self.driver.terminate_connection_snapshot(snapshot, self.node)
        self.driver.remove_export_snapshot(self.context, snapshot)


@base.slow
class MirroredLocalAttachTest(LocalCases, LocalAttachTestCase):

    settings = test_thick.MIRRORED
    pv_sizes = (2 * base.GIB,) * 2


@base.slow
class NvmetLocalAttachTest(LocalCases, test_nvmet.NvmetTestCase,
                           LocalAttachTestCase):
    """The other host over NVMe/TCP."""
