# SPDX-License-Identifier: Apache-2.0
import errno
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged.listening import Refused
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import nvmet_tree
from tests.contract import test_nvmet as contract
from tests.unit.privileged import test_nvmet

PORTAL = Portal('10.0.0.1', 4420)


@ddt.ddt
class TestPorts(test_nvmet.NvmetTestCase):

    def make(self, number, **values):
        port = nvmet_tree.ROOT / 'ports' / str(number)
        port.make()
        for name, value in {'trtype': 'tcp', 'adrfam': 'ipv4',
                            'traddr': '10.0.0.1', 'trsvcid': '4420',
                            **values}.items():
            port.write(f'addr_{name}', value)
        return port

    def ensure(self, portal=PORTAL, first_id=1):
        with configfs.Undo() as undo:
            port = nvmet_tree.ensure_port(portal, first_id, undo)
            undo.keep()
        return port

    def test_read(self):
        self.assertEqual(PORTAL, nvmet_tree.read_portal(self.make(1)))
        self.assertEqual(
            Portal('2001:db8::1', 4421, 'rdma'),
            nvmet_tree.read_portal(self.make(
                2, adrfam='ipv6', traddr='2001:DB8:0::1', trsvcid='4421',
                trtype='rdma')))

    @ddt.data({'trtype': 'fc'}, {'trtype': ''}, {'adrfam': 'ipv6'},
              {'trsvcid': ''}, {'traddr': ''}, {'traddr': 'nn-0x1:pn-0x1'})
    def test_no_ip_or_not_whole(self, values):
        self.assertIsNone(nvmet_tree.read_portal(self.make(1, **values)))

    def test_the_first_free_id(self):
        self.make(5)
        self.make(6, traddr='10.0.0.2', trtype='fc')
        self.assertEqual('5', self.ensure().name)
        self.assertEqual('7', self.ensure(Portal('::1', 4420), 5).name)
        self.assertEqual('8', self.ensure(Portal('::1', 4420, 'rdma'), 5).name)

    def test_one_that_was_not_completed(self):
        self.make(1, traddr='', trtype='rdma', adrfam='ipv6')
        self.assertEqual('1', self.ensure().name)
        self.assertEqual(PORTAL, nvmet_tree.read_portal(self.ensure()))

    @ddt.data('loop', 'fc', 'pci')
    def test_a_transport_without_addresses(self, trtype):
        port = nvmet_tree.ROOT / 'ports' / '1'
        port.make()
        port.write('addr_trtype', trtype)
        self.assertEqual('2', self.ensure().name)
        self.assertEqual(trtype, port.read('addr_trtype'))

    def test_a_port_of_another_transport_in_use(self):
        port = nvmet_tree.ROOT / 'ports' / '1'
        port.make()
        port.write('addr_trtype', 'loop')
        self.create(portals=[])
        (port / 'subsystems').link(
            contract.SUBSYSTEM, nvmet_tree.subsystem(contract.SUBSYSTEM))
        self.create()
        self.assertEqual(tuple(contract.PORTALS),
                         nvmet_report.list_subsystems()[
                             contract.SUBSYSTEM].portals)

    def test_no_id_is_left(self):
        self.make(65535, traddr='10.0.0.2')
        self.assertRaises(errors.ConfigfsError, self.ensure, first_id=65535)

    def test_a_taken_address_leaves_nothing(self):
        self.create()
        with configfs.Undo() as undo:
            with mock.patch.object(self.os, 'symlink', side_effect=OSError(
                    errno.EADDRINUSE, 'x')):
                refused = nvmet_tree.ensure_portals(
                    nvmet_tree.subsystem(contract.SUBSYSTEM),
                    [PORTAL, Portal('2001:db8::1', 4420)], 1, undo)
            undo.keep()
        reason = 'Address already in use'
        self.assertEqual([Refused('tcp 10.0.0.1:4420', reason),
                          Refused('tcp [2001:db8::1]:4420', reason)],
                         refused)
        self.assertEqual(2, len(nvmet_tree.ports()))

    def test_what_a_later_failure_takes_back(self):
        self.create(portals=[])
        with configfs.Undo() as undo:
            nvmet_tree.ensure_portals(
                nvmet_tree.subsystem(contract.SUBSYSTEM), [PORTAL], 1, undo)
            self.assertEqual(1, len(nvmet_tree.ports()))
        self.assertEqual([], nvmet_tree.ports())

    def test_another_failure_of_a_removal(self):
        self.create()
        with mock.patch.object(self.os, 'rmdir',
                               side_effect=OSError(errno.EIO, 'x')):
            self.assertRaises(errors.ConfigfsError, nvmet_tree.remove_unused,
                              nvmet_tree.host(contract.HOST))
        nvmet.delete_subsystem(contract.SUBSYSTEM)
