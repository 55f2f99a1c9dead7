# SPDX-License-Identifier: Apache-2.0
from unittest import mock

from cinder_lvm_driver.targets import base as targets
from cinder_lvm_driver.targets import errors
from tests import base
from tests.unit.targets import fake_volume


class TestTarget(base.TestCase):

    def setUp(self):
        super().setUp()
        with mock.patch.object(targets.Target, '__abstractmethods__', set()):
            self.target = targets.Target(mock.sentinel.conf,
                                         mock.sentinel.runner)

    def test_helper_that_does_not_tell(self):
        self.assertIsNone(self.target.list_served())

    def test_ensure_export(self):
        volume = fake_volume.volume()
        with mock.patch.object(self.target, 'ensure_exports',
                               return_value={}) as ensure:
            self.target.ensure_export(None, volume, '/dev/vg/lv')
        ensure.assert_called_once_with(None, [(volume, '/dev/vg/lv')])

    def test_ensure_export_fails(self):
        failure = errors.TargetNotFound('iqn.x')
        with mock.patch.object(self.target, 'ensure_exports',
                               return_value={'id': failure}):
            self.assertRaises(errors.TargetNotFound,
                              self.target.ensure_export, None,
                              fake_volume.volume(), '/dev/vg/lv')

    def test_protocol(self):
        self.target.storage_protocol = 'iSCSI'
        self.assertEqual('iSCSI', self.target.protocol)

    def test_extend_target(self):
        self.assertIsNone(self.target.extend_target(fake_volume.volume()))


class TestVolume(base.TestCase):

    def test_connectors(self):
        volume = fake_volume.volume(connectors=[
            fake_volume.HOST, None, {}, fake_volume.OTHER_HOST])
        volume.volume_attachment.append(
            fake_volume.attachment({'initiator': 'x'}, 'detached'))
        self.assertEqual([fake_volume.HOST, fake_volume.OTHER_HOST],
                         targets.connectors(volume))

    def test_about(self):
        with self.assertRaisesRegex(
                errors.InvalidExport,
                f'^provider_auth of volume {fake_volume.UUID % 1} is empty'):
            with targets.about(fake_volume.volume()):
                raise errors.InvalidExport('provider_auth', 'is empty')


class TestTextOf(base.TestCase):

    def test_text(self):
        self.assertEqual('a', targets.text_of({'host': 'a'}, 'host'))

    def test_anything_else(self):
        for connector in (None, {}, 'host', ['host'], 5, {'host': None},
                          {'host': 5}, {'host': ['a']}, {'host': b'a'}):
            self.assertIsNone(targets.text_of(connector, 'host'))
