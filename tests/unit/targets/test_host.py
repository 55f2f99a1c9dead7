# SPDX-License-Identifier: Apache-2.0
import socket
from unittest import mock

import ddt
from oslo_concurrency import lockutils
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import types
from tests import base


@ddt.ddt
class TestIsLocal(base.TestCase):

    @ddt.data(('127.0.0.1', True), ('0.0.0.0', True), ('192.0.2.1', False),
              ('2001:db8::1', False))
    @ddt.unpack
    def test_is_local(self, address, expected):
        portal = types.Portal(address, 3260)
        self.assertEqual(expected, host.is_local(portal))

    @mock.patch.object(socket, 'socket', side_effect=OSError)
    def test_without_ipv6(self, _socket):
        self.assertFalse(host.is_local(types.Portal('::1', 3260)))


@ddt.ddt
class TestPrivilegedDaemon(base.TestCase):

    @ddt.data(daemon.FailedToDropPrivileges('exited non-zero (99)'),
              FileNotFoundError(2, 'No such file', 'sudo'))
    def test_cannot_be_started(self, failure):
        def start():
            with host.privileged_daemon():
                raise failure

        error = self.assertRaises(errors.TargetConfigurationError, start)
        self.assertIn('the privileged daemon of this driver cannot',
                      str(error))


@ddt.ddt
class TestTargetNames(base.TestCase):

    PREFIX = 'iqn.2010-10.org.openstack:'

    def refusal(self, prefix):
        return str(self.assertRaises(
            errors.TargetConfigurationError, host.check_target_names, prefix,
            validation.iscsi_name))

    def test_good(self):
        host.check_target_names(self.PREFIX, validation.iscsi_name)

    @ddt.data('', 'openstack:', 'iqn.2010-10.org.OpenStack:')
    def test_bad_prefix(self, prefix):
        self.assertIn(f"target_prefix '{prefix}' does not begin",
                      self.refusal(prefix))

    @ddt.data('vol_%s', 'Volume-%s', 'x' * 200 + '%s')
    def test_bad_template(self, template):
        host.check_target_names(self.PREFIX, validation.iscsi_name)
        self.config.config(volume_name_template=template)
        refusal = self.refusal(self.PREFIX)
        self.assertIn(
            f"volume_name_template '{template}' makes no name of a target: "
            f"'{self.PREFIX}{template % host._SOME_ID}' is", refusal)
        self.assertIn('Take another target_helper, such as nvmet', refusal)

    def test_bad_template_of_snapshots(self):
        """The in-tree driver serves none, so it is no reason not to start."""
        self.config.config(snapshot_name_template='snap_%s')
        host.check_target_names(self.PREFIX, validation.iscsi_name)
        self.assertIn("snapshot_name_template 'snap_%s'", self.log.output)


class TestLock(base.TestCase):

    def test_name(self):
        with mock.patch.object(lockutils, 'lock') as lock, host.lock('x'):
            lock.assert_called_once_with('x', lock_file_prefix='cinder-',
                                         external=True)

    def take(self):
        with host.lock('x'):
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
            with host.lock('x'):
                raise FileNotFoundError

        self.assertRaises(FileNotFoundError, fail)
