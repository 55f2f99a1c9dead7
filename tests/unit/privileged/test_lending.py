# SPDX-License-Identifier: Apache-2.0
"""Devices that are lent, on a file of the test's own."""

import errno
import struct
import types
from unittest import mock

import fixtures

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lending
from cinder_lvm_driver.privileged import validation
from tests import base
from tests.unit.privileged import fake_channel

PATH = '/dev/vg/volume-1'


class TestLent(base.TestCase):

    def setUp(self):
        super().setUp()
        self.os = mock.Mock(geteuid=lambda: 42, stat=lambda path:
                            types.SimpleNamespace(st_mode=0o60660))
        self.useFixture(fixtures.MockPatchObject(lending, 'os', self.os))
        self.device = self.useFixture(fixtures.MockPatchObject(
            validation, 'device', side_effect=lambda path: path)).mock
        patcher = fake_channel.patch()
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_list_of_the_device(self):
        with lending.lent(PATH):
            path, name, value = self.os.setxattr.call_args.args
            self.assertEqual((PATH, 'system.posix_acl_access'), (path, name))
            self.assertEqual(2, struct.unpack_from('<I', value)[0])
            # As getfacl(1) shows it: owner, user 42, group, mask, others.
            self.assertEqual(
                [(1, 6, 0xffffffff), (2, 6, 42), (4, 6, 0xffffffff),
                 (16, 6, 0xffffffff), (32, 0, 0xffffffff)],
                list(struct.iter_unpack('<HHI', value[4:])))
            self.os.removexattr.assert_not_called()
        self.os.removexattr.assert_called_once_with(
            PATH, 'system.posix_acl_access')

    def test_taken_back_after_a_failure(self):
        with mock.patch.object(self, 'fail', side_effect=KeyError):
            self.assertRaises(KeyError, self.lend, self.fail)
        self.os.removexattr.assert_called_once()

    def lend(self, work):
        with lending.lent(PATH):
            work()

    def test_device_that_root_does_not_lend(self):
        self.device.side_effect = errors.DeviceNotUsable(PATH, 'is not ours')
        self.assertRaises(errors.DeviceNotUsable, self.lend, self.fail)
        self.os.setxattr.assert_not_called()

    def test_folder_without_lists(self):
        self.os.setxattr.side_effect = OSError(errno.EOPNOTSUPP,
                                               'not supported')
        error = self.assertRaises(errors.DeviceNotUsable, self.lend,
                                  self.fail)
        self.assertIn('gets no access control list: not supported',
                      str(error))

    def test_device_that_is_gone_at_the_end(self):
        self.os.removexattr.side_effect = FileNotFoundError
        self.lend(lambda: None)

    def test_root_needs_no_loan(self):
        self.os.geteuid = lambda: 0
        self.lend(lambda: None)
        self.os.setxattr.assert_not_called()
        self.os.removexattr.assert_not_called()
