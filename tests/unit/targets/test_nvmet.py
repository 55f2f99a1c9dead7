# SPDX-License-Identifier: Apache-2.0
import json
import os
from unittest import mock

import ddt

from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import nvmet as verbs
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.targets import base as base_target
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import nvmet
from cinder_lvm_driver.targets import nvmet_mode
from cinder_lvm_driver.targets import nvmet_per_host
from cinder_lvm_driver.targets import nvmet_per_volume
from tests.contract import test_nvmet as contract
from tests.unit.targets import fake_kernel
from tests.unit.targets import fake_nvmetcli
from tests.unit.targets import fake_volume
from tests.unit.targets.nvmet_case import DEVICES
from tests.unit.targets.nvmet_case import HOST
from tests.unit.targets.nvmet_case import Namespace
from tests.unit.targets.nvmet_case import new_volume
from tests.unit.targets.nvmet_case import nqn
from tests.unit.targets.nvmet_case import NvmetTestCase
from tests.unit.targets.nvmet_case import OTHER_HOST
from tests.unit.targets.nvmet_case import PREFIX
from tests.unit.targets.nvmet_case import volume


@ddt.ddt
class TestConnectionProperties(NvmetTestCase):

    @ddt.data((1, 'tcp'), (2, 'tcp'), (1, 'rdma'), (2, 'rdma'))
    @ddt.unpack
    def test_as_the_in_tree_driver_tells_them(self, version, transport):
        values = {'nvmeof_conn_info_version': version}
        theirs = fake_nvmetcli.in_tree_class()(
            configuration=self.configuration(**values))
        addresses = ['10.0.0.1', '10.0.0.2']
        uuid = fake_volume.UUID % 1
        connection = nvmet_mode.Connection(
            PREFIX, tuple(Portal(address, 4420, transport)
                          for address in addresses), 10, discard=True)
        self.assertEqual(
            theirs._get_connection_properties(
                PREFIX, addresses, '4420', transport, '10', uuid),
            self.make(**values)._properties(connection, str, uuid))


@ddt.ddt
class TestMode(NvmetTestCase):

    @ddt.data('/dev/vg/volume-1', None, '', '10.0.0.1:4420 tcp nqn.x:1 10')
    def test_of_a_volume(self, location):
        """Whatever lvm_share_target says now."""
        made = new_volume(provider_location=location)
        expected = (nvmet_per_host.PerHost if location == '/dev/vg/volume-1'
                    else nvmet_per_volume.PerVolume)
        for shared in False, True:
            target = self.make(lvm_share_target=shared)
            self.assertIsInstance(target._mode(made), expected)


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
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)

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
        self.assertIn(f'A host that has volume {made.id} is not allowed',
                      self.log.output)
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)
        self.assertEqual(contract.KEY, self.key(HOST['nqn']))

    def test_ensure_tells_that_nobody_is_let_in(self):
        made = volume(connectors=[OTHER_HOST])
        failures = self.target.ensure_exports(None, [(made, DEVICES[0])])
        self.assertIsInstance(failures[made.id], errors.NoHostKey)

    def test_host_whose_key_was_taken_away_is_in_nobodys_way(self):
        made = volume(connectors=[OTHER_HOST])
        self.target.create_export(None, made, DEVICES[0])
        self.target.initialize_connection(made, HOST)
        self.assertEqual((HOST['nqn'],), self.listed(nqn(made)).hosts)
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
        self.assertEqual({}, nvmet_report.list_subsystems())


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
                nvmet_report.ListedSubsystem(
                    namespaces={10: Namespace(device, made.id)}, closed=True,
                    hosts=tuple(sorted(each.connector['nqn']
                                       for each in made.volume_attachment)),
                    portals=(Portal('10.0.0.1', 4420),)),
                self.listed(nqn(made)))

    def test_after_a_reboot(self):
        self.assertEqual({}, self.ensure())
        self.assert_whole()

    def test_list_served(self):
        self.ensure()
        with mock.patch.object(nvmet.blockdev, 'number', str):
            self.assertCountEqual(
                [base_target.Served(
                    name=nqn(made), device=device, sessions=None,
                    hosts=len(made.volume_attachment))
                 for made, device in self.pairs], self.target.list_served())

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
        with mock.patch.object(nvmet_report, 'list_subsystems',
                               wraps=nvmet_report.list_subsystems) as listing:
            self.ensure()
            self.assertEqual({}, self.target.ensure_exports(None, []))
        listing.assert_called_once_with()

    def test_no_list_while_another_back_end_is_at_it(self):
        with fake_kernel.listed_under_lock(nvmet_report, 'list_subsystems'):
            self.assertEqual({}, self.ensure())

    def test_a_volume_without_device(self):
        self.nvmet.os.devices.pop(DEVICES[0])
        failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertIsInstance(failures[self.volumes[0].id],
                              errors.DeviceNotUsable)
        self.assertEqual(2, len(self.listed(nqn(self.volumes[1])).hosts))
        self.assertIn('Cannot restore the export of volume', self.log.output)

    def test_a_daemon_that_ends_in_between(self):
        """The next question starts it anew."""
        with mock.patch.object(
                verbs, 'create_subsystem', wraps=verbs.create_subsystem,
                side_effect=[BrokenPipeError(), mock.DEFAULT]):
            failures = self.ensure()
        self.assertEqual([self.volumes[0].id], list(failures))
        self.assertEqual([nqn(self.volumes[1])],
                         list(nvmet_report.list_subsystems()))
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
        verbs.allow_host(nqn(self.volumes[0]),
                         verbs.Host(OTHER_HOST['nqn']))
        self.changes()
        self.assertEqual({}, self.ensure())
        self.assertEqual([], self.changes())
