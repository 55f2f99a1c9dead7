# SPDX-License-Identifier: Apache-2.0
"""tools/testvm: options and cache."""

import io
import os
import pathlib
import subprocess
import sys
import threading
from unittest import mock

import fixtures
import testtools

from tests.unit import tools
from testvm_lib import cache
from testvm_lib import errors
from testvm_lib import options
from testvm_lib import report

MIB = 1 << 20


class TestOptions(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def _parse(self, *argv, **environ):
        return options.parse([*argv, '--', 'true'], environ)

    def _refused(self, *argv):
        error = self.assertRaises(errors.UsageError, self._parse, *argv)
        self.assertNotIn('\n', error.sentence)
        return error.sentence

    def test_defaults(self):
        self.assertEqual(options.Options(command=('true',)), self._parse())

    def test_command_keeps_options_and_separators(self):
        chosen = options.parse(['--', 'ls', '--cpus', '--', '-l'], {})

        self.assertEqual(('ls', '--cpus', '--', '-l'), chosen.command)
        self.assertEqual(options.DEFAULT_CPUS, chosen.cpus)

    def test_all_kinds_of_disks_keep_their_order(self):
        path = os.path.join(self.folder, 'kept')

        chosen = self._parse('--disk', '1G', '--disk-file', path + ':512M',
                             '--disk', '2048k')

        self.assertEqual(
            (options.Disk(1 << 30), options.Disk(512 * MIB, path),
             options.Disk(2 * MIB)), chosen.disks)

    def test_sizes(self):
        for text, size in (('512', 512), ('4k', 4096), ('3M', 3 * MIB),
                           ('8GiB', 8 << 30), ('1tb', 1 << 40)):
            self.assertEqual(size, options.parse_size(text), text)

    def test_bad_sizes_name_the_option(self):
        for text in ('', '8X', '1.5G', '-1G', '0', '100', 'G', '8 G'):
            self.assertIn('--disk', self._refused('--disk=' + text), text)

    def test_existing_disk_file_keeps_its_size(self):
        path = os.path.join(self.folder, 'disk')
        pathlib.Path(path).write_bytes(bytes(512))

        for text in (path, path + ':1G'):
            self.assertEqual(options.Disk(None, path),
                             options.parse_disk_file(text))

    def test_disk_file_without_file_needs_size(self):
        sentence = self._refused('--disk-file', self.folder + '/none')

        self.assertIn('--disk-file', sentence)
        self.assertIn('PATH:SIZE', sentence)

    def test_disk_file_that_cannot_be_one(self):
        self.assertIn('neither a regular file nor a socket',
                      self._refused('--disk-file', self.folder))
        self.assertIn('there is no folder', self._refused(
            '--disk-file', self.folder + '/a/b:1G'))

    def test_too_many_disks(self):
        self.assertIn('--disk', self._refused(
            *['--disk=1M'] * (options.MAX_DISKS + 1)))

    def test_forward(self):
        self.assertEqual((options.Forward(18022, 22),),
                         self._parse('--forward', '18022:22').forwards)

    def test_bad_forwards(self):
        for text in ('80', '80:', ':80', '0:80', '80:65536', 'a:80',
                     '127.0.0.1:80:80', '8\u0660:80', '-1:80'):
            sentence = self._refused('--forward=' + text)
            self.assertIn('--forward', sentence)
            self.assertIn('port', sentence)

    def test_share_is_a_real_path_and_given_once(self):
        target = os.path.join(self.folder, 'target')
        link = os.path.join(self.folder, 'link')
        os.mkdir(target)
        os.symlink(target, link)

        chosen = self._parse('--share', link, '--share', target)

        self.assertEqual((os.path.realpath(target),), chosen.shares)

    def test_bad_shares(self):
        self.assertIn('--share', self._refused(
            '--share', self.folder + '/none'))
        self.assertIn('--share', self._refused('--share', '/'))

    def test_environment(self):
        chosen = self._parse('--env', 'A=b=c', '--env', 'HERE', '--env=E=',
                             HERE='x', OTHER='y')

        self.assertEqual((('A', 'b=c'), ('HERE', 'x'), ('E', '')),
                         chosen.environment)

    def test_bad_environment(self):
        self.assertIn('NONE is not set', self._refused('--env', 'NONE'))
        self.assertIn('--env', self._refused('--env', '1A=b'))

    def test_numbers(self):
        chosen = self._parse('--memory', '1024', '--cpus', '4',
                             '--timeout', '2.5')

        self.assertEqual((1024, 4, 2.5),
                         (chosen.memory, chosen.cpus, chosen.timeout))

    def test_bad_numbers(self):
        for option, text in (('--memory', '100'), ('--memory', '4G'),
                             ('--cpus', '0'), ('--cpus', '65'),
                             ('--timeout', '0'), ('--timeout', 'nan'),
                             ('--timeout', 'inf'), ('--timeout', 'soon')):
            self.assertIn(option, self._refused(f'{option}={text}'), text)

    def test_bad_choices(self):
        self.assertIn('--kernel', self._refused('--kernel', 'newest'))
        self.assertIn('--accel', self._refused('--accel', 'xen'))

    def test_unknown_words(self):
        self.assertIn("unknown option '--dsk'", self._refused('--dsk'))
        self.assertIn("unknown argument 'ls'", self._refused('ls'))

    def test_command_is_needed(self):
        for argv in ([], ['--'], ['--cpus', '1']):
            error = self.assertRaises(errors.UsageError, options.parse,
                                      argv, {})
            self.assertIn('there is no command', error.sentence)

    def test_command_cannot_be_an_assignment(self):
        error = self.assertRaises(errors.UsageError, options.parse,
                                  ['--', 'A=b', 'true'], {})

        self.assertIn('--env', error.sentence)


class TestCache(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.reporter = mock.create_autospec(report.Reporter, instance=True)

    def test_key_changes_with_every_part(self):
        keys = {cache.key(*parts) for parts in (
            (b'a', b'b'), (b'ab',), (b'a', b'c'), (b'', b'ab'))}

        self.assertEqual(4, len(keys))
        self.assertEqual(cache.key(b'a', b'b'), cache.key(b'a', b'b'))

    def test_failed_building_leaves_nothing(self):
        path = os.path.join(self.folder, 'built')

        def build():
            with cache.building(path) as temporary:
                pathlib.Path(temporary, 'half').touch()
                raise ValueError()

        self.assertRaises(ValueError, build)
        self.assertEqual([], os.listdir(self.folder))

    def test_building(self):
        path = os.path.join(self.folder, 'built')

        with cache.building(path) as temporary:
            pathlib.Path(temporary, 'whole').touch()
            self.assertFalse(os.path.exists(path))

        self.assertEqual(['whole'], os.listdir(path))
        self.assertEqual(['built'], os.listdir(self.folder))

    def test_leftovers_go_and_the_rest_stays(self):
        with cache.lock(self.folder, self.reporter):
            os.mkdir(os.path.join(self.folder, '.kernel.abc'))
            pathlib.Path(self.folder, '.initramfs.abc').touch()
            pathlib.Path(self.folder, 'initramfs').touch()
            cache.remove_leftovers(self.folder)

        self.assertEqual({'lock', 'initramfs'}, set(os.listdir(self.folder)))

    def test_only_what_is_unused_is_removed(self):
        path = os.path.join(self.folder, 'job')
        os.mkdir(path)

        with cache.in_use(path), cache.in_use(path):
            cache.remove_unused(path)
            self.assertTrue(os.path.isdir(path))
        cache.remove_unused(path)
        cache.remove_unused(path)

        self.assertEqual([], os.listdir(self.folder))

    def test_lock_is_waited_for(self):
        entered = threading.Event()

        def wait():
            with cache.lock(self.folder, self.reporter, 60.0):
                entered.set()

        waiting = threading.Event()
        self.reporter.say.side_effect = lambda _text: waiting.set()
        other = threading.Thread(target=wait)
        with cache.lock(self.folder, self.reporter):
            other.start()
            self.addCleanup(other.join)
            self.assertTrue(waiting.wait(30))
            self.assertFalse(entered.is_set())
        self.assertTrue(entered.wait(30))

    def test_lock_has_a_deadline(self):
        def wait():
            with cache.lock(self.folder, self.reporter, 0.0):
                pass

        with cache.lock(self.folder, self.reporter):
            error = self.assertRaises(errors.PrepareError, wait)
        self.assertIn(self.folder, error.sentence)


class TestProgram(testtools.TestCase):

    PROGRAM = str(tools.TOOLS / 'testvm')

    def _run(self, *argv):
        return subprocess.run([self.PROGRAM, *argv], check=False, text=True,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)

    def test_help_names_every_option(self):
        done = self._run('--help')

        self.assertEqual(0, done.returncode)
        for option in ('--disk', '--disk-file', '--share', '--forward',
                       '--env', '--memory', '--cpus', '--timeout',
                       '--kernel', '--accel', '--verbose'):
            self.assertIn(option, done.stdout)

    def test_bad_option_is_one_sentence(self):
        done = self._run('--disk', 'big', '--', 'true')

        self.assertEqual(2, done.returncode)
        self.assertEqual('', done.stdout)
        self.assertRegex(done.stderr, r'\Atestvm: .*--disk.*\n\Z')

    def test_reporter(self):
        with mock.patch.object(sys, 'stderr', io.StringIO()) as stderr:
            report.Reporter().detail('hidden')
            report.Reporter(True).detail('shown')
            report.Reporter().say('said')

        self.assertRegex(stderr.getvalue(),
                         r'\Atestvm: \[ *[0-9.]+ s\] shown\n'
                         r'testvm: said\n\Z')
