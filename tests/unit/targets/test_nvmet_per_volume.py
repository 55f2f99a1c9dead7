# SPDX-License-Identifier: Apache-2.0
"""The texts are compared with those of Cinder's class for the same helper."""

from unittest import mock

import ddt
from oslo_concurrency import lockutils

from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import nvmet as verbs
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets.nvmet_per_volume import NvmeExport
from tests import base
from tests.unit.targets import fake_nvmetcli
from tests.unit.targets import fake_volume
from tests.unit.targets.nvmet_case import DEVICES
from tests.unit.targets.nvmet_case import HOST
from tests.unit.targets.nvmet_case import Namespace
from tests.unit.targets.nvmet_case import new_volume
from tests.unit.targets.nvmet_case import nqn
from tests.unit.targets.nvmet_case import NvmetTestCase
from tests.unit.targets.nvmet_case import OTHER_HOST
from tests.unit.targets.nvmet_case import Row
from tests.unit.targets.nvmet_case import volume

NQN = 'nqn.iqn.2010-10.org.openstack:-volume-1'


@ddt.ddt
class TestNvmeExport(base.TestCase):

    @ddt.data((('10.0.0.1',), 4420, 'tcp', NQN, 10),
              (('10.0.0.1', '10.0.0.2'), 4421, 'rdma', NQN, 1),
              (('2001:db8::1', '10.0.0.1'), 4420, 'tcp', NQN, 8192))
    def test_as_the_in_tree_driver_stores_it(self, values):
        addresses, port, transport, nqn, nsid = values
        location = fake_nvmetcli.in_tree_class()(
            configuration=fake_volume.configuration(
                target_protocol='nvmet_tcp')).get_nvmeof_location(
                nqn, list(addresses), port, transport, nsid)
        export = NvmeExport(tuple(Portal(address, port, transport)
                                  for address in addresses), nqn, nsid)
        self.assertEqual(location, export.format())
        self.assertEqual(export, NvmeExport.parse(location))

    def test_brackets(self):
        self.assertEqual(
            (Portal('::1', 4420), Portal('::2', 4420)), NvmeExport.parse(
                f'[::1],[::2]:4420 tcp {NQN} 10').portals)

    @ddt.data(None, '', ' ')
    def test_none(self, location):
        error = self.assertRaises(errors.InvalidExport,
                                  NvmeExport.parse, location)
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
                                  NvmeExport.parse, location)
        self.assertIn(repr(location), str(error))


@ddt.ddt
class TestPerVolume(NvmetTestCase):

    def test_host_that_has_just_left_is_not_let_in_again(self):
        """What Cinder hands over may be some seconds old."""
        made = volume(connectors=[HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.terminate_connection(made, HOST)
        self.target.create_export(None, made, DEVICES[0])
        self.assertEqual((), self.listed(nqn(made)).hosts)

    def test_host_that_the_in_tree_driver_let_in_with_all_others(self):
        """As after a start that could not bring the volume's export back."""
        made = volume(connectors=[HOST])
        self.target.create_export(None, new_volume(), DEVICES[0])
        (self.nvmet.root / 'subsystems' / nqn(made)).write(
            'attr_allow_any_host', '1')
        self.target.create_export(None, made, DEVICES[0])
        listed = self.listed(nqn(made))
        self.assertTrue(listed.closed)
        self.assertEqual((HOST['nqn'],), listed.hosts)

    def test_a_life(self):
        made = new_volume()
        export = self.target.create_export(None, made, DEVICES[0])
        self.assertEqual({'location': f'10.0.0.1:4420 tcp {nqn(made)} 10',
                          'auth': ''}, export)
        made.provider_location = export['location']
        self.assertEqual(
            nvmet_report.ListedSubsystem(
                namespaces={10: Namespace(DEVICES[0], made.id)}, closed=True,
                hosts=(), portals=(Portal('10.0.0.1', 4420),)),
            self.listed(nqn(made)))
        self.assertEqual(
            {'driver_volume_type': 'nvmeof', 'data': {
                'target_nqn': nqn(made), 'vol_uuid': made.id, 'ns_id': '10',
                'portals': [('10.0.0.1', '4420', 'tcp')],
                'encrypted': False, 'discard': True}},
            self.target.initialize_connection(made, HOST))
        self.target.initialize_connection(made, OTHER_HOST)
        self.assertEqual(tuple(sorted([HOST['nqn'], OTHER_HOST['nqn']])),
                         self.listed(nqn(made)).hosts)
        self.target.terminate_connection(made, HOST)
        self.assertEqual((OTHER_HOST['nqn'],), self.listed(nqn(made)).hosts)
        self.target.terminate_connection(made, None)
        self.assertEqual((), self.listed(nqn(made)).hosts)
        self.target.remove_export(None, made)
        self.target.remove_export(None, made)
        self.target.terminate_connection(made, HOST)
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_as_the_in_tree_driver_tells_it(self):
        made = volume()
        self.target.create_export(None, made, DEVICES[0])
        for version in 1, 2:
            theirs = fake_nvmetcli.in_tree_class()(
                configuration=self.configuration(
                    nvmeof_conn_info_version=version))
            ours = self.make(nvmeof_conn_info_version=version)
            info = ours.initialize_connection(made, HOST)
            for key in 'encrypted', 'discard':
                info['data'].pop(key)
            self.assertEqual(
                theirs.initialize_connection(Row(vars(made)), HOST)['data'],
                info['data'])
            self.assertEqual(nqn(made),
                             theirs._get_target_nqn(made.id, None))
            self.assertEqual(theirs.protocol, info['driver_volume_type'])

    def test_a_migrated_volume(self):
        """Its hosts know it by the id of the volume that it was made as."""
        made = volume(name_id=fake_volume.UUID % 7)
        self.target.create_export(None, made, DEVICES[0])
        data = self.target.initialize_connection(made, HOST)['data']
        self.assertEqual(made.name_id, data['vol_uuid'])
        self.assertEqual({10: Namespace(DEVICES[0], made.name_id)},
                         self.listed(nqn(made)).namespaces)

    def test_create_needs_all_portals(self):
        self.nvmet.os.refused_addresses = {'10.0.0.2'}
        target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        self.assertRaises(errors.PortalNotAvailable, target.create_export,
                          None, new_volume(), DEVICES[0])
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_names_stay_while_hosts_are_attached(self):
        target = self.make(target_prefix='2014-08.org.example', nvmet_ns_id=5,
                           lvm_share_target=True)
        made = volume(connectors=[HOST])
        export = target.create_export(None, made, DEVICES[0])
        self.assertEqual(made.provider_location, export['location'])
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)

    def test_names_are_new_when_no_host_is_attached(self):
        made = volume()
        export = self.make(target_prefix='2014-08.org.example').create_export(
            None, made, DEVICES[0])
        self.assertEqual(
            f'10.0.0.1:4420 tcp nqn.2014-08.org.example-{made.id} 10',
            export['location'])

    @ddt.data(None, '10.0.0.1:3260,1 iqn.2000-01.org.x:y 1')
    def test_what_was_never_stored(self, location):
        made = volume()
        self.target.create_export(None, made, DEVICES[0])
        made.provider_location = location
        self.target.terminate_connection(made, HOST)
        self.target.extend_target(made)
        self.assertRaises(errors.InvalidExport,
                          self.target.initialize_connection, made, HOST)
        self.target.remove_export(None, made)
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_what_was_copied_from_another_volume(self):
        """A clone for an image, or one that a volume is migrated to."""
        source = volume(1, connectors=[HOST])
        self.target.create_export(None, source, DEVICES[0])
        copy = new_volume(2)
        copy.provider_location = source.provider_location
        self.target.terminate_connection(copy, HOST)
        self.target.terminate_connection(copy, None)
        self.target.remove_export(None, copy)
        self.assertEqual((HOST['nqn'],), self.listed(nqn(source)).hosts)
        # Its own goes, too, where Cinder could not store it.
        self.target.create_export(None, copy, DEVICES[1])
        self.target.remove_export(None, copy)
        self.assertEqual([nqn(source)], list(nvmet_report.list_subsystems()))

    def test_remove_what_a_second_migration_in_use_left_behind(self):
        """Its record has the id by which the volume's subsystem is named."""
        left = new_volume(1, name_id=volume(9).id)
        left.provider_location = self.target.create_export(
            None, left, DEVICES[0])['location']
        moved = new_volume(2, connectors=[HOST])
        moved.provider_location = self.target.create_export(
            None, moved, DEVICES[1])['location']
        self.target.remove_export(None, left, DEVICES[0])
        # What Cinder swaps when it completes the migration.
        record = new_volume(2, name_id=left.name_id,
                            provider_location=left.provider_location)
        self.target.remove_export(None, record, DEVICES[0])
        self.assertEqual([nqn(moved)], list(nvmet_report.list_subsystems()))

    def test_unused(self):
        volumes = [new_volume(number) for number in (1, 2, 3)]
        _never, used, unused = volumes
        for each, device in zip((used, unused), DEVICES, strict=True):
            each.provider_location = self.target.create_export(
                None, each, device)['location']
        self.target.initialize_connection(used, HOST)
        self.assertEqual({unused.id}, self.target.find_unused(volumes))

    def test_remove_after_a_migration_in_use(self):
        """The subsystem has the id of the volume that it was copied to."""
        new = volume(2)
        self.target.create_export(None, new, DEVICES[1])
        self.target.remove_export(None, volume(
            1, name=new.name, name_id=new.id))
        self.assertEqual([nqn(new)], list(nvmet_report.list_subsystems()))
        migrated = new_volume(1, name=new.name, name_id=new.id)
        migrated.provider_location = new.provider_location
        self.target.remove_export(None, migrated)
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_extend(self):
        made = volume()
        self.target.create_export(None, made, DEVICES[0])
        self.target.extend_target(made)
        self.assertEqual([f'subsystems/{nqn(made)}/namespaces/10'],
                         self.nvmet.os.revalidated)

    @ddt.data({}, {'nqn': 'x'}, {'host': 'b', 'ip': '10.0.0.8'})
    def test_stored_connector_that_makes_no_sense(self, connector):
        made = volume(connectors=[connector, HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)
        verbs.delete_subsystem(nqn(made))
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)
        self.target.extend_target(made)

    def test_under_the_lock_of_the_in_tree_driver(self):
        made = volume(connectors=[HOST])
        for call in (
                lambda: self.target.create_export(None, made, DEVICES[0]),
                lambda: self.target.initialize_connection(made, HOST),
                lambda: self.target.extend_target(made),
                lambda: self.target.terminate_connection(made, HOST),
                lambda: self.target.terminate_connection(made, None),
                lambda: self.target.remove_export(None, made)):
            with mock.patch.object(lockutils, 'lock',
                                   wraps=lockutils.lock) as lock:
                call()
            lock.assert_called_once_with(
                'nvmetcli', lock_file_prefix='cinder-', external=True)
