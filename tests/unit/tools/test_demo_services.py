# SPDX-License-Identifier: Apache-2.0
"""The demo's client and its little image service, on the loopback."""

import http.client
import http.server
import json
import os
import pathlib
import socketserver
import sqlite3
import sys
import threading
from unittest import mock

import fixtures
import testtools

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / 'tools'))

from demo_lib import compute
from demo_lib import errors
from demo_lib import images
from demo_lib import rest
from demo_lib import scenario
from demo_lib import storage


class TestImages(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.service = images.Service(0, self.folder)
        self.service.start()
        self.addCleanup(self.service.server_close)
        self.addCleanup(self.service.shutdown)

    def _send(self, method, path, body=None, chunked=False):
        connection = http.client.HTTPConnection(
            *self.service.server_address, timeout=10)
        self.addCleanup(connection.close)
        connection.request(method, path, body=body, encode_chunked=chunked,
                           headers={'Transfer-Encoding': 'chunked'}
                           if chunked else {})
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _create(self):
        status, data = self._send(
            'POST', '/v2/images', json.dumps({'name': 'x',
                                              'disk_format': 'raw'}))
        self.assertEqual(201, status)
        return json.loads(data)

    def test_life(self):
        image = self._create()
        path = image['self']
        self.assertEqual('queued', image['status'])
        self.assertEqual((204, b''), self._send('GET', f'{path}/file'))
        data = os.urandom(3000)
        self.assertEqual((204, b''), self._send('PUT', f'{path}/file', data))
        seen = json.loads(self._send('GET', path)[1])
        self.assertEqual(('active', 3000), (seen['status'], seen['size']))
        self.assertEqual((200, data), self._send('GET', f'{path}/file'))
        self.assertEqual((204, b''), self._send('DELETE', path))
        self.assertEqual(404, self._send('GET', path)[0])
        self.assertEqual([], os.listdir(self.folder))

    def test_chunks(self):
        path = self._create()['self']
        parts = [b'a' * 1000, b'b' * 70000]
        status, _ = self._send('PUT', f'{path}/file', iter(parts),
                               chunked=True)
        self.assertEqual(204, status)
        self.assertEqual(b''.join(parts),
                         self._send('GET', f'{path}/file')[1])

    def test_patch(self):
        path = self._create()['self']
        changes = [{'op': 'add', 'path': '/os', 'value': 'linux'},
                   {'op': 'replace', 'path': '/name', 'value': 'y'}]
        seen = json.loads(self._send('PATCH', path, json.dumps(changes))[1])
        self.assertEqual(('linux', 'y'), (seen['os'], seen['name']))
        changes = [{'op': 'remove', 'path': '/os'}]
        seen = json.loads(self._send('PATCH', path, json.dumps(changes))[1])
        self.assertNotIn('os', seen)

    def test_what_it_does_not_do(self):
        path = self._create()['self']
        self.assertEqual(501, self._send('GET', f'{path}/locations')[0])
        self.assertEqual(501, self._send('GET', '/v2/tasks')[0])
        self.assertEqual(404, self._send('GET', '/v2/images/none')[0])

    def test_schema(self):
        status, data = self._send('GET', '/v2/schemas/image')
        self.assertEqual(200, status)
        self.assertIn('size', json.loads(data)['properties'])


class _Api(socketserver.TCPServer):
    """Answers with what the test put into ``answers``, in order."""

    def __init__(self):
        self.answers = []
        self.asked = []
        super().__init__(('127.0.0.1', 0), _ApiHandler)


class _ApiHandler(http.server.BaseHTTPRequestHandler):

    def log_message(self, *args):
        pass

    def _answer(self):
        size = int(self.headers.get('Content-Length') or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        self.server.asked.append((self.command, self.path, body))
        status, answer = self.server.answers.pop(0)
        data = json.dumps(answer).encode() if answer is not None else b''
        self.send_response(status)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer


class TestRest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.api = _Api()
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.addCleanup(self.api.server_close)
        self.addCleanup(self.api.shutdown)
        port = self.api.server_address[1]
        self.cinder = rest.Cinder(port, port)
        sleep = mock.patch('time.sleep')
        sleep.start()
        self.addCleanup(sleep.stop)

    @staticmethod
    def _volume(status, size=1):
        return {'volume': {'id': 'v', 'status': status, 'size': size}}

    def test_create_waits(self):
        self.api.answers = [(202, self._volume('creating')),
                            (200, self._volume('creating')),
                            (200, self._volume('available'))]
        self.assertEqual('v', self.cinder.create_volume(name='n'))
        self.assertEqual(
            ('POST', '/v3/volumes', {'volume': {'size': 1, 'name': 'n'}}),
            self.api.asked[0])

    def test_error_status_ends_the_wait(self):
        self.api.answers = [(202, self._volume('creating')),
                            (200, self._volume('error'))]
        error = self.assertRaises(errors.DemoError,
                                  self.cinder.create_volume)
        self.assertEqual('volume v became error', str(error))

    def test_delete_waits_for_404(self):
        self.api.answers = [(202, None), (200, self._volume('deleting')),
                            (404, {})]
        self.cinder.delete('volume', 'v')

    def test_failed_delete(self):
        self.api.answers = [(202, None),
                            (200, self._volume('error_deleting'))]
        self.assertRaises(errors.DemoError, self.cinder.delete, 'volume',
                          'v')

    def test_extend_looks_at_size_and_status(self):
        self.api.answers = [(202, None), (200, self._volume('in-use', 1)),
                            (200, self._volume('extending', 2)),
                            (200, self._volume('in-use', 2))]
        self.cinder.extend('v', 2, 'in-use')
        self.assertEqual([], self.api.answers)

    def test_refusal_has_the_answer(self):
        self.api.answers = [(413, {'overLimit': 'too much'})]
        error = self.assertRaises(errors.DemoError, self.cinder.ids,
                                  'volume')
        self.assertIn('413', str(error))
        self.assertIn('too much', str(error))

    def test_nobody_answers(self):
        self.api.shutdown()
        self.api.server_close()
        error = self.assertRaises(errors.DemoError, self.cinder.ids,
                                  'volume')
        self.assertIn('no answer', str(error))
        self.assertEqual([], self.cinder.pools())


class TestDevices(testtools.TestCase):

    def test_data_and_checksum(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'd')
        with open(path, 'wb') as file:
            file.truncate(4 * compute.MIB)
        first = compute.write_random(path, compute.MIB, 2 * compute.MIB)
        self.assertEqual(first, compute.checksum(path, compute.MIB,
                                                 2 * compute.MIB))
        self.assertNotEqual(first, compute.checksum(path, 0,
                                                    2 * compute.MIB))
        self.assertEqual(4 * compute.MIB, compute.size_of(path))


class TestLeftovers(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_exports(self):
        for path in ('iscsi/iqn.2010-10.org.openstack:volume-1',
                     'iscsi/discovery_auth', 'core/alua',
                     'core/iblock_0/volume-1'):
            os.makedirs(os.path.join(self.folder, path))
        for name in ('hba_info', 'hba_mode'):
            with open(os.path.join(self.folder, 'core/iblock_0', name), 'w'):
                pass
        with mock.patch.object(storage, 'TARGETS', self.folder):
            self.assertEqual(
                ['iblock_0/volume-1',
                 'iqn.2010-10.org.openstack:volume-1'], storage.exports())

    def test_database(self):
        path = os.path.join(self.folder, 'db')
        with sqlite3.connect(path) as connection:
            for table in storage._TABLES:
                connection.execute(
                    f'CREATE TABLE {table} (id TEXT, deleted BOOLEAN)')
            connection.execute('CREATE TABLE quota_usages (resource TEXT, '
                               'in_use INTEGER, reserved INTEGER)')
            connection.execute('INSERT INTO volumes VALUES ("a", 1)')
            connection.execute('INSERT INTO quota_usages '
                               'VALUES ("gigabytes", 0, 0)')
        self.assertEqual([], storage.database_rows(path))
        with sqlite3.connect(path) as connection:
            connection.execute('INSERT INTO snapshots VALUES ("b", 0)')
            connection.execute('UPDATE quota_usages SET in_use = 3')
        self.assertEqual(
            ['snapshots b', 'quota of gigabytes: 3 in use, 0 reserved'],
            storage.database_rows(path))

    def test_files(self):
        os.makedirs(os.path.join(self.folder, 'conversion/x'))
        self.assertEqual([f'{self.folder}/conversion/x'],
                         storage.temporary_files(self.folder))

    def test_failed_command(self):
        error = self.assertRaises(errors.DemoError, storage.run, 'false')
        self.assertEqual('false ended with 1: no message', str(error))


class TestScenario(testtools.TestCase):

    def test_clean_tries_everything(self):
        cinder = mock.Mock()
        cinder.ids.side_effect = lambda kind: {'snapshot': ['s'],
                                               'volume': ['v', 'w']}[kind]
        cinder.delete.side_effect = [errors.DemoError('s stays'), None,
                                     None]
        host = mock.Mock()
        host.detach.side_effect = OSError('stuck')
        work = scenario.Scenario(cinder, host, 'vg', True)
        work._devices['v'] = compute.Device('v', 'a', {}, {'path': '/x'})
        error = self.assertRaises(errors.DemoError, work.clean)
        self.assertEqual('stuck; s stays', str(error))
        cinder.delete_attachment.assert_called_once_with('a', 'v')
        self.assertEqual(3, cinder.delete.call_count)

    def test_steps_have_distinct_names(self):
        names = [step.name for step in scenario.Scenario(
            mock.Mock(), mock.Mock(), 'vg', True).steps()]
        self.assertEqual(len(set(names)), len(names))
