# SPDX-License-Identifier: Apache-2.0
from unittest import mock

from cinder.volume.targets import fake as in_tree_fake
import ddt
import fixtures
from oslo_privsep import daemon

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import iscsi
from cinder_lvm_driver.targets import iscsi_export
from cinder_lvm_driver.targets import node
from tests import base
from tests.unit.targets import fake_volume

HOST = fake_volume.HOST
OTHER_HOST = fake_volume.OTHER_HOST
PORTAL = Portal('10.0.0.1', 3260)


class RecordingTarget(iscsi.ISCSITarget):
    """Writes down what a helper is asked for."""

    LUN = 1
    discard = False

    def __init__(self, configuration):
        super().__init__(configuration, mock.Mock())
        self.calls = []
        self.failures = {}

    def _create_target(self, request):
        self.calls.append(('create', request))
        return '7'

    def _ensure_targets(self, requests):
        self.calls.append(('ensure', requests))
        return self.failures

    def _find_unused(self, names):
        return names[1:]

    def _delete_target(self, target_iqn, device):
        self.calls.append(('delete', target_iqn, *[device] * bool(device)))

    def _allow(self, target_iqn, initiator_iqn, chap):
        self.calls.append(('allow', target_iqn, initiator_iqn, chap))
        return self.discard

    def _deny(self, target_iqn, initiator_iqn):
        self.calls.append(('deny', target_iqn, initiator_iqn))


def iqn(volume):
    return fake_volume.PREFIX + volume.name


class IscsiTestCase(base.TestCase):

    def target(self, **values):
        return RecordingTarget(fake_volume.configuration(**values))


@ddt.ddt
class TestSetup(IscsiTestCase):

    @ddt.data('iscsi', 'iser')
    def test_protocol(self, protocol):
        self.useFixture(fixtures.MockPatchObject(node, '_RDMA_DEVICES',
                                                 '/sys/*'))
        target = self.target(target_protocol=protocol)
        self.assertIsNone(target.check_for_setup_error())
        self.assertEqual('iSCSI', target.storage_protocol)

    def test_another_protocol(self):
        target = self.target(target_protocol='nvmet_tcp')
        error = self.assertRaises(errors.TargetConfigurationError,
                                  target.check_for_setup_error)
        self.assertIn("target_protocol is 'nvmet_tcp'", str(error))

    @ddt.data(None, [], ['10.0.0.2', '2001:db8::1'])
    def test_portals(self, secondary):
        target = self.target(target_secondary_ip_addresses=secondary,
                             target_port=3261)
        self.assertEqual(
            ['10.0.0.1:3261', '10.0.0.2:3261', '[2001:db8::1]:3261']
            [:1 + len(secondary or ())], list(map(str, target.portals)))

    def test_portals_in_brackets(self):
        """As the in-tree class takes and stores them, too."""
        target = self.target(target_ip_address='[2001:db8::1]',
                             target_secondary_ip_addresses=['[::1]'])
        self.assertEqual(
            (Portal('2001:db8::1', 3260), Portal('::1', 3260)),
            target.portals)


class TestExport(IscsiTestCase):

    def test_create(self):
        target = self.target(target_secondary_ip_addresses=['::1'])
        volume = fake_volume.new_volume()
        export = target.create_export(None, volume, '/dev/vg/lv')
        self.assertEqual(
            f'10.0.0.1:3260;[::1]:3260,7 {iqn(volume)} 1',
            export['location'])
        chap = iscsi_export.parse_chap(export['auth'])
        self.assertEqual((20, 16), (len(chap.username), len(chap.secret)))
        self.assertEqual([('create', iscsi_export.ExportRequest(
            volume_id=volume.id, serial=volume.id, target_iqn=iqn(volume),
            device='/dev/vg/lv', portals=(PORTAL, Portal('::1', 3260)),
            chap=chap))], target.calls)
        self.assertNotIn(chap.secret, self.log.output)

    def test_create_again_keeps_the_secret(self):
        target = self.target()
        volume = fake_volume.volume()
        self.assertEqual(
            fake_volume.AUTH,
            target.create_export(None, volume, '/dev/vg/lv')['auth'])

    def test_two_hosts_at_once_get_one_secret(self):
        """Neither volume object shows what the other host has been given."""
        target = self.target()
        first, second = (target.create_export(
            None, fake_volume.new_volume(), '/dev/vg/lv') for _ in range(2))
        self.assertEqual(first, second)
        another = target.create_export(
            None, fake_volume.new_volume(2), '/dev/vg/lv')
        self.assertNotEqual(first['auth'], another['auth'])
        target.remove_export(None, fake_volume.new_volume())
        third = target.create_export(
            None, fake_volume.new_volume(), '/dev/vg/lv')
        self.assertNotEqual(first['auth'], third['auth'])

    def test_create_with_hosts_attached(self):
        """The name that the hosts know stays, whatever the prefix is now."""
        target = self.target(target_prefix='iqn.2026-11.org.example:')
        volume = fake_volume.volume(connectors=[HOST, HOST, OTHER_HOST])
        export = target.create_export(None, volume, '/dev/vg/lv')
        self.assertIn(f' {iqn(volume)} ', export['location'])
        self.assertEqual(
            (HOST['initiator'], OTHER_HOST['initiator']),
            target.calls[0][1].initiators)

    def test_create_with_foreign_auth(self):
        target = self.target()
        volume = fake_volume.volume(provider_auth='token s3cret')
        error = self.assertRaises(
            errors.InvalidExport, target.create_export, None, volume,
            '/dev/vg/lv')
        self.assertEqual(
            f"provider_auth of volume {volume.id} is not of the form "
            "'CHAP name secret'; to use the volume, detach it and attach it "
            'again', str(error))
        self.assertEqual([], target.calls)

    def test_remove(self):
        target = self.target()
        volume = fake_volume.volume()
        other_prefix = f'iqn.2000-01.org.x:{volume.name}'
        volume.provider_location = f'10.0.0.1:3260,1 {other_prefix} 1'
        target.remove_export(None, volume, '/dev/vg/lv')
        self.assertEqual([('delete', other_prefix, '/dev/vg/lv')],
                         target.calls)

    def test_unused(self):
        volumes = [fake_volume.volume(number) for number in (1, 2)]
        self.assertEqual({volumes[1].id}, self.target().find_unused(volumes))

    def test_what_was_copied_from_another_volume(self):
        """A clone for an image, or one that a volume is migrated to."""
        target = self.target()
        source = fake_volume.volume(1, connectors=[HOST])
        copy = fake_volume.volume(
            2, provider_location=source.provider_location)
        target.terminate_connection(copy, HOST)
        target.terminate_connection(copy, None)
        self.assertEqual([], target.calls)
        target.remove_export(None, copy)
        self.assertEqual([('delete', iqn(copy))], target.calls)

    def test_remove_after_a_migration_in_use(self):
        """The volume goes by the name of the one it was copied to."""
        target = self.target()
        new = fake_volume.volume(2)
        volume = fake_volume.volume(
            1, name=new.name, name_id=new.id,
            provider_location=new.provider_location.upper())
        target.remove_export(None, volume)
        self.assertEqual([('delete', iqn(new).upper())], target.calls)

    def test_remove_what_was_never_stored(self):
        target = self.target()
        for location in (None, '10.0.0.1:4420 tcp nqn.x 1'):
            volume = fake_volume.volume(provider_location=location)
            target.remove_export(None, volume)
            self.assertEqual(('delete', iqn(volume)), target.calls[-1])


class TestEnsure(IscsiTestCase):

    def test_ensure(self):
        target = self.target(target_secondary_ip_addresses=['10.0.0.9'])
        volume = fake_volume.volume(connectors=[HOST, {'host': 'odd'}])
        volume.provider_location = (
            f'10.0.0.8:3260;10.0.0.1:3260,1 {iqn(volume)} 1')
        self.assertEqual({}, target.ensure_exports(
            None, [(volume, '/dev/vg/lv')]))
        self.assertEqual([('ensure', [iscsi_export.ExportRequest(
            volume_id=volume.id, serial=volume.id, target_iqn=iqn(volume),
            device='/dev/vg/lv',
            portals=(Portal('10.0.0.8', 3260), PORTAL,
                     Portal('10.0.0.9', 3260)),
            chap=Chap('name', 'secret123456'),
            initiators=(HOST['initiator'],))])],
            target.calls)

    def test_hosts_that_know_another_lun(self):
        """Those of a volume that another target helper has exported."""
        target = self.target()
        volume = fake_volume.volume(connectors=[HOST])
        for lun in 0, 1:
            volume.provider_location = f'10.0.0.1:3260,1 {iqn(volume)} {lun}'
            self.assertEqual({}, target.ensure_exports(
                None, [(volume, '/dev/vg/lv')]))
        self.assertEqual(1, self.log.output.count(
            f'WARNING cinder_lvm_driver.targets.iscsi: Volume {volume.id} '
            f'was attached as LUN 0, but target_helper lioadm serves it as '
            f'LUN 1: to use the volume, detach it and attach it again'))
        self.assertEqual(1, self.log.output.count('WARNING'))

    def test_bad_ones_do_not_stop_the_others(self):
        target = self.target()
        volumes = [fake_volume.volume(1, provider_auth=None),
                   fake_volume.volume(2, provider_location='x'),
                   fake_volume.volume(3), fake_volume.volume(4)]
        target.failures = {volumes[2].id: errors.TargetNotFound('x')}
        failures = target.ensure_exports(
            None, [(volume, '/dev/x') for volume in volumes])
        self.assertEqual([volume.id for volume in volumes[:3]],
                         list(failures))
        self.assertEqual([volumes[2].id, volumes[3].id],
                         [request.volume_id
                          for request in target.calls[0][1]])
        for volume in volumes[:3]:
            self.assertIn(f'Cannot restore the export of volume {volume.id}',
                          self.log.output)


    def test_the_privileged_daemon_dies(self):
        """It is started again for the next volume."""
        failures = {'1': OSError('Premature eof'),
                    '2': daemon.FailedToDropPrivileges('exited (99)'),
                    '3': errors.TargetNotFound('x')}
        done = []

        def step(request):
            if request.volume_id in failures:
                raise failures[request.volume_id]
            done.append(request.volume_id)

        self.assertEqual(failures, iscsi.try_each(
            [mock.Mock(volume_id=volume_id) for volume_id in '1234'], step))
        self.assertEqual(['4'], done)


@ddt.ddt
class TestConnection(IscsiTestCase):

    def in_tree_properties(self, volume, multipath):
        """Return what the in-tree driver tells a host."""
        target = in_tree_fake.FakeTarget(
            configuration=mock.Mock(), root_helper='')
        volume = dict(vars(volume))
        return target._get_iscsi_properties(volume, multipath)

    @ddt.data(({}, False), ({}, True),
              ({'encryption_key_id': 'x'}, False),
              ({'provider_geometry': '4096 512'}, False),
              ({'provider_location':
                '10.0.0.1:3260;[::1]:3260,3 iqn.2000-01.org.x:y 1'}, False))
    @ddt.unpack
    def test_as_upstream(self, values, multipath):
        target = self.target()
        volume = fake_volume.volume(**values)
        connection = target.initialize_connection(
            volume, {**HOST, 'multipath': multipath})
        self.assertEqual(
            {'driver_volume_type': 'iscsi',
             'data': self.in_tree_properties(volume, multipath)}, connection)

    def test_allow(self):
        target = self.target(target_protocol='iser')
        volume = fake_volume.volume()
        connection = target.initialize_connection(
            volume, {'initiator': HOST['initiator'].upper()})
        self.assertEqual('iser', connection['driver_volume_type'])
        self.assertEqual(
            [('allow', iqn(volume), HOST['initiator'],
              Chap('name', 'secret123456'))], target.calls)

    def test_discard(self):
        target = self.target()
        target.discard = True
        connection = target.initialize_connection(fake_volume.volume(), HOST)
        self.assertIs(True, connection['data']['discard'])

    @ddt.data(('provider_location', None), ('provider_location', 'x y'),
              ('provider_auth', None), ('provider_auth', ''),
              ('provider_auth', 'x s3cret'))
    @ddt.unpack
    def test_nothing_sensible_stored(self, field, value):
        target = self.target()
        volume = fake_volume.volume(**{field: value})
        error = self.assertRaises(
            errors.InvalidExport, target.initialize_connection, volume, HOST)
        self.assertIn(f'{field} of volume {volume.id} is', str(error))
        self.assertNotIn('s3cret', str(error) + self.log.output)
        self.assertEqual([], target.calls)

    def test_terminate(self):
        target = self.target()
        volume = fake_volume.volume()
        target.terminate_connection(volume, HOST, force=True)
        target.terminate_connection(volume, None)
        self.assertEqual(
            [('deny', iqn(volume), HOST['initiator']),
             ('deny', iqn(volume), None)], target.calls)

    @ddt.data({'host': 'a'}, {'initiator': 'x'}, {})
    def test_terminate_a_bad_connector(self, connector):
        """It must not end in the loss of every host's access."""
        target = self.target()
        self.assertRaises(
            errors.InvalidConnector, target.terminate_connection,
            fake_volume.volume(), connector)
        self.assertEqual([], target.calls)

    @ddt.data((None, HOST), ('x y', HOST),
              ('10.0.0.1:4420 tcp nqn.x:volume-1 10', {'nqn': 'nqn.host'}))
    @ddt.unpack
    def test_terminate_what_was_never_exported(self, location, connector):
        """Not by this helper; its hosts may have no iSCSI names."""
        target = self.target()
        target.terminate_connection(
            fake_volume.volume(provider_location=location), connector)
        self.assertEqual([], target.calls)


@ddt.ddt
class TestConnector(IscsiTestCase):

    def test_valid(self):
        self.assertIs(True, self.target().validate_connector(HOST))
        self.assertIs(True, self.target().validate_connector(
            {'initiator': 'IQN.1991-05.com.Microsoft:PC'}))

    @ddt.data(None, {}, {'initiator': None}, {'initiator': ''},
              {'initiator': 7}, {'initiator': ['x']}, {'initiator': '../x'},
              {'initiator': 'iqn.2000-01.org.x:y z'},
              {'initiator': 'iqn.2000-01.org.x:../../y'},
              {'nqn': 'nqn.x', 'host': 'a'})
    def test_invalid(self, connector):
        error = self.assertRaises(errors.InvalidConnector,
                                  self.target().validate_connector, connector)
        self.assertEqual('initiator', error.missing)

    def test_same(self):
        target = self.target()
        self.assertTrue(target.are_same_connector(
            HOST, {'initiator': HOST['initiator'].upper()}))
        self.assertFalse(target.are_same_connector(HOST, OTHER_HOST))
        self.assertFalse(target.are_same_connector({}, {}))
        self.assertFalse(target.are_same_connector(
            {'initiator': None}, {'initiator': None}))
