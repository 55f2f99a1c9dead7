# SPDX-License-Identifier: Apache-2.0
"""tools/testvm: the kernel and the initramfs."""

import lzma
import os
import pathlib
import re
import stat
import struct
import subprocess
from unittest import mock

import fixtures
import testtools

from tests.unit import tools
from testvm_lib import cpio
from testvm_lib import errors
from testvm_lib import initramfs
from testvm_lib import kernel


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
        # The prefix 6.1 does not match 6.12.
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
        folder = tools.TOOLS / 'testvm_lib' / 'guest'
        for name in initramfs.SCRIPTS:
            subprocess.run(['sh', '-n', str(folder / name)], check=True)
        text = (folder / 'stage1').read_text()
        commands = set(re.findall(
            r'^\s*(?:try "[^"]*" (?:\\\n\s*)?|exec )?([a-z][a-z_]+) [-/"$]',
            text.replace(' \\\n', ' '), re.MULTILINE))
        words = {'done', 'echo', 'exec', 'export', 'for', 'if', 'read',
                 'try', 'while'}
        self.assertEqual(set(), commands - words - set(initramfs.APPLETS))
