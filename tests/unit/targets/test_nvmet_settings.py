# SPDX-License-Identifier: Apache-2.0
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import nvmet as verbs
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import node
from tests.unit.targets import fake_kernel
from tests.unit.targets import nvmet_case


@ddt.ddt
class TestSetup(fake_kernel.SetupCase, nvmet_case.NvmetTestCase):

    subsystem = 'nvmet'

    def test_all_is_well(self):
        self.target.check_for_setup_error()
        self.assertEqual([mock.call('modprobe', 'nvmet'),
                          mock.call('modprobe', 'nvmet_tcp')],
                         self.runner.run.mock_calls)
        self.assertNotIn('WARNING', self.log.output)
        self.assertEqual('nvmeof', self.target.protocol)

    def test_rdma(self):
        with mock.patch.object(node, '_RDMA_DEVICES', '/sys/*'):
            self.make(target_protocol='nvmet_rdma').check_for_setup_error()
        self.runner.run.assert_called_with('modprobe', 'nvmet_rdma')
        self.assert_refused('this node has no RDMA device',
                            target_protocol='nvmet_rdma')

    @ddt.data(
        ("target_protocol is 'iscsi', but", {'target_protocol': 'iscsi'}),
        ("'x' is not an IP address", {'target_ip_address': 'x'}),
        ('nvmet_port_id is 65536', {'nvmet_port_id': 65536}),
        ('nvmet_ns_id is 0', {'nvmet_ns_id': 0}),
        ('nvmet_ns_id is 8193', {'nvmet_ns_id': 8193}),
        ("target_prefix 'a b' gives no valid NVMe", {'target_prefix': 'a b'}),
        ("gives no valid NVMe Qualified Name", {'target_prefix': 'x' * 190}),
        ('need nvmeof_conn_info_version 2', {
            'target_secondary_ip_addresses': ['10.0.0.2'],
            'nvmeof_conn_info_version': 1}),
        ('lvm_nvme_key_file is not', {'lvm_nvme_require_keys': True}),
        ('cannot be read', {'lvm_nvme_key_file': '/nonexistent'}))
    @ddt.unpack
    def test_options(self, pattern, values):
        self.assert_refused(pattern, **values)

    @ddt.data({'nvmet_port_id': 0}, {'nvmet_port_id': 65535},
              {'nvmet_ns_id': 1}, {'nvmet_ns_id': 8192})
    def test_ids_that_cinder_allows(self, values):
        self.make(**values).check_for_setup_error()

    def test_faults(self):
        self.let_another_process_listen()
        self.target.create_export(None, nvmet_case.new_volume(),
                                  nvmet_case.DEVICES[0])
        self.assertIsNone(self.target.fault())

    def test_no_daemon(self):
        with mock.patch.object(nvmet_report, 'list_subsystems',
                               side_effect=OSError):
            self.assert_refused('the privileged daemon of this driver cannot')

    def test_no_module(self):
        self.runner.run.side_effect = process.CommandFailed(
            ('modprobe', 'x'), 1, '', 'not found')
        self.assert_refused('the kernel module nvmet, which target_helper '
                            'nvmet needs, cannot be loaded')

    def test_address_of_another_host(self):
        self.make(target_secondary_ip_addresses=['10.0.0.2']
                  ).check_for_setup_error()
        self.assertIn('No network interface of this node has address 10.0.0.2',
                      self.log.output)

    def test_no_address_of_this_host(self):
        self.assert_refused(
            'no network interface of this node has an address from '
            'target_ip_address and target_secondary_ip_addresses: 10.0.0.2, '
            '10.0.0.3', target_ip_address='10.0.0.2',
            target_secondary_ip_addresses=['10.0.0.3'])

    def test_keys(self):
        values = {'lvm_nvme_key_file': self.write_keys({}),
                  'lvm_nvme_require_keys': True}
        self.make(**values).check_for_setup_error()
        with mock.patch.object(verbs, 'can_authenticate',
                               return_value=False):
            self.assert_refused('this kernel cannot authenticate', **values)

    def test_no_place_for_lock_files(self):
        self.config.config(group='oslo_concurrency', lock_path=None)
        self.assert_refused('Set lock_path in section [oslo_concurrency]')
