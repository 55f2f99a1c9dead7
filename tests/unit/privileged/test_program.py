# SPDX-License-Identifier: Apache-2.0
"""The program that root runs."""

import os
import sys
from unittest import mock

import ddt
import fixtures
from oslo_privsep import daemon
from oslo_rootwrap import wrapper

from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import program
from tests import base


@ddt.ddt
class TestProgram(base.TestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatch('os.environ', {
            'PATH': '/home/x', 'HOME': '/home/x', 'MODPROBE_OPTIONS': 'x'}))
        self.commands = self.useFixture(fixtures.MockPatchObject(
            program.rootwrap_daemon, 'daemon_start')).mock
        self.verbs = self.useFixture(fixtures.MockPatchObject(
            daemon, 'helper_main')).mock
        self.useFixture(fixtures.MockPatchObject(wrapper, 'subprocess'))

    def run_with(self, *arguments):
        argv = ['cinder-lvm-root', *arguments]
        with mock.patch.object(sys, 'argv', argv):
            program.main()
        return argv

    def test_check(self):
        self.run_with('check')
        self.commands.assert_not_called()
        self.verbs.assert_not_called()

    def test_verbs(self):
        self.assertEqual(
            ['cinder-lvm-root', '--privsep_context',
             'cinder_lvm_driver.privileged.verbs.context',
             '--privsep_sock_path', '/tmp/x/privsep.sock'],
            self.run_with('verbs', '/tmp/x/privsep.sock'))
        self.verbs.assert_called_once_with()
        self.commands.assert_not_called()

    @ddt.data((), ('x',), ('check', 'x'), ('verbs',), ('verbs', 'a', 'b'),
              ('commands', '/tmp/rootwrap.conf'),
              ('--config-file', '/tmp/x'))
    def test_other_arguments(self, arguments):
        error = self.assertRaises(SystemExit, self.run_with, *arguments)
        self.assertIn('usage', str(error))

    def test_environment_of_the_user(self):
        self.run_with('check')
        self.assertEqual({'PATH': '/usr/sbin:/usr/bin:/sbin:/bin'},
                         dict(os.environ))

    def test_commands(self):
        folder = self.useFixture(fixtures.TempDir()).path
        with open(f'{folder}/rootwrap.conf', 'w') as file:
            file.write('[DEFAULT]\nfilters_path=/etc/x\nexec_dirs=/a,/b\n'
                       'use_syslog=True\n')
        with mock.patch.object(program, '_CONFIGURATION', file.name), \
                mock.patch.object(wrapper, 'setup_syslog') as syslog:
            self.run_with('commands')
            self.assertIs(program.STARTER, wrapper.subprocess)
        syslog.assert_called_once()
        (config, filters), _ = self.commands.call_args
        self.assertEqual(['/a', '/b'], config.exec_dirs)
        self.assertEqual('/a:/b', os.environ['PATH'])
        self.assertEqual(list(commands.PROGRAMS),
                         [each.exec_path for each in filters])

    def test_refusals_are_logged_nowhere_without_syslog(self):
        folder = self.useFixture(fixtures.TempDir()).path
        with open(f'{folder}/rootwrap.conf', 'w') as file:
            file.write('[DEFAULT]\nfilters_path=/etc/x\n')
        root = self.useFixture(fixtures.MockPatchObject(
            program.logging, 'getLogger')).mock
        with mock.patch.object(program, '_CONFIGURATION', file.name):
            self.run_with('commands')
        handler, = root.return_value.addHandler.call_args[0]
        self.assertIsInstance(handler, program.logging.NullHandler)

    def test_filter(self):
        judge = self.useFixture(fixtures.MockPatchObject(
            commands, 'is_allowed', return_value=True)).mock
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'volume_groups', lambda: {'vg'}))
        one = program.Filter('dd', 'root')
        self.assertTrue(one.match(['dd', 'a']))
        judge.assert_called_once_with(['dd', 'a'], {'vg'})
        self.assertFalse(one.match(['/tmp/dd', 'a']))
        judge.return_value = False
        self.assertFalse(one.match(['dd', 'a']))


class TestStart(base.TestCase):
    """How oslo.rootwrap starts what the filter allows."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            commands, 'is_allowed', return_value=True))
        self.useFixture(fixtures.MockPatch('os.environ', {'PATH': '/a'}))
        self.popen = self.useFixture(fixtures.MockPatchObject(
            program.subprocess, 'Popen')).mock
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.add('env')

    def add(self, name):
        path = os.path.join(self.folder, name)
        with open(path, 'w') as file:
            os.fchmod(file.fileno(), 0o755)
        return path

    def start(self, *argv):
        """Return the command that is started, and the settings of Popen."""
        with mock.patch.object(wrapper, 'subprocess', program.STARTER):
            wrapper.start_subprocess(
                [program.Filter('env', 'root'), program.Filter('dd', 'root')],
                list(argv), exec_dirs=[self.folder], close_fds=True)
        self.popen.assert_called_once()
        return self.popen.call_args.args[0], self.popen.call_args.kwargs

    def test_program_is_started_without_env(self):
        lvs = self.add('lvs')
        command, settings = self.start('env', 'A=b=c', 'D=', 'lvs', 'e=f')
        self.assertEqual([lvs, 'e=f'], command)
        self.assertEqual({'PATH': '/a', 'A': 'b=c', 'D': ''},
                         settings['env'])
        self.assertTrue(settings['close_fds'])

    def test_this_process_is_not_copied(self):
        _command, settings = self.start('env', 'A=b', 'lvs')
        self.assertIsNone(settings['preexec_fn'])

    def test_env_tells_what_is_missing(self):
        command, _settings = self.start('env', 'A=b', 'lvs')
        self.assertEqual([f'{self.folder}/env', 'A=b', 'lvs'], command)

    def test_other_program(self):
        dd = self.add('dd')
        command, settings = self.start('dd', 'if=a')
        self.assertEqual([dd, 'if=a'], command)
        self.assertEqual({'PATH': '/a'}, settings['env'])
