# SPDX-License-Identifier: Apache-2.0
import ddt

from cinder_lvm_driver.privileged import nvmet as verbs
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.targets import errors
from tests.unit.targets import fake_nvmetcli
from tests.unit.targets import fake_volume
from tests.unit.targets.nvmet_case import DEVICES
from tests.unit.targets.nvmet_case import HOST
from tests.unit.targets.nvmet_case import Namespace
from tests.unit.targets.nvmet_case import NvmetTestCase
from tests.unit.targets.nvmet_case import OTHER_HOST
from tests.unit.targets.nvmet_case import PREFIX
from tests.unit.targets.nvmet_case import shared_volume


@ddt.ddt
class TestPerHost(NvmetTestCase):

    def setUp(self):
        super().setUp()
        self.target = self.make(lvm_share_target=True)
        self.name = f'{PREFIX}a'

    def test_a_life(self):
        volumes = [shared_volume(1), shared_volume(2)]
        for made, device in zip(volumes, DEVICES, strict=True):
            self.assertEqual(
                {'location': device, 'auth': ''},
                self.target.create_export(None, made, device))
        self.assertEqual({}, nvmet_report.list_subsystems())
        infos = [self.target.initialize_connection(made, HOST)['data']
                 for made in volumes]
        self.assertEqual({self.name}, {info['target_nqn'] for info in infos})
        self.assertEqual([('10.0.0.1', 4420, 'tcp')], infos[0]['portals'])
        listed = self.listed(self.name)
        self.assertEqual((HOST['nqn'],), listed.hosts)
        self.assertEqual(
            {int(info['ns_id']): Namespace(device, made.id)
             for info, device, made in zip(
                 infos, DEVICES, volumes, strict=True)},
            listed.namespaces)
        self.target.initialize_connection(volumes[0], OTHER_HOST)
        self.target.terminate_connection(volumes[0], HOST)
        self.assertEqual(1, len(self.listed(self.name).namespaces))
        self.assertEqual((OTHER_HOST['nqn'],),
                         self.listed(f'{PREFIX}b').hosts)
        self.target.initialize_connection(volumes[0], HOST)
        self.target.terminate_connection(volumes[0], None)
        self.target.terminate_connection(volumes[1], HOST)
        self.target.remove_export(None, volumes[1])
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_remove_what_a_migration_left_on_another_back_end(self):
        moved = shared_volume(1)
        self.target.initialize_connection(moved, HOST)
        left = shared_volume(2, name_id=moved.name_id)
        self.target.remove_export(None, left, DEVICES[1])
        self.assertEqual(1, len(self.listed(self.name).namespaces))
        self.target.remove_export(None, left, DEVICES[0])
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_attachment_that_went_without_the_connection(self):
        gone, other = shared_volume(1), shared_volume(2, [HOST])
        for made in gone, other:
            self.target.initialize_connection(made, HOST)
        self.target.initialize_connection(gone, OTHER_HOST)
        self.target.remove_export(None, other)
        self.assertEqual(2, len(self.listed(self.name).namespaces))
        self.target.remove_export(None, gone)
        self.assertEqual([self.name], list(nvmet_report.list_subsystems()))
        namespace, = self.listed(self.name).namespaces.values()
        self.assertEqual(other.id, namespace.uuid)

    def test_named_as_the_in_tree_driver_names_it(self):
        theirs = fake_nvmetcli.in_tree_class()(
            configuration=self.configuration(lvm_share_target=True))
        made = shared_volume()
        info = self.target.initialize_connection(made, HOST)
        self.assertEqual(theirs._get_target_nqn(made.id, HOST),
                         info['data']['target_nqn'])
        self.assertEqual(
            {'location': DEVICES[0], 'auth': ''},
            theirs.create_export(None, made, DEVICES[0]))

    def test_ids_follow_from_the_volume(self):
        first = self.target.initialize_connection(shared_volume(1), HOST)
        self.target.terminate_connection(shared_volume(1), HOST)
        second = self.target.initialize_connection(shared_volume(2), HOST)
        again = self.target.initialize_connection(shared_volume(1), HOST)
        self.assertEqual(first, again)
        self.assertNotEqual(first['data']['ns_id'], second['data']['ns_id'])
        self.assertLessEqual(10, int(first['data']['ns_id']))
        self.assertLessEqual(int(first['data']['ns_id']), 1024)

    def test_ids_where_the_first_one_is_high(self):
        for first in 1024, 8191:
            target = self.make(lvm_share_target=True, nvmet_ns_id=first)
            for number in 1, 2:
                made = shared_volume(number)
                info = target.initialize_connection(made, HOST)
                self.assertLessEqual(first, int(info['data']['ns_id']))
                self.assertLessEqual(int(info['data']['ns_id']), 8192)
            self.assertEqual(2, len(self.listed(self.name).namespaces))
            verbs.delete_subsystem(self.name)

    def test_the_id_that_the_host_knows(self):
        made = shared_volume()
        made.volume_attachment = [
            fake_volume.attachment(HOST, connection_info={
                'driver_volume_type': 'local', 'device_path': DEVICES[0]}),
            fake_volume.attachment(OTHER_HOST, connection_info={'ns_id': 7}),
            fake_volume.attachment(HOST, connection_info={'ns_id': '2000'})]
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertEqual([2000], list(self.listed(self.name).namespaces))
        self.assertEqual([7], list(self.listed(f'{PREFIX}b').namespaces))

    @ddt.data(1, 2)
    def test_the_subsystem_that_the_host_knows(self, version):
        made = shared_volume()
        info = self.make(
            lvm_share_target=True, nvmeof_conn_info_version=version,
        ).initialize_connection(made, HOST)
        made.volume_attachment = [
            fake_volume.attachment(HOST, connection_info=info['data'])]
        self.target = self.make(lvm_share_target=True,
                                target_prefix='2014-08.org.example')
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertEqual([self.name], list(nvmet_report.list_subsystems()))
        verbs.delete_subsystem(self.name)
        self.target.ensure_export(None, made, DEVICES[0])
        self.assertEqual([int(info['data']['ns_id'])],
                         list(self.listed(self.name).namespaces))
        self.target.extend_target(made)
        self.assertEqual(1, len(self.nvmet.os.revalidated))
        self.target.initialize_connection(shared_volume(2), HOST)
        self.target.terminate_connection(made, HOST)
        self.assertEqual(['nqn.2014-08.org.example-a'],
                         list(nvmet_report.list_subsystems()))

    def shared_as(self, number, nsid):
        """Return a volume that its host knows by an id."""
        made = shared_volume(number)
        made.volume_attachment = [
            fake_volume.attachment(HOST, connection_info={'ns_id': nsid})]
        return made

    def test_ids_that_hosts_know_come_first(self):
        new = shared_volume(1, [HOST])
        nsid = self.target.initialize_connection(new, HOST)['data']['ns_id']
        self.target.terminate_connection(new, HOST)
        known = self.shared_as(2, nsid)
        self.assertEqual({}, self.target.ensure_exports(
            None, [(new, DEVICES[0]), (known, DEVICES[1])]))
        self.assertEqual(
            {int(nsid): Namespace(DEVICES[1], known.id),
             int(nsid) + 1: Namespace(DEVICES[0], new.id)},
            self.listed(self.name).namespaces)

    def test_an_id_that_became_another_volumes(self):
        first, second = self.shared_as(1, 20), self.shared_as(2, 20)
        self.target.ensure_export(None, first, DEVICES[0])
        failures = self.target.ensure_exports(None, [(second, DEVICES[1])])
        self.assertEqual([second.id], list(failures))
        self.assertEqual(
            (self.name, 20, DEVICES[0], first.id),
            failures[second.id].args)
        self.assertRaises(errors.NamespaceTaken,
                          self.target.initialize_connection, second, HOST)
        self.assertEqual({20: Namespace(DEVICES[0], first.id)},
                         self.listed(self.name).namespaces)
        second.volume_attachment = []
        self.assertNotEqual(20, int(self.target.initialize_connection(
            second, HOST)['data']['ns_id']))

    def test_still_shared_while_hosts_are_attached(self):
        made = shared_volume(connectors=[HOST])
        self.assertEqual(
            {'location': DEVICES[0], 'auth': ''},
            self.make().create_export(None, made, DEVICES[0]))

    def test_extend(self):
        made = shared_volume(connectors=[HOST, HOST, OTHER_HOST])
        self.target.ensure_export(None, made, DEVICES[0])
        self.target.extend_target(made)
        self.assertEqual(2, len(self.nvmet.os.revalidated))

    def test_stored_connector_that_makes_no_sense(self):
        made = shared_volume(connectors=[{'nqn': HOST['nqn']}, {}, HOST])
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.target.extend_target(made)
        self.assertEqual([self.name], list(nvmet_report.list_subsystems()))
