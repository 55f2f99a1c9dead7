# SPDX-License-Identifier: Apache-2.0
"""The exact command of every verb; here and nowhere else."""

import json
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import report
from tests import base
from tests.fakes import lvm as fake_lvm
from tests.fakes import process as fake_process
from tests.unit.lvm import test_types

ENVIRONMENT = ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
               'LVM_SYSTEM_DIR=/etc/lvm')
FORM = ('--reportformat', 'json', '--units', 'b', '--nosuffix')
DEVICES = ('--devices', '/dev/sda,/dev/sdb')
SETTINGS = ('--config', report.SETTINGS)
SCAN = (*ENVIRONMENT, 'vgs', *SETTINGS, '--foreign', '--shared', *FORM, '-o',
        'vg_name,vg_uuid,pv_name,pv_uuid')
SCANNED = json.dumps({'report': [{'vg': [
    {'vg_name': 'vg', 'vg_uuid': 'uuid', 'pv_name': path, 'pv_uuid': path}
    for path in ('/dev/sdb', '/dev/sda')]}]})
# Part of changes that LVM allows in a VG with missing PVs.
WHOLE = '--select', 'vg_missing_pv_count=0'
POLICY = lvm.AutoextendPolicy(threshold_percent=80, percent=20)
VG = ('{"report": [{"vg": [{"vg_name": "vg", "vg_size": "8388608000", '
      '"vg_free": "419430400", "vg_extent_size": "4194304", '
      '"pv_name": "/dev/sda", "pv_uuid": "a", "pv_missing": ""}]}]}')


class CommandTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = fake_process.ScriptedRunner(self)
        self.runner.expect(*SCAN, stdout=SCANNED)
        self.vg = lvm.LVM('vg', self.runner, version=(2, 3, 16),
                          report_timeout=7)

    def expect(self, program, *words, **answer):
        settings = SETTINGS if program in ('lvs', 'vgs') else ()
        self.runner.expect(*ENVIRONMENT, program, *DEVICES, *settings,
                           *words, **answer)


@ddt.ddt
class TestVerbs(CommandTestCase):

    @ddt.data(
        (('create_volume', 'a', 5), ('lvcreate', '--yes', '--wipesignatures',
         'y', '--size', '5b', '--name', 'a', 'vg')),
        (('create_raid1_volume', 'a', 5, 2), ('lvcreate', '--yes',
         '--wipesignatures', 'y', '--type', 'raid1', '--mirrors', '2',
         '--size', '5b', '--name', 'a', 'vg')),
        (('create_raid1_volume', 'a', 5, 1, ['/dev/b', '/dev/a']),
         ('lvcreate', '--yes', '--wipesignatures', 'y', '--type', 'raid1',
          '--mirrors', '1', '--size', '5b', '--name', 'a', 'vg', '/dev/b',
          '/dev/a')),
        (('convert_to_raid1', 'a', 1), ('lvconvert', '--yes', '--type',
         'raid1', '--mirrors', '1', 'vg/a')),
        (('convert_mirror_to_raid1', 'a'), ('lvconvert', '--yes', '--type',
         'raid1', 'vg/a')),
        (('convert_to_linear', 'a'), ('lvconvert', '--yes', '--mirrors', '0',
         'vg/a')),
        (('split_copy', 'a', 'b'), ('lvconvert', '--yes', '--splitmirrors',
         '1', '--name', 'b', 'vg/a')),
        (('create_thin_volume', 'a', 5, 'pool'), ('lvcreate', '--type',
         'thin', '--virtualsize', '5b', '--name', 'a', '--thinpool', 'pool',
         'vg')),
        (('create_cow_snapshot', 's', 'a', 128), ('lvcreate', '--yes',
         '--snapshot', '--size', '8321b', '--name', 's', 'vg/a')),
        (('extend_volume', 'a', 5), ('lvextend', '--size', '5b', 'vg/a')),
        (('extend_pool', test_types.LINEAR, POLICY), ('lvextend', '--config',
         'activation{thin_pool_autoextend_threshold=80 '
         'thin_pool_autoextend_percent=20}', '--use-policies', 'vg/a')),
        (('delete', 'a'), ('lvremove', '--config',
         'log/silent=0 activation{retry_deactivation=1}', '--force', 'vg/a',
         *WHOLE)),
        (('split_snapshot', 's'), ('lvconvert', '--yes', '--splitsnapshot',
         'vg/s')),
        (('reduce_volume', 'a', 5), ('lvreduce', '--force', '--size', '5b',
         'vg/a')),
        (('merge_snapshot', 's'), ('lvconvert', '--yes', '--merge',
         '--interval', '1', 'vg/s')),
        (('resume_merge', 'a'), ('lvchange', '--yes', '--activate', 'y',
         '--poll', 'y', 'vg/a')),
        (('add_tag', 'a', 't'), ('lvchange', '--config', 'log/silent=0',
         '--addtag', 't', 'vg/a', *WHOLE)),
        (('delete_tag', 'a', 't'), ('lvchange', '--config', 'log/silent=0',
         '--deltag', 't', 'vg/a', *WHOLE)),
        (('rename_volume', 'a', 'b'), ('lvrename', 'vg', 'a', 'b')),
        (('activate_lv', 'a', 'b'), ('lvchange', '--yes', '--activate', 'y',
         '--ignoreactivationskip', 'vg/a', 'vg/b')),
        (('make_writable', 'a'), ('lvchange', '--config', 'log/silent=0',
         '--permission', 'rw', 'vg/a', *WHOLE)),
        (('follow_disks',), ('lvchange', '--refresh', '--select',
         'lv_active=active', 'vg')),
        (('deactivate_lv', 'a'), ('lvchange', '--config',
         'activation{retry_deactivation=1}', '--activate', 'n', 'vg/a')))
    @ddt.unpack
    def test_verb(self, call, command):
        self.expect(*command, stdout='  Logical volume "a" successfully '
                    'removed.\n  Logical volume vg/a changed.\n')
        verb, *arguments = call
        getattr(self.vg, verb)(*arguments)
        # A change is waited for until it ends.
        self.assertIsNone(self.runner.timeouts[-1])

    def test_reduce_volume_with_an_lvm_that_looks_for_file_systems(self):
        # It refuses an LV with LUKS on it, or an inactive one.
        vg = lvm.LVM('vg', self.runner, version=(2, 3, 17))
        self.expect('lvreduce', '--force', '--fs', 'ignore', '--size', '5b',
                    'vg/a')
        vg.reduce_volume('a', 5)

    def test_name_that_is_too_long(self):
        self.addCleanup(self.runner.forget)
        for verb in (self.vg.rename_volume, self.vg.split_copy):
            self.assertRaises(lvm.NameTooLong, verb, 'a', 'b' * 125)
        self.assertRaises(lvm.NameTooLong, self.vg.create_thin_snapshot,
                          'b' * 125, 'a', activate=True)

    def test_create_thin_snapshot(self):
        # auto_set_activation_skip may be 0 in lvm.conf.
        self.expect('lvcreate', '--snapshot', '--permission', 'r',
                    '--setactivationskip', 'y', '--name', 's', 'vg/a')
        self.vg.create_thin_snapshot('s', 'a', activate=False)

    def test_create_active_thin_snapshot(self):
        self.expect('lvcreate', '--snapshot', '--permission', 'rw',
                    '--setactivationskip', 'n', '--name', 's', 'vg/a')
        self.vg.create_thin_snapshot('s', 'a', activate=True)

    def test_create_thin_pool_over_95_percent(self):
        self.expect('vgs', *FORM, '-o',
                    'vg_name,vg_size,vg_free,vg_extent_size,'
                    'pv_name,pv_uuid,pv_missing', 'vg',
                    stdout=VG)
        self.expect('lvcreate', '--yes', '--type', 'thin-pool', '--zero', 'y',
                    '--extents', '95', '--name', 'pool', 'vg')
        self.vg.create_thin_pool('pool')

    def test_create_thin_pool_in_a_full_vg(self):
        self.expect('vgs', *FORM, '-o',
                    'vg_name,vg_size,vg_free,vg_extent_size,'
                    'pv_name,pv_uuid,pv_missing', 'vg',
                    stdout=VG.replace('419430400', '0'))
        self.assertRaises(lvm.InsufficientSpace, self.vg.create_thin_pool,
                          'pool')


@ddt.ddt
class TestBringUp(base.TestCase):

    def bring_up(self, **facts):
        """Bring an LV up, and return the programs that it took."""
        self.lvm = fake_lvm.FakeLVM('vg')
        self.lvm.add('a', **facts)
        vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        vg.find_volume('a')
        with mock.patch.object(self.lvm, 'run', wraps=self.lvm.run) as run:
            vg.bring_up('a')
        return [fake_lvm.parse(call.args)[0] for call in run.call_args_list]

    @ddt.data(({}, ['lvs']), ({'active': False}, ['lvs', 'lvchange']),
              ({'reported': {'lv_health_status': 'partial'}},
               ['lvs', 'lvchange']))
    @ddt.unpack
    def test_bring_up(self, facts, programs):
        """LVM activates what is partial if it is redundant."""
        self.assertEqual(programs, self.bring_up(**facts))
        self.assertTrue(self.lvm.volumes['a'].active)

    @ddt.data([True], [True, False])
    def test_disk_that_came_back_under_another_name(self, is_lost):
        """What LVM says of other LVs does not matter."""
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'is_on_lost_disk', side_effect=is_lost))
        if len(is_lost) == 1:
            self.assertEqual(['lvs', 'lvchange'], self.bring_up())
            return
        with mock.patch.object(lvm.LVM, 'follow_disks',
                               side_effect=lvm.CommandOfLVMFailed('busy')):
            self.assertEqual(['lvs'], self.bring_up())

    def test_disk_that_is_gone(self):
        self.useFixture(fixtures.MockPatchObject(
            kernel, 'is_on_lost_disk', return_value=True))
        with mock.patch.object(lvm.LVM, 'follow_disks',
                               side_effect=lvm.CommandOfLVMFailed('gone')):
            self.assertRaises(lvm.CommandOfLVMFailed, self.bring_up)

    @ddt.data({'is_suspended': True}, {'segtype': 'thin-pool'})
    def test_what_is_not_brought_up(self, facts):
        self.assertRaises(lvm.LVMError, self.bring_up, active=False, **facts)
        self.assertFalse(self.lvm.volumes['a'].active)
