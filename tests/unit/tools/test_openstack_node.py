# SPDX-License-Identifier: Apache-2.0
"""tools/openstack: the processes of both machines."""

import datetime
import os
import signal
import socket
import sys
from unittest import mock

import fixtures
import testtools

from cloud_lib import errors
from cloud_lib import logs
from openstack_lib import apis
from openstack_lib import attach
from openstack_lib import cloud
from openstack_lib import disk
from openstack_lib import guest
from openstack_lib import node
from openstack_lib import remote
from openstack_lib import services
from openstack_lib import settings


class _Scratch(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.places = settings.Places(
            self.useFixture(fixtures.TempDir()).path)
        os.makedirs(self.places.run)
        os.makedirs(self.places.log)
        self.services = services.Services(self.places)

    def _mark(self, name, text):
        with open(os.path.join(self.places.run, f'{name}.pid'), 'w') as file:
            file.write(text)


class TestServices(_Scratch):

    def _service(self, *command, ready=lambda: True, seconds=10.0, port=0):
        return services.Service('one', command, {'PATH': os.environ['PATH']},
                                port, ready, seconds)

    def test_start_twice_and_stop(self):
        service = self._service('sleep', '60')
        self.assertTrue(self.services.launch(service))
        process = self.services.process('one')
        self.assertFalse(self.services.launch(service))
        self.services.wait(service)
        self.assertEqual(['one'], self.services.names())
        self.services.stop('one')
        self.assertIsNone(services.started_at(process))
        self.assertEqual([], self.services.names())

    def test_failure_has_the_end_of_the_log(self):
        service = self._service('sh', '-c', 'echo the port is taken; exit 1',
                                ready=lambda: False)
        self.services.launch(service)
        with mock.patch('time.sleep'):
            error = self.assertRaises(services.ServiceFailed,
                                      self.services.wait, service)
        self.assertIn('one ended unexpectedly', str(error))

    def test_too_late(self):
        service = self._service('sleep', '60', ready=lambda: False,
                                seconds=0.0)
        self.services.launch(service)
        self.addCleanup(self.services.stop, 'one')
        with mock.patch('time.sleep'):
            error = self.assertRaises(services.ServiceFailed,
                                      self.services.wait, service)
        self.assertIn('one was not ready within 0 s', str(error))

    def test_stranger_with_the_same_number(self):
        start = services.started_at(os.getpid())
        self._mark('one', f'{os.getpid()} {start}')
        self.assertEqual(os.getpid(), self.services.process('one'))
        self._mark('one', f'{os.getpid()} 1')
        self.assertIsNone(self.services.process('one'))
        with mock.patch('os.kill') as kill:
            self.services.stop('one')
        kill.assert_not_called()

    def test_log_of_before_is_kept_once(self):
        path = self.services.log('one')
        for text in (b'a', b'b', b'c'):
            with logs.begin(path) as log:
                log.write(text)
        self.assertEqual(['c'], logs.tail(path, 1))
        self.assertEqual(['b'], logs.tail(f'{path}.1', 1))

    def test_port_of_somebody_else(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            service = self._service('sleep', '60',
                                    port=server.getsockname()[1])
            error = self.assertRaises(services.ServiceFailed,
                                      self.services.launch, service)
        self.assertIn('something else listens to port', str(error))
        self.assertIsNone(self.services.process('one'))

    def test_ports(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
            self.assertTrue(services.listens(port))
        self.assertFalse(services.listens(port))
        self.assertFalse(services.answers(port))


class TestRemote(testtools.TestCase):

    def setUp(self):
        super().setUp()

        def fail():
            raise errors.CloudError('it cannot be done')

        agent = remote.Agent(0, 'word', {'hello': lambda name: f'hi {name}\n',
                                         'fail': fail},
                             {'PATH': os.environ['PATH']}, '127.0.0.1')
        self.addCleanup(agent.server_close)
        agent.start()
        self.addCleanup(agent.shutdown)
        self.port = agent.server_address[1]
        self.node = remote.Node(self.port, 'word')

    def test_actions(self):
        self.assertEqual('hi you\n', self.node.ask('hello', 'you'))
        error = self.assertRaises(errors.CloudError, self.node.ask, 'fail')
        self.assertEqual('it cannot be done', str(error))

    def test_commands(self):
        said = []
        self.assertEqual(3, self.node.run(
            ['sh', '-c', 'echo a; echo b >&2; exit 3'], said.append))
        self.assertEqual('a\nb\n', ''.join(said))
        self.assertEqual(127, self.node.run(['/no/such'], said.append))

    def test_command_ends_with_the_one_who_asked(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'fifo')
        os.mkfifo(path)
        answers = self.node._answers('run', ['sh', '-c', f"""
            trap 'echo cleaned up >{path}; kill $!; exit' TERM
            sleep 20 >/dev/null 2>&1 &
            echo begun
            wait
            echo went on >{path}"""], 60)
        self.assertEqual({'output': 'begun\n'}, next(answers))
        answers.close()
        with open(path) as file:
            self.assertEqual('cleaned up\n', file.read())

    def test_password(self):
        stranger = remote.Node(self.port, 'guess')
        said = []
        self.assertEqual(1, stranger.run(['true'], said.append))
        self.assertEqual(['the password is wrong\n'], said)
        self.assertRaises(errors.CloudError, stranger.ask, 'hello', 'you')

    def test_invalid_request_gets_no_answer(self):
        with socket.create_connection(('127.0.0.1', self.port)) as one:
            one.sendall(b'GET / HTTP/1.1\r\n\r\n')
            self.assertEqual(b'', one.recv(10))

    def test_nobody_there(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            port = server.getsockname()[1]
        self.assertRaises(remote.NodeAway, remote.Node(port, 'word').ask,
                          'hello')


class TestStorage(_Scratch):

    def setUp(self):
        super().setUp()
        self.said = []
        self.storage = self._storage(settings.Settings())

    def _storage(self, wanted):
        return node.Storage(cloud.Cloud(wanted, self.places, '/venv',
                                        self.said.append))

    def test_command(self):
        command = self.storage.command()
        self.assertIn(f'{self.places.disk}:{disk.DISK_SIZE}', command)
        self.assertIn('18707:8777', command)
        self.assertEqual(['/venv/bin/python', '-m', 'openstack_lib.guest',
                          self.places.root], command[-4:])
        with open(self.places.disk, 'w'):
            pass
        self.assertIn(self.places.disk, self.storage.command())
        with open(self.places.passwords) as file:
            self.assertNotIn(file.read()[20:60], ' '.join(command))

    def test_kernel(self):
        command = self._storage(settings.Settings(kernel='6.1')).command()
        self.assertEqual('6.1', command[command.index('--kernel') + 1])

    def test_running(self):
        start = datetime.datetime(2026, 1, 1, 12)
        after, before = '2026-01-01T12:00:01.0', '2026-01-01T11:59:59.0'
        listed = [{'host': host, 'binary': binary, 'state': state,
                   'updated_at': moment} for host, binary, state, moment in (
                       ('a', 'cinder-backup', 'up', after),
                       ('b', 'cinder-backup', 'up', before),
                       ('c', 'cinder-backup', 'down', after),
                       ('d', 'cinder-backup', 'up', None),
                       ('e', 'cinder-volume', 'up', after))]
        self.assertEqual({'a'}, node.running(listed, start))

    def test_serving(self):
        start = datetime.datetime(2026, 1, 1, 12)
        pools = [{'name': f'{name}#pool', 'capabilities': stats}
                 for name, stats in (
                     ('a@b', {'timestamp': '2026-01-01T12:00:01.000001'}),
                     ('c@d', {'timestamp': '2026-01-01T11:59:59'}),
                     ('e@f', {}))]
        self.assertEqual({'a@b'}, node.serving(pools, start))

    def test_service_that_ended(self):
        self.storage.agent = mock.Mock()
        self.storage.agent.ask.return_value = 'cinder-volume runs\n'
        self.storage.require_services()
        self.storage.agent.ask.return_value = (
            'cinder-volume runs\ncinder-backup exited with status 1\n')
        error = self.assertRaises(services.ServiceFailed,
                                  self.storage.require_services)
        self.assertIn('cinder-backup exited with status 1', str(error))

    def _up(self, ask):
        """Call ``up`` while the machine runs; return the start of the wait."""
        self._mark(node.NAME, f'{os.getpid()} '
                   f'{services.started_at(os.getpid())}')
        with open(self.services.log(node.NAME), 'w'):
            pass
        self.storage.agent = mock.Mock(ask=mock.Mock(side_effect=ask))
        self.storage.up()
        with mock.patch.object(self.storage, '_wait_for_cinder') as wait, \
                mock.patch.object(self.storage, '_answers'):
            self.storage.wait()
        return wait.call_args.args[0]

    def test_up_starts_what_has_ended(self):
        begin = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        since = self._up(lambda action, *_, **__: (
            'cinder-volume exited with status -9\ncinder-backup runs\n'
            if action == 'states' else 'started\n'))
        self.assertEqual(
            [mock.call('states'), mock.call(
                'restart', 'cinder-volume', seconds=node.RESTART_SECONDS)],
            self.storage.agent.ask.call_args_list)
        self.assertEqual(
            ['cinder-volume exited with status -9: restarting it'],
            self.said)
        # Stats from before the restart must not count.
        self.assertGreaterEqual(since, begin)

    def test_second_up_changes_nothing(self):
        since = self._up(lambda action: 'cinder-volume runs\n')
        self.assertEqual(self.storage._started(), since)

    def test_up_while_the_machine_boots(self):
        self._up(mock.Mock(side_effect=remote.NodeAway('not yet')))
        self.assertEqual([], self.said)

    def test_words_of_the_node_are_passed_on(self):
        path = self.services.log(node.NAME)
        with open(path, 'w') as log:
            log.write('testvm: x\nnode: one\nnode: tw')
            log.flush()
            self.storage._show_progress()
            log.write('o\n')
            log.flush()
            self.storage._show_progress()
        self.assertEqual(['one', 'two'], self.said)


class TestPrograms(_Scratch):

    def _programs(self, **changes):
        return guest.Programs(settings.Settings(**changes), '/venv',
                              self.places.log)

    def _start(self, programs):
        self.process = mock.Mock(pid=1, poll=lambda: None)
        with mock.patch('subprocess.Popen',
                        return_value=self.process) as popen:
            programs.start_all()
        return popen

    def test_user_and_commands(self):
        popen = self._start(self._programs())
        self.assertEqual(2, popen.call_count)
        volume, backup = popen.call_args_list
        self.assertIn('openstack_lib.volume', volume.args[0])
        self.assertEqual('/venv/bin/cinder-backup', backup.args[0][0])
        for call in (volume, backup):
            self.assertEqual('cinder', call.kwargs['user'])
            self.assertIn('/etc/cinder/cinder.conf', call.args[0])

    def test_native_threads(self):
        with mock.patch('openstack_lib.cloud.concurrency',
                        return_value={'X': 'true'}):
            popen = self._start(self._programs(backup=False))
        volume, = popen.call_args_list
        self.assertEqual('/venv/bin/cinder-volume', volume.args[0][0])
        self.assertEqual('true', volume.kwargs['env']['X'])

    def test_states(self):
        programs = self._programs(backup=False)
        self.assertEqual('cinder-volume is stopped\n', programs.states())
        self._start(programs)
        self.assertEqual('cinder-volume runs\n', programs.states())
        with open(f'{self.places.log}/cinder-volume.log', 'w') as log:
            log.write('2026-01-01 00:00:00.0 7 ERROR cinder.volume.manager '
                      f'{guest.NO_DRIVER}.: x\n')
        self.assertEqual('cinder-volume did not initialize its driver\n',
                         programs.states())
        self.process.poll = lambda: 3
        self.assertEqual('cinder-volume exited with status 3\n',
                         programs.states())

    def test_restart(self):
        programs = self._programs(backup=False)
        self._start(programs)
        first = self.process
        with mock.patch('os.killpg') as killpg, \
                mock.patch('subprocess.Popen') as popen:
            programs.restart('cinder-volume')
        first.send_signal.assert_called_once_with(signal.SIGTERM)
        killpg.assert_called_once_with(1, signal.SIGKILL)
        popen.assert_called_once()
        self.assertRaises(errors.CloudError, programs.start, 'cinder-api')


class TestDisk(testtools.TestCase):

    def _create_vg(self, name, path, size):
        with open(path, 'w'):
            pass
        return '/dev/loop0'

    def test_vg_is_created_once(self):
        backend = settings.Backend('lvm-1', 'vg', 'thin')
        folder = self.useFixture(fixtures.TempDir()).path
        with mock.patch.object(disk, 'FOLDER', folder), \
                mock.patch('cloud_lib.storage.create_vg',
                           side_effect=self._create_vg) as make, \
                mock.patch('cloud_lib.storage.run',
                           return_value='/dev/loop1\n') as run:
            self.assertEqual('VG vg on /dev/loop0',
                             disk.open_vg(backend))
            run.assert_called_once_with('sync')
            self.assertEqual('VG vg on /dev/loop1',
                             disk.open_vg(backend))
        make.assert_called_once()
        self.assertIn(mock.call('vgchange', '--quiet', '--activate', 'y',
                                'vg'), run.call_args_list)


class TestOthers(testtools.TestCase):

    def test_attach_follows_the_settings(self):
        for helper, discards in (('lioadm', True), ('tgtadm', False)):
            with mock.patch('openstack_lib.access.token', return_value='t'), \
                    mock.patch('cloud_lib.compute.Host'), \
                    mock.patch('cloud_lib.scenario.Scenario') as made:
                attach.users(mock.Mock(
                    settings=settings.Settings(target_helper=helper,
                                               lvm_type='default'),
                    passwords=mock.Mock(volume_key='00')))
            self.assertEqual('cinder-volumes-1', made.call_args.args[2])
            self.assertEqual({'thin': False, 'discards': discards},
                             made.call_args.kwargs)

    def test_web_applications_do_not_see_the_servers_arguments(self):
        module = mock.Mock()
        with mock.patch.dict(os.environ, OPENSTACK_ETC='/etc/x'), \
                mock.patch.object(sys, 'argv', ['gunicorn', '--bind']), \
                mock.patch.dict(sys.modules, {
                    'cinder': mock.Mock(), 'cinder.wsgi': mock.Mock(
                        api=module)}):
            self.assertIs(module.application, apis.cinder())
            self.assertEqual(['cinder-api', '--config-file',
                              '/etc/x/cinder/cinder.conf'], sys.argv)
