# SPDX-License-Identifier: Apache-2.0
"""The exact command of every verb; here and nowhere else."""

import dataclasses
import json
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import report
from cinder_lvm_driver import process
from tests import base
from tests.fakes import lvm as fake_lvm
from tests.fakes import process as fake_process
from tests.unit.lvm import test_types

ENVIRONMENT = ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
               'LVM_SYSTEM_DIR=/etc/lvm')
FORM = ('--reportformat', 'json', '--units', 'b', '--nosuffix')
DEVICES = ('--devices', '/dev/sda,/dev/sdb')
RETRY = 'activation{retry_deactivation=1}'
SETTINGS = ('--config', report.SETTINGS)
SCAN = (*ENVIRONMENT, 'vgs', *SETTINGS, '--foreign', '--shared', *FORM, '-o',
        'vg_name,vg_uuid,pv_name,pv_uuid')
SCANNED = json.dumps({'report': [{'vg': [
    {'vg_name': 'vg', 'vg_uuid': 'uuid', 'pv_name': path, 'pv_uuid': path}
    for path in ('/dev/sdb', '/dev/sda')]}]})
# Part of changes that LVM allows in a VG with missing PVs.
WHOLE = '--select', 'vg_missing_pv_count=0'
THIN = dataclasses.replace(test_types.LINEAR, segtype='thin', pool='pool')
EXTENTS = [lvm.Extents(path='/dev/a', first=0, last=3),
           lvm.Extents(path='/dev/b', first=7, last=7)]
POLICY = lvm.AutoextendPolicy(threshold_percent=80, percent=20)
VG = ('{"report": [{"vg": [{"vg_name": "vg", "vg_size": "8388608000", '
      '"vg_free": "419430400", "vg_extent_size": "4194304", '
      '"vg_mda_size": "1044480", "vg_mda_free": "520192", "max_lv": "0", '
      '"lv_count": "0", "pv_name": "/dev/sda", "pv_uuid": "a", '
      '"pv_free": "419430400", "pv_allocatable": "allocatable", '
      '"pv_missing": ""}]}]}')


class CommandTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = fake_process.ScriptedRunner(self)
        self.runner.expect(*SCAN, stdout=SCANNED)
        self.vg = lvm.LVM('vg', self.runner, version=(2, 3, 16),
                          report_timeout=7)

    def expect(self, program, *words, **answer):
        settings = SETTINGS if program in ('lvs', 'vgs') else ()
        if program in ('lvcreate', 'lvextend', 'lvrename', 'lvchange'):
            own = ()
            if words[0] == '--config':
                own, words = words[1:2], words[2:]
            settings = '--config', ' '.join((*own, 'backup{archive=0}'))
        self.runner.expect(*ENVIRONMENT, program, *DEVICES, *settings,
                           *words, **answer)


@ddt.ddt
class TestVerbs(CommandTestCase):

    @ddt.data(
        (('create_volume', 'a', 5), ('lvcreate', '--yes', '--wipesignatures',
         'y', '--size', '5b', '--name', 'a', 'vg')),
        (('create_shaped_volume', 'a', 5, lvm.Shape('raid1', mirrors=2)),
         ('lvcreate', '--yes', '--wipesignatures', 'y', '--type', 'raid1',
          '--mirrors', '2', '--size', '5b', '--name', 'a', 'vg')),
        (('create_shaped_volume', 'a', 5, lvm.Shape('raid1', mirrors=1),
          ['/dev/b', '/dev/a']),
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
        (('create_cow_snapshot', 's', 'a', 128, EXTENTS), ('lvcreate',
         '--yes', '--snapshot', '--size', '8321b', '--name', 's', 'vg/a',
         '/dev/a:0-3', '/dev/b:7-7')),
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
        (('merge_tagged', 't'), ('lvconvert', '--yes', '--merge',
         '--interval', '1', '@t')),
        (('refresh', 'a'), ('lvchange', '--refresh', 'vg/a')),
        (('resume_merge', 'a'), ('lvchange', '--yes', '--activate', 'y',
         '--poll', 'y', 'vg/a')),
        (('add_tag', 'a', 't'), ('lvchange', '--config', 'log/silent=0',
         '--addtag', 't', 'vg/a', *WHOLE)),
        (('delete_tag', 'a', 't'), ('lvchange', '--config', 'log/silent=0',
         '--deltag', 't', 'vg/a', *WHOLE)),
        (('delete_tag_of', 'ab', 't'), ('lvchange', '--config',
         'log/silent=0', '--deltag', 't', 'vg/a', 'vg/b', *WHOLE)),
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
                          'b' * 125, THIN, activate=True)

    def test_create_thin_snapshot(self):
        # auto_set_activation_skip may be 0 in lvm.conf.
        self.expect('lvcreate', '--snapshot', '--permission', 'r',
                    '--setactivationskip', 'y', '--name', 's', 'vg/a')
        self.vg.create_thin_snapshot('s', THIN, activate=False)

    def test_create_active_thin_snapshot(self):
        self.expect('lvcreate', '--snapshot', '--permission', 'rw',
                    '--setactivationskip', 'n', '--name', 's', 'vg/a')
        self.vg.create_thin_snapshot('s', THIN, activate=True)

    def test_create_thin_pool_over_95_percent(self):
        self.expect('vgs', *FORM, '-o',
                    ','.join(report._VG_FIELDS), 'vg',
                    stdout=VG)
        self.expect('lvcreate', '--yes', '--type', 'thin-pool', '--zero', 'y',
                    '--extents', '95', '--name', 'cinder-new-pool', 'vg')
        self.expect('lvrename', 'vg', 'cinder-new-pool', 'pool')
        self.vg.create_thin_pool('pool')

    def test_create_thin_pool_in_a_full_vg(self):
        self.expect('vgs', *FORM, '-o',
                    ','.join(report._VG_FIELDS), 'vg',
                    stdout=VG.replace('419430400', '0'))
        self.assertRaises(lvm.InsufficientSpace, self.vg.create_thin_pool,
                          'pool')


class TestFullArchive(CommandTestCase):

    def test_what_is_removed_is_not_archived(self):
        for verb, words, settings in (
                ('delete', ['lvremove', '--force', 'vg/a', *WHOLE],
                 f'log/silent=0 {RETRY}'),
                ('split_snapshot', ['lvconvert', '--yes', '--splitsnapshot',
                                    'vg/a'], '')):
            self.fail_with(
                words, settings, '/etc/lvm/archive/.lvm_a_1_2: write error '
                'failed: No space left on device')
            config = f'{settings} backup{{archive=0}}'.strip()
            self.runner.expect(
                *ENVIRONMENT, words[0], *DEVICES, '--config', config,
                *words[1:],
                stdout='  Logical volume "a" successfully removed.\n')
            getattr(self.vg, verb)('a')

    def test_nothing_is_converted(self):
        self.fail_with(['lvconvert', '--yes', '--mirrors', '0', 'vg/a'], '',
                       '/a/.lvm_a_1_2: write error failed: No space left on '
                       'device')
        error = self.assertRaises(errors.ArchiveFull,
                                  self.vg.convert_to_linear, 'a')
        self.assertIn('backup/archive_dir', str(error))

    def fail_with(self, words, settings, stderr):
        self.runner.expect(
            *ENVIRONMENT, words[0], *DEVICES,
            *['--config', settings] * bool(settings), *words[1:],
            error=process.CommandFailed(words, 5, '', stderr))


class TestHalfOfASnapshot(base.TestCase):
    """LVM has made the store of a COW snapshot, and no snapshot of it."""

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.lvm.add('a')
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))

    def create(self, failure, **left):
        """Have lvcreate fail and leave an LV."""
        def change(*_command, **_keywords):
            self.lvm.add('s', **left)
            raise failure

        with mock.patch.object(self.vg._commands, 'change', change):
            self.assertRaises(type(failure), self.vg.create_cow_snapshot,
                              's', 'a', 128)
        return set(self.lvm.volumes)

    def test_removed(self):
        self.assertEqual({'a'}, self.create(
            lvm.CommandOfLVMFailed('Failed to suspend')))

    def test_that_of_somebody_else(self):
        self.assertEqual({'a', 's'}, self.create(
            lvm.LogicalVolumeExists('already exists')))

    def test_snapshot(self):
        self.assertEqual({'a', 's'}, self.create(
            lvm.CommandOfLVMFailed('some'), origin='a'))

    def test_what_cannot_be_removed(self):
        with mock.patch.object(self.vg, 'delete',
                               side_effect=lvm.LogicalVolumeInUse('open')):
            self.create(lvm.CommandOfLVMFailed('Failed to suspend'))
        self.assertIn('remove it with lvremove: open', self.log.output)


class TestOrphans(base.TestCase):
    """Data in a thin pool under the id that LVM gives next."""

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.lvm.add('pool', 100 * 2 ** 20, segtype='thin-pool')
        self.lvm.add('a', segtype='thin', pool='pool')
        self.lvm.orphan = 'data of another tenant'
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', self.lvm.stack))

    def orphans(self):
        return [(lv.content, lv.active, lv.read_only, lv.skip)
                for name, lv in self.lvm.volumes.items()
                if name.startswith('cinder-orphan-')]

    def test_volume(self):
        self.vg.create_thin_volume('b', 5, 'pool')
        self.assertEqual('', self.lvm.volumes['b'].content)
        self.assertEqual([('data of another tenant', False, True, True)],
                         self.orphans())
        self.assertIn('lvremove vg/cinder-orphan-', self.log.output)

    def test_snapshot(self):
        self.lvm.volumes['a'].content = 'ours'
        self.vg.create_thin_snapshot('s', self.vg.get_volume('a'),
                                     activate=True)
        self.assertEqual('ours', self.lvm.volumes['s'].content)
        self.assertEqual([('data of another tenant', False, True, True)],
                         self.orphans())

    def test_id_without_data(self):
        self.lvm.orphan = ''
        self.vg.create_thin_snapshot('s', self.vg.get_volume('a'),
                                     activate=True)
        self.assertEqual([], self.orphans())

    def test_what_a_killed_service_has_left(self):
        for content, left in (
                ('', []),
                ('data', [('data', False, True, True)])):
            self.lvm.add('cinder-orphan-1', segtype='thin', pool='pool',
                         content=content, active=False)
            self.vg.settle_orphan(self.vg.get_volume('cinder-orphan-1'))
            self.assertEqual(left, self.orphans())

    def test_no_end_of_them(self):
        with mock.patch.object(self.vg._pools, 'is_blank',
                               return_value=False):
            self.assertRaises(errors.ThinIdTaken, self.vg.create_thin_volume,
                              'b', 5, 'pool')
        self.assertNotIn('b', self.lvm.volumes)

    def test_snapshot_that_the_kernel_has_not_counted(self):
        taken = errors.ThinIdTaken('3 is taken')
        with (mock.patch.object(self.vg, '_create_thin_volume',
                                side_effect=[taken, None]) as create,
              mock.patch.object(self.vg._pools, 'is_blank',
                                return_value=True),
              mock.patch.object(self.vg, 'delete'),
              mock.patch.object(self.vg, 'lock_file',
                                return_value='/run/V_vg'),
              mock.patch.object(kernel_thin, 'count_change') as count):
            before = self.lvm.transaction_id
            self.vg.settle_pool('pool')
        self.assertEqual(2, create.call_count)
        count.assert_called_once_with('/run/V_vg', 'vg', 'pool', before - 1)
        self.assertIn('3 is taken', self.log.output)
