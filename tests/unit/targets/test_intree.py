# SPDX-License-Identifier: Apache-2.0
from unittest import mock

from cinder import exception
from cinder.volume.targets import iscsi as in_tree
from oslo_utils import importutils

from cinder_lvm_driver.targets import intree
from tests import base
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
