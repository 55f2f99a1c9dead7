# SPDX-License-Identifier: Apache-2.0
"""tools/demo: options, settings, journal and report."""

import configparser
import os
import socket
from unittest import mock

import fixtures
import testtools

from cloud_lib import arguments
from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import steps
from cloud_lib import table
from cloud_lib import waiting
from demo_lib import kept
from demo_lib import launch
from demo_lib import options
from demo_lib import settings
from testvm_lib import cache


def _settings(**changes):
    return settings.Settings(venv='/venv', results='/results', **changes)


class TestOptions(testtools.TestCase):

    def _refused(self, *argv):
        with mock.patch('sys.stderr'):
            self.assertRaises(SystemExit, options.parse, argv)

    def test_defaults(self):
        chosen = options.parse([])
        self.assertEqual(arguments.DEFAULT_DRIVER, chosen.driver)
        self.assertEqual('thin', chosen.lvm_type)
        self.assertFalse(chosen.keep)
        self.assertEqual(options.TIMEOUT, chosen.timeout)

    def test_keep_lasts(self):
        self.assertEqual(options.KEEP_TIMEOUT,
                         options.parse(['--keep']).timeout)

    def test_nonsense(self):
        self._refused('--driver', 'no class')
        self._refused('--lvm-type', 'fat')
        self._refused('--set', '[DEFAULT]')
        self._refused('--dri', 'a.b')

    def test_backend_lines(self):
        chosen = options.parse(['--set', 'volume_clear=none',
                                '--set', 'a = b'])
        self.assertEqual(['volume_clear=none', 'a = b'], chosen.extra)


class TestSettings(testtools.TestCase):

    def _conf(self, **changes):
        conf = configparser.ConfigParser()
        conf.read_string(_settings(**changes).cinder_conf())
        return conf

    def test_round_trip(self):
        wanted = _settings(extra=('a=b',), keep=True, api_port=1,
                           stop_port=2)
        self.assertEqual(wanted,
                         settings.Settings.from_json(wanted.to_json()))

    def test_conf(self):
        conf = self._conf(driver='a.B', lvm_type='default',
                          extra=('volume_clear = none',))
        backend = conf[settings.BACKEND]
        self.assertEqual('a.B', backend['volume_driver'])
        self.assertEqual('default', backend['lvm_type'])
        self.assertEqual('none', backend['volume_clear'])
        self.assertEqual('noauth', conf.defaults()['auth_strategy'])

    def test_only_loopback_unless_kept(self):
        option = 'osapi_volume_listen'
        self.assertEqual('127.0.0.1', self._conf().defaults()[option])
        self.assertEqual('0.0.0.0',
                         self._conf(keep=True).defaults()[option])

    def test_thin(self):
        self.assertTrue(_settings().thin)
        self.assertTrue(_settings(lvm_type='auto').thin)
        self.assertFalse(_settings(lvm_type='default').thin)


class TestSteps(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.path = os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'journal')
        self.said = []

    def _run(self, *batches):
        with open(self.path, 'w') as journal:
            runner = steps.Runner(journal, self.said.append)
            for batch, always in batches:
                runner.run([steps.Step(name, work) for name, work in batch],
                           always=always)
        with open(self.path) as journal:
            return runner, steps.read_journal(journal)

    def _fail(self):
        raise errors.CloudError('it is not as it should be')

    def test_all_well(self):
        runner, outcomes = self._run(
            ([('one', lambda: 'fine'), ('two', lambda: 'too')], False))
        self.assertFalse(runner.failed)
        self.assertEqual([('one', 'done', 'fine'), ('two', 'done', 'too')],
                         [(found.name, found.state, found.detail)
                          for found in outcomes])

    def test_failure_skips_the_rest_but_not_the_end(self):
        runner, outcomes = self._run(
            ([('one', self._fail), ('two', lambda: 'x')], False),
            ([('clean', lambda: 'cleaned')], True))
        self.assertTrue(runner.failed)
        self.assertEqual(['failed', 'not run', 'done'],
                         [found.state for found in outcomes])
        self.assertEqual('it is not as it should be', outcomes[0].detail)

    def test_surprise(self):
        with mock.patch('traceback.print_exc') as shown:
            runner, outcomes = self._run(([('one', lambda: 1 / 0)], False))
        self.assertTrue(runner.failed)
        self.assertEqual('ZeroDivisionError: division by zero',
                         outcomes[0].detail)
        shown.assert_called_once_with()

    def test_torn_journal(self):
        whole = steps.Outcome('one', steps.DONE, 'fine', 1.0)
        lines = [whole.to_line(), whole.to_line()[:10]]
        self.assertEqual([whole], steps.read_journal(lines))


class TestTable(testtools.TestCase):

    def test_nothing(self):
        self.assertEqual('no step was run\n', table.render([]))

    def test_rows(self):
        text = table.render([
            steps.Outcome('create', steps.DONE, 'word ' * 30, 1.25),
            steps.Outcome('attach', steps.FAILED, 'no target', 61.0),
            steps.Outcome('write', steps.NOT_RUN, '', 0.0)])
        lines = text.splitlines()
        self.assertEqual([], [line for line in lines
                              if len(line) > table.WIDTH])
        self.assertTrue(lines[2].startswith('create  ok      word'))
        self.assertTrue(lines[2].endswith('   1.2'))
        failed = next(line for line in lines if 'FAILED' in line)
        self.assertIn('no target', failed)
        self.assertEqual('1 of 3 steps ok, 62 s', lines[-1])


class TestKept(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.parent = self.useFixture(fixtures.TempDir()).path

    def test_old_folders_go(self):
        for number in range(8):
            os.mkdir(os.path.join(self.parent, f'2020-{number}'))
        path = kept.new_folder(self.parent)
        left = kept.folders(self.parent)
        self.assertEqual(kept.KEEP_FOLDERS, len(left))
        self.assertEqual(path, left[-1])

    def test_running_folder_stays(self):
        old = os.path.join(self.parent, '2019')
        os.mkdir(old)
        with cache.in_use(old):
            for number in range(8):
                os.mkdir(os.path.join(self.parent, f'2020-{number}'))
            kept.new_folder(self.parent)
        self.assertIn(old, kept.folders(self.parent))

    def test_in_use(self):
        self.assertFalse(cache.is_in_use(self.parent))
        with cache.in_use(self.parent):
            self.assertTrue(cache.is_in_use(self.parent))
        self.assertFalse(cache.is_in_use(self.parent))

    def test_no_parent(self):
        self.assertEqual([], kept.folders('/does/not/exist'))

    def test_instructions(self):
        text = kept.instructions('/venv', 1234, 'me:abc', 'abc')
        for part in ('http://127.0.0.1:1234/v3', 'OS_USER_ID=me',
                     'OS_TOKEN=me:abc', '/venv/bin', '--stop'):
            self.assertIn(part, text)

    def test_stop(self):
        port = kept.free_port(0)
        # No thread is needed: a connection waits in the backlog of the socket.
        asked = []

        def check():
            if not asked:
                asked.append(kept.ask_to_stop(port))

        kept.wait_for_stop(port, check)
        self.assertEqual([None], asked)

    def test_cloud_that_died_ends_the_wait(self):
        check = mock.Mock(side_effect=errors.CloudError('it died'))
        self.assertRaises(errors.CloudError, kept.wait_for_stop,
                          kept.free_port(0), check)

    def test_taken_port(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            taken = server.getsockname()[1]
            self.assertNotEqual(taken, kept.free_port(taken))

    def test_tail(self):
        path = os.path.join(self.parent, 'log')
        self.assertEqual([], logs.tail(path, 2))
        with open(path, 'w') as file:
            file.write('a\nb\nc\n')
        self.assertEqual(['b', 'c'], logs.tail(path, 2))

    def test_complaints(self):
        path = os.path.join(self.parent, 'log')
        with open(path, 'w') as file:
            file.write('x y 1 INFO level = CRITICAL ERROR day\n'
                       'x y 1 ERROR cinder it broke\n'
                       'Traceback (most recent call last):\n')
        self.assertEqual(['x y 1 ERROR cinder it broke',
                          'Traceback (most recent call last):'],
                         logs.complaints(path))

    def test_reasons(self):
        path = os.path.join(self.parent, 'log')
        self.assertEqual([], logs.reasons(path))
        start = '2026-01-01 00:00:00.0 281 ERROR cinder.volume'
        wanted = [f'{start} [None req-1 - -] It broke: VgNotFound: no vg',
                  f'{start} VgNotFound: there is no vg']
        with open(path, 'w') as file:
            file.write('\n'.join([
                wanted[0],
                f'{start} Traceback (most recent call last):',
                f'{start}   File "x.py", line 1, in <module>',
                f'{start}              ^^^^',
                wanted[1], f'{start} ', f'{start}', '']))
        self.assertEqual(wanted, logs.reasons(path))


class TestMain(testtools.TestCase):

    def test_needs_root(self):
        with mock.patch('os.geteuid', return_value=1000), \
                mock.patch('signal.signal'), \
                mock.patch('builtins.print') as said:
            self.assertEqual(1, launch.main([]))
        self.assertIn('not root', said.call_args.args[0])


class TestStop(testtools.TestCase):

    def test_asks_until_somebody_listens(self):
        there = [{'/f': 1}, {'/f': 1}, {'/f': 1}, {}]
        asked = []

        def ask(port):
            asked.append(port)
            raise ConnectionResetError

        with mock.patch.object(launch, 'kept_clouds', side_effect=there), \
                mock.patch.object(kept, 'ask_to_stop', side_effect=ask), \
                mock.patch('time.sleep'), mock.patch('builtins.print'):
            self.assertEqual(0, launch.stop('/parent'))
        self.assertEqual([1, 1], asked)

    def test_nothing_to_stop(self):
        with mock.patch('builtins.print') as said:
            self.assertEqual(0, launch.stop('/does/not/exist'))
        self.assertIn('no cloud', said.call_args.args[0])


class TestWaiting(testtools.TestCase):

    def test_value(self):
        answers = iter(['', 'yes'])
        self.assertEqual('yes', waiting.until(
            'an answer', lambda: next(answers), 5.0, interval=0.0))

    def test_deadline_names_the_condition(self):
        error = self.assertRaises(errors.CloudError, waiting.until,
                                  'godot', lambda: False, 0.0)
        self.assertEqual('waited 0 s for godot', str(error))


class TestCommand(testtools.TestCase):

    def _command(self, *argv):
        chosen = options.parse(argv)
        wanted = _settings(lvm_type=chosen.lvm_type,
                           keep=chosen.keep, api_port=11, stop_port=12)
        return launch.testvm_command(chosen, wanted)

    def test_plain(self):
        command = self._command()
        self.assertNotIn('--forward', command)
        self.assertNotIn('--disk', command)
        self.assertNotIn('--kernel', command)
        tail = command[command.index('--') + 1:]
        self.assertEqual(['/venv/bin/python', '-m', 'demo_lib.guest',
                          '/results/settings.json'], tail)

    def test_thick_needs_a_disk(self):
        self.assertIn('--disk', self._command('--lvm-type', 'default'))

    def test_kept_is_reached(self):
        command = self._command('--keep')
        self.assertIn(f'11:{settings.API_PORT}', command)
        self.assertIn(f'12:{settings.STOP_PORT}', command)

    def test_kernel(self):
        command = self._command('--kernel', '6.1')
        self.assertEqual('6.1', command[command.index('--kernel') + 1])
