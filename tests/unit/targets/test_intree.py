# SPDX-License-Identifier: Apache-2.0
from unittest import mock

from cinder import exception
from cinder.volume.targets import iscsi as in_tree
from cinder.volume.targets import spdknvmf
import ddt
from oslo_utils import importutils

from cinder_lvm_driver.targets import intree
from tests import base
from tests.fakes import backend
from tests.unit.targets import fake_volume


class TestInTreeTarget(base.TestCase):

    def setUp(self):
        super().setUp()
        self.foreign = mock.create_autospec(
            in_tree.ISCSITarget, instance=True)
        self.foreign.storage_protocol = None
        self.foreign.protocol = 'iSCSI'
        self.foreign.SHARED_TARGET_SUPPORT = True
        self.foreign.SECONDARY_IP_SUPPORT = False
        with mock.patch.object(importutils, 'import_object',
                               return_value=self.foreign):
            self.target = intree.InTreeTarget(
                'some.Class', mock.Mock(), mock.Mock(), mock.Mock())
        self.volume = fake_volume.volume()

    def test_attributes(self):
        self.assertEqual('iSCSI', self.target.storage_protocol)
        self.assertEqual('iSCSI', self.target.protocol)
        self.assertTrue(self.target.SHARED_TARGET_SUPPORT)
        self.assertFalse(self.target.SECONDARY_IP_SUPPORT)
        self.assertIsNone(self.target.check_for_setup_error())

    def test_verbs(self):
        volume, connector = self.volume, fake_volume.HOST
        for verb, arguments in (
                ('create_export', (mock.sentinel.context, volume, '/dev/x')),
                ('remove_export', (mock.sentinel.context, volume)),
                ('initialize_connection', (volume, connector)),
                ('terminate_connection', (volume, connector)),
                ('terminate_connection', (volume, None)),
                ('validate_connector', (connector,)),
                ('are_same_connector', (connector, connector)),
                ('extend_target', (volume,))):
            getattr(self.target, verb)(*arguments)
            getattr(self.foreign, verb).assert_called_with(*arguments)

    def test_one_volume_does_not_stop_the_others(self):
        failure = exception.ISCSITargetCreateFailed(volume_id='x')
        self.foreign.ensure_export.side_effect = [failure, None]
        others = fake_volume.volume(2)
        self.assertEqual(
            {self.volume.id: failure},
            self.target.ensure_exports(
                None, [(self.volume, '/dev/a'), (others, '/dev/b')]))
        self.foreign.ensure_export.assert_called_with(None, others, '/dev/b')

    def test_ensure_export_raises_cinders_exception(self):
        self.foreign.ensure_export.side_effect = exception.NotFound()
        self.assertRaises(exception.NotFound, self.target.ensure_export,
                          None, self.volume, '/dev/a')


@ddt.ddt
class TestThroughTheDriver(backend.BackendTestCase):
    """The classes themselves, as far as they need no program of theirs."""

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver(
            target_helper='fake', target_prefix=fake_volume.PREFIX,
            target_ip_address='10.0.0.1')
        self.foreign = self.driver.target_driver.target
        self.foreign.db = mock.Mock()
        self.foreign.db.volume_get.side_effect = lambda *_: self.served
        self.served = self.volume(provider_location=None, provider_auth=None)
        self.add_lv(self.served, **backend.THIN)

    def export(self):
        self.served.update(self.driver.create_export(
            self.context, self.served, fake_volume.HOST))

    def test_attach_and_detach(self):
        driver, served = self.driver, self.served
        iqn = fake_volume.PREFIX + served.name
        self.assertTrue(driver.validate_connector(fake_volume.HOST))
        self.export()
        self.assertEqual(f'10.0.0.1:3260,None {iqn} 0',
                         served.provider_location)
        method, user, password = served.provider_auth.split()
        connection = driver.initialize_connection(served, fake_volume.HOST)
        self.assertEqual('iscsi', connection['driver_volume_type'])
        self.assertEqual(
            (False, '10.0.0.1:3260', iqn, 0, user, password),
            tuple(connection['data'][key] for key in (
                'target_discovered', 'target_portal', 'target_iqn',
                'target_lun', 'auth_username', 'auth_password')))
        self.attach(served, fake_volume.HOST)
        driver.extend_volume(served, 2)
        self.assertFalse(
            driver.terminate_connection(served, fake_volume.HOST))
        driver.remove_export(self.context, served)

    def test_start_with_an_attached_volume(self):
        self.export()
        self.attach(self.served, fake_volume.HOST)
        _, _, password = self.served.provider_auth.split()
        with mock.patch.object(self.foreign, 'create_iscsi_target') as made:
            self.driver.update_provider_info([self.served], [])
            self.driver.ensure_export(self.context, self.served)
        # Once, as it was served by the first of the two.
        made.assert_called_once()
        self.assertEqual(f'/dev/vg/{self.served.name}', made.call_args[0][3])
        self.assertEqual(password, made.call_args[0][4][1])

    def test_host_that_does_not_tell_its_initiator(self):
        self.assertRaises(exception.InvalidConnectorException,
                          self.driver.validate_connector, {'host': 'a'})

    def test_stats(self):
        self.assertEqual('iSCSI', self.driver.get_volume_stats(True)[
            'storage_protocol'])

    def test_other_classes_can_be_made(self):
        with (mock.patch.object(spdknvmf.SpdkNvmf, '_rpc_call') as asked,
              mock.patch.object(intree.shutil, 'which')):
            for helper, protocol, stored in (
                    ('scstadmin', 'iscsi', 'iSCSI'),
                    ('iscsictl', 'iscsi', 'iSCSI'),
                    ('spdk-nvmeof', 'nvmet_rdma', 'nvmeof')):
                made = self.make_driver(target_helper=helper,
                                        target_protocol=protocol)
                self.assertEqual(stored, made.protocol, helper)
        asked.assert_called_once()

    @ddt.data('scstadmin', 'iscsictl')
    def test_program_that_is_not_installed(self, helper):
        with mock.patch.object(intree.shutil, 'which', return_value=None):
            error = self.assertRaises(
                exception.VolumeBackendAPIException, self.make_driver,
                target_helper=helper)
        self.assertIn(f'the program {helper} is not installed', str(error))
