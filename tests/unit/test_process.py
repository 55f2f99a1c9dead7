# SPDX-License-Identifier: Apache-2.0
"""Commands through rootwrap, its daemon, and what goes wrong there."""

import gc
import subprocess
import threading
from unittest import mock

import ddt
import eventlet
import fixtures
from oslo_concurrency import processutils

from cinder_lvm_driver import process
from tests import base

PROBE = ('env', 'LC_ALL=C', 'lvremove', '--version')
CHECK = ('cinder-lvm-root', 'check')
HELPER = 'sudo cinder-rootwrap /etc/cinder/rootwrap.conf'


class FakeDaemon:
    """Stands for ``oslo_rootwrap.client.Client``; all share one list.

    :cvar commands: the commands of all daemons with the daemon's number
    :cvar answer: called with a command, gives what the daemon answers
    """

    def __init__(self, start_command):
        self.started.append(start_command)
        self.number = len(self.started)

    def execute(self, argv):
        self.commands.append((self.number, *argv))
        return self.answer(argv)


@ddt.ddt
class TestErrorTexts(base.TestCase):

    def test_failure_has_all_to_find_the_cause(self):
        failed = process.CommandFailed(('env', 'LC_ALL=C', 'lvs', 'vg'), 5,
                                       '', '  VG not found\n')
        self.assertEqual("VG not found ('lvs' ended with exit status 5)",
                         str(failed))

    def test_reason_is_one_line_and_comes_first(self):
        failed = process.CommandFailed(
            ('lvcreate', '--name', 'a'), 5, '', '  WARNING: pool is full\n\n'
            '  Insufficient free space\n  Failed to create\n')
        self.assertEqual(
            "Insufficient free space; Failed to create; WARNING: pool is "
            "full ('lvcreate' ended with exit status 5)", str(failed))

    def test_failure_without_a_text(self):
        failed = process.CommandFailed(('dd',), 1, '', '')
        self.assertEqual(
            "No reason given ('dd' ended with exit status 1)", str(failed))

    @ddt.data(('env', 'A=b', 'lvs', '-o', 'x=y'), ('lvs', '-o', 'x=y'))
    def test_program_is_named_without_its_environment(self, argv):
        self.assertIn("'lvs' did not end within 1.5 seconds",
                      str(process.CommandTimedOut(argv, 1.5)))

    def test_what_to_do_about_a_missing_program(self):
        text = str(process.CommandNotFound(PROBE, 96, '', ''))
        self.assertIn("'lvremove' was not found", text)
        self.assertIn('exec_dirs', text)

    def test_what_to_do_about_a_refusal(self):
        text = str(process.CommandRefused(CHECK, 99, '', ''))
        self.assertIn("rootwrap refused 'cinder-lvm-root'", text)
        self.assertIn('etc/cinder/rootwrap.d/lvm-driver.filters', text)
        self.assertIn('filters_path', text)
        text = str(process.CommandRefused(PROBE, 99, '', ''))
        self.assertIn("cinder-lvm-root refused 'lvremove'", text)
        self.assertIn('volume_group', text)


    @ddt.data('sudo: a password is required\n',
              'sudo: a terminal is required\nsudo: a password is required\n',
              'Sorry, user cinder is not allowed to execute X as root.\n',
              'cinder is not in the sudoers file.\n')
    def test_what_to_do_about_sudo(self, stderr):
        failed = self.assertRaises(process.SudoRefused, process._checked,
                                   PROBE, 1, '', stderr)
        reason = stderr.splitlines()[-1].removeprefix('sudo: ')
        self.assertIn(f'({reason}): put ',
                      str(failed))
        self.assertIn('ALL=(root) NOPASSWD: ', str(failed))

    def test_lvm_that_speaks_of_sudo(self):
        failed = self.assertRaises(process.CommandFailed, process._checked,
                                   PROBE, 5, '', '  LV sudo: not found\n')
        self.assertIs(process.CommandFailed, type(failed))


class TestAlarm(base.TestCase):

    def test_daemon_that_has_ended(self):
        """It does so by itself when it has nothing to do."""
        for text in ('Leaving behind already spawned process with pid %d, '
                     "root should kill it if it's still there (I can't)",
                     'Another warning %d'):
            process.rootwrap_client.LOG.warning(text, 5)
        self.assertNotIn('should kill', self.log.output)
        self.assertIn('Another warning 5', self.log.output)


@ddt.ddt
class TestOneByOne(base.TestCase):
    """Without a daemon, and what it takes to start one."""

    def setUp(self):
        super().setUp()
        self.execute = mock.Mock(return_value=('out', 'err'))
        self.runner = process.RootwrapRunner(self.execute, HELPER)

    def test_run(self):
        done = self.runner.run('lvs', 'vg')
        self.assertEqual(process.Completed(('lvs', 'vg'), 'out', 'err'), done)
        self.execute.assert_called_once_with(
            'lvs', 'vg', run_as_root=True, root_helper=HELPER)

    def test_deadline(self):
        self.execute.side_effect = subprocess.TimeoutExpired('lvs', 3)
        error = self.assertRaises(process.CommandTimedOut, self.runner.run,
                                  'lvs', timeout=3)
        self.assertEqual(3, error.timeout)
        self.assertEqual(3, self.execute.call_args.kwargs['timeout'])

    def test_deadline_with_eventlet(self):
        copy = eventlet.patcher.original('subprocess')
        self.assertIsNot(copy.TimeoutExpired, subprocess.TimeoutExpired)
        self.execute.side_effect = copy.TimeoutExpired('lvs', 3)
        self.assertRaises(process.CommandTimedOut, self.runner.run, 'lvs',
                          timeout=3)

    def test_other_failures_are_told_as_they_are(self):
        self.execute.side_effect = PermissionError
        self.assertRaises(PermissionError, self.runner.run, 'lvs', timeout=3)

    def test_unprivileged(self):
        self.runner.run_unprivileged('lvm', 'version')
        self.execute.assert_called_once_with('lvm', 'version')

    def test_unprivileged_program_that_is_missing(self):
        self.execute.side_effect = FileNotFoundError
        self.assertRaises(process.CommandNotFound,
                          self.runner.run_unprivileged, 'lvm')

    @ddt.data((5, process.CommandFailed), (1, process.CommandFailed),
              (139, process.CommandFailed), (-11, process.CommandFailed),
              (96, process.CommandNotFound), (127, process.CommandNotFound),
              (98, process.CommandRefused), (99, process.CommandRefused))
    @ddt.unpack
    def test_exit_status(self, exit_code, error):
        self.execute.side_effect = processutils.ProcessExecutionError(
            'out', 'err', exit_code, 'lvs')
        raised = self.assertRaises(process.CommandFailed, self.runner.run,
                                   'lvs', 'vg')
        self.assertIs(error, type(raised))
        self.assertEqual((('lvs', 'vg'), exit_code, 'out', 'err'), raised.args)

    def test_log_has_the_command_its_time_and_outcome(self):
        self.runner.run('lvs', 'vg')
        self.assertRegex(self.log.output, r'DEBUG .*lvs vg \(\d\.\d{3} s\)')
        self.assertTrue(self.log.output.endswith('ok\n'))

    def test_log_has_the_reason_of_a_failure(self):
        self.execute.side_effect = processutils.ProcessExecutionError(
            '', 'broken', 5, '')
        self.assertRaises(process.CommandFailed, self.runner.run, 'vgs')
        self.assertRegex(self.log.output, r'DEBUG .*vgs \(.* s\): .*broken')


@ddt.ddt
class TestDaemon(base.TestCase):

    def setUp(self):
        super().setUp()
        self.execute = mock.Mock(return_value=('', ''))
        self.answers = {}
        self.daemons = type('Daemons', (FakeDaemon,), {
            'started': [], 'commands': [],
            'answer': lambda _, argv: self.answer(argv)})
        patcher = mock.patch.object(process.rootwrap_client, 'Client',
                                    self.daemons)
        patcher.start()
        self.addCleanup(patcher.stop)
        self.useFixture(fixtures.MockPatchObject(process, '_is_root',
                                                 lambda: False))
        self.runner = process.RootwrapRunner(self.execute, HELPER)

    def test_root_needs_none(self):
        self.useFixture(fixtures.MockPatchObject(process, '_is_root',
                                                 lambda: True))
        self.runner.start_daemon(PROBE)
        self.assertEqual([], self.daemons.started)
        self.assertEqual(PROBE, self.execute.call_args.args)
        self.execute.reset_mock()
        self.runner.run('lvs')
        self.assertEqual(('lvs',), self.execute.call_args.args)
        self.assertNotIn('WARNING', self.log.output)

    def answer(self, argv):
        answer = self.answers.get(argv[0], (0, 'out', 'err'))
        if callable(answer):
            return answer()
        return answer

    def start(self):
        self.runner.start_daemon(PROBE)
        self.execute.reset_mock()
        self.daemons.commands.clear()

    @ddt.data((1024, []), (65536, []), (2 ** 30, ['prlimit',
                                                 '--nofile=65536:']))
    @ddt.unpack
    def test_start(self, files, prefix):
        self.useFixture(fixtures.MockPatchObject(
            process.resource, 'getrlimit', lambda which: (files, files)))
        self.runner.start_daemon(PROBE)
        self.execute.assert_not_called()
        self.assertEqual([[*prefix, *HELPER.split(), 'cinder-lvm-root',
                           'commands']],
                         self.daemons.started)
        self.assertEqual([(1, *PROBE)], self.daemons.commands)
        self.assertNotIn('WARNING', self.log.output)

    @ddt.data(Exception('Failed to spawn'), OSError(2), EOFError())
    def test_daemon_that_does_not_start(self, problem):
        self.answers['env'] = mock.Mock(side_effect=problem)
        error = self.assertRaises(process.DaemonFailed,
                                  self.runner.start_daemon, PROBE)
        self.assertIs(problem, error.reason)
        self.execute.assert_called_once_with(
            *CHECK, run_as_root=True, root_helper=HELPER)

    @ddt.data((99, process.CommandRefused), (96, process.CommandNotFound),
              (1, process.CommandFailed))
    @ddt.unpack
    def test_why_the_daemon_does_not_start(self, exit_code, error):
        self.answers['env'] = mock.Mock(side_effect=Exception('no daemon'))
        self.execute.side_effect = processutils.ProcessExecutionError(
            '', '', exit_code, '')
        self.assertRaises(error, self.runner.start_daemon, PROBE)

    @ddt.data((99, process.CommandRefused), (127, process.CommandNotFound))
    @ddt.unpack
    def test_probe_that_fails(self, exit_code, error):
        self.answers['env'] = (exit_code, '', '')
        self.assertRaises(error, self.runner.start_daemon, PROBE)
        self.execute.assert_not_called()

    def test_run(self):
        self.start()
        self.assertEqual(process.Completed(('lvs', 'vg'), 'out', 'err'),
                         self.runner.run('lvs', 'vg'))
        self.assertEqual([(1, 'lvs', 'vg')], self.daemons.commands)
        self.execute.assert_not_called()

    def test_one_after_another_share_a_daemon(self):
        self.start()
        for timeout in (None, 60, None):
            self.runner.run('lvs', timeout=timeout)
        self.assertEqual(1, len(self.daemons.started))

    @ddt.data((5, process.CommandFailed), (99, process.CommandRefused),
              (96, process.CommandNotFound))
    @ddt.unpack
    def test_failure(self, exit_code, error):
        self.start()
        self.answers['lvs'] = (exit_code, 'out', 'err')
        for timeout in (None, 60):
            raised = self.assertRaises(error, self.runner.run, 'lvs',
                                       timeout=timeout)
            self.assertEqual((('lvs',), exit_code, 'out', 'err'), raised.args)
        self.runner.run('vgs')
        self.assertEqual(1, len(self.daemons.started))

    @ddt.data(None, 60)
    def test_broken_daemon_is_leased_again(self, timeout):
        self.start()
        self.answers['lvs'] = mock.Mock(side_effect=EOFError)
        for _ in range(9):
            error = self.assertRaises(process.DaemonFailed, self.runner.run,
                                      'lvs', timeout=timeout)
            self.assertIn('EOFError', str(error))
        self.runner.run('vgs')
        self.assertEqual(1, len(self.daemons.started))

    def test_daemon_that_ends_without_an_answer(self):
        self.start()
        self.answers['lvs'] = lambda: None
        self.assertRaises(process.DaemonFailed, self.runner.run, 'lvs')

    def hang(self, program):
        """Have a program hang until the returned event is set."""
        ends = threading.Event()
        self.addCleanup(ends.set)
        self.begun = threading.Semaphore(0)

        def answer():
            self.begun.release()
            ends.wait(30)
            return 0, '', ''

        self.answers[program] = answer
        return ends

    def wait_until_begun(self, times=1):
        """Wait until the program that hangs was called so often."""
        for _ in range(times):
            self.assertTrue(self.begun.acquire(timeout=30))

    def test_command_that_hangs_keeps_its_daemon(self):
        self.start()
        ends = self.hang('lvs')
        self.assertRaises(process.CommandTimedOut, self.runner.run, 'lvs',
                          timeout=0.01)
        self.wait_until_begun()
        self.runner.run('vgs')
        self.assertEqual([(1, 'lvs'), (2, 'vgs')], self.daemons.commands)
        ends.set()

    def test_no_more_commands_hang_than_there_are_daemons(self):
        self.start()
        ends = self.hang('lvs')
        for _ in range(3):
            self.assertRaises(process.CommandTimedOut, self.runner.run, 'lvs',
                              timeout=0.01)
        self.wait_until_begun(2)
        self.assertEqual([(1, 'lvs'), (2, 'lvs')], self.daemons.commands)
        # Whoever waits without a deadline gets the first one that is free.
        waiting = threading.Thread(target=self.runner.run, args=['vgs'])
        waiting.start()
        ends.set()
        waiting.join(30)
        self.assertEqual('vgs', self.daemons.commands[-1][1])
        self.assertEqual(2, len(self.daemons.started))

    def test_deadline_does_not_need_a_join_that_ends(self):
        # As of eventlet's threads with Python 3.13.
        self.start()
        self.hang('lvs')
        with mock.patch.object(process.threading.Thread, 'join',
                               side_effect=eventlet.Timeout):
            self.assertRaises(process.CommandTimedOut, self.runner.run,
                              'lvs', timeout=0.01)

    def be_late(self, *meanwhile):
        """Have nobody get a daemon in time, once for each of some steps."""
        steps = list(meanwhile)
        free = self.runner._commands._free
        acquire = free.acquire

        def late(timeout):
            if not steps:
                return acquire(timeout=timeout)
            steps.pop(0)()
            return False

        self.useFixture(fixtures.MockPatchObject(free, 'acquire', late))

    def end_another(self):
        """Have a command of another thread end."""
        daemons = self.runner._commands
        daemons._return(daemons._idle[0])

    def test_queue_that_moves_is_waited_for(self):
        self.start()
        self.be_late(*[self.end_another] * 3)
        self.runner.run('lvs', timeout=60)
        self.assertEqual([(1, 'lvs')], self.daemons.commands)

    def test_queue_that_stops_moving_is_given_up_on(self):
        self.start()
        self.be_late(self.end_another, lambda: None)
        self.assertRaises(process.CommandTimedOut, self.runner.run, 'lvs',
                          timeout=60)
        self.assertEqual([], self.daemons.commands)

    def threads(self):
        """Have lvs add the thread that asks for it to the returned list."""
        threads = []

        def answer():
            threads.append(threading.current_thread())
            return 0, '', ''

        self.answers['lvs'] = answer
        return threads

    @ddt.data('run', 'run_long')
    def test_one_thread_asks_a_daemon(self, run):
        # A client has a connection for each thread that has called it and
        # lives: those of Cinder's executor are for ever.
        self.start()
        threads = self.threads()
        for _ in range(3):
            caller = threading.Thread(target=getattr(self.runner, run),
                                      args=['lvs'])
            caller.start()
            caller.join(30)
        self.assertEqual(3, len(threads))
        self.assertEqual(1, len(set(threads)))

    def test_thread_ends_with_the_runner(self):
        self.start()
        threads = self.threads()
        self.runner.run('lvs')
        del self.runner
        gc.collect()
        threads[0].join(30)
        self.assertFalse(threads[0].is_alive())

    def test_no_thread_can_be_had(self):
        self.start()
        self.hang('lvs')
        self.assertRaises(process.CommandTimedOut, self.runner.run, 'lvs',
                          timeout=0.01)
        broken = fixtures.MockPatchObject(
            process.threading.Thread, 'start',
            side_effect=RuntimeError("can't start new thread"))
        with broken:
            for _ in range(3):
                self.assertRaises(process.DaemonFailed, self.runner.run,
                                  'vgs', timeout=5)
        self.assertEqual((), self.runner.run('vgs', timeout=5).argv[1:])

    def test_copies_do_not_hold_up_commands(self):
        self.start()
        ends = self.hang('dd')
        copies = [threading.Thread(target=self.runner.run_long, args=['dd'])
                  for _ in range(9)]
        for copy in copies:
            copy.start()
        self.runner.run('lvs')
        self.wait_until_begun(8)
        ends.set()
        for copy in copies:
            copy.join(30)
        numbers = [number for number, program in self.daemons.commands
                   if program == 'dd']
        self.assertEqual(9, len(numbers))
        # The ninth waits for one of the first eight; the daemon for
        # commands was there before.
        self.assertEqual(8, len(set(numbers)))
        self.assertEqual([(1, 'lvs')], [
            entry for entry in self.daemons.commands if entry[1] == 'lvs'])

    def test_run_long_failure(self):
        self.start()
        self.answers['dd'] = (1, '', 'No space left')
        raised = self.assertRaises(process.CommandFailed,
                                   self.runner.run_long, 'dd', 'if=a')
        self.assertIn('No space left', str(raised))
