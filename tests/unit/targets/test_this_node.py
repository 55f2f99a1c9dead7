# SPDX-License-Identifier: Apache-2.0
"""What this node is recognized by, and what it is told as a host."""

from unittest import mock

from cinder.volume import volume_utils
import ddt

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import this_node
from tests import base

UUID = '4c4c4544-0000-4A10-8051-b4c04f4e4d32'
NODE = {'host': 'node-1', 'system uuid': UUID, 'ip': '10.0.0.1',
        'initiator': 'iqn.1993-08.org.debian:01:aaaa',
        'nqn': f'nqn.2014-08.org.nvmexpress:uuid:{UUID}'}
NO_UUID = {**NODE, 'system uuid': None}


@ddt.ddt
class TestDifferences(base.TestCase):

    def differences(self, own, **changes):
        return this_node.ThisNode(own).differences({**own, **changes})

    @ddt.data(
        {}, {'ip': '10.0.0.9'}, {'host': 'node-1.example.org'},
        {'host': 'NODE-1'}, {'system uuid': UUID.lower()},
        {'initiator': NODE['initiator'].upper()},
        {'initiator': None}, {'nqn': None}, {'nqn': ''})
    def test_this_node(self, changes):
        self.assertEqual([], self.differences(NODE, **changes))

    def test_this_node_has_a_domain(self):
        self.assertEqual([], self.differences(
            {**NODE, 'host': 'node-1.example.org'}, host='node-1'))

    def test_neither_knows_the_uuid(self):
        self.assertEqual([], self.differences(NO_UUID))

    @ddt.data(
        ({'host': 'node-10'}, ['host']),
        ({'host': 'node-2.example.org'}, ['host']),
        ({'host': None}, ['host']),
        ({'system uuid': UUID[:-1]}, ['system uuid']),
        ({'system uuid': None}, ['system uuid']),
        ({'initiator': 'iqn.other'}, ['initiator']),
        ({'nqn': NODE['nqn'].upper()}, ['nqn']),
        ({'initiator': 'iqn.other', 'nqn': None}, ['initiator']),
        ({'initiator': None, 'nqn': None}, ['initiator', 'nqn']),
        ({'host': 7, 'initiator': ['x'], 'nqn': {}},
         ['host', 'initiator', 'nqn']))
    @ddt.unpack
    def test_another_host(self, changes, expected):
        self.assertEqual(expected, self.differences(NODE, **changes))

    def test_only_the_other_knows_its_uuid(self):
        self.assertEqual(['system uuid'], self.differences(
            NO_UUID, **{'system uuid': UUID}))

    def test_connector_without_a_name(self):
        self.assertEqual(['host', 'system uuid', 'initiator', 'nqn'],
                         this_node.ThisNode(NODE).differences({}))


class TestAsk(base.TestCase):

    def ask(self, answer):
        with mock.patch.object(volume_utils, 'brick_get_connector_properties',
                               return_value=answer):
            return this_node.ThisNode.ask()

    def test_os_brick_knows(self):
        self.assertEqual([], self.ask(NODE).differences(NODE))

    def test_node_without_a_name(self):
        error = self.assertRaises(
            errors.TargetConfigurationError, self.ask,
            {**NODE, 'initiator': None, 'nqn': ''})
        self.assertIn('install open-iscsi or nvme-cli', str(error))


@ddt.ddt
class TestConnection(base.TestCase):

    @ddt.data(('4096', {'discard': True}), ('0', {}), (None, {}))
    @ddt.unpack
    def test_connection(self, discards, more):
        with (mock.patch.object(blockdev, 'number', return_value='252:7'),
              mock.patch.object(blockdev, 'attribute',
                                return_value=discards) as attribute):
            self.assertEqual(
                {'driver_volume_type': 'local', 'data': {
                    'volume_id': 'id', 'device_path': '/dev/vg/lv', **more}},
                this_node.connection('id', '/dev/vg/lv'))
        attribute.assert_called_once_with('252:7',
                                          'queue/discard_max_bytes')
