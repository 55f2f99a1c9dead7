# SPDX-License-Identifier: Apache-2.0
"""What the verbs on nvmet promise, on the fake tree here.

The same cases run on the real kernel: ``tests/functional/nvmet_on_kernel.py``.
"""

import os
import stat

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged.listening import Refused
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import nvmet_tree
from tests import base
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_nvmet

Host = nvmet.Host
Namespace = nvmet_report.ListedNamespace

SUBSYSTEM = 'nqn.iqn.2010-10.org.openstack:-volume-1'
LONGER = SUBSYSTEM + '0'
HOST = 'nqn.2014-08.org.nvmexpress:uuid:aaaaaaaa-2222-3333-4444-555555555555'
OTHER_HOST = HOST.replace('a', 'b')
ALLOWED = Host(HOST)
UUIDS = ('11111111-2222-3333-4444-555555555501',
         '11111111-2222-3333-4444-555555555502')
PORTALS = (Portal('127.0.0.1', 4420), Portal('::1', 4420))
# 32 bytes of 0x11 and of 0x22, with their CRC-32.
KEY = 'DHHC-1:00:ERERERERERERERERERERERERERERERERERERERERERHYIEm8:'
OTHER_KEY = 'DHHC-1:01:IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIGuf2I:'


class Cases(fake_configfs.KillingCases):
    """Give ``self.devices``, the paths of two LVs, and ``self.os``."""

    def create(self, subsystem=SUBSYSTEM, device=0, portals=PORTALS,
               hosts=(ALLOWED,), nsid=10, mode='complete'):
        return nvmet.create_subsystem(
            subsystem_nqn=subsystem, device=self.devices[device],
            uuid=UUIDS[device], nsid=nsid, hosts=hosts, portals=portals,
            first_port_id=1, mode=mode)

    def share(self, device=0, host=HOST, nsid=10, lowest_nsid=10,
              highest_nsid=12, first_port_id=1):
        """Serve a device in a subsystem that is one host's."""
        return nvmet.create_namespace(
            subsystem_nqn=SUBSYSTEM, device=self.devices[device],
            uuid=UUIDS[device], nsid=nsid, lowest_nsid=lowest_nsid,
            highest_nsid=highest_nsid, host=Host(host), portals=PORTALS,
            first_port_id=first_port_id)

    def tree(self):
        """Return the paths of all objects and links that we made."""
        root = nvmet_tree.ROOT.path
        found = set()
        for folder, folders, _ in os.walk(root):
            for name in folders:
                path = os.path.relpath(os.path.join(folder, name), root)
                if path.count('/') == 1 or os.path.basename(folder) in (
                        'namespaces', 'allowed_hosts', 'subsystems'):
                    found.add(path)
        return {path for path in found
                if not path.endswith('org.nvmexpress.discovery')}

    def namespaces(self, subsystem=SUBSYSTEM):
        return nvmet_report.list_subsystems()[subsystem].namespaces

    def assert_fails(self, error, verb, **kwargs):
        """Fail unless a verb raises an error with just these arguments."""
        with self.assertRaises(type(error)) as caught:
            verb(**kwargs)
        self.assertEqual(error.args, caught.exception.args)

    def assert_whole(self, subsystem=SUBSYSTEM, hosts=(HOST,), device=0):
        self.assertEqual(
            nvmet_report.ListedSubsystem(
                closed=True, hosts=tuple(sorted(hosts)), portals=PORTALS,
                namespaces={10: Namespace(self.devices[device],
                                          UUIDS[device])}),
            nvmet_report.list_subsystems()[subsystem])

    def test_create_and_delete(self):
        self.assertEqual(nvmet.Served(nsid=10, discard=True), self.create())
        self.assert_whole()
        self.assertEqual({
            f'hosts/{HOST}', 'ports/1', f'ports/1/subsystems/{SUBSYSTEM}',
            'ports/2', f'ports/2/subsystems/{SUBSYSTEM}',
            f'subsystems/{SUBSYSTEM}',
            f'subsystems/{SUBSYSTEM}/namespaces/10',
            f'subsystems/{SUBSYSTEM}/allowed_hosts/{HOST}'}, self.tree())
        namespace = (nvmet_tree.subsystem(SUBSYSTEM) / 'namespaces' / '10')
        self.assertEqual(UUIDS[0], namespace.read('device_nguid'))

        nvmet.delete_subsystem(SUBSYSTEM)
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assertEqual(set(), self.tree())
        self.assertNotIn(SUBSYSTEM, nvmet_report.list_subsystems())

    def test_delete_spares_what_serves_another_device(self):
        self.create()
        for device in self.devices[1], '/dev/vg/gone':
            nvmet.delete_subsystem(SUBSYSTEM, device)
            nvmet.delete_namespace(SUBSYSTEM, UUIDS[0], device)
            self.assert_whole()
        for _ in range(2):
            nvmet.delete_subsystem(SUBSYSTEM, self.devices[0])
            self.assertEqual(set(), self.tree())

    def test_create_again_changes_nothing(self):
        self.create()
        self.os.steps = []
        self.create()
        self.assertEqual(
            [], [step for step in self.os.steps
                 if step[0] not in ('mkdir', 'symlink')])
        self.assert_whole()

    def test_a_name_that_begins_like_another(self):
        self.create(LONGER, device=1)
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assert_whole(LONGER, device=1)
        self.create()
        nvmet.deny_all_hosts(SUBSYSTEM)
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assert_whole(LONGER, device=1)

    def test_hosts(self):
        self.create(hosts=())
        self.assertIs(True, nvmet.allow_host(SUBSYSTEM, Host(HOST)))
        nvmet.allow_host(SUBSYSTEM, Host(OTHER_HOST))
        self.assert_whole(hosts=(HOST, OTHER_HOST))
        nvmet.deny_host(SUBSYSTEM, HOST)
        nvmet.deny_host(SUBSYSTEM, HOST)
        self.assert_whole(hosts=(OTHER_HOST,))
        self.assertNotIn(f'hosts/{HOST}', self.tree())

    def test_the_disk_sleeps_while_nobody_is_allowed(self):
        self.create(hosts=(Host(HOST), Host(OTHER_HOST)))
        nvmet.deny_all_hosts(SUBSYSTEM)
        self.assertEqual({}, self.namespaces())
        nvmet.allow_host(SUBSYSTEM, Host(HOST))
        self.assert_whole()
        nvmet.deny_host(SUBSYSTEM, HOST)
        self.assertEqual({}, self.namespaces())
        self.create()
        self.assert_whole()

    def test_an_id_that_the_disk_had_before(self):
        """A host ignores a disk that it finds twice in a subsystem."""
        self.create()
        nvmet.deny_host(SUBSYSTEM, HOST)
        for nsid in 11, 12:
            self.create(hosts=(), nsid=nsid)
        nvmet.allow_host(SUBSYSTEM, Host(HOST))
        self.assertEqual({12: Namespace(self.devices[0], UUIDS[0])},
                         self.namespaces())
        self.create(hosts=(), nsid=13)
        self.assertEqual({12, 13}, set(self.namespaces()))

    def test_no_such_subsystem(self):
        self.assertRaises(errors.TargetNotFound,
                          nvmet.allow_host, SUBSYSTEM, Host(HOST))
        nvmet.deny_host(SUBSYSTEM, HOST)
        nvmet.deny_all_hosts(SUBSYSTEM)
        nvmet.delete_namespace(SUBSYSTEM, UUIDS[0])
        nvmet.revalidate_sizes(SUBSYSTEM)
        nvmet.set_keys([Host(HOST, KEY)])
        self.assertEqual(set(), self.tree())

    def test_keys(self):
        self.assertTrue(nvmet.can_authenticate())
        self.create(hosts=(Host(HOST, KEY), Host(OTHER_HOST)))
        host = nvmet_tree.host(HOST)
        self.assertEqual(KEY, host.read('dhchap_key'))
        self.assertEqual('', nvmet_tree.host(OTHER_HOST).read('dhchap_key'))
        nvmet.allow_host(SUBSYSTEM, Host(HOST, OTHER_KEY))
        self.assertEqual(OTHER_KEY, host.read('dhchap_key'))
        nvmet.set_keys([Host(HOST, KEY)])
        self.assertEqual(KEY, host.read('dhchap_key'))
        self.assert_whole(hosts=(HOST, OTHER_HOST))
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assertEqual(set(), self.tree())

    def test_keys_are_roots_alone(self):
        self.create(hosts=(Host(HOST),))
        host = nvmet_tree.host(HOST)
        self.assertEqual(0o644, self.mode(host, 'dhchap_key'))
        self.os.steps = []
        nvmet.allow_host(SUBSYSTEM, Host(HOST, KEY))
        self.assertEqual(['chmod', 'write'], [
            step[0] for step in self.os.steps if 'dhchap_key' in step[1]])
        self.assertEqual(0o600, self.mode(host, 'dhchap_key'))
        os.chmod(f'{host.path}/dhchap_key', 0o644)
        nvmet.set_keys([Host(HOST, KEY)])
        self.assertEqual(0o600, self.mode(host, 'dhchap_key'))
        self.assertEqual(KEY, host.read('dhchap_key'))

    def mode(self, directory, attribute):
        return stat.S_IMODE(os.stat(f'{directory.path}/{attribute}').st_mode)

    def test_an_open_subsystem_is_closed(self):
        subsystem = nvmet_tree.subsystem(SUBSYSTEM)
        self.create(hosts=())
        subsystem.write('attr_allow_any_host', '1')
        self.assertFalse(nvmet_report.list_subsystems()[SUBSYSTEM].closed)
        self.create()
        self.assert_whole()

    # Subsystems of one host ----------------------------------------------

    def test_shared(self):
        self.assertEqual(12, self.share(nsid=12).nsid)
        self.assertEqual(10, self.share(device=1, nsid=12).nsid)
        self.assertEqual(12, self.share(nsid=11).nsid)
        nvmet.delete_namespace(SUBSYSTEM, UUIDS[0])
        self.assert_whole(device=1)
        nvmet.delete_namespace(SUBSYSTEM, UUIDS[0])
        self.assert_whole(device=1)
        nvmet.delete_namespace(SUBSYSTEM, UUIDS[1])
        self.assertEqual(set(), self.tree())

    def test_an_id_that_a_host_knows(self):
        self.share(device=1, nsid=11)
        self.assert_fails(
            errors.NamespaceTaken(SUBSYSTEM, 11, self.devices[1], UUIDS[1]),
            self.share, nsid=11, lowest_nsid=11, highest_nsid=11)
        self.assertEqual({11: Namespace(self.devices[1], UUIDS[1])},
                         self.namespaces())
        for nsid in 12, 11:
            with self.subTest('what is there stays', nsid=nsid):
                self.assertEqual(12, self.share(
                    nsid=nsid, lowest_nsid=nsid, highest_nsid=nsid).nsid)

    def test_a_shared_subsystem_is_one_hosts(self):
        self.share()
        self.assert_fails(
            errors.SubsystemOfAnotherHost(SUBSYSTEM, HOST),
            self.share, device=1, host=OTHER_HOST)
        self.assert_whole()

    def test_an_empty_subsystem_goes_over_to_another_host(self):
        self.share()
        nvmet.deny_all_hosts(SUBSYSTEM)
        nvmet.allow_host(SUBSYSTEM, Host(HOST))
        nvmet_tree.remove_namespace(
            nvmet_tree.subsystem(SUBSYSTEM) / 'namespaces' / '10')
        self.share(host=OTHER_HOST)
        self.assert_whole(hosts=(OTHER_HOST,))
        self.assertNotIn(f'hosts/{HOST}', self.tree())

    # Ports -----------------------------------------------------------------

    def test_a_port_of_somebody_else_is_used(self):
        port = nvmet_tree.ROOT / 'ports' / '7'
        port.make()
        for name, value in (('trtype', 'tcp'), ('adrfam', 'ipv6'),
                            ('traddr', '::1'), ('trsvcid', '4420')):
            port.write(f'addr_{name}', value)
        port.write('param_inline_data_size', '8192')
        self.create()
        self.assert_whole()
        self.assertIn(f'ports/7/subsystems/{SUBSYSTEM}', self.tree())
        self.assertNotIn('ports/2', self.tree())
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assertEqual({'ports/7'}, self.tree())
        self.assertEqual('8192', port.read('param_inline_data_size'))

    def test_ids_from_the_lowest_to_the_highest(self):
        self.assertEqual(8192, self.share(
            nsid=8192, lowest_nsid=8191, highest_nsid=8192,
            first_port_id=0).nsid)
        self.assertEqual(8191, self.share(
            device=1, nsid=8192, lowest_nsid=8191, highest_nsid=8192).nsid)
        self.assertEqual({8191, 8192}, set(self.namespaces()))
        self.assertLessEqual({'ports/0', 'ports/1'}, self.tree())
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assertEqual(set(), self.tree())

    def test_an_id_of_somebody_else_is_not_taken(self):
        for number, attribute, value in (
                ('1', 'addr_traddr', '127.0.0.9'),
                ('2', 'addr_trtype', 'loop')):
            port = nvmet_tree.ROOT / 'ports' / number
            port.make()
            self.assertEqual('', port.read(attribute))
            port.write(attribute, value)
        self.create()
        self.assert_whole()
        self.assertLessEqual({f'ports/{number}/subsystems/{SUBSYSTEM}'
                              for number in (3, 4)}, self.tree())
        self.assertEqual('loop', port.read('addr_trtype'))
        nvmet.delete_subsystem(SUBSYSTEM)
        self.assertEqual({'ports/1', 'ports/2'}, self.tree())

    def test_ports_last(self):
        self.create(portals=[])
        self.create(LONGER, device=1, portals=[])
        self.assertEqual((), nvmet_report.list_subsystems()[SUBSYSTEM].portals)
        self.assertEqual(
            {SUBSYSTEM: (), LONGER: ()},
            nvmet.listen({SUBSYSTEM: PORTALS, LONGER: PORTALS}, 1))
        self.assert_whole()
        self.assert_whole(LONGER, device=1)

    def test_an_address_that_is_not_there(self):
        portal = Portal('192.0.2.1', 4420)
        refusal = ('tcp 192.0.2.1:4420', 'Cannot assign requested address')
        self.assert_fails(errors.PortalNotAvailable(*refusal),
                          self.create, portals=[*PORTALS, portal])
        self.assertEqual(set(), self.tree())
        self.create(portals=[])
        refused = nvmet.listen({SUBSYSTEM: [portal, *PORTALS]}, 1)
        self.assertEqual((Refused(*refusal),), refused[SUBSYSTEM])
        self.assert_whole()

    # Killed ----------------------------------------------------------------

    def test_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(self.create_with_key):
            self.create_with_key()
            self.assert_whole()
            self.assertEqual(8, len(self.tree()), died)
            nvmet.delete_subsystem(SUBSYSTEM)
            self.assertEqual(set(), self.tree(), died)

    def create_with_key(self):
        return self.create(hosts=(Host(HOST, KEY),))

    def test_host_of_a_killed_process_and_the_next_one(self):
        for died in self.kill_at_each_step(self.create):
            self.create(LONGER, hosts=(Host(OTHER_HOST),))
            nvmet.delete_subsystem(LONGER)
            nvmet.delete_subsystem(SUBSYSTEM)
            self.assertEqual(set(), self.tree(), died)

    def test_deleted_after_being_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(self.create):
            nvmet.delete_subsystem(SUBSYSTEM)
            self.assertEqual(set(), self.tree(), died)

    def test_unused_after_being_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(lambda: self.create(hosts=())):
            self.assertEqual((SUBSYSTEM,) if self.tree() else (),
                             nvmet.find_unused([SUBSYSTEM, LONGER]), died)
            nvmet.delete_subsystem(SUBSYSTEM)
            self.assertEqual(set(), self.tree(), died)

    def test_deleted_again_after_being_killed_at_each_step(self):
        self.create(hosts=(Host(HOST), Host(OTHER_HOST)))
        for died in self.kill_at_each_step(
                lambda: nvmet.delete_subsystem(SUBSYSTEM)):
            nvmet.delete_subsystem(SUBSYSTEM)
            self.assertEqual(set(), self.tree(), died)
            self.create(hosts=(Host(HOST), Host(OTHER_HOST)))

    def test_used(self):
        self.create()
        self.assertEqual((), nvmet.find_unused([SUBSYSTEM]))
        nvmet.deny_host(SUBSYSTEM, HOST)
        self.assertEqual((SUBSYSTEM,), nvmet.find_unused([SUBSYSTEM]))
        (nvmet_tree.subsystem(SUBSYSTEM)).write('attr_allow_any_host', '1')
        self.assertEqual((), nvmet.find_unused([SUBSYSTEM]))

    def test_killed_at_each_step_of_delete(self):
        self.create()
        for died in self.kill_at_each_step(
                lambda: nvmet.delete_subsystem(SUBSYSTEM)):
            self.create()
            self.assert_whole()
            self.assertEqual(8, len(self.tree()), died)

    def test_killed_at_each_step_of_allow_and_deny(self):
        self.create(hosts=())
        for _ in self.kill_at_each_step(self.allow_and_deny):
            nvmet.allow_host(SUBSYSTEM, Host(HOST))
            self.assert_whole()
            nvmet.deny_host(SUBSYSTEM, HOST)
            self.assertEqual({}, self.namespaces())

    def allow_and_deny(self):
        nvmet.allow_host(SUBSYSTEM, Host(HOST, KEY))
        nvmet.deny_host(SUBSYSTEM, HOST)

    def test_killed_at_each_step_of_sharing(self):
        self.share(device=1, nsid=11)
        for died in self.kill_at_each_step(self.share_and_delete):
            self.assertEqual(10, self.share().nsid, died)
            self.assertEqual({10, 11}, set(self.namespaces()), died)
            nvmet.delete_namespace(SUBSYSTEM, UUIDS[0])
            self.assertEqual({11}, set(self.namespaces()), died)

    def share_and_delete(self):
        self.share()
        nvmet.delete_namespace(SUBSYSTEM, UUIDS[0])

    def test_nothing_is_served_before_it_is_complete(self):
        for died in self.kill_at_each_step(self.create_with_key):
            for name, listed in nvmet_report.list_subsystems().items():
                if name == SUBSYSTEM and listed.portals:
                    self.assertTrue(listed.closed, died)
                    self.assertEqual({10}, set(listed.namespaces), died)
                    self.assertEqual((HOST,), listed.hosts, died)
            nvmet.delete_subsystem(SUBSYSTEM)

    # Devices ---------------------------------------------------------------

    def test_another_device(self):
        self.create(hosts=())
        self.create(device=1, hosts=())
        self.assertEqual({10: Namespace(self.devices[1], UUIDS[1])},
                         self.namespaces())
        nvmet.allow_host(SUBSYSTEM, Host(HOST))
        self.assert_fails(errors.NamespaceInUse(
            SUBSYSTEM, self.devices[1], self.devices[0]), self.create)
        self.assert_whole(device=1)

    def test_failure_undoes_what_was_made(self):
        self.create()
        before = self.tree()
        self.assertRaises(
            errors.PortalNotAvailable, self.create, LONGER, device=1,
            hosts=(Host(OTHER_HOST, KEY),),
            portals=[*PORTALS, Portal('192.0.2.1', 4420)])
        self.assertEqual(before, self.tree())


class TestOnFake(Cases, base.TestCase):

    def setUp(self):
        super().setUp()
        self.nvmet = self.useFixture(fake_nvmet.FakeNvmet())
        self.os = self.nvmet.os
        self.os.refused_addresses = {'192.0.2.1'}
        self.devices = ['/dev/vg/volume-1', '/dev/vg/volume-2']
