# SPDX-License-Identifier: Apache-2.0
"""Which VGs and files are whose, on folders of the test's own."""

import os
import time
import types
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import ownership
from tests import base

IS_OWN_LV = ownership.is_own_lv


class OwnershipTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.useFixture(fixtures.MockPatchObject(
            ownership, '_FOLDERS', (self.folder, '/nonexistent')))
        self.doubtful = set()
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_only_roots',
            lambda path: os.path.basename(path) not in self.doubtful))
        self.of_host = set()
        self.useFixture(fixtures.MockPatchObject(
            ownership, '_vgs_of_host', lambda: self.of_host))

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, 'w') as file:
            file.write(text)


class TestVolumeGroups(OwnershipTestCase):

    def test_default_of_cinder(self):
        self.assertEqual({'cinder-volumes'}, ownership.volume_groups())

    def test_all_files_and_sections(self):
        self.write('cinder.conf', '[a]\nvolume_group = one\n#volume_group=x\n'
                                  '[b]\n volume_group: "two"\n')
        self.write('conf.d/volume/c.conf', 'volume_group=three\r\n')
        self.write('pools.conf', 'lvm_pool = name:a,volume_group:four\n'
                                 'lvm_pool=volume_group:five,name:b\n'
                                 '# volume_group = x\n'
                                 '#lvm_pool = volume_group:x\n')
        self.write('notes.txt', 'volume_group = x\n')
        self.write('d.conf', 'my_volume_group = x\nvolume_groups = x\n')
        self.assertEqual({'cinder-volumes', 'one', 'two', 'three', 'four',
                          'five'}, ownership.volume_groups())

    def test_what_is_no_name(self):
        for text in ('--config=log{file="/x"}', '-r', '@tag', 'a/b', 'a b',
                     '"--all"', '/dev/sda', 'a\0b', 'ä'):
            self.write('cinder.conf', f'volume_group = {text}\n')
            self.assertEqual({'cinder-volumes'}, ownership.volume_groups(),
                             text)

    def test_link_that_leads_nowhere(self):
        self.write('cinder.conf', 'volume_group = one\n')
        os.symlink('user@host.1', os.path.join(self.folder, '.#a.conf'))
        self.assertIn('one', ownership.volume_groups())

    def test_file_that_others_can_change(self):
        self.write('cinder.conf', 'volume_group = host\nvolume_group = one\n')
        self.of_host = {'host'}
        self.assertIn('host', ownership.volume_groups())
        self.doubtful = {'cinder.conf'}
        self.assertEqual({'cinder-volumes', 'one'},
                         ownership.volume_groups())
        self.write('vgs.conf', 'volume_group = host\n')
        self.assertIn('host', ownership.volume_groups())


    def age(self, seconds):
        """Have all files be of another age than they are."""
        now = time.time_ns
        self.useFixture(fixtures.MockPatchObject(
            time, 'time_ns', lambda: now() + seconds * 10 ** 9))

    def assert_read(self, times):
        """Ask for the VGs, and count how often a file is searched."""
        setting = mock.Mock(wraps=ownership._SETTING)
        with mock.patch.object(ownership, '_SETTING', setting):
            groups = ownership.volume_groups()
        self.assertEqual(times, setting.findall.call_count)
        return groups

    def test_file_is_read_again_only_if_it_has_changed(self):
        self.write('cinder.conf', 'volume_group = one\n')
        self.age(2)
        self.assert_read(1)
        self.assertIn('one', self.assert_read(0))
        path = os.path.join(self.folder, 'cinder.conf')
        os.utime(path, (0, 0))
        self.assert_read(1)
        self.assert_read(0)
        self.write('cinder.conf', 'volume_group = two\n')
        os.utime(path, (0, 0))
        self.assertIn('two', self.assert_read(1))
        os.remove(path)
        self.assertEqual({'cinder-volumes'}, self.assert_read(0))
        self.assertEqual({}, ownership._files)

    def test_file_that_has_just_changed(self):
        self.write('cinder.conf', 'volume_group = one\n')
        self.assert_read(1)
        self.assert_read(1)

    def test_owner_of_a_known_file_changes(self):
        self.write('cinder.conf', 'volume_group = host\n')
        self.of_host = {'host'}
        self.age(2)
        self.assertIn('host', self.assert_read(1))
        self.doubtful = {'cinder.conf'}
        self.assertNotIn('host', self.assert_read(0))


class TestOwnLV(OwnershipTestCase):

    def setUp(self):
        super().setUp()
        self.write('cinder.conf', 'volume_group = a-b\n')
        self.facts = {'dm/uuid': 'LVM-x', 'dm/name': 'a--b-volume--1'}
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'number', lambda path: '253:1'))
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'attribute', lambda number, name: self.facts.get(name)))

    def test_lv(self):
        self.assertTrue(IS_OWN_LV('/dev/a-b/volume-1'))

    def test_lv_of_another_vg(self):
        for name in 'a-volume--1', 'a--b--c-volume--1', 'ab', '':
            self.facts['dm/name'] = name
            self.assertFalse(IS_OWN_LV('/dev/a-b/volume-1'), name)

    def test_other_device(self):
        self.facts['dm/uuid'] = 'mpath-x'
        self.assertFalse(IS_OWN_LV('/dev/a-b/volume-1'))

    def test_no_device(self):
        with mock.patch.object(blockdev, 'number', lambda path: None):
            self.assertFalse(IS_OWN_LV('/dev/a-b/volume-1'))

    def test_program_that_is_root(self):
        self.facts['dm/name'] = 'other-volume'
        with mock.patch.object(ownership, '_serves_root', False):
            ownership.serve_root()
            self.assertTrue(IS_OWN_LV('/dev/a-b/volume-1'))
            self.facts['dm/uuid'] = 'mpath-x'
            self.assertFalse(IS_OWN_LV('/dev/a-b/volume-1'))


@ddt.ddt
class TestFilesOfRoot(base.TestCase):

    @ddt.data((0o100644, 0, True), (0o100664, 0, False),
              (0o100646, 0, False), (0o100600, 1000, False))
    @ddt.unpack
    def test_owner_and_mode(self, mode, owner, is_only_roots):
        own = types.SimpleNamespace(st_mode=mode, st_uid=owner)
        others = types.SimpleNamespace(st_mode=0o040755, st_uid=0)
        for path in '/etc/cinder/cinder.conf', '/etc/cinder':
            with mock.patch.object(os, 'stat', lambda each, path=path: (
                    own if str(each) == path else others)):
                self.assertIs(is_only_roots, ownership.is_only_roots(
                    '/etc/cinder/cinder.conf'))

    def test_link_into_a_folder_of_another_user(self):
        folder = self.useFixture(fixtures.TempDir()).path
        os.symlink('/etc/passwd', f'{folder}/link')
        self.assertFalse(ownership.is_only_roots(f'{folder}/link'))

    def test_file_that_is_not_there(self):
        self.assertTrue(ownership.is_only_roots('/etc/nonexistent/lvm.conf'))


class TestVgsOfHost(base.TestCase):

    def test_mount_and_swap(self):
        below = {'253:5': ['253:6']}
        names = {'253:0': 'host-root', '253:6': 'my--vg-home',
                 '253:7': 'pool-srv', '253:9': 'swaps-swap'}
        paths = {'/dev/dm-9': '253:9', '/dev/dm-7': '253:7'}
        files = {
            '/proc/self/mountinfo':
                '1 1 253:0 / / rw shared:1 - ext4 /dev/mapper/host-root rw\n'
                '2 1 0:22 / /sys rw - sysfs sysfs rw\n'
                '3 1 253:5 / /home rw master:1 shared:2 - xfs /dev/dm-5 rw\n'
                '4 1 0:30 / /srv rw - btrfs /dev/dm-7 rw\n',
            '/proc/swaps': 'Filename Type\n/dev/dm-9 partition\n'}
        with mock.patch('builtins.open', lambda path: mock.mock_open(
                read_data=files[path])()), \
                mock.patch.object(ownership, '_stack', lambda number: [
                    number, *below.get(number, ())]), \
                mock.patch.object(blockdev, 'number', paths.get), \
                mock.patch.object(blockdev, 'is_lv', names.__contains__), \
                mock.patch.object(blockdev, 'attribute',
                                  lambda number, name: names.get(number)):
            self.assertEqual({'host', 'my-vg', 'pool', 'swaps'},
                             ownership._vgs_of_host())
