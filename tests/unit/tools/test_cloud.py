# SPDX-License-Identifier: Apache-2.0
"""The code that tools/demo and tools/openstack share."""

import json
import os
from unittest import mock

import fixtures
import testtools

from cloud_lib import compute
from cloud_lib import errors
from cloud_lib import rest
from cloud_lib import scenario
from cloud_lib import storage


class TestRest(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.answers = []
        self.asked = []
        self.cinder = rest.Cinder(rest.Api(8776, 'word'),
                                  rest.Api(9292, 'word'))
        for patch in (mock.patch('time.sleep'),
                      mock.patch('http.client.HTTPConnection',
                                 self._connection)):
            patch.start()
            self.addCleanup(patch.stop)

    def _connection(self, address, port, timeout):
        self.assertEqual('127.0.0.1', address)
        connection = mock.Mock()

        def request(method, path, body, headers):
            self.assertEqual('word', headers['X-Auth-Token'])
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
        error = self.assertRaises(errors.CloudError,
                                  self.cinder.create_volume)
        self.assertEqual('the status of volume v is error', str(error))

    def test_delete_waits_for_404(self):
        self.answers = [(202, None), (200, self._volume('deleting')),
                            (404, {})]
        self.cinder.delete('volume', 'v')

    def test_failed_delete(self):
        self.answers = [(202, None),
                            (200, self._volume('error_deleting'))]
        self.assertRaises(errors.CloudError, self.cinder.delete, 'volume',
                          'v')

    def test_extend_looks_at_size_and_status(self):
        self.answers = [(202, None), (200, self._volume('in-use', 1)),
                            (200, self._volume('extending', 2)),
                            (200, self._volume('in-use', 2))]
        self.cinder.extend('v', 2, 'in-use')
        self.assertEqual([], self.answers)

    def test_refusal_has_the_answer(self):
        self.answers = [(413, {'overLimit': 'too much'})]
        error = self.assertRaises(errors.CloudError, self.cinder.ids,
                                  'volume')
        self.assertIn('413', str(error))
        self.assertIn('too much', str(error))

    def test_image_goes_at_the_image_service(self):
        self.answers = [(204, None)]
        self.cinder.delete_image('i')
        self.assertEqual([(9292, 'DELETE', '/v2/images/i', None)],
                         self.asked)

    def test_nobody_answers(self):
        error = self.assertRaises(errors.CloudError, self.cinder.ids,
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


class TestStorage(testtools.TestCase):

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

    def test_controllers(self):
        os.makedirs(os.path.join(self.folder, 'nvme0'))
        with open(os.path.join(self.folder, 'nvme0', 'subsysnqn'),
                  'w') as file:
            file.write('nqn.a:b\n')
        done = mock.Mock(returncode=21, stdout='', stderr='')
        with mock.patch.object(storage, 'NVME_CONTROLLERS', self.folder), \
                mock.patch('subprocess.run', return_value=done):
            self.assertEqual(['controller nqn.a:b'],
                             storage.initiator_records())

    def test_failed_command(self):
        error = self.assertRaises(errors.CloudError, storage.run, 'false')
        self.assertEqual('false exited with status 1: no message', str(error))


class TestScenario(testtools.TestCase):

    def test_clean_tries_everything(self):
        cinder = mock.Mock()
        cinder.ids.side_effect = {'snapshot': ['s'],
                                  'volume': ['v', 'w']}.get
        cinder.delete.side_effect = [errors.CloudError('s stays'), None,
                                     None]
        host = mock.Mock()
        host.detach.side_effect = OSError('stuck')
        work = scenario.Scenario(cinder, host, 'vg', True)
        work._devices['v'] = compute.Device('v', 'a', {}, {'path': '/x'})
        error = self.assertRaises(errors.CloudError, work.clean)
        self.assertEqual('stuck; s stays', str(error))
        cinder.delete_attachment.assert_called_once_with('a', 'v')
        self.assertEqual(3, cinder.delete.call_count)

    def test_steps_have_distinct_names(self):
        names = [step.name for step in scenario.Scenario(
            mock.Mock(), mock.Mock(), 'vg', True).steps()]
        self.assertEqual(len(set(names)), len(names))

    def test_what_was_there_is_left_alone(self):
        cinder = mock.Mock()
        listed = {'snapshot': ['s'], 'volume': ['v'], 'attachment': []}
        cinder.ids.side_effect = lambda resource: list(listed[resource])

        def create(name):
            listed['volume'].append('w')
            raise errors.CloudError('volume w became error')

        cinder.create_volume.side_effect = create
        work = scenario.Scenario(cinder, mock.Mock(), 'vg', False)
        with mock.patch.object(storage, 'lvs', return_value={}), \
                mock.patch.object(storage, 'initiator_records',
                                  return_value=[]):
            self.assertRaises(errors.CloudError, work.create)
        work.clean()
        cinder.delete.assert_called_once_with('volume', 'w')
