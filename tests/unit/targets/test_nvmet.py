# SPDX-License-Identifier: Apache-2.0
import json
import os
from unittest import mock

import ddt
import fixtures
from oslo_concurrency import lockutils

from cinder_lvm_driver.privileged import nvmet as verbs
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import nvmet
from tests import base
from tests.contract import test_nvmet as contract
from tests.unit.privileged import fake_nvmet
from tests.unit.targets import fake_kernel
from tests.unit.targets import fake_nvmetcli
from tests.unit.targets import fake_volume

HOST = {'nqn': contract.HOST, 'host': 'a', 'ip': '10.0.0.9'}
OTHER_HOST = {'nqn': contract.OTHER_HOST, 'host': 'b', 'ip': '10.0.0.8'}
DEVICES = ('/dev/vg/volume-1', '/dev/vg/volume-2')
PREFIX = f'nqn.{fake_volume.PREFIX}-'


def nqn(volume):
    return PREFIX + volume.id


def new_volume(number=1, connectors=(), **values):
    """Return a volume that has never been exported."""
    return fake_volume.volume(number, connectors, **{
        'provider_location': None, 'provider_auth': None, **values})


def volume(number=1, connectors=(), **values):
    """Return a volume that has a subsystem of its own."""
    made = new_volume(number, connectors, **values)
    made.provider_location = f'10.0.0.1:4420 tcp {nqn(made)} 10'
    return made


def shared_volume(number=1, connectors=(), **values):
    """Return a volume that is served in the subsystems of its hosts."""
    return new_volume(number, connectors,
                      provider_location=DEVICES[number - 1], **values)


class Row(dict):
    """A volume as Cinder's class wants it: with indexes and attributes."""

    __getattr__ = dict.__getitem__


class NvmetTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.nvmet = self.useFixture(fake_nvmet.FakeNvmet())
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.target = self.make()

    def make(self, **values):
        return nvmet.NvmetTarget(self.configuration(**values), self.runner)

    def configuration(self, **values):
        return fake_volume.configuration(**{
            'target_helper': 'nvmet', 'target_protocol': 'nvmet_tcp',
            'target_port': 4420, **values})

    def write_keys(self, keys):
        path = self.useFixture(fixtures.TempDir()).join('keys.json')
        with open(path, 'w') as file:
            json.dump(keys, file)
        os.chmod(path, 0o600)
        return path

    def listed(self, name):
        return verbs.list_subsystems()[name]

    def key(self, host_nqn):
        return (self.nvmet.root / 'hosts' / host_nqn).read('dhchap_key')


@ddt.ddt
class TestOwnSubsystem(NvmetTestCase):

    def test_host_that_has_just_left_is_not_let_in_again(self):
        """What Cinder hands over may be some seconds old."""
        made = volume(connectors=[HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.terminate_connection(made, HOST)
        self.target.create_export(None, made, DEVICES[0])
        self.assertEqual([], self.listed(nqn(made))['hosts'])

    def test_host_that_the_in_tree_driver_let_in_with_all_others(self):
        """As after a start that could not bring the volume's export back."""
        made = volume(connectors=[HOST])
        self.target.create_export(None, new_volume(), DEVICES[0])
        (self.nvmet.root / 'subsystems' / nqn(made)).write(
            'attr_allow_any_host', '1')
        self.target.create_export(None, made, DEVICES[0])
        listed = self.listed(nqn(made))
        self.assertTrue(listed['closed'])
        self.assertEqual([HOST['nqn']], listed['hosts'])

    def test_a_life(self):
        made = new_volume()
        export = self.target.create_export(None, made, DEVICES[0])
        self.assertEqual({'location': f'10.0.0.1:4420 tcp {nqn(made)} 10',
                          'auth': ''}, export)
        made.provider_location = export['location']
        self.assertEqual(
            {'namespaces': {10: (DEVICES[0], made.id)}, 'closed': True,
             'hosts': [], 'portals': [('tcp', '10.0.0.1', 4420)]},
            self.listed(nqn(made)))
        self.assertEqual(
            {'driver_volume_type': 'nvmeof', 'data': {
                'target_nqn': nqn(made), 'vol_uuid': made.id, 'ns_id': '10',
                'portals': [('10.0.0.1', '4420', 'tcp')],
                'encrypted': False, 'discard': True}},
            self.target.initialize_connection(made, HOST))
        self.target.initialize_connection(made, OTHER_HOST)
        self.assertEqual(sorted([HOST['nqn'], OTHER_HOST['nqn']]),
                         self.listed(nqn(made))['hosts'])
        self.target.terminate_connection(made, HOST)
        self.assertEqual([OTHER_HOST['nqn']], self.listed(nqn(made))['hosts'])
        self.target.terminate_connection(made, None)
        self.assertEqual([], self.listed(nqn(made))['hosts'])
        self.target.remove_export(None, made)
        self.target.remove_export(None, made)
        self.target.terminate_connection(made, HOST)
        self.assertEqual({}, verbs.list_subsystems())

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
        self.assertEqual({10: (DEVICES[0], made.name_id)},
                         self.listed(nqn(made))['namespaces'])

    def test_create_needs_all_portals(self):
        self.nvmet.os.refused_addresses = {'10.0.0.2'}
        target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        self.assertRaises(errors.PortalNotAvailable, target.create_export,
                          None, new_volume(), DEVICES[0])
        self.assertEqual({}, verbs.list_subsystems())

    def test_names_stay_while_hosts_are_attached(self):
        target = self.make(target_prefix='2014-08.org.example', nvmet_ns_id=5,
                           lvm_share_target=True)
        made = volume(connectors=[HOST])
        export = target.create_export(None, made, DEVICES[0])
        self.assertEqual(made.provider_location, export['location'])
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])

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
        self.assertEqual({}, verbs.list_subsystems())

    def test_what_was_copied_from_another_volume(self):
        """A clone for an image, or one that a volume is migrated to."""
        source = volume(1, connectors=[HOST])
        self.target.create_export(None, source, DEVICES[0])
        copy = new_volume(2)
        copy.provider_location = source.provider_location
        self.target.terminate_connection(copy, HOST)
        self.target.terminate_connection(copy, None)
        self.target.remove_export(None, copy)
        self.assertEqual([HOST['nqn']], self.listed(nqn(source))['hosts'])
        # Its own goes, too, where Cinder could not store it.
        self.target.create_export(None, copy, DEVICES[1])
        self.target.remove_export(None, copy)
        self.assertEqual([nqn(source)], list(verbs.list_subsystems()))

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
        self.assertEqual([nqn(moved)], list(verbs.list_subsystems()))

    def test_remove_after_a_migration_in_use(self):
        """The subsystem has the id of the volume that it was copied to."""
        new = volume(2)
        self.target.create_export(None, new, DEVICES[1])
        self.target.remove_export(None, volume(
            1, name=new.name, name_id=new.id))
        self.assertEqual([nqn(new)], list(verbs.list_subsystems()))
        migrated = new_volume(1, name=new.name, name_id=new.id)
        migrated.provider_location = new.provider_location
        self.target.remove_export(None, migrated)
        self.assertEqual({}, verbs.list_subsystems())

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
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])
        verbs.delete_subsystem(nqn(made))
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])
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


@ddt.ddt
class TestConnectors(NvmetTestCase):

    def test_valid(self):
        self.assertTrue(self.target.validate_connector(HOST))
        self.assertTrue(self.make(lvm_share_target=True).validate_connector(
            HOST))
        self.assertTrue(self.target.validate_connector({'nqn': HOST['nqn']}))

    @ddt.data({}, {'nqn': None}, {'nqn': ''}, {'nqn': '../x'},
              {'nqn': 'iqn.2001-01.org.example:a'}, {'host': 'x'}, None,
              {'nqn': 5}, {'nqn': ['nqn.2014-08.org:a']}, HOST['nqn'],
              {'nqn': HOST['nqn'] + '\n'}, {'nqn': HOST['nqn'] * 1000},
              {'initiator': 'iqn.2001-01.org.example:a'}, ['nqn'], 5)
    def test_invalid(self, connector):
        error = self.assertRaises(errors.InvalidConnector,
                                  self.target.validate_connector, connector)
        self.assertEqual('nqn', error.missing)
        self.assertFalse(self.target.are_same_connector(connector, HOST))
        self.assertFalse(self.target.are_same_connector(HOST, connector))

    @ddt.data({}, {'host': None}, {'host': 5}, {'host': ['a']},
              {'host': 'a\nb'}, {'host': 'a' * 1000}, {'host': 'a b'},
              {'host': 'a/b'})
    def test_without_a_host_name(self, values):
        connector = {'nqn': HOST['nqn'], **values}
        error = self.assertRaises(
            errors.InvalidConnector,
            self.make(lvm_share_target=True).validate_connector, connector)
        self.assertEqual('host', error.missing)

    def test_same(self):
        same = self.target.are_same_connector
        self.assertTrue(same(HOST, {**OTHER_HOST, 'nqn': HOST['nqn']}))
        self.assertFalse(same(HOST, OTHER_HOST))
        self.assertFalse(same(HOST, {**HOST, 'nqn': HOST['nqn'].upper()}))
        self.assertFalse(same({}, {}))


@ddt.ddt
class TestSharedSubsystem(NvmetTestCase):

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
        self.assertEqual({}, verbs.list_subsystems())
        infos = [self.target.initialize_connection(made, HOST)['data']
                 for made in volumes]
        self.assertEqual({self.name}, {info['target_nqn'] for info in infos})
        self.assertEqual([('10.0.0.1', 4420, 'tcp')], infos[0]['portals'])
        listed = self.listed(self.name)
        self.assertEqual([HOST['nqn']], listed['hosts'])
        self.assertEqual(
            {int(info['ns_id']): (device, made.id) for info, device, made
             in zip(infos, DEVICES, volumes, strict=True)},
            listed['namespaces'])
        self.target.initialize_connection(volumes[0], OTHER_HOST)
        self.target.terminate_connection(volumes[0], HOST)
        self.assertEqual(1, len(self.listed(self.name)['namespaces']))
        self.assertEqual([OTHER_HOST['nqn']],
                         self.listed(f'{PREFIX}b')['hosts'])
        self.target.initialize_connection(volumes[0], HOST)
        self.target.terminate_connection(volumes[0], None)
        self.target.terminate_connection(volumes[1], HOST)
        self.target.remove_export(None, volumes[1])
        self.assertEqual({}, verbs.list_subsystems())

    def test_remove_what_a_migration_left_on_another_back_end(self):
        moved = shared_volume(1)
        self.target.initialize_connection(moved, HOST)
        left = shared_volume(2, name_id=moved.name_id)
        self.target.remove_export(None, left, DEVICES[1])
        self.assertEqual(1, len(self.listed(self.name)['namespaces']))
        self.target.remove_export(None, left, DEVICES[0])
        self.assertEqual({}, verbs.list_subsystems())

    def test_attachment_that_went_without_the_connection(self):
        gone, other = shared_volume(1), shared_volume(2, [HOST])
        for made in gone, other:
            self.target.initialize_connection(made, HOST)
        self.target.initialize_connection(gone, OTHER_HOST)
        self.target.remove_export(None, other)
        self.assertEqual(2, len(self.listed(self.name)['namespaces']))
        self.target.remove_export(None, gone)
        self.assertEqual([self.name], list(verbs.list_subsystems()))
        (_, uuid), = self.listed(self.name)['namespaces'].values()
        self.assertEqual(other.id, uuid)

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
            self.assertEqual(2, len(self.listed(self.name)['namespaces']))
            verbs.delete_subsystem(self.name)

    def test_the_id_that_the_host_knows(self):
        made = shared_volume()
        made.volume_attachment = [
            fake_volume.attachment(OTHER_HOST, connection_info={'ns_id': 7}),
            fake_volume.attachment(HOST, connection_info={'ns_id': '2000'})]
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertEqual([2000], list(self.listed(self.name)['namespaces']))
        self.assertEqual([7], list(self.listed(f'{PREFIX}b')['namespaces']))

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
        self.assertEqual([self.name], list(verbs.list_subsystems()))
        verbs.delete_subsystem(self.name)
        self.target.ensure_export(None, made, DEVICES[0])
        self.assertEqual([int(info['data']['ns_id'])],
                         list(self.listed(self.name)['namespaces']))
        self.target.extend_target(made)
        self.assertEqual(1, len(self.nvmet.os.revalidated))
        self.target.initialize_connection(shared_volume(2), HOST)
        self.target.terminate_connection(made, HOST)
        self.assertEqual(['nqn.2014-08.org.example-a'],
                         list(verbs.list_subsystems()))

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
            {int(nsid): (DEVICES[1], known.id),
             int(nsid) + 1: (DEVICES[0], new.id)},
            self.listed(self.name)['namespaces'])

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
        self.assertEqual({20: (DEVICES[0], first.id)},
                         self.listed(self.name)['namespaces'])
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
        self.assertEqual([self.name], list(verbs.list_subsystems()))


class TestKeys(NvmetTestCase):

    def setUp(self):
        super().setUp()
        self.path = self.write_keys({HOST['nqn']: contract.KEY})
        self.target = self.make(lvm_nvme_key_file=self.path,
                                lvm_nvme_require_keys=True)

    def test_a_host_with_a_key_and_one_without(self):
        made = volume()
        self.target.create_export(None, made, DEVICES[0])
        info = self.target.initialize_connection(made, HOST)
        self.assertEqual(contract.KEY, self.key(HOST['nqn']))
        self.assertNotIn(contract.KEY, repr(info) + self.log.output)
        self.assertRaises(errors.NoHostKey, self.target.initialize_connection,
                          made, OTHER_HOST)
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])

    def test_a_host_without_a_key_is_no_valid_one(self):
        self.assertTrue(self.target.validate_connector(HOST))
        error = self.assertRaises(errors.NoHostKey,
                                  self.target.validate_connector, OTHER_HOST)
        self.assertIn(f'host {OTHER_HOST["nqn"]} has no', error.missing)
        self.assertTrue(self.make(
            lvm_nvme_key_file=self.path).validate_connector(OTHER_HOST))

    def test_not_required(self):
        made = volume(connectors=[HOST, OTHER_HOST])
        target = self.make(lvm_nvme_key_file=self.path)
        target.create_export(None, made, DEVICES[0])
        self.assertEqual(contract.KEY, self.key(HOST['nqn']))
        self.assertEqual('', self.key(OTHER_HOST['nqn']))

    def test_ensure_keeps_out_who_has_no_key(self):
        made = volume(connectors=[OTHER_HOST, HOST])
        self.assertEqual({}, self.target.ensure_exports(
            None, [(made, DEVICES[0])]))
        self.assertIn('one is left out', self.log.output)
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])
        self.assertEqual(contract.KEY, self.key(HOST['nqn']))

    def test_ensure_tells_that_nobody_is_let_in(self):
        made = volume(connectors=[OTHER_HOST])
        failures = self.target.ensure_exports(None, [(made, DEVICES[0])])
        self.assertIsInstance(failures[made.id], errors.NoHostKey)

    def test_host_whose_key_was_taken_away_is_in_nobodys_way(self):
        made = volume(connectors=[OTHER_HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.initialize_connection(made, HOST)
        self.assertEqual([HOST['nqn']], self.listed(nqn(made))['hosts'])
        self.assertIn(f'host {OTHER_HOST["nqn"]} has no DH-HMAC-CHAP key',
                      self.log.output)

    def test_ensure_gives_the_keys_of_now(self):
        made = volume(connectors=[HOST])
        self.target.ensure_export(None, made, DEVICES[0])
        with open(self.path, 'w') as file:
            json.dump({HOST['nqn']: contract.OTHER_KEY}, file)
        self.target.ensure_export(None, made, DEVICES[0])
        self.assertEqual(contract.OTHER_KEY, self.key(HOST['nqn']))

    def test_a_file_that_is_broken_now(self):
        os.chmod(self.path, 0o644)
        made = volume(connectors=[HOST])
        self.assertRaises(errors.TargetConfigurationError,
                          self.target.initialize_connection, made, HOST)
        failures = self.target.ensure_exports(None, [(made, DEVICES[0])])
        self.assertEqual([made.id], list(failures))
        self.assertEqual({}, verbs.list_subsystems())


class TestEnsure(NvmetTestCase):

    def setUp(self):
        super().setUp()
        self.volumes = [volume(1, connectors=[HOST]),
                        volume(2, connectors=[HOST, OTHER_HOST])]
        self.pairs = list(zip(self.volumes, DEVICES, strict=True))

    def ensure(self):
        return self.target.ensure_exports(None, self.pairs)

    def changes(self):
        """Return what was written or linked since the last call."""
        changed = list(self.nvmet.os.steps)
        self.nvmet.os.steps.clear()
        return changed

    def assert_whole(self):
        for made, device in self.pairs:
            self.assertEqual(
                {'namespaces': {10: (device, made.id)}, 'closed': True,
                 'hosts': sorted(each.connector['nqn']
                                 for each in made.volume_attachment),
                 'portals': [('tcp', '10.0.0.1', 4420)]},
                self.listed(nqn(made)))

    def test_after_a_reboot(self):
        self.assertEqual({}, self.ensure())
        self.assert_whole()

    def test_no_port_listens_before_all_is_there(self):
        self.ensure()
        links = [step[2].removeprefix(self.nvmet.root.path).split('/')[1]
                 for step in self.changes() if step[0] == 'symlink']
        self.assertEqual(['subsystems'] * 3 + ['ports'] * 2, links)

    def test_what_is_whole_is_not_touched(self):
        self.ensure()
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual([], self.changes())

    def test_only_what_is_missing(self):
        self.ensure()
        verbs.delete_subsystem(nqn(self.volumes[0]))
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertNotIn(nqn(self.volumes[1]), str(self.changes()))
        self.assert_whole()

    def test_an_export_of_the_in_tree_driver(self):
        """Any host may use it, and its NGUID is random."""
        self.target.create_export(None, new_volume(), DEVICES[0])
        subsystem = self.nvmet.root / 'subsystems' / nqn(self.volumes[0])
        subsystem.write('attr_allow_any_host', '1')
        self.assertEqual({}, self.ensure())
        self.assert_whole()
        self.assertEqual([], self.nvmet.os.ended)

    def test_one_list_for_all(self):
        with mock.patch.object(verbs, 'list_subsystems',
                               wraps=verbs.list_subsystems) as listing:
            self.ensure()
            self.assertEqual({}, self.target.ensure_exports(None, []))
        listing.assert_called_once_with()

    def test_no_list_while_another_back_end_is_at_it(self):
        with fake_kernel.listed_under_lock(verbs, 'list_subsystems'):
            self.assertEqual({}, self.ensure())

    def test_a_volume_without_device(self):
        self.nvmet.os.devices.pop(DEVICES[0])
        failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertIsInstance(failures[self.volumes[0].id],
                              errors.DeviceNotUsable)
        self.assertEqual(2, len(self.listed(nqn(self.volumes[1]))['hosts']))
        self.assertIn('is not exported as it should be', self.log.output)

    def test_a_daemon_that_ends_in_between(self):
        """The next question starts it anew."""
        with mock.patch.object(
                verbs, 'create_namespace', wraps=verbs.create_namespace,
                side_effect=[BrokenPipeError(), mock.DEFAULT]):
            failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertEqual([nqn(self.volumes[1])],
                         list(verbs.list_subsystems()))
        self.assertEqual({}, self.ensure())
        self.assert_whole()

    def test_a_volume_of_another_helper(self):
        self.volumes[0].provider_location = 'x'
        self.assertEqual([self.volumes[0].id], list(self.ensure()))

    def test_one_portal_is_enough(self):
        self.nvmet.os.refused_addresses = {'10.0.0.2'}
        self.target = self.make(target_secondary_ip_addresses=['10.0.0.2'])
        self.assertEqual({}, self.ensure())
        self.assert_whole()
        self.assertIn('is served, but not on portal tcp 10.0.0.2:4420: Cannot '
                      'assign requested address', self.log.output)

    def test_no_portal(self):
        self.nvmet.os.refused_addresses = {'10.0.0.1'}
        self.assertEqual(
            {errors.PortalNotAvailable},
            {type(failure) for failure in self.ensure().values()})

    def test_another_host_is_left_in(self):
        self.ensure()
        verbs.allow_host(nqn(self.volumes[0]), OTHER_HOST['nqn'])
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual([], self.changes())
