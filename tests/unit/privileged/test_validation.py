# SPDX-License-Identifier: Apache-2.0
import base64
import os
import types
from unittest import mock
import zlib

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import validation
from tests import base

UUID = '11111111-2222-3333-4444-555555555555'
HOSTILE = ('', '.', '..', '/', '../../etc/passwd', 'a/b', 'a\0b', 'a b',
           'a\nb', '$(reboot)', '-o', 'x' * 5000, None, 7, b'bytes', ['a'])


def dhchap_key(number, secret):
    checked = secret + zlib.crc32(secret).to_bytes(4, 'little')
    return f'DHHC-1:{number}:{base64.b64encode(checked).decode()}:'


@ddt.ddt
class TestValidation(base.TestCase):

    @ddt.data('iqn.2010-10.org.openstack:volume-' + UUID,
              'iqn.1993-08.org.debian:01:abc', 'iqn.1991-05.com.microsoft:pc',
              'eui.0123456789abcdef', 'naa.5123456789abcdef')
    def test_iscsi_name(self, name):
        self.assertEqual(name, validation.iscsi_name('target', name))

    @ddt.data('iqn.2010-10.org.openstack:Volume', 'iqn.2010-1.org.x:y',
              'iqn.2010-10.org.x:a_b', 'iqn.2010-10.org.x:a/b',
              'iqn.2010-10.org.x:..', 'iqn.2010-10.nodomain',
              'iqn.2010-10.org.x:' + 'y' * 223, 'eui.xyz', 'naa.5',
              'iqn.2010-10.org.x:y\n', 'discovery_auth', *HOSTILE)
    def test_no_iscsi_name(self, name):
        error = self.assertRaises(errors.InvalidArgument,
                                  validation.iscsi_name, 'target', name)
        self.assertEqual('target', error.argument)

    def test_spelled_iscsi_name(self):
        name = 'iqn.1991-05.com.Microsoft:PC'
        self.assertEqual(name, validation.spelled_iscsi_name('x', name))
        self.assertEqual('EUI.02004567A425678D',
                         validation.spelled_iscsi_name(
                             'x', 'EUI.02004567A425678D'))

    # The last one is the sign of the unit Kelvin, in lower case a plain k.
    @ddt.data('iqn.2010-10.org.x:a_b', 'iqn.2010-10.org.x:Y\n',
              'IQN.2010-10.org.x:..', 'iqn.2010-10.org.x:\u212a', *HOSTILE)
    def test_no_spelled_iscsi_name(self, name):
        self.assertRaises(errors.InvalidArgument,
                          validation.spelled_iscsi_name, 'x', name)

    @ddt.data('iqn.2010-10.org.openstack:volume-' + UUID,
              'iqn.2010-10.org.openstack:Volume-1', 'iqn.x', 'EUI.1')
    def test_tgt_target(self, name):
        self.assertEqual(name, validation.tgt_target('x', name))

    @ddt.data('iqn.', 'x', 'iqn.2010-10.org.x:a_b', 'iqn.2010-10.org.x:y\n',
              'iqn.2010-10.org.x:a,b', 'iqn.' + 'y' * 220,
              'iqn.2010-10.org.x:\u212a', *HOSTILE)
    def test_no_tgt_target(self, name):
        self.assertRaises(errors.InvalidArgument,
                          validation.tgt_target, 'x', name)

    @ddt.data('iqn.1991-05.com.Microsoft:PC', 'iqn.2004-10.org.x:a_b',
              'iqn.2004-10.host', 'iqn.x', 'EUI.1')
    def test_tgt_initiator(self, name):
        self.assertEqual(name, validation.tgt_initiator('x', name))

    @ddt.data('iqn.', '10.0.0.1', 'ALL', 'iqn.2010-10.org.x:a b',
              'iqn.2010-10.org.x:a,b', 'iqn.2010-10.org.x:y\n',
              'iqn.' + 'y' * 220, 'iqn.2010-10.org.x:\u212a', *HOSTILE)
    def test_no_tgt_initiator(self, name):
        self.assertRaises(errors.InvalidArgument,
                          validation.tgt_initiator, 'x', name)

    def test_serial(self):
        self.assertEqual(UUID, validation.serial(UUID))

    @ddt.data(UUID + '0', UUID.replace('1', 'g'), UUID + '\n', *HOSTILE)
    def test_no_serial(self, serial):
        self.assertRaises(errors.InvalidArgument, validation.serial, serial)

    def test_words_of_tgt(self):
        for text in 'a.b', 'C-d_1':
            self.assertEqual(text, validation.tgt_chap_text('x', text))
        self.assertEqual('volume-1', validation.scsi_id('volume-1'))
        for flags in '', 'sync', 'direct', 'sync:direct':
            self.assertEqual(flags, validation.bsoflags(flags))
        self.assertEqual('iser', validation.transport('iser'))

    @ddt.data('a,b', 'a b', 'a;b', 'a$b', 'a\n', 'x' * 256, *HOSTILE)
    def test_no_words_of_tgt(self, word):
        for check in (lambda: validation.tgt_chap_text('CHAP name', word),
                      lambda: validation.scsi_id(word),
                      lambda: validation.bsoflags(word or None),
                      lambda: validation.transport(word)):
            error = self.assertRaises(errors.InvalidArgument, check)
            if error.argument.startswith('CHAP') and word:
                self.assertNotIn(repr(word), str(error))

    @ddt.data('n!', 's~' * 127)
    def test_chap_text(self, text):
        self.assertEqual(text, validation.chap_text('x', text))

    @ddt.data('x' * 256, 'NULL', 'NULLify', '\x7f', 'ä', *HOSTILE[7:9],
              *HOSTILE[11:], '')
    def test_no_chap_text(self, text):
        error = self.assertRaises(errors.InvalidArgument,
                                  validation.chap_text, 'x', text)
        if text:
            self.assertNotIn(repr(text), repr(error))
            self.assertNotIn(repr(text), str(error))

    @ddt.data('nqn.iqn.2010-10.org.openstack:-volume-' + UUID,
              'nqn.2014-08.org.nvmexpress:uuid:' + UUID,
              'nqn.2014-08.com.Example:A', 'nqn.' + 'x' * 219)
    def test_nqn(self, name):
        self.assertEqual(name, validation.nqn('host', name))

    @ddt.data('nqn.', 'nqn.x\n', 'iqn.2010-10.org.x:y', 'nqn.a/b', 'nqn.a b',
              'nqn.' + 'x' * 220, 'nqn.ä', 'NQN.x', 'discovery_nqn',
              'nqn.2014-08.org.nvmexpress.discovery', *HOSTILE)
    def test_no_nqn(self, name):
        error = self.assertRaises(errors.InvalidArgument,
                                  validation.nqn, 'host', name)
        self.assertEqual('host', error.argument)

    def test_numbers(self):
        self.assertEqual(1, validation.nsid(1))
        for number in 0, 65535:
            self.assertEqual(number, validation.port_id(number))

    @ddt.data(-1, 2 ** 32 - 1, True, '1', None, 1.5)
    def test_no_numbers(self, number):
        for check in validation.nsid, validation.port_id:
            self.assertRaises(errors.InvalidArgument, check, number)
        self.assertRaises(errors.InvalidArgument, validation.nsid, 0)

    @ddt.data(('00', 32), ('00', 48), ('00', 64), ('01', 32), ('02', 48),
              ('03', 64))
    @ddt.unpack
    def test_dhchap_key(self, number, size):
        key = dhchap_key(number, b's' * size)
        self.assertEqual(key, validation.dhchap_key(key))

    @ddt.data(dhchap_key('00', b's' * 31), dhchap_key('01', b's' * 48),
              dhchap_key('04', b's' * 32), dhchap_key('0', b's' * 32),
              dhchap_key('00', b's' * 32) + '\n',
              dhchap_key('00', b's' * 32)[:-1],
              dhchap_key('00', b's' * 32).replace('c', 'd'),
              dhchap_key('00', b's' * 32).replace('DHHC-1', 'DHHC-2'),
              'DHHC-1:00:ä:', 'DHHC-1:00::', *HOSTILE[8:])
    def test_no_dhchap_key(self, key):
        error = self.assertRaises(errors.InvalidArgument,
                                  validation.dhchap_key, key)
        self.assertIsNone(error.__cause__)
        self.assertNotIn(repr(key), repr(error) + str(error))


    def test_more_numbers(self):
        for check, most in ((validation.thin_id, 2 ** 24 - 1),
                            (validation.milliseconds, 60_000)):
            self.assertEqual(most, check(most))
            for number in (-1, most + 1, '1', True, None):
                self.assertRaises(errors.InvalidArgument, check, number)


@ddt.ddt
class TestLockFile(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folders = {}
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'os', mock.Mock(wraps=os, stat=self.stat)))

    def stat(self, path):
        mode, uid = self.folders.get(str(path), (0o040755, 0))
        return types.SimpleNamespace(st_mode=mode, st_uid=uid)

    @ddt.data('/run/lock/lvm/V_vg', '/srv/locks/V_my-vg_1.x+y')
    def test_lock_file(self, path):
        self.assertEqual(path, validation.lvm_lock_file(path))

    def test_folder_in_one_that_all_users_share(self):
        self.folders['/srv/lock'] = 0o041777, 0
        path = '/srv/lock/lvm/V_vg'
        self.assertEqual(path, validation.lvm_lock_file(path))

    @ddt.data((0o040777, 0), (0o040775, 0), (0o040755, 1000),
              (0o041777, 1000))
    def test_folder_of_others(self, folder):
        self.folders['/srv/lock'] = folder
        error = self.assertRaises(errors.InvalidArgument,
                                  validation.lvm_lock_file,
                                  '/srv/lock/lvm/V_vg')
        self.assertIn('see the owner and the mode of /srv/lock', str(error))

    @ddt.data('/run/lock/lvm/vg', '/run/lock/lvm/V_', 'V_vg', '/V_vg',
              '/run/lock/lvm/V_a/b', '/run/lock/lvm/V_vg\n', *HOSTILE)
    def test_no_lock_file(self, path):
        self.assertRaises(errors.InvalidArgument, validation.lvm_lock_file,
                          path)


@ddt.ddt
class TestDevice(base.TestCase):

    def setUp(self):
        super().setUp()
        self.stat = mock.Mock(return_value=types.SimpleNamespace(
            st_mode=0o060660, st_rdev=os.makedev(253, 4)))
        for module in blockdev, validation:
            self.useFixture(fixtures.MockPatchObject(
                module, 'os', mock.Mock(wraps=os, stat=self.stat)))
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_only_roots', lambda path: path != '/dev/shm/vg'))

    @ddt.data('/dev/vg/volume-' + UUID, '/dev/mapper/a--b-volume--1',
              '/dev/vg.x+y/lv_z')
    def test_logical_volume(self, path):
        self.assertEqual(path, validation.device(path))

    @ddt.data('/etc/passwd', '/dev', '/dev/', '/dev//vg', '/dev/vg/../sda',
              '/dev/./sda', '/dev/vg/lv ', '/dev/vg/l,v', '/dev/' + 'x' * 512,
              'dev/vg/lv', '/dev/vg/lv\n', *HOSTILE)
    def test_no_path_of_a_device(self, path):
        self.assertRaises(errors.InvalidArgument, validation.device, path)
        self.stat.assert_not_called()

    def test_device_of_no_lv_or_of_another_one(self):
        with mock.patch.object(blockdev, 'why_not_lv', lambda path: 'is not'):
            error = self.assertRaises(errors.DeviceNotUsable,
                                      validation.device, '/dev/sda')
        self.assertEqual('device /dev/sda is not', str(error))

    def test_others_than_root_could_change_the_path(self):
        error = self.assertRaises(errors.DeviceNotUsable,
                                  validation.device, '/dev/shm/vg/lv')
        self.assertIn('the owners and the modes of /dev/shm/vg', str(error))

    def test_lv_of_another_vg(self):
        with mock.patch.object(ownership, 'is_own_lv', lambda path: False):
            error = self.assertRaises(errors.DeviceNotUsable,
                                      validation.device, '/dev/host/root')
        self.assertIn('/dev/host/root is not in a VG of this driver',
                      str(error))

    def test_a_file(self):
        self.stat.return_value = types.SimpleNamespace(
            st_mode=0o100600, st_rdev=0)
        self.assertRaises(errors.DeviceNotUsable,
                          validation.device, '/dev/vg/lv')

    def test_nothing(self):
        self.stat.side_effect = FileNotFoundError(2, 'No such file')
        error = self.assertRaises(errors.DeviceNotUsable,
                                  validation.device, '/dev/vg/lv')
        self.assertIn('cannot be examined: No such file', str(error))

    def test_number(self):
        self.assertEqual('253:4', validation.device_number('/dev/vg/lv'))

    def test_path_that_may_lead_nowhere(self):
        self.stat.side_effect = FileNotFoundError(2, 'No such file')
        self.assertEqual('/dev/vg/lv', validation.device_path('/dev/vg/lv'))
        for path in HOSTILE:
            self.assertRaises(errors.InvalidArgument,
                              validation.device_path, path)

    @ddt.data(
        # By the device, in whatever spelling, and a VG may be renamed.
        ('/dev/vg/lv', '253:4', '/dev/vg/lv', False),
        ('/dev/mapper/vg-lv', '253:4', '/dev/vg/lv', False),
        ('/dev/vg2/lv', '253:5', '/dev/vg/lv', True),
        # A device that was replaced since the target opened it.
        ('/dev/vg/lv', '253:5', '/dev/vg/lv', True),
        # What is served is gone.
        ('/dev/vg2/lv', None, '/dev/vg/lv', False),
        # By the path: there is no such LV, or it is inactive.
        ('/dev/vg2/lv', '253:5', '/dev/vg/gone', True),
        ('/dev/vg/gone', '253:5', '/dev/vg/gone', False))
    @ddt.unpack
    def test_another_device(self, served, number, path, expected):
        if path.endswith('gone'):
            self.stat.side_effect = FileNotFoundError(2, 'No such file')
        self.assertIs(expected,
                      validation.is_another_device(served, number, path))
