# SPDX-License-Identifier: Apache-2.0
"""The parts of tools/testvm that prepare a run: options, cache, first root."""

import lzma
import os
import pathlib
import re
import stat
import struct
import subprocess
import sys
import threading
import unittest
from unittest import mock

import fixtures
import testtools

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / 'tools'))

from testvm_lib import cache
from testvm_lib import cpio
from testvm_lib import errors
from testvm_lib import initramfs
from testvm_lib import kernel
from testvm_lib import options
from testvm_lib import report

TREE = pathlib.Path(__file__).parents[3]
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
        self.assertIn('not a regular file',
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

    def test_command_is_needed_unless_preparing(self):
        for argv in ([], ['--'], ['--cpus', '1']):
            error = self.assertRaises(errors.UsageError, options.parse,
                                      argv, {})
            self.assertIn('there is no command', error.sentence)
        self.assertTrue(options.parse(['--prepare'], {}).prepare)

    def test_command_cannot_be_an_assignment(self):
        error = self.assertRaises(errors.UsageError, options.parse,
                                  ['--', 'A=b', 'true'], {})

        self.assertIn('--env', error.sentence)


class TestCache(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.reporter = mock.create_autospec(report.Reporter, instance=True)

    def test_folder(self):
        own = {'CINDER_LVM_CACHE': '/a', 'XDG_CACHE_HOME': '/b'}
        for environ, path in (
                (own, '/a/testvm'),
                ({'XDG_CACHE_HOME': '/b'}, '/b/cinder-lvm-driver/testvm'),
                ({'CINDER_LVM_CACHE': '', 'XDG_CACHE_HOME': ''},
                 '/var/cache/cinder-lvm-driver/testvm'),
                ({}, '/var/cache/cinder-lvm-driver/testvm')):
            self.assertEqual(path, cache.folder(environ))

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


class TestKernel(testtools.TestCase):

    DEPENDS = ('linux-image-6.12-cloud-amd64\n'
               '  Depends: linux-image-6.12.117+deb12-cloud-amd64\n')
    OLD = ('linux-image-cloud-amd64\n'
           '  Depends: linux-image-6.1.0-56-cloud-amd64\n')

    def _find(self, series, **answers):
        def run(command, _folder=None):
            answer = answers.get(command[-1].replace('-', '_')
                                 .replace('.', '_'))
            if answer is None:
                raise errors.PrepareError('no packages found')
            return answer

        with mock.patch.object(kernel, '_run', run):
            return kernel.find_package(series, '6.12')

    def test_package_of_the_default_series(self):
        self.assertEqual(
            'linux-image-6.12.117+deb12-cloud-amd64',
            self._find('6.12', linux_image_6_12_cloud_amd64=self.DEPENDS,
                       linux_image_cloud_amd64=self.OLD))

    def test_package_of_the_old_series(self):
        self.assertEqual(
            'linux-image-6.1.0-56-cloud-amd64',
            self._find('6.1', linux_image_6_12_cloud_amd64=self.DEPENDS,
                       linux_image_cloud_amd64=self.OLD))

    def test_only_the_default_falls_back_to_the_newest(self):
        newest = self.DEPENDS.replace('6.12', '6.18')

        self.assertEqual(
            'linux-image-6.18.117+deb12-cloud-amd64',
            self._find('6.12', linux_image_cloud_amd64=newest))
        # 6.12 is no 6.1.
        self.assertIsNone(
            self._find('6.1', linux_image_cloud_amd64=self.DEPENDS))

    def test_no_package_at_all(self):
        self.assertIsNone(self._find('6.12'))

    def test_load_order_starts_with_what_is_needed(self):
        folder = self.useFixture(fixtures.TempDir()).path
        base = os.path.join(folder, 'lib/modules/6.9')
        os.makedirs(base)
        pathlib.Path(base, 'modules.dep').write_text(
            'kernel/dm-mod.ko:\n'
            'kernel/dm-bufio.ko.xz: kernel/dm-mod.ko\n'
            'kernel/dm-thin-pool.ko: kernel/dm-bufio.ko.xz '
            'kernel/dm-mod.ko\n')

        order = kernel.load_order(folder, '6.9',
                                  ['dm_thin-pool', 'built-in', 'dm-mod'])

        self.assertEqual(
            [os.path.join(base, 'kernel', name) for name in
             ('dm-mod.ko', 'dm-bufio.ko.xz', 'dm-thin-pool.ko')], order)

    def test_image_inside_a_compressed_one(self):
        inner = b'\x7fELF' + bytes(1000)
        payload = lzma.compress(inner) + bytes(4)
        image = bytearray(2 * 512 + 16) + payload
        image[0x1f1] = 1
        image[0x202:0x206] = b'HdrS'
        struct.pack_into('<II', image, 0x248, 16, len(payload))

        self.assertEqual(inner, kernel.extract_image(bytes(image)))

    def test_image_of_another_form_is_left_alone(self):
        for image in (b'', b'\x7fELF', bytes(4096)):
            self.assertIsNone(kernel.extract_image(image))

    def test_signature_is_stripped(self):
        module = b'\x7fELF the module'
        signature = b's' * 300
        signed = (module + signature + bytes(8)
                  + len(signature).to_bytes(4, 'big')
                  + b'~Module signature appended~\n')

        self.assertEqual(module, kernel.strip_signature(signed))
        self.assertEqual(module, kernel.strip_signature(module))


class TestInitramfs(testtools.TestCase):

    @staticmethod
    def _names(archive):
        """Return the names, modes and data of a cpio archive."""
        found = {}
        position = 0
        while True:
            header = archive[position:position + 110]
            fields = [int(header[6 + 8 * n:14 + 8 * n], 16)
                      for n in range(13)]
            start = position + 110
            name = archive[start:start + fields[11] - 1].decode()
            start += fields[11] + -(110 + fields[11]) % 4
            if name == 'TRAILER!!!':
                return found
            found[name] = (fields[1], archive[start:start + fields[6]])
            position = start + fields[6] + -fields[6] % 4

    def test_archive(self):
        archive = cpio.Archive()
        archive.folder('bin')
        archive.file('bin/a', b'12345', 0o755)
        archive.link('bin/b', 'a')
        data = archive.render()

        self.assertEqual(0, len(data) % 512)
        self.assertEqual(
            {'bin': (stat.S_IFDIR | 0o755, b''),
             'bin/a': (stat.S_IFREG | 0o755, b'12345'),
             'bin/b': (stat.S_IFLNK | 0o777, b'a')}, self._names(data))

    def test_job_survives_quoting(self):
        words = ['printf', '%s|', "it's", '$HOME', 'a b', '', '\u00e9\n*']
        archive = self._names(initramfs.job(
            {'FOLDER': ['/a b'], 'SHARES': ['/x y', "/z'"], 'KEEP': ['0']},
            words, [('A', 'b c')]))
        folder = self.useFixture(fixtures.TempDir()).path
        for name in ('settings', 'run'):
            pathlib.Path(folder, name).write_bytes(
                archive[f'job/{name}'][1])

        settings = subprocess.run(
            ['sh', '-c', '. ./settings; echo "$FOLDER;$SHARES;$KEEP"'],
            cwd=folder, check=True, stdout=subprocess.PIPE).stdout
        output = subprocess.run(['sh', './run'], cwd=folder, check=True,
                                stdout=subprocess.PIPE).stdout

        self.assertEqual("/a b;/x y\n/z';0\n", settings.decode())
        self.assertEqual('|'.join([*words[2:], '']), output.decode())

    def test_scripts_are_valid_and_use_only_known_applets(self):
        folder = TREE / 'tools' / 'testvm_lib' / 'guest'
        for name in initramfs.SCRIPTS:
            subprocess.run(['sh', '-n', str(folder / name)], check=True)
        text = (folder / 'stage1').read_text()
        commands = set(re.findall(
            r'^\s*(?:try "[^"]*" (?:\\\n\s*)?|exec )?([a-z][a-z_]+) [-/"$]',
            text.replace(' \\\n', ' '), re.MULTILINE))
        words = {'done', 'echo', 'exec', 'export', 'for', 'if', 'read',
                 'try', 'while'}
        self.assertEqual(set(), commands - words - set(initramfs.APPLETS))


if __name__ == '__main__':
    unittest.main()
