# SPDX-License-Identifier: Apache-2.0
"""tools/openstack: options, configuration files and commands."""

import configparser
import json
import os
import signal
import stat
import types
from unittest import mock

import fixtures
import testtools

from cloud_lib import errors
from openstack_lib import access
from openstack_lib import bus
from openstack_lib import cloud
from openstack_lib import configuration
from openstack_lib import database
from openstack_lib import launch
from openstack_lib import options
from openstack_lib import passwords
from openstack_lib import register
from openstack_lib import remote
from openstack_lib import settings
from openstack_lib import tempest

SECRET = passwords.Passwords(
    database='db-word', bus='bus-word', admin='admin-word', demo='demo-word',
    glance='glance-word', cinder='cinder-word', agent='agent-word',
    volume_key='00ff')


def _read(text):
    found = configparser.ConfigParser(interpolation=None)
    found.read_string(text)
    return found


NEW = settings.Settings()
PORTS = NEW.ports


def _wanted(*argv, known=NEW):
    return options.wanted(options.parse(['up', *argv]), known)


class TestOptions(testtools.TestCase):

    def _refused(self, *argv):
        with mock.patch('sys.stderr'):
            self.assertRaises(SystemExit, options.parse, argv)

    def test_nothing_said_is_the_default(self):
        self.assertEqual(settings.Settings(), _wanted())

    def test_what_is_not_said_stays(self):
        known = settings.Settings(backends=2, extra=('a=b',), debug=False)
        self.assertEqual(known, _wanted(known=known))
        self.assertEqual(
            settings.Settings(backends=2, extra=('c=d',), debug=True),
            _wanted('--debug', '--set', 'c=d', known=known))

    def test_settings_that_do_not_fit(self):
        for words in (['--second-lvm-type', 'thin'],
                      ['--target-helper', 'nvmet', '--driver',
                       'cinder.volume.drivers.lvm.LVMVolumeDriver']):
            self.assertRaises(errors.CloudError, _wanted, *words)

    def test_all_said(self):
        wanted = _wanted(
            '--lvm-type', 'default', '--target-helper', 'nvmet',
            '--backends', '2', '--second-lvm-type', 'thin', '--driver',
            'a.B', '--cinder', '28.0.0', '--no-backup',
            '--concurrency-of-cinder', 'threading', '--set', 'x=y',
            '--no-debug', '--kernel', '6.1', '--memory', '2048',
            '--port-base', '20000')
        self.assertEqual(settings.Settings(
            driver='a.B', lvm_type='default', target_helper='nvmet',
            backends=2, second_lvm_type='thin', cinder='28.0.0',
            backup=False, concurrency='threading', extra=('x=y',),
            debug=False, kernel='6.1', memory=2048, port_base=20000), wanted)

    def test_nonsense(self):
        self._refused()
        self._refused('up', '--driver', 'no class')
        self._refused('up', '--backends', '3')
        self._refused('up', '--cinder', 'newest')
        self._refused('up', '--set', '[DEFAULT]')
        self._refused('up', '--port-base', '65529')
        self._refused('up', '--', 'ls')
        self._refused('tempest', '--smoke', 'regex')
        self._refused('node')

    def test_results_of_hours_have_a_place(self):
        folder = self.useFixture(fixtures.TempDir()).path
        self._refused('tempest', '--save', folder)
        self._refused('tempest', '--save', f'{folder}/none/file')
        for path in (f'{folder}/file', 'file'):
            self.assertEqual(
                path, options.parse(['tempest', '--save', path]).save)
        self.assertEqual('', options.parse(['tempest']).save)

    def test_user_of_a_shell(self):
        self.assertEqual('admin', options.parse(['shell']).user)
        chosen = options.parse(['shell', '--user', 'demo', '--', 'cinder'])
        self.assertEqual(('demo', ['cinder']), (chosen.user, chosen.command))

    def test_command_behind_the_dashes(self):
        chosen = options.parse(['node', '--', 'lvs', '--all'])
        self.assertEqual(['lvs', '--all'], chosen.command)
        self.assertEqual([], options.parse(['shell']).command)


class TestSettings(testtools.TestCase):

    def test_round_trip(self):
        wanted = settings.Settings(extra=('a=b',), backends=2)
        self.assertEqual(wanted,
                         settings.Settings.from_json(wanted.to_json()))

    def test_back_ends(self):
        wanted = settings.Settings(backends=2, second_lvm_type='default')
        self.assertEqual(
            [('lvm-1', 'cinder-volumes-1', 'thin'),
             ('lvm-2', 'cinder-volumes-2', 'default')],
            [(one.name, one.vg, one.lvm_type)
             for one in wanted.back_ends()])
        self.assertEqual(1, len(settings.Settings().back_ends()))

    def test_ports_are_a_row(self):
        ports = settings.Ports.starting_at(100)
        self.assertEqual(
            list(range(100, 108)),
            [ports.keystone, ports.glance, ports.cinder, ports.database,
             ports.bus, ports.names, ports.distribution, ports.node])

    def test_differences(self):
        self.assertEqual(
            ["lvm_type: 'thin', not 'default'"],
            settings.Settings().differences(
                settings.Settings(lvm_type='default')))


class TestSecrets(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'passwords.json')

    def test_made_once_for_one_pair_of_eyes(self):
        made = passwords.ensure(self.path)
        self.assertEqual(0o600, stat.S_IMODE(os.stat(self.path).st_mode))
        self.assertEqual(made, passwords.ensure(self.path))
        self.assertNotEqual(made.admin, made.demo)

    def test_not_in_a_log_by_accident(self):
        self.assertNotIn('-word', repr(SECRET))


class TestConfiguration(testtools.TestCase):

    def _made(self, **changes):
        return configuration.Configuration(
            settings.Settings(**changes), settings.Places('/scratch'),
            SECRET)

    def test_render(self):
        self.assertEqual(
            '# Written by tools/openstack.\n\n[a]\nb = true\nc = 1\n',
            configuration.render({'a': {'b': True, 'c': 1}}))

    def test_everything_listens_to_the_loopback(self):
        glance = _read(self._made().glance('/paste.ini'))
        self.assertEqual('127.0.0.1', glance['DEFAULT']['bind_host'])
        for text in (self._made().keystone(), self._made().glance('/p'),
                     self._made().cinder('/etc')):
            self.assertNotIn('10.0.2.', text)

    def test_node_reaches_the_control_plane(self):
        node = _read(self._made().node())
        self.assertIn('@10.0.2.2:18704//', node['DEFAULT']['transport_url'])
        self.assertIn('@10.0.2.2:18703/cinder',
                      node['database']['connection'])
        self.assertEqual('http://10.0.2.2:18701',
                         node['DEFAULT']['glance_api_servers'])
        self.assertNotIn('127.0.0.1', self._made().node())

    def test_back_ends(self):
        node = _read(self._made(
            backends=2, second_lvm_type='default', driver='a.B',
            extra=('backup_use_temp_snapshot = true',)).node())
        self.assertEqual('lvm-1,lvm-2', node['DEFAULT']['enabled_backends'])
        self.assertEqual('default', node['lvm-2']['lvm_type'])
        self.assertEqual('cinder-volumes-2', node['lvm-2']['volume_group'])
        for name in ('lvm-1', 'lvm-2'):
            self.assertEqual('a.B', node[name]['volume_driver'])
            self.assertEqual('true', node[name]['backup_use_temp_snapshot'])

    def test_helpers(self):
        node = _read(self._made(target_helper='nvmet', backends=2).node())
        self.assertEqual('nvmet_tcp', node['lvm-1']['target_protocol'])
        self.assertEqual(['4420', '4421'], [
            node[name]['target_port'] for name in ('lvm-1', 'lvm-2')])
        node = _read(self._made(target_helper='tgtadm').node())['lvm-1']
        self.assertEqual('iscsi', node['target_protocol'])
        self.assertNotIn('target_port', node)

    def test_control_plane_has_no_back_end_of_its_own(self):
        cinder = _read(self._made().cinder('/etc'))
        self.assertNotIn('lvm-1', cinder)
        self.assertEqual('lvm-1', cinder['DEFAULT']['default_volume_type'])
        self.assertEqual('cinder', cinder['glance']['username'])
        self.assertEqual('cinder-word',
                         cinder['keystone_authtoken']['password'])


class TestAccess(testtools.TestCase):

    def test_clouds(self):
        clouds = json.loads(access.clouds(PORTS, SECRET))['clouds']
        self.assertEqual('demo-word', clouds['demo']['auth']['password'])
        self.assertEqual('http://127.0.0.1:18700/v3',
                         clouds['admin']['auth']['auth_url'])

    def test_variables(self):
        for user in 'admin', 'demo':
            found = access.variables(PORTS, SECRET, '/c', user)
            self.assertEqual(
                [user, user, f'{user}-word'],
                [found[f'OS_{name}']
                 for name in ('USERNAME', 'PROJECT_NAME', 'PASSWORD')])

    def test_no_other_cloud_comes_through(self):
        self.assertEqual({'HOME': '/root'}, access.without_credentials(
            {'HOME': '/root', 'OS_CLOUD': 'other', 'OS_TOKEN': 'x'}))

    def _token(self, status):
        answer = mock.Mock(status=status, read=lambda: b'',
                           headers={'X-Subject-Token': 'token'})
        connection = mock.Mock(getresponse=lambda: answer)
        with mock.patch('http.client.HTTPConnection',
                        return_value=connection):
            return access.token(PORTS, SECRET), connection

    def test_token(self):
        token, connection = self._token(201)
        self.assertEqual('token', token)
        body = connection.request.call_args.args[2]
        self.assertIn('admin-word', body)

    def test_no_token(self):
        error = self.assertRaises(errors.CloudError, self._token, 401)
        self.assertNotIn('word', str(error))


class TestServers(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.places = settings.Places(
            self.useFixture(fixtures.TempDir()).path)

    def test_long_paths_are_refused_early(self):
        self.assertRaises(errors.CloudError, database.Database,
                          settings.Places('/' + 'x' * 100), 1)

    def test_database_listens_to_the_loopback(self):
        service = database.Database(self.places, 18703).service()
        self.assertIn('--bind-address=127.0.0.1', service.command)

    def test_sql_is_not_in_the_command(self):
        done = mock.Mock(returncode=0, stdout='')
        with mock.patch('subprocess.run', return_value=done) as run:
            database.Database(self.places, 1).make_accounts('db-word')
        self.assertNotIn('db-word', ' '.join(run.call_args.args[0]))
        self.assertIn("BY 'db-word'", run.call_args.kwargs['input'])

    def test_database_is_laid_out_over_a_half_made_one(self):
        os.makedirs(self.places.log)
        os.makedirs(self.places.path('mariadb', 'half'))
        with mock.patch('subprocess.run',
                        return_value=mock.Mock(returncode=0)):
            database.Database(self.places, 1).create()
        self.assertFalse(os.path.exists(self.places.path('mariadb')))

    def test_bus(self):
        made = bus.Bus(self.places, PORTS, 'bus-word')
        made.create()
        path = self.places.path('rabbitmq', 'rabbitmq.conf')
        self.assertEqual(0o600, stat.S_IMODE(os.stat(path).st_mode))
        with open(path) as file:
            text = file.read()
        self.assertIn('listeners.tcp.1 = 127.0.0.1:18704\n', text)
        with mock.patch('glob.glob', return_value=['/rabbit/sbin']):
            names, server = made.services()
        self.assertEqual(['epmd'], names.command)
        for service in (names, server):
            self.assertNotIn('bus-word', str(service.environment))
            self.assertEqual('127.0.0.1',
                             service.environment['ERL_EPMD_ADDRESS'])

    def test_concurrency(self):
        wanted = settings.Settings(concurrency='threading')
        venv = self.places.root
        self.assertEqual({}, cloud.concurrency(settings.Settings(), venv))
        self.assertRaises(errors.CloudError, cloud.concurrency, wanted,
                          venv)
        folder = self.places.path('lib/python3.11/site-packages/cinder')
        os.makedirs(folder)
        with open(f'{folder}/monkey_patch.py', 'w') as file:
            file.write(f"os.environ.get('{cloud.NATIVE_THREADS}')\n")
        self.assertEqual({cloud.NATIVE_THREADS: 'true'},
                         cloud.concurrency(wanted, venv))


class TestRegister(testtools.TestCase):

    def test_network_is_nowhere(self):
        found = register.endpoints(PORTS)
        self.assertEqual('http://127.0.0.1:18700/no-network',
                         found['nothing'][1])
        self.assertEqual('http://127.0.0.1:18702/v3',
                         found['cinder'][1])

    def test_what_is_there_is_not_made_again(self):
        connection = mock.MagicMock()
        connection.image.find_image.return_value = mock.Mock(
            id='image-id', status='active')
        self.assertEqual({'image': 'image-id'},
                         register.resources(connection, ['lvm-1'], '/none'))
        connection.block_storage.create_type.assert_not_called()
        connection.create_image.assert_not_called()

    def test_half_made_image_is_made_again(self):
        connection = mock.MagicMock()
        connection.image.find_image.return_value.status = 'queued'
        with mock.patch('openstack_lib.register.make_image') as make:
            register.resources(connection, ['lvm-1'], '/none')
        connection.image.delete_image.assert_called_once()
        make.assert_called_once_with('/none')

    def test_types(self):
        connection = mock.MagicMock()
        connection.block_storage.find_type.return_value = None
        connection.image.find_image.return_value.status = 'active'
        register.resources(connection, ['lvm-1', 'lvm-2'], '/none')
        self.assertEqual(
            [mock.call(name=name, extra_specs={'volume_backend_name': name})
             for name in ('lvm-1', 'lvm-2')],
            connection.block_storage.create_type.call_args_list)

    def test_identities(self):
        connection = mock.MagicMock()
        connection.identity.roles.return_value = [
            types.SimpleNamespace(name=name)
            for name in ('admin', 'service', 'member')]
        connection.identity.find_user.return_value = None
        connection.identity.endpoints.return_value = []
        register.identities(connection, PORTS, SECRET)
        made = {call.kwargs['name']: call.kwargs['password']
                for call in connection.identity.create_user.call_args_list}
        self.assertEqual({'glance': 'glance-word', 'cinder': 'cinder-word',
                          'demo': 'demo-word'}, made)
        self.assertEqual(12, connection.identity.create_endpoint.call_count)


class TestTempestConfiguration(testtools.TestCase):

    def _conf(self, **changes):
        return _read(tempest.config(
            settings.Settings(**changes), settings.Places('/scratch'),
            SECRET, 'image-id'))

    def test_services(self):
        conf = self._conf()
        available = conf['service_available']
        self.assertEqual('false', available['nova'])
        # Otherwise classes that need no network would be skipped.
        self.assertEqual('true', available['neutron'])
        self.assertEqual('image-id', conf['compute']['image_ref'])

    def test_features_follow_the_settings(self):
        features = self._conf(backends=2, second_lvm_type='default',
                              backup=False)['volume-feature-enabled']
        self.assertEqual('true', features['multi_backend'])
        self.assertEqual('false', features['consistency_group'])
        self.assertEqual('false', features['backup'])
        self.assertEqual('false', features['extend_volume_with_snapshot'])
        features = self._conf(driver='cinder.volume.drivers.lvm.LVMDriver')[
            'volume-feature-enabled']
        self.assertEqual('false', features['consistency_group'])
        features = self._conf()['volume-feature-enabled']
        self.assertEqual('true', features['consistency_group'])
        self.assertEqual('true', features['backup'])
        self.assertEqual('true', features['extend_volume_with_snapshot'])

    def test_command(self):
        def command(exclude, **changes):
            return tempest.Tempest(
                settings.Settings(**changes), settings.Places('/scratch'),
                '/venv').command('regex', exclude, 3)

        self.assertNotIn('--exclude-regex', command(''))
        self.assertEqual('test_create_backups_and_restores',
                         command('', backup=False)[-1])
        self.assertEqual('x|test_create_backups_and_restores',
                         command('x', backup=False)[-1])


class TestLaunch(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        # Keep the handlers of the test process.
        self.signals = self.useFixture(
            fixtures.MockPatch('signal.signal')).mock
        self._write('lock')

    def _write(self, name, text=''):
        with open(os.path.join(self.folder, name), 'w') as file:
            file.write(text)

    def _write_cloud(self, environments='{"services": "/v"}'):
        self._write('settings.json', NEW.to_json())
        self._write('environments.json', environments)

    def _launch(self, *argv):
        return launch.Launch(options.parse(
            ['--folder', self.folder, *argv]))

    def test_every_command_has_a_method(self):
        parser = options.build_parser()
        actions = parser._subparsers._group_actions[0].choices
        for action in actions:
            self.assertTrue(callable(getattr(launch.Launch, action)), action)

    def test_other_settings_are_refused(self):
        self._write('settings.json', NEW.to_json())
        one = self._launch('up', '--lvm-type', 'default')
        with mock.patch('cloud_lib.programs.setup') as setup:
            error = self.assertRaises(errors.CloudError, one.run)
        self.assertIn("lvm_type: 'thin', not 'default'", str(error))
        setup.assert_not_called()

    def test_ports_of_another_cloud(self):
        with mock.patch('openstack_lib.services.listens',
                        side_effect=lambda port: port == 18706), \
                mock.patch('cloud_lib.programs.setup') as setup:
            error = self.assertRaises(errors.CloudError,
                                      self._launch('up').run)
        self.assertIn('port 18706', str(error))
        # Another --port-base must work: no settings were written.
        setup.assert_not_called()
        self.assertEqual(['lock'], os.listdir(self.folder))

    def test_no_cloud(self):
        error = self.assertRaises(errors.CloudError,
                                  self._launch('status').run)
        self.assertIn('there is no cloud', str(error))

    def test_cloud_of_another_version(self):
        for name, text in (
                ('settings.json', '{"extra": [], "of_old": 1}'),
                ('environments.json', '{"services": "/v"}'),
                ('passwords.json', '{"of_old": "secret"}')):
            self._write(name, text)
        for action in 'up', 'status':
            error = self.assertRaises(errors.CloudError,
                                      self._launch(action).run)
            self.assertIn('another version', str(error))
            self.assertIn('down --wipe', str(error))
        for known in None, settings.Settings().to_json():
            if known:
                self._write('lock')
                self._write('settings.json', known)
                self._write('passwords.json', '{"of_old": "secret"}')
            with mock.patch('builtins.print') as said:
                self._launch('down', '--wipe').run()
            self.assertIn('another version' if not known else 'incomplete',
                          said.call_args_list[0].args[0])
            self.assertEqual([], os.listdir(self.folder))

    def test_files_that_a_crash_has_emptied(self):
        self._write('passwords.json')
        self.assertRaises(errors.CloudError, passwords.ensure,
                          os.path.join(self.folder, 'passwords.json'))
        self._write_cloud('')
        self.assertRaises(errors.CloudError, self._launch('shell').run)
        self._write('settings.json')
        for action in 'up', 'status':
            error = self.assertRaises(errors.CloudError,
                                      self._launch(action).run)
            self.assertIn('down --wipe', str(error))
        with mock.patch('builtins.print'):
            self._launch('down', '--wipe').run()
        self.assertEqual([], os.listdir(self.folder))

    def test_passwords_of_another_version(self):
        path = os.path.join(self.folder, 'passwords.json')
        settings.write_private(path, '{"of_old": "secret"}')
        error = self.assertRaises(errors.CloudError, passwords.ensure, path)
        self.assertIn('another version', str(error))

    def test_cloud_that_was_not_made_to_its_end(self):
        self._write('settings.json', NEW.to_json())
        for action in 'tempest', 'attach', 'shell':
            error = self.assertRaises(errors.CloudError,
                                      self._launch(action).run)
            self.assertIn('"tools/openstack up"', str(error))

    def test_tempest_of_a_cloud_that_is_down(self):
        self._write_cloud('{"services": "/v", "tempest": "/t"}')
        away = remote.NodeAway('it does not answer')
        with mock.patch('openstack_lib.remote.Node.ask', side_effect=away):
            self.assertRaises(remote.NodeAway, self._launch('tempest').run)
        with mock.patch('openstack_lib.remote.Node.ask',
                        return_value='cinder-volume exited with status 1\n'), \
                mock.patch('openstack_lib.tempest.Tempest.run') as run:
            error = self.assertRaises(errors.CloudError,
                                      self._launch('tempest').run)
        self.assertIn('cinder-volume exited with status 1', str(error))
        run.assert_not_called()

    def _shell(self, **variables):
        """Return the environment of the shell."""
        self._write_cloud()
        with mock.patch.dict('os.environ', variables, clear=True), \
                mock.patch('os.execvpe') as become:
            self._launch('shell', '--user', 'demo', '--', 'cinder').run()
        self.assertEqual(['cinder'], become.call_args.args[1])
        return become.call_args.args[2]

    def test_shell(self):
        found = self._shell(OS_CLOUD='other')
        self.assertNotIn('OS_CLOUD', found)
        self.assertEqual(('demo', '127.0.0.1'),
                         (found['OS_USERNAME'], found['no_proxy']))
        self.signals.assert_called_with(signal.SIGPIPE, signal.SIG_DFL)

    def test_shell_of_somebody_with_a_proxy(self):
        self.assertEqual('127.0.0.1,intra',
                         self._shell(no_proxy='intra')['no_proxy'])

    def test_shell_without_such_a_command(self):
        self._write_cloud()
        error = self.assertRaises(
            errors.CloudError, self._launch('shell', '--', 'no-such').run)
        self.assertIn('no-such: No such file', str(error))

    def test_status_of_a_cloud_that_is_down(self):
        self._write('settings.json', NEW.to_json())
        with mock.patch('builtins.print') as said:
            self.assertEqual(1, self._launch('status').run())
        self.assertIn('does not run', said.call_args.args[0])

    def test_status_of_a_service_of_the_node_that_ended(self):
        self._write_cloud()
        for states, status in (
                ('cinder-volume runs\n', 0),
                ('cinder-volume runs\ncinder-backup is stopped\n', 1)):
            with mock.patch('openstack_lib.services.Services.process',
                            return_value=1), \
                    mock.patch('openstack_lib.remote.Node.ask',
                               return_value=states), \
                    mock.patch('builtins.print'):
                self.assertEqual(status, self._launch('status').run())

    def test_wipe_leaves_nothing_but_the_folder(self):
        os.mkdir(os.path.join(self.folder, 'mariadb'))
        self._write('disk.raw')
        with mock.patch('builtins.print'):
            self._launch('down', '--wipe').run()
        self.assertEqual([], os.listdir(self.folder))

    def test_folder_of_something_else(self):
        self._write('disk.raw')
        os.unlink(os.path.join(self.folder, 'lock'))
        for action in ['up'], ['down', '--wipe']:
            error = self.assertRaises(errors.CloudError,
                                      self._launch(*action).run)
            self.assertIn('choose', str(error))
        self.assertEqual(['disk.raw'], os.listdir(self.folder))

    def test_folder_that_cannot_be(self):
        self._write('file')
        for folder, reason in (
                ('/dev/shm/openstack', 'cannot see'),
                ('/run/openstack', 'cannot see'),
                (os.path.join(self.folder, 'file'), 'File exists'),
                (os.path.join(self.folder, 'file', 'x'), 'Not a directory')):
            error = self.assertRaises(
                errors.CloudError, launch.Launch(options.parse(
                    ['--folder', folder, 'up'])).run)
            self.assertIn(reason, str(error))

    def test_needs_root(self):
        with mock.patch('os.geteuid', return_value=1000), \
                mock.patch('builtins.print') as said:
            self.assertEqual(1, launch.main(['status']))
        self.assertIn('not root', said.call_args.args[0])

    def test_one_at_a_time(self):
        one = self._launch('down')
        with one._lock():
            error = self.assertRaises(errors.CloudError,
                                      self._launch('down').run)
        self.assertIn('another', str(error))
