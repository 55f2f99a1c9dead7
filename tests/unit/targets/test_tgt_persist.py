# SPDX-License-Identifier: Apache-2.0
import dataclasses
import os
import stat
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import tgt_persist
from tests import base

IQN = 'iqn.2010-10.org.openstack:volume-1'
HOST = 'iqn.1993-08.org.debian:01:aaaa'
TEXT = '''\
<target iqn.2010-10.org.openstack:volume-1>
    backing-store /dev/vg/volume-1
    driver iscsi
    incominguser name secret123456
    write-cache on
    scsi_sn volume-1
    scsi_id volume-1
    initiator-address 255.255.255.255
    initiator-name iqn.1993-08.org.debian:01:aaaa
</target>
'''
# As the in-tree class writes it.
IN_TREE = '''
<target iqn.2010-10.org.openstack:volume-1>
    backing-store /dev/vg/volume-1
    driver iscsi
    incominguser name secret123456
    bsoflags sync
    write-cache on
    scsi_sn volume-1
    scsi_id volume-1
</target>
'''


def definition(**values):
    return tgt_persist.Definition(**{
        'target_iqn': IQN, 'device': '/dev/vg/volume-1',
        'scsi_id': 'volume-1', 'lld': 'iscsi',
        'chap': Chap('name', 'secret123456'), 'bsoflags': '',
        'write_cache': True, 'read_only': False, 'initiators': (HOST,),
        'addresses': ('255.255.255.255',), **values})


def parsed(text):
    return tgt_persist.Definition.parse(IQN, text)


class TestText(base.TestCase):

    def test_plain(self):
        self.assertEqual(TEXT, definition().format())

    def test_options(self):
        text = definition(bsoflags='sync', write_cache=False,
                          read_only=True).format()
        for line in 'bsoflags sync', 'write-cache off', 'readonly 1':
            self.assertIn(f'    {line}\n', text)

    def test_no_secret_in_the_log(self):
        self.assertNotIn('secret', repr(definition()))

    def test_parse(self):
        for made in (definition(), definition(initiators=()), definition(
                bsoflags='sync', write_cache=False, read_only=True,
                initiators=(HOST, f'{HOST}2'), addresses=('ALL', '::1'))):
            self.assertEqual(made, parsed(made.format()))
        self.assertEqual(definition(), parsed(TEXT))

    def test_of_the_in_tree_class(self):
        stored = parsed(IN_TREE)
        self.assertEqual(
            definition(bsoflags='sync', initiators=(), addresses=()), stored)
        text = dataclasses.replace(stored, initiators=(HOST,)).format()
        self.assertTrue(text.endswith(
            f'    initiator-name {HOST}\n</target>\n'))

    def test_without_a_device(self):
        for text in '', f'<target {IQN}>\n    backing-store\n</target>\n':
            self.assertEqual('', parsed(text).device)


@ddt.ddt
class TestFolder(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).path + '/a/volumes'
        self.folder = tgt_persist.Folder(self.path)

    def test_a_life(self):
        self.folder.check()
        self.assertEqual([], os.listdir(self.path))
        self.assertIsNone(self.folder.read(IQN))
        self.folder.write(definition(bsoflags='sync'))
        self.folder.write(definition())
        self.assertEqual(definition(), self.folder.read(IQN))
        with open(f'{self.path}/volume-1') as file:
            self.assertEqual(TEXT, file.read())
        self.assertEqual(['volume-1'], os.listdir(self.path))
        mode = os.stat(f'{self.path}/volume-1').st_mode
        self.assertEqual(0o600, stat.S_IMODE(mode))
        self.folder.remove(IQN)
        self.folder.remove(IQN)
        self.assertEqual([], os.listdir(self.path))

    def test_what_a_killed_process_left(self):
        self.folder.check()
        left = f'{self.path}/.volume-1.new'
        for verb in (lambda: self.folder.write(definition()),
                     lambda: self.folder.remove(IQN)):
            with open(left, 'w'):
                os.chmod(left, 0o666)
            verb()
            self.assertFalse(os.path.exists(left))
        self.assertEqual([], os.listdir(self.path))

    def test_names(self):
        self.assertEqual(set(), self.folder.names())
        self.folder.check()
        for name in 'volume-1', '.volume-2.new', '.check', 'not one':
            with open(f'{self.path}/{name}', 'w'):
                pass
        self.assertEqual({'volume-1', 'volume-2', 'check'},
                         self.folder.names())

    def test_file_that_cannot_be_stored(self):
        self.folder.check()
        with mock.patch.object(tgt_persist.os, 'rename',
                               side_effect=OSError(28, 'full')):
            self.assertRaises(errors.TargetFileNotUsable, self.folder.write,
                              definition())
        self.assertEqual([], os.listdir(self.path))

    def test_retired(self):
        self.folder.check()
        self.folder.retire(IQN)
        self.assertIsNone(self.folder.read_retired(IQN))
        self.folder.write(definition())
        self.folder.retire(IQN)
        self.assertEqual((None, definition(), True), (
            self.folder.read(IQN), self.folder.read_retired(IQN),
            self.folder.is_partial(IQN)))
        self.folder.remove(IQN)
        self.assertEqual([], os.listdir(self.path))

    def test_a_file_in_place_of_the_folder(self):
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, 'w'):
            pass
        error = self.assertRaises(errors.TargetConfigurationError,
                                  self.folder.check)
        self.assertIn(f"volumes_dir '{self.path}' is not usable", str(error))
        self.assertRaises(errors.TargetFileNotUsable, self.folder.read, IQN)

    def test_folder_that_has_gone(self):
        error = self.assertRaises(errors.TargetFileNotUsable,
                                  self.folder.write, definition())
        self.assertIn('No such file', str(error))

    @ddt.data('iqn.2010-10.org.openstack:a/b', 'iqn.2010-10.org.x:..',
              'iqn.2010-10.org.x:.a', 'iqn.2010-10.org.x:')
    def test_names_of_no_volume(self, iqn):
        self.assertRaises(errors.InvalidExport, self.folder.read, iqn)
