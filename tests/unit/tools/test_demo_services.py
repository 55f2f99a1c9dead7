# SPDX-License-Identifier: Apache-2.0
"""The demo's client and its little image service."""

import http.client
import io
import json
import os
import pathlib
import sqlite3
import sys
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


class _Socket:
    """A connection that holds one request and keeps the answer."""

    def __init__(self, request):
        self._request = request
        self.answer = b''

    def makefile(self, *args):
        return io.BytesIO(self._request)

    def sendall(self, data):
        self.answer += data


class _Answer:
    """What http.client needs to read an answer from bytes."""

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


class TestRest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.answers = []
        self.asked = []
        self.cinder = rest.Cinder(8776, 9292)
        for patch in (mock.patch('time.sleep'),
                      mock.patch('http.client.HTTPConnection',
                                 self._connection)):
            patch.start()
            self.addCleanup(patch.stop)

    def _connection(self, host, port, timeout):
        self.assertEqual('127.0.0.1', host)
        connection = mock.Mock()

        def request(method, path, body, headers):
            self.asked.append((port, method, path,
                               json.loads(body) if body else None))
            if not self.answers:
                raise ConnectionRefusedError('refused')

        def getresponse():
            status, body = self.answers.pop(0)
            data = b'' if body is None else json.dumps(body).encode()
            return mock.Mock(status=status, read=lambda: data)

        connection.request = request
        connection.getresponse = getresponse
        return connection

    @staticmethod
    def _volume(status, size=1):
        return {'volume': {'id': 'v', 'status': status, 'size': size}}

    def test_create_waits(self):
        self.answers = [(202, self._volume('creating')),
                            (200, self._volume('creating')),
                            (200, self._volume('available'))]
        self.assertEqual('v', self.cinder.create_volume(name='n'))
        self.assertEqual(
            (8776, 'POST', '/v3/volumes',
             {'volume': {'size': 1, 'name': 'n'}}), self.asked[0])

    def test_error_status_ends_the_wait(self):
        self.answers = [(202, self._volume('creating')),
                            (200, self._volume('error'))]
        error = self.assertRaises(errors.DemoError,
                                  self.cinder.create_volume)
        self.assertEqual('volume v became error', str(error))

    def test_delete_waits_for_404(self):
        self.answers = [(202, None), (200, self._volume('deleting')),
                            (404, {})]
        self.cinder.delete('volume', 'v')

    def test_failed_delete(self):
        self.answers = [(202, None),
                            (200, self._volume('error_deleting'))]
        self.assertRaises(errors.DemoError, self.cinder.delete, 'volume',
                          'v')

    def test_extend_looks_at_size_and_status(self):
        self.answers = [(202, None), (200, self._volume('in-use', 1)),
                            (200, self._volume('extending', 2)),
                            (200, self._volume('in-use', 2))]
        self.cinder.extend('v', 2, 'in-use')
        self.assertEqual([], self.answers)

    def test_refusal_has_the_answer(self):
        self.answers = [(413, {'overLimit': 'too much'})]
        error = self.assertRaises(errors.DemoError, self.cinder.ids,
                                  'volume')
        self.assertIn('413', str(error))
        self.assertIn('too much', str(error))

    def test_image_goes_at_the_image_service(self):
        self.answers = [(204, None)]
        self.cinder.delete_image('i')
        self.assertEqual([(9292, 'DELETE', '/v2/images/i', None)],
                         self.asked)

    def test_nobody_answers(self):
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
