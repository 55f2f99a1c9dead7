# SPDX-License-Identifier: Apache-2.0
import os
import socket
import threading
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import tgtd
from tests import base


@ddt.ddt
class TestAsk(base.TestCase):

    def setUp(self):
        super().setUp()
        self.exchange = self.useFixture(fixtures.MockPatchObject(
            tgtd, '_exchange', return_value=tgtd.ANSWER.pack(0, 8))).mock

    def ask(self):
        return tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.NEW, tid=7,
                        parameters='user=a,password=secret123456')

    def test_size_is_that_of_the_structure_in_c(self):
        """On every architecture, as it has no padding."""
        self.assertEqual(120, tgtd.REQUEST.size)
        self.assertEqual(8, tgtd.ANSWER.size)

    def test_packet(self):
        self.assertEqual('', self.ask())
        (packet, timeout), _ = self.exchange.call_args
        self.assertEqual(
            (7, 0, b'iscsi' + bytes(59), 120 + 29, 7, 0, 0, 0, 0, 0, 0, 0,
             0), tgtd.REQUEST.unpack_from(packet))
        self.assertEqual(b'user=a,password=secret123456\0', packet[120:])
        self.assertIsNone(timeout)

    def test_without_parameters(self):
        tgtd.ask(tgtd.Mode.CONN, tgtd.Op.SHOW, tid=1)
        (packet, timeout), _ = self.exchange.call_args
        self.assertEqual(120, len(packet))
        self.assertGreater(timeout, 0)

    def test_text(self):
        self.exchange.return_value = tgtd.ANSWER.pack(0, 8 + 4) + b'abc\0'
        self.assertEqual('abc', self.ask())

    @ddt.data(TimeoutError('timed out'), BrokenPipeError(32, 'Broken pipe'),
              ConnectionResetError(104, 'Connection reset by peer'))
    def test_no_answer(self, failure):
        """It may have been done."""
        self.exchange.side_effect = failure
        error = self.assertRaises(errors.TargetDaemonSilent, self.ask)
        self.assertIn('if it hangs, restart it', str(error))

    @ddt.data((b'', 'run tgtd as root'), (b'1234', 'too short'),
              (tgtd.ANSWER.pack(0, 9), 'has 8 bytes, not 9'))
    @ddt.unpack
    def test_no_answer_of_tgtd(self, answer, reason):
        self.exchange.return_value = answer
        error = self.assertRaises(errors.TargetDaemonUnknown, self.ask)
        self.assertIn(reason, str(error))

    def test_refusal_does_not_tell_the_parameters(self):
        self.exchange.return_value = tgtd.ANSWER.pack(14, 8)
        error = self.assertRaises(errors.TargetDaemonRefused, self.ask)
        self.assertEqual("tgtd refuses 'new account' of target 7: the "
                         'account exists already', str(error))
        self.assertNotIn('secret', repr(error))

    def test_tolerating(self):
        self.exchange.return_value = tgtd.ANSWER.pack(14, 8)
        with tgtd.tolerating(tgtd.Refusal.USER_EXIST):
            self.ask()
        context = tgtd.tolerating(tgtd.Refusal.NO_USER)
        self.assertRaises(errors.TargetDaemonRefused, context(self.ask))


class TestExchange(base.TestCase):

    def test_nobody_listens(self):
        """As after the end of the daemon, and after it was killed."""
        folder = self.useFixture(fixtures.TempDir()).path
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(f'{folder}/left')
        for name, reason in (('none', 'No such file or directory'),
                             ('left', 'Connection refused')):
            with mock.patch.object(tgtd, 'SOCKET', f'{folder}/{name}'):
                error = self.assertRaises(
                    errors.TargetDaemonNotRunning, tgtd.ask, tgtd.Mode.SYS,
                    tgtd.Op.SHOW)
            self.assertEqual(reason, error.reason)
            self.assertIn('systemctl start tgt', str(error))

    def test_to_the_end(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 's')
        answer = b'x' * 200000
        received = []

        def serve(listener):
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(100))
                connection.sendall(answer)

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            server = threading.Thread(target=serve, args=(listener,))
            server.start()
            with mock.patch.object(tgtd, 'SOCKET', path):
                self.assertEqual(answer, tgtd._exchange(b'question', 10))
            server.join()
        self.assertEqual([b'question'], received)
