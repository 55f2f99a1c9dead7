# SPDX-License-Identifier: Apache-2.0
"""The texts are held against Cinder's own class for the same helper."""

import ddt

from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import nvmeof
from tests import base
from tests.unit.targets import fake_nvmetcli
from tests.unit.targets import fake_volume

NQN = 'nqn.iqn.2010-10.org.openstack:-volume-1'
UUID = fake_volume.UUID % 1


def in_tree(**values):
    return fake_nvmetcli.in_tree_class()(
        configuration=fake_volume.configuration(
            **{'target_protocol': 'nvmet_tcp', 'target_port': 4420,
               **values}))


@ddt.ddt
class TestNvmeExport(base.TestCase):

    @ddt.data((('10.0.0.1',), 4420, 'tcp', NQN, 10),
              (('10.0.0.1', '10.0.0.2'), 4421, 'rdma', NQN, 1),
              (('2001:db8::1', '10.0.0.1'), 4420, 'tcp', NQN, 8192))
    def test_as_the_in_tree_driver_stores_it(self, values):
        addresses, port, transport, nqn, nsid = values
        location = in_tree().get_nvmeof_location(
            nqn, list(addresses), port, transport, nsid)
        export = nvmeof.NvmeExport(*values)
        self.assertEqual(location, export.format())
        self.assertEqual(export, nvmeof.NvmeExport.parse(location))

    def test_brackets(self):
        self.assertEqual(
            ('::1', '::2'), nvmeof.NvmeExport.parse(
                f'[::1],[::2]:4420 tcp {NQN} 10').addresses)

    def test_portals(self):
        self.assertEqual(
            (('tcp', '::1', 4420), ('tcp', '10.0.0.1', 4420)),
            nvmeof.NvmeExport(('::1', '10.0.0.1'), 4420, 'tcp', NQN,
                              10).portals)

    @ddt.data(None, '', ' ')
    def test_none(self, location):
        error = self.assertRaises(errors.InvalidExport,
                                  nvmeof.NvmeExport.parse, location)
        self.assertEqual('provider_location is empty; to use the volume, '
                         'detach it and attach it again', str(error))

    @ddt.data('x', '/dev/vg/volume-1', f'10.0.0.1:4420 fc {NQN} 10',
              '10.0.0.1:4420 tcp iqn.x 10', f'10.0.0.1:4420 tcp {NQN} x',
              f'10.0.0.1:4420 tcp {NQN}', f':4420 tcp {NQN} 10',
              f'10.0.0.1,:4420 tcp {NQN} 10', f'10.0.0.1 tcp {NQN} 10',
              f'10.0.0.1:x tcp {NQN} 10', f'10.0.0.1:1 tcp {NQN} 10 x',
              '10.0.0.1:3260,1 iqn.2010-10.org.openstack:volume-1 0')
    def test_another_form(self, location):
        error = self.assertRaises(errors.InvalidExport,
                                  nvmeof.NvmeExport.parse, location)
        self.assertIn(repr(location), str(error))

    def test_shared(self):
        self.assertTrue(nvmeof.is_shared('/dev/vg/volume-1'))
        for location in None, '', f'10.0.0.1:4420 tcp {NQN} 10':
            self.assertFalse(nvmeof.is_shared(location))


@ddt.ddt
class TestConnectionProperties(base.TestCase):

    @ddt.data((1, 'tcp'), (2, 'tcp'), (1, 'rdma'), (2, 'rdma'))
    @ddt.unpack
    def test_as_the_in_tree_driver_tells_them(self, version, transport):
        target = in_tree(nvmeof_conn_info_version=version)
        addresses = ['10.0.0.1', '10.0.0.2']
        self.assertEqual(
            target._get_connection_properties(
                NQN, addresses, '4420', transport, '10', UUID),
            nvmeof.connection_properties(
                version, NQN, [(transport, address, '4420')
                               for address in addresses], 10, UUID))


@ddt.ddt
class TestIsServed(base.TestCase):

    LISTED = {'closed': True, 'hosts': ['nqn.a', 'nqn.b'],
              'namespaces': {10: ('/dev/vg/volume-1', UUID),
                             11: ('/dev/vg/volume-2', 'other')},
              'portals': []}

    def served(self, listed=(), **values):
        request = nvmeof.NamespaceRequest(**{
            'volume_id': UUID, 'subsystem_nqn': NQN, 'uuid': UUID,
            'device': '/dev/vg/volume-1', 'nsid': 10, 'lowest_nsid': 10,
            'highest_nsid': 10, 'portals': (), 'hosts': (('nqn.a', None),),
            **values})
        return request.is_served({**self.LISTED, **dict(listed)})

    def test_whole(self):
        self.assertTrue(self.served())
        self.assertTrue(self.served(nsid=12, exclusive=True))
        self.assertTrue(self.served(uuid='the identity of its first export'))

    @ddt.data({'hosts': (('nqn.c', None),)}, {'nsid': 9},
              {'uuid': 'x', 'exclusive': True},
              {'listed': {'closed': False}}, {'listed': nvmeof.NOTHING})
    def test_not_whole(self, values):
        self.assertFalse(self.served(**values))

    def test_another_device(self):
        self.assertRaises(errors.DeviceNotUsable, self.served, nsid=11)

    def test_no_key_is_shown(self):
        request = nvmeof.NamespaceRequest(
            UUID, NQN, '/dev/vg/volume-1', UUID, 10, 10, 10, (),
            (('nqn.a', 's3cret'),))
        self.assertNotIn('s3cret', repr(request))
