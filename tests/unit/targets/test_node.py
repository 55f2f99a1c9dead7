# SPDX-License-Identifier: Apache-2.0
from unittest import mock

import ddt
from oslo_concurrency import lockutils
from oslo_privsep import daemon

from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node
from tests import base
from tests.unit.targets import fake_kernel


@ddt.ddt
class TestPrivilegedDaemon(base.TestCase):

    @ddt.data(daemon.FailedToDropPrivileges('exited non-zero (99)'),
              FileNotFoundError(2, 'No such file', 'sudo'))
    def test_cannot_be_started(self, failure):
        def start():
            with node.privileged_daemon():
                raise failure

        error = self.assertRaises(errors.TargetConfigurationError, start)
        self.assertIn('the privileged daemon of this driver cannot',
                      str(error))


@ddt.ddt
class TestTargetNames(base.TestCase):

    PREFIX = 'iqn.2010-10.org.openstack:'

    def refusal(self, prefix):
        return str(self.assertRaises(
            errors.TargetConfigurationError, node.check_target_names, prefix,
            validation.iscsi_name))

    def test_good(self):
        node.check_target_names(self.PREFIX, validation.iscsi_name)

    @ddt.data('', 'openstack:', 'iqn.2010-10.org.OpenStack:')
    def test_bad_prefix(self, prefix):
        self.assertIn(f"target_prefix '{prefix}' gives no valid",
                      self.refusal(prefix))

    @ddt.data('vol_%s', 'Volume-%s', 'x' * 200 + '%s')
    def test_bad_template(self, template):
        node.check_target_names(self.PREFIX, validation.iscsi_name)
        self.config.config(volume_name_template=template)
        refusal = self.refusal(self.PREFIX)
        self.assertIn(
            f"volume_name_template '{template}' gives no valid target name: "
            f"'{self.PREFIX}{template % node._SOME_ID}' is", refusal)
        self.assertIn('Use another target_helper, such as nvmet', refusal)

    def test_bad_template_of_snapshots(self):
        """The in-tree driver serves none, so it is no reason not to start."""
        self.config.config(snapshot_name_template='snap_%s')
        node.check_target_names(self.PREFIX, validation.iscsi_name)
        self.assertIn("snapshot_name_template 'snap_%s'", self.log.output)


class TestLock(base.TestCase):

    def test_name(self):
        with mock.patch.object(lockutils, 'lock') as lock, node.lock('x'):
            lock.assert_called_once_with('x', lock_file_prefix='cinder-',
                                         external=True)

    def take(self):
        with node.lock('x'):
            self.fail('there is no lock')

    def test_no_place_for_lock_files(self):
        self.config.config(group='oslo_concurrency', lock_path=None)
        error = self.assertRaises(errors.TargetConfigurationError, self.take)
        self.assertIn('Set lock_path in section [oslo_concurrency]',
                      str(error))

    def test_place_that_cannot_be_written_to(self):
        self.config.config(group='oslo_concurrency', lock_path='/proc/none')
        self.assertRaises(errors.TargetConfigurationError, self.take)

    def test_error_of_what_is_done_meanwhile_is_its_own(self):
        def fail():
            with node.lock('x'):
                raise FileNotFoundError

        self.assertRaises(FileNotFoundError, fail)


@ddt.ddt
class TestKernel(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.kernel = self.useFixture(fake_kernel.FakeKernel('target'))

    def assert_refused(self, pattern, check, *arguments):
        error = self.assertRaises(errors.TargetConfigurationError, check,
                                  *arguments)
        self.assertIn(pattern, str(error))

    def test_modules_are_loaded_unless_they_are(self):
        self.kernel.load('one')
        node.load_modules(('one', 'two'), 'helper', self.runner)
        self.runner.run.assert_called_once_with('modprobe', 'two')

    @ddt.data(process.CommandFailed(('modprobe', 'x'), 1, '', 'not found'),
              process.CommandRefused(('modprobe', 'x'), 99, '', ''),
              process.CommandTimedOut(('modprobe', 'x'), 5))
    def test_no_module(self, failure):
        self.runner.run.side_effect = failure
        self.assert_refused(
            'the kernel module one, which target_helper helper needs, cannot '
            'be loaded', node.load_modules, ('one',), 'helper', self.runner)

    def test_tree(self):
        node.check_tree('target', self.runner)
        self.assertIsNone(node.tree_fault('target'))
        self.runner.run.assert_not_called()
        self.assert_refused('/nvmet does not exist', node.check_tree,
                            'nvmet', self.runner)
        self.assertIn('Restart cinder-volume', node.tree_fault('nvmet'))

    def test_configfs_that_is_not_mounted(self):
        self.kernel.unmount()
        self.runner.run.side_effect = lambda *argv: self.kernel.mount()
        node.check_tree('target', self.runner)
        self.runner.run.assert_called_once_with(
            'mount', '-t', 'configfs', 'configfs', self.kernel.configfs)

    def test_configfs_that_cannot_be_mounted(self):
        self.kernel.unmount()
        self.runner.run.side_effect = process.CommandFailed(
            ('mount', 'x'), 32, '', 'permission denied')
        self.assert_refused('configfs cannot be mounted', node.check_tree,
                            'target', self.runner)

    @ddt.data('iser', 'nvmet_rdma')
    def test_rdma(self, protocol):
        self.assertIn('this node has no RDMA device',
                      node.rdma_fault(protocol))
        self.assert_refused(f"target_protocol is '{protocol}'",
                            node.check_rdma, protocol)
        with mock.patch.object(node, '_RDMA_DEVICES', '/sys/*'):
            node.check_rdma(protocol)

    @ddt.data('iscsi', 'nvmet_tcp')
    def test_no_rdma_needed(self, protocol):
        node.check_rdma(protocol)

    @ddt.data('storage.example.com', 'fe80::1%eth0')
    def test_no_address(self, address):
        portals = [Portal('10.0.0.1', 3260),
                   Portal(address, 3260)]
        self.assert_refused(
            f"'{address}' is not an IP address, which target_helper lioadm "
            'needs',
            node.check_addresses, portals, 'lioadm')
