# SPDX-License-Identifier: Apache-2.0
"""What tests/contract/test_nvmet.py cannot ask of a kernel."""

import errno
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import nvmet_tree
from cinder_lvm_driver.privileged import verbs
from tests import base
from tests.contract import test_nvmet
from tests.unit.privileged import fake_nvmet

SUBSYSTEM = test_nvmet.SUBSYSTEM
HOST = test_nvmet.HOST
OTHER_HOST = test_nvmet.OTHER_HOST
KEY = test_nvmet.KEY
Host = nvmet.Host


class NvmetTestCase(base.TestCase):

    NAMESPACE = {
        'subsystem_nqn': SUBSYSTEM, 'device': '/dev/vg/volume-1',
        'uuid': test_nvmet.UUIDS[0], 'nsid': 10,
        'portals': test_nvmet.PORTALS, 'first_port_id': 1}

    def setUp(self):
        super().setUp()
        self.nvmet = self.useFixture(fake_nvmet.FakeNvmet())
        self.os = self.nvmet.os

    def create(self, **kwargs):
        return nvmet.create_subsystem(**{
            **self.NAMESPACE, 'hosts': [Host(HOST)], 'mode': 'complete',
            **kwargs})

    def share(self, **kwargs):
        return nvmet.create_namespace(**{
            **self.NAMESPACE, 'lowest_nsid': 9, 'highest_nsid': 10,
            'host': Host(HOST), **kwargs})

    @property
    def namespace(self):
        return nvmet_tree.subsystem(SUBSYSTEM) / 'namespaces' / '10'

    def attribute(self, name):
        """Have the kernel lack an attribute, from the next object on."""
        contents = tuple(
            (pattern, {key: text for key, text in files.items()
                       if key != name})
            for pattern, files in self.os.CONTENTS)
        return mock.patch.object(fake_nvmet.FakeOs, 'CONTENTS', contents)


@ddt.ddt
class TestRefusals(NvmetTestCase):

    def test_only_the_verbs_can_be_called(self):
        self.assertEqual(
            {'create_namespace', 'create_subsystem', 'listen',
             'allow_host', 'set_keys', 'deny_host', 'deny_all_hosts',
             'delete_namespace', 'delete_subsystem', 'revalidate_sizes',
             'can_authenticate', 'find_unused'},
            {name for name, found in vars(nvmet).items()
             if verbs.context.is_entrypoint(found)})

    @ddt.data({'subsystem_nqn': '../ports'}, {'subsystem_nqn': 'hosts'},
              {'device': '/dev/../etc/passwd'}, {'uuid': '../x'},
              {'nsid': 0}, {'portals': [Portal('x', 4420)]},
              {'portals': [Portal('10.0.0.1', 4420, '../x')]},
              {'first_port_id': -1})
    def test_create(self, arguments):
        for verb in self.create, self.share:
            self.assertRaises(errors.InvalidArgument, verb, **arguments)
            self.assertEqual([], self.os.steps)

    @ddt.data(Host('../x'), Host(HOST, 'DHHC-1:00:s3cret:'))
    def test_hosts(self, host):
        for verb, arguments in ((self.create, {'hosts': [host]}),
                                (self.share, {'host': host})):
            error = self.assertRaises(errors.InvalidArgument, verb,
                                      **arguments)
            self.assertNotIn('s3cret', str(error))
            self.assertEqual([], self.os.steps)

    @ddt.data({'lowest_nsid': '../1'}, {'highest_nsid': None})
    def test_share(self, arguments):
        self.assertRaises(errors.InvalidArgument, self.share, **arguments)
        self.assertEqual([], self.os.steps)

    @ddt.data((nvmet.allow_host, '../x', Host(HOST)),
              (nvmet.allow_host, SUBSYSTEM, Host('a/b')),
              (nvmet.allow_host, SUBSYSTEM, Host(HOST, 'key')),
              (nvmet.deny_host, '../x', HOST),
              (nvmet.deny_host, SUBSYSTEM, '..'),
              (nvmet.deny_all_hosts, '..'),
              (nvmet.delete_namespace, '../x', test_nvmet.UUIDS[0]),
              (nvmet.delete_namespace, SUBSYSTEM, '../x'),
              (nvmet.delete_subsystem, '..'),
              (nvmet.revalidate_sizes, '..'),
              (nvmet.set_keys, [Host('..', KEY)]),
              (nvmet.set_keys, [Host(HOST, 'key')]),
              (nvmet.listen, {'..': []}, 1),
              (nvmet.listen, {SUBSYSTEM: [Portal('x', 1)]}, 1),
              (nvmet.listen, {}, -1))
    @ddt.unpack
    def test_others(self, verb, *arguments):
        self.create()
        self.os.steps.clear()
        self.assertRaises(errors.InvalidArgument, verb, *arguments)
        self.assertEqual([], self.os.steps)


class TestConnections(NvmetTestCase):
    """Whose connections are ended when; the kernel shows none."""

    def test_another_host_stays(self):
        self.create(hosts=[Host(HOST), Host(OTHER_HOST)])
        nvmet.deny_host(SUBSYSTEM, OTHER_HOST)
        self.assertEqual([SUBSYSTEM], self.os.ended)
        self.assertEqual('1', self.namespace.read('enable'))

    def test_the_last_host_loses_the_disk(self):
        self.create()
        nvmet.deny_host(SUBSYSTEM, HOST)
        self.assertEqual([], self.os.ended)
        self.assertEqual('0', self.namespace.read('enable'))

    def test_the_next_host_comes_after_the_last_one_is_gone(self):
        for wake in (lambda: nvmet.allow_host(SUBSYSTEM, Host(OTHER_HOST)),
                     lambda: self.create(hosts=[Host(OTHER_HOST)])):
            self.create()
            nvmet.deny_all_hosts(SUBSYSTEM)
            self.os.ended.clear()
            self.os.steps.clear()
            wake()
            self.assertEqual([SUBSYSTEM], self.os.ended)
            written = [step[1].rpartition('/')[2] for step in self.os.steps
                       if step[0] == 'write']
            self.assertEqual(['attr_qid_max', 'enable'], written)
            nvmet.delete_subsystem(SUBSYSTEM)

    def test_nobody_is_disturbed_by_one_who_comes(self):
        self.create()
        nvmet.allow_host(SUBSYSTEM, Host(OTHER_HOST))
        self.create()
        self.assertEqual([], self.os.ended)

    def test_hosts_of_a_subsystem_that_is_open(self):
        """Nobody knows who they are, so the disk stays."""
        self.create(hosts=[])
        nvmet_tree.subsystem(SUBSYSTEM).write('attr_allow_any_host', '1')
        nvmet.deny_host(SUBSYSTEM, HOST)
        self.assertEqual('1', self.namespace.read('enable'))
        self.assertEqual([SUBSYSTEM], self.os.ended)
        nvmet.deny_all_hosts(SUBSYSTEM)
        self.assertEqual('0', self.namespace.read('enable'))

    def test_an_open_subsystem_keeps_its_device(self):
        self.create(hosts=[])
        nvmet_tree.subsystem(SUBSYSTEM).write('attr_allow_any_host', '1')
        self.assertRaises(errors.NamespaceInUse, self.create,
                          device='/dev/vg/volume-2')


class TestDevices(NvmetTestCase):

    def test_the_same_device_by_another_name(self):
        self.nvmet.add_device('/dev/mapper/vg-volume--1', '253:1')
        self.create()
        self.create(device='/dev/mapper/vg-volume--1')
        self.assertEqual('/dev/vg/volume-1',
                         self.namespace.read('device_path'))

    def test_a_device_that_vanished(self):
        self.create()
        self.os.devices.pop('/dev/vg/volume-1')
        self.assertRaises(errors.NamespaceInUse, self.create,
                          device='/dev/vg/volume-2')

    def test_a_device_that_cannot_be_opened(self):
        with mock.patch.object(self.os, '_write_enable',
                               side_effect=OSError(errno.EACCES, 'x')):
            error = self.assertRaises(errors.DeviceNotUsable, self.create)
        self.assertEqual('/dev/vg/volume-1', error.device)
        self.assertIn('cannot be opened', str(error))
        self.assertEqual({}, nvmet_report.list_subsystems())

    def test_identity_of_a_namespace_in_use_stays(self):
        """The in-tree driver gives another NGUID to each export."""
        self.create()
        self.create(uuid=test_nvmet.UUIDS[1])
        self.assertEqual(test_nvmet.UUIDS[0],
                         self.namespace.read('device_uuid'))

    def test_without_discard(self):
        self.nvmet.add_device('/dev/vg/volume-1', '253:1', discard=False)
        self.assertFalse(self.create().discard)
        self.assertFalse(nvmet.allow_host(SUBSYSTEM, Host(HOST)))

    def test_sizes(self):
        self.create()
        nvmet.revalidate_sizes(SUBSYSTEM)
        self.assertEqual([f'subsystems/{SUBSYSTEM}/namespaces/10'],
                         self.os.revalidated)

    def test_full(self):
        self.share()
        for nsid in 8, 9:
            self.share(nsid=nsid,
                       uuid=test_nvmet.UUIDS[1].replace('1', str(nsid)))
        self.assertRaises(errors.SubsystemFull, self.share,
                          uuid=test_nvmet.UUIDS[1])
        listed = nvmet_report.list_subsystems()[SUBSYSTEM]
        self.assertEqual({8, 9, 10}, set(listed.namespaces))


class TestKeys(NvmetTestCase):

    def test_a_kernel_that_cannot(self):
        with self.attribute('dhchap_key'):
            self.assertFalse(nvmet.can_authenticate())
            self.assertRaises(errors.ConfigfsError, self.create,
                              hosts=[Host(HOST, KEY)])
            self.create()
        self.assertEqual(
            (HOST,), nvmet_report.list_subsystems()[SUBSYSTEM].hosts)

    def test_a_key_of_another_back_end_stays(self):
        self.create(hosts=[Host(HOST, KEY)])
        self.create(subsystem_nqn=test_nvmet.LONGER)
        nvmet.allow_host(SUBSYSTEM, Host(HOST))
        self.assertEqual(KEY, nvmet_tree.host(HOST).read('dhchap_key'))

    def test_hosts_that_are_not_there_get_no_key(self):
        nvmet.set_keys([Host(HOST, KEY)])
        self.assertFalse(nvmet_tree.host(HOST).exists())

    def test_in_no_list_and_no_log(self):
        self.create(hosts=[Host(HOST, KEY)])
        self.os.refused_addresses = {'10.0.0.1'}
        self.assertRaises(
            errors.PortalNotAvailable, self.create,
            hosts=[Host(OTHER_HOST, KEY)], portals=[Portal('10.0.0.1', 4420)])
        self.assertNotIn(KEY, repr(nvmet_report.list_subsystems()))
        self.assertNotIn(KEY, self.log.output)


class TestCost(NvmetTestCase):

    def test_other_subsystems_are_not_looked_at(self):
        self.create()
        with mock.patch.object(
                nvmet_tree.configfs.Directory, '_names', autospec=True,
                side_effect=nvmet_tree.configfs.Directory._names) as listing:
            self.create()
            nvmet.allow_host(SUBSYSTEM, Host(OTHER_HOST))
            nvmet.listen({SUBSYSTEM: test_nvmet.PORTALS}, 1)
            nvmet.revalidate_sizes(SUBSYSTEM)
            nvmet.deny_host(SUBSYSTEM, OTHER_HOST)
            nvmet.delete_namespace(SUBSYSTEM, test_nvmet.UUIDS[0])
            nvmet.delete_subsystem(SUBSYSTEM)
        listed = {call.args[0].path.removeprefix(self.nvmet.root.path)
                  for call in listing.mock_calls}
        self.assertEqual({'/ports', '/hosts',
                          f'/subsystems/{SUBSYSTEM}/namespaces',
                          f'/subsystems/{SUBSYSTEM}/allowed_hosts'}, listed)
