# SPDX-License-Identifier: Apache-2.0
"""The command line."""

import contextlib
import io
import logging
import os
import pwd
from unittest import mock

import ddt
import fixtures
from oslo_config import cfg

from cinder_lvm_driver.cmd import main
from tests import base


@ddt.ddt
class TestMain(base.TestCase):

    def setUp(self):
        super().setUp()
        self.conf = cfg.ConfigOpts()
        for target, name, fake in (
                (main.cfg, 'CONF', self.conf),
                (main.cfg, 'find_config_files', lambda *_: []),
                (main.cfg, 'find_config_dirs', lambda *_: []),
                (main.backends, 'root_helper', lambda: 'sudo -n x'),
                (main.logging, 'basicConfig', self.configure_log),
                (main.priv_context, 'init', mock.Mock()),
                (os, 'umask', mock.Mock()),
                (os, 'geteuid', lambda: 7)):
            self.useFixture(fixtures.MockPatchObject(target, name, fake))
        self.run = self.useFixture(fixtures.MockPatchObject(
            main.check, 'run', mock.Mock(return_value=1))).mock

    def configure_log(self, *, handlers, level, force):
        self.levels = level, handlers[0].level

    @ddt.data(((), (logging.WARNING, logging.CRITICAL)),
              (('--verbose',), (logging.DEBUG, logging.DEBUG)))
    @ddt.unpack
    def test_log(self, words, levels):
        self.start('check', *words)
        self.assertEqual(levels, self.levels)

    def start(self, *argv):
        self.out, self.err = io.StringIO(), io.StringIO()
        with (contextlib.redirect_stdout(self.out),
              contextlib.redirect_stderr(self.err)):
            return main.main(list(argv))

    def test_status_is_that_of_the_command(self):
        self.assertEqual(1, self.start('check', '--backend', 'one'))
        arguments, = self.run.call_args.args
        self.assertEqual('one', arguments.backend)
        main.priv_context.init.assert_called_once_with(
            root_helper=['sudo', '-n', 'x'])

    def test_help(self):
        self.assertRaises(SystemExit, self.start, '--help')
        self.assertIn('Check all that the back ends need',
                      self.out.getvalue())

    def test_bad_configuration(self):
        self.assertEqual(2, self.start('--config-file', '/nowhere', 'check'))
        self.assertIn('/nowhere', self.err.getvalue())
        self.assertFalse(self.run.called)

    def test_interrupted(self):
        self.run.side_effect = KeyboardInterrupt
        self.assertEqual(130, self.start('check'))

    def test_no_command(self):
        self.assertRaises(SystemExit, self.start)

    def test_bug(self):
        self.run.side_effect = ZeroDivisionError('a bug')
        self.assertEqual(255, self.start('check'))
        self.assertIn('a bug', self.err.getvalue())

    def test_root_becomes_the_user_of_the_service(self):
        user = pwd.struct_passwd(('stack', 'x', 5, 6, '', '/opt/stack', ''))
        calls = self.useFixture(fixtures.MockPatchObject(
            main, 'os', mock.Mock(environ={}))).mock
        calls.geteuid.return_value = 0
        self.useFixture(fixtures.MockPatchObject(
            pwd, 'getpwnam', {'stack': user}.__getitem__))
        self.start('check', '--user', 'stack')
        self.assertEqual([mock.call.geteuid(),
                          mock.call.initgroups('stack', 6),
                          mock.call.setgid(6), mock.call.setuid(5),
                          mock.call.umask(0o022)],
                         calls.method_calls)
        self.assertEqual('/opt/stack', calls.environ['HOME'])

    def test_no_such_user(self):
        self.useFixture(fixtures.MockPatchObject(os, 'geteuid', lambda: 0))
        self.assertEqual(2, self.start('check', '--user', 'no-such-user'))
        self.assertIn('name the user of cinder-volume with --user',
                      self.err.getvalue())
        self.assertFalse(self.run.called)
