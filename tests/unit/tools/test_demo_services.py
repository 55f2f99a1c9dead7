# SPDX-License-Identifier: Apache-2.0
"""tools/demo: its image service and its search for leftovers."""

import http.client
import io
import json
import os
import sqlite3
from unittest import mock

import fixtures
import testtools

from demo_lib import images
from demo_lib import leftovers


class _Socket:
    """A connection with one request; keeps the answer."""

    def __init__(self, request):
        self._request = request
        self.answer = b''

    def makefile(self, *args):
        return io.BytesIO(self._request)

    def sendall(self, data):
        self.answer += data


class _Answer:
    """A socket from which http.client reads an answer."""

    def __init__(self, data):
        self._data = data

    def makefile(self, *args):
        return io.BytesIO(self._data)


class TestImages(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.server = mock.Mock(store=images.Store(self.folder))

    def _send(self, method, path, body=b'', headers=''):
        if isinstance(body, str):
            body = body.encode()
        if not headers:
            headers = f'Content-Length: {len(body)}\r\n'
        request = (f'{method} {path} HTTP/1.1\r\nConnection: close\r\n'
                   f'{headers}\r\n').encode() + body
        connection = _Socket(request)
        images.Handler(connection, ('127.0.0.1', 0), self.server)
        answer = http.client.HTTPResponse(_Answer(connection.answer))
        answer.begin()
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
        body = b'4\r\nabcd\r\n10;x=y\r\n0123456789abcdef\r\n0\r\n\r\n'
        status, _ = self._send('PUT', f'{path}/file', body,
                               'Transfer-Encoding: chunked\r\n')
        self.assertEqual(204, status)
        self.assertEqual(b'abcd0123456789abcdef',
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


class TestLeftovers(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_database(self):
        path = os.path.join(self.folder, 'db')
        with sqlite3.connect(path) as connection:
            for table in leftovers._TABLES:
                connection.execute(
                    f'CREATE TABLE {table} (id TEXT, deleted BOOLEAN)')
            connection.execute('CREATE TABLE quota_usages (resource TEXT, '
                               'in_use INTEGER, reserved INTEGER)')
            connection.execute('INSERT INTO volumes VALUES ("a", 1)')
            connection.execute('INSERT INTO quota_usages '
                               'VALUES ("gigabytes", 0, 0)')
        self.assertEqual([], leftovers.database_rows(path))
        with sqlite3.connect(path) as connection:
            connection.execute('INSERT INTO snapshots VALUES ("b", 0)')
            connection.execute('UPDATE quota_usages SET in_use = 3')
        self.assertEqual(
            ['snapshots b', 'quota of gigabytes: 3 in use, 0 reserved'],
            leftovers.database_rows(path))

    def test_files(self):
        os.makedirs(os.path.join(self.folder, 'conversion/x'))
        self.assertEqual([f'{self.folder}/conversion/x'],
                         leftovers.temporary_files(self.folder))
