# SPDX-License-Identifier: Apache-2.0
import errno
import socket
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import listening
from tests import base


@ddt.ddt
class TestSpelling(base.TestCase):

    @ddt.data((('10.0.0.1', 3260), '10.0.0.1:3260'),
              (('2001:db8::1', 860), '[2001:db8::1]:860'))
    @ddt.unpack
    def test_both_ways(self, portal, text):
        self.assertEqual(text, listening.spell(portal))
        self.assertEqual(portal, listening.parse(text))

    def test_portals_of_others(self):
        ours = '[2001:db8::1]:860'
        self.assertEqual({('2001:db8::1', 860): ours}, listening.parse_ours(
            [ours, '[fe80::1%eth0]:3260', 'storage:3260', '10.0.0.1:x']))


@ddt.ddt
class TestWhyNotBound(base.TestCase):

    def test_in_use(self):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.assertEqual('Address already in use',
                             listening.why_not_bound(taken.getsockname()))

    @ddt.data('192.0.2.1', '2001:db8::1')
    def test_not_there(self, address):
        self.assertEqual('Cannot assign requested address',
                         listening.why_not_bound((address, 3260)))

    @mock.patch.object(socket, 'socket', side_effect=OSError(
        errno.EAFNOSUPPORT, 'Address family not supported by protocol'))
    def test_without_ipv6(self, _socket):
        """As with the kernel parameter ipv6.disable=1."""
        self.assertEqual('Address family not supported by protocol',
                         listening.why_not_bound(('::1', 3260)))

    def test_no_reason(self):
        self.assertIsNone(listening.why_not_bound(('127.0.0.1', 0)))
