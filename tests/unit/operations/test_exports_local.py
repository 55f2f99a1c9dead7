# SPDX-License-Identifier: Apache-2.0
"""Hosts on the storage node, which open devices without a target."""

from unittest import mock
import uuid

from cinder import exception
from cinder.volume import volume_utils
import ddt

from tests.fakes import backend
from tests.fakes import lvm

NODE = {'initiator': 'iqn.node', 'host': 'node', 'system uuid': 'board'}
OTHER_HOST = {'initiator': 'iqn.other', 'host': 'other'}
LOCAL = {'driver_volume_type': 'local', 'device_path': '/dev/vg/lv'}


class LocalTestCase(backend.BackendTestCase):

    local_attach = True

    def setUp(self):
        super().setUp()
        with mock.patch.object(volume_utils, 'brick_get_connector_properties',
                               return_value=NODE):
            self.driver = self.make_driver(lvm_local_attach=self.local_attach)
        self.target = self.driver.target_driver

    def make_volume(self, *attached, **values):
        """Return a volume with an LV and attachments of hosts.

        :param attached: pairs of a connector and what the host was told
        """
        values = {'encryption_key_id': None, 'provider_location': None,
                  'provider_auth': None, **values}
        volume = self.volume(**values)
        self.add_lv(volume, active=False, **backend.THIN)
        for connector, told in attached:
            self.attach(volume, connector, **told)
        return volume

    def verbs(self):
        return [call[0] for call in self.target.calls]

    def connect(self, volume, connector):
        """Attach a volume as Cinder does; return the connection."""
        self.driver.validate_connector(connector)
        volume.update(self.driver.create_export(self.context, volume,
                                                connector))
        return self.driver.initialize_connection(volume, connector)


@ddt.ddt
class TestConnect(LocalTestCase):

    def test_this_node(self):
        volume = self.make_volume()
        self.assertEqual(
            {'driver_volume_type': 'local', 'data': {
                'volume_id': volume.id,
                'device_path': f'/dev/vg/{volume.name}'}},
            self.connect(volume, NODE))
        self.assertTrue(self.lv(volume).active)
        self.assertIsNone(volume.provider_location)
        self.assertEqual([], self.target.calls)

    def test_target_of_other_hosts_stays_known(self):
        volume = self.make_volume((OTHER_HOST, {}),
                                  provider_location='portal,1 iqn 0')
        self.connect(volume, NODE)
        self.assertEqual('portal,1 iqn 0', volume.provider_location)

    @ddt.data(OTHER_HOST, {**NODE, 'initiator': 'iqn.other'},
              {**NODE, 'host': 'other'}, {**NODE, 'system uuid': 'other'},
              {'initiator': 'iqn.node'})
    def test_other_hosts(self, connector):
        connection = self.connect(self.make_volume(), connector)
        self.assertEqual('iscsi', connection['driver_volume_type'])
        self.assertEqual(['validate_connector', 'create_export',
                          'initialize_connection'], self.verbs())

    def test_host_that_is_nearly_this_node(self):
        self.connect(self.make_volume(), {**NODE, 'host': 'node-compute'})
        self.assertIn('Host node-compute, iqn.node has the system UUID of '
                      'this node, but not its host: it uses a target',
                      self.log.output)

    def test_neither_has_a_uuid(self):
        self.driver._pools[0].this_node._own = {**NODE, 'system uuid': None}
        self.connect(self.make_volume(), OTHER_HOST)
        self.assertNotIn('system UUID', self.log.output)

    def test_encrypted_volume(self):
        volume = self.make_volume(encryption_key_id=str(uuid.uuid4()))
        connection = self.connect(volume, NODE)
        self.assertEqual('iscsi', connection['driver_volume_type'])

    def test_no_connector(self):
        self.driver.create_export(self.context, self.make_volume(), None)
        self.assertEqual(['create_export'], self.verbs())


@ddt.ddt
class TestDisconnect(LocalTestCase):

    local_attach = False

    def disconnect(self, connector, *attached, **values):
        volume = self.make_volume(*attached, **values)
        return self.driver.terminate_connection(volume, connector)

    def test_last_attachment(self):
        self.assertFalse(self.disconnect(NODE, (NODE, LOCAL)))
        self.assertEqual(['remove_export'], self.verbs())

    def test_target_of_others_stays(self):
        self.assertTrue(self.disconnect(NODE, (NODE, LOCAL),
                                        (OTHER_HOST, {})))
        self.assertEqual([], self.verbs())

    def test_other_host(self):
        self.assertTrue(self.disconnect(OTHER_HOST, (NODE, LOCAL),
                                        (OTHER_HOST, {})))
        self.assertEqual(['terminate_connection'], self.verbs())

    @ddt.data((LOCAL, LOCAL), (LOCAL, {}), ({}, LOCAL))
    @ddt.unpack
    def test_two_attachments_of_the_node(self, one, other):
        self.assertTrue(self.disconnect(NODE, (NODE, one), (NODE, other)))
        self.assertEqual([], self.verbs())

    def test_all_hosts(self):
        self.assertFalse(self.disconnect(None, (NODE, LOCAL),
                                         (OTHER_HOST, {})))
        self.assertEqual(['terminate_connection', 'remove_export'],
                         self.verbs())

    def test_host_that_the_target_has_no_name_of(self):
        nameless = {**NODE, 'initiator': None, 'nqn': 'nqn.node'}
        self.assertFalse(self.disconnect(nameless, (nameless, LOCAL)))
        self.assertEqual(['remove_export'], self.verbs())

    @ddt.data(NODE, None)
    def test_device_that_is_open(self, connector):
        volume = self.make_volume((NODE, LOCAL))
        vars(self.lv(volume)).update(active=True, is_open=True)
        self.useFixture(lvm.never_waiting())
        error = self.assertRaises(
            exception.VolumeBackendAPIException,
            self.driver.terminate_connection, volume, connector)
        self.assertIn('stays attached until the guest is stopped',
                      str(error))

    def test_lv_that_is_gone(self):
        volume = self.make_volume((NODE, LOCAL))
        del self.lvm.volumes[volume.name]
        self.assertFalse(self.driver.terminate_connection(volume, NODE))


class TestStart(LocalTestCase):

    local_attach = False

    def start(self, volume):
        """Do as Cinder does; return what the target was asked for."""
        volume.status = 'in-use'
        self.driver.update_provider_info([volume], [])
        self.driver.ensure_export(self.context, volume)
        self.assertTrue(self.lv(volume).active)
        return [call for call in self.target.calls
                if call != ('ensure_exports',)]

    def test_attached_here_only(self):
        self.assertEqual([], self.start(self.make_volume((NODE, LOCAL))))

    def test_attached_through_a_target_before(self):
        volume = self.make_volume((NODE, LOCAL),
                                  provider_location='portal,1 iqn 0')
        self.assertEqual([], self.start(volume))
        self.driver.ensure_export(self.context, volume)
        self.assertEqual([], self.verbs()[1:])

    def test_attached_to_another_host_as_well(self):
        volume = self.make_volume((NODE, LOCAL), (OTHER_HOST, {}),
                                  provider_location='portal,1 iqn 0')
        self.assertEqual(
            [('ensure_exports', (volume.id, f'/dev/vg/{volume.name}'))],
            self.start(volume))


class TestExtend(LocalTestCase):

    def test_attached_here(self):
        volume = self.make_volume((NODE, LOCAL))
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.driver.extend_volume, volume, 2)
        self.assertIn('detach the volume, extend it and attach it again',
                      str(error))
        self.assertEqual([], self.machine.as_root)

    def test_attached_through_the_target(self):
        volume = self.make_volume((NODE, {'driver_volume_type': 'iscsi'}))
        self.driver.extend_volume(volume, 2)
        self.assertEqual(['extend_target'], self.verbs())


class TestSnapshot(LocalTestCase):

    def export(self, volume):
        self.snapshot = self.snapshot(volume)
        self.driver.create_snapshot(self.snapshot)
        self.snapshot.update(self.driver.create_export_snapshot(
            self.context, self.snapshot, NODE))
        return self.driver.initialize_connection_snapshot(self.snapshot, NODE)

    def test_thin(self):
        connection = self.export(self.make_volume())
        self.assertEqual(
            {'driver_volume_type': 'local', 'data': {
                'volume_id': self.snapshot.id, 'access_mode': 'ro',
                'device_path': f'/dev/vg/_{self.snapshot.name}'}},
            connection)
        self.assertEqual([], self.target.calls)
        self.driver.terminate_connection_snapshot(self.snapshot, NODE)
        self.driver.remove_export_snapshot(self.context, self.snapshot)
        self.assertFalse(self.lv(self.snapshot).active)

    def test_thick(self):
        volume = self.volume(encryption_key_id=None, provider_location=None)
        self.add_lv(volume)
        self.assertEqual('iscsi',
                         self.export(volume)['driver_volume_type'])
