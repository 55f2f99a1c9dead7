# SPDX-License-Identifier: Apache-2.0
import errno
import socket
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged.listening import Portal
from tests import base
from tests.unit.privileged import test_validation


@ddt.ddt
class TestPortal(base.TestCase):

    @ddt.data(('10.0.0.1:3260', '10.0.0.1'), ('[2001:db8::1]:3260',
                                              '2001:db8::1'),
              ('storage.example.com:3260', 'storage.example.com'))
    @ddt.unpack
    def test_parse_and_format(self, text, address):
        portal = Portal.parse(text)
        self.assertEqual(Portal(address, 3260), portal)
        self.assertEqual(text, str(portal))

    @ddt.data('', ':3260', '10.0.0.1', '10.0.0.1:', '10.0.0.1:x',
              '10.0.0.1:-1')
    def test_no_portal(self, text):
        self.assertRaises(ValueError, Portal.parse, text)

    @ddt.data((Portal('10.0.0.1', 3260), Portal('10.0.0.1', 3260)),
              (Portal('2001:DB8:0::1', 860), Portal('2001:db8::1', 860)),
              (Portal('0.0.0.0', 65535), Portal('0.0.0.0', 65535)),
              (Portal('2001:DB8:0::1', 4420, 'rdma'),
               Portal('2001:db8::1', 4420, 'rdma')))
    @ddt.unpack
    def test_validated(self, portal, expected):
        self.assertEqual(expected, portal.validated())

    @ddt.data(('storage.example.com', 3260), ('10.0.0.256', 3260),
              ('fe80::1%eth0', 3260), ('[::1]', 3260), (167772161, 3260),
              ('10.0.0.1', 0), ('10.0.0.1', 65536), ('10.0.0.1', '3260'),
              ('10.0.0.1', None), ('10.0.0.1', 4420, 'loop'),
              ('10.0.0.1', 4420, None),
              *((hostile, 1) for hostile in test_validation.HOSTILE))
    def test_not_valid(self, values):
        self.assertRaises(errors.InvalidArgument, Portal(*values).validated)

    def test_portals_of_others(self):
        ours = '[2001:db8::1]:860'
        self.assertEqual(
            {Portal('2001:db8::1', 860): ours}, listening.parse_ours(
                [ours, '[fe80::1%eth0]:3260', 'storage:3260', '10.0.0.1:x']))

    def test_unique(self):
        a, b, c = (Portal(f'10.0.0.{i}', 3260) for i in range(3))
        self.assertEqual((b, a, c), listening.unique([b, a, a, c]))


@ddt.ddt
class TestWhyNotBound(base.TestCase):

    def test_in_use(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.assertEqual(
                'Address already in use',
                listening.why_not_bound(Portal(*taken.getsockname())))

    @ddt.data('192.0.2.1', '2001:db8::1')
    def test_not_there(self, address):
        self.assertEqual('Cannot assign requested address',
                         listening.why_not_bound(Portal(address, 3260)))

    @mock.patch.object(socket, 'socket', side_effect=OSError(
        errno.EAFNOSUPPORT, 'Address family not supported by protocol'))
    def test_without_ipv6(self, _socket):
        """As with the kernel parameter ipv6.disable=1."""
        self.assertEqual('Address family not supported by protocol',
                         listening.why_not_bound(Portal('::1', 3260)))

    def test_no_reason(self):
        self.assertIsNone(listening.why_not_bound(Portal('127.0.0.1', 0)))


@ddt.ddt
class TestIsLocal(base.TestCase):

    @ddt.data(('127.0.0.1', True), ('0.0.0.0', True), ('192.0.2.1', False),
              ('2001:db8::1', False))
    @ddt.unpack
    def test_is_local(self, address, expected):
        self.assertEqual(expected, listening.is_local(Portal(address, 3260)))

    @mock.patch.object(socket, 'socket', side_effect=OSError)
    def test_without_ipv6(self, _socket):
        self.assertFalse(listening.is_local(Portal('::1', 3260)))
