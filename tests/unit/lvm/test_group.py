# SPDX-License-Identifier: Apache-2.0
"""The exact command of every verb; here and nowhere else."""

import json
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import group
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
SCAN = (*ENVIRONMENT, 'vgs', *SETTINGS, *FORM, '-o',
        'vg_name,pv_name,pv_missing')
SCANNED = json.dumps({'report': [{'vg': [
    {'vg_name': 'vg', 'pv_name': path, 'pv_missing': ''}
    for path in ('/dev/sdb', '/dev/sda')]}]})
FIELDS = ('vg_name,lv_name,lv_size,origin_size,segtype,lv_role,origin,'
          'pool_lv,lv_active,lv_device_open,lv_skip_activation,data_percent,'
          'metadata_percent,lv_tags,lv_merging,lv_permissions,'
          'lv_health_status,lv_check_needed,zero,lv_metadata_size,'
          'lv_snapshot_invalid,lv_suspended')
POLICY = lvm.AutoextendPolicy(threshold_percent=80, percent=20)
NO_VOLUMES = '{"report": [{"lv": []}]}'
GROUP = ('{"report": [{"vg": [{"vg_name": "vg", "vg_size": "8388608000", '
         '"vg_free": "419430400", "vg_extent_size": "4194304", '
         '"vg_missing_pv_count": "0"}]}]}')


@ddt.ddt
class TestCommands(base.TestCase):

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
         '--snapshot', '--size', '8388737b', '--name', 's', 'vg/a')),
        (('extend_volume', 'a', 5), ('lvextend', '--size', '5b', 'vg/a')),
        (('extend_pool', test_types.LINEAR, POLICY), ('lvextend', '--config',
         'activation{thin_pool_autoextend_threshold=80 '
         'thin_pool_autoextend_percent=20}', '--use-policies', 'vg/a')),
        (('delete', 'a'), ('lvremove', '--force', 'vg/a')),
        (('split_snapshot', 's'), ('lvconvert', '--yes', '--splitsnapshot',
         'vg/s')),
        (('reduce_volume', 'a', 5), ('lvreduce', '--force', '--size', '5b',
         'vg/a')),
        (('merge_snapshot', 's'), ('lvconvert', '--yes', '--merge',
         '--interval', '1', 'vg/s')),
        (('resume_merge', 'a'), ('lvchange', '--yes', '--activate', 'y',
         '--poll', 'y', 'vg/a')),
        (('add_tag', 'a', 't'), ('lvchange', '--addtag', 't', 'vg/a')),
        (('delete_tag', 'a', 't'), ('lvchange', '--deltag', 't', 'vg/a')),
        (('rename_volume', 'a', 'b'), ('lvrename', 'vg', 'a', 'b')),
        (('activate_lv', 'a', 'b'), ('lvchange', '--yes', '--activate', 'y',
         '--ignoreactivationskip', 'vg/a', 'vg/b')),
        (('make_writable', 'a'), ('lvchange', '--permission', 'rw', 'vg/a')),
        (('deactivate_lv', 'a'), ('lvchange', '--activate', 'n', 'vg/a')))
    @ddt.unpack
    def test_verb(self, call, command):
        self.expect(*command)
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
                    'vg_missing_pv_count', 'vg',
                    stdout=GROUP)
        self.expect('lvcreate', '--yes', '--type', 'thin-pool', '--zero', 'y',
                    '--extents', '95', '--name', 'pool', 'vg')
        self.vg.create_thin_pool('pool')

    def test_create_thin_pool_in_a_full_group(self):
        self.expect('vgs', *FORM, '-o',
                    'vg_name,vg_size,vg_free,vg_extent_size,'
                    'vg_missing_pv_count', 'vg',
                    stdout=GROUP.replace('419430400', '0'))
        self.assertRaises(lvm.InsufficientSpace, self.vg.create_thin_pool,
                          'pool')

    def test_get_physical_volumes(self):
        self.expect('vgs', *FORM, '-o',
                    'pv_name,pv_size,pv_free,pv_allocatable,pv_missing', 'vg',
                    stdout='{"report": [{"vg": []}]}')
        self.assertEqual([], self.vg.get_physical_volumes())

    def test_get_volumes(self):
        self.expect('lvs', *FORM, '-o', FIELDS, 'vg', stdout=NO_VOLUMES)
        self.assertEqual({}, self.vg.get_volumes())
        self.assertEqual([7, 7], self.runner.timeouts)

    def test_has_spare_metadata(self):
        for rows, has_spare in (('', False),
                                ('{"lv_name": "[lvol0_pmspare]"}', True)):
            self.expect('lvs', *FORM, '--all', '-o', 'lv_name', '-S',
                        'lv_role=spare', 'vg',
                        stdout='{"report": [{"lv": [%s]}]}' % rows)
            self.assertIs(has_spare, self.vg.has_spare_metadata())

    def test_count_copies(self):
        # An LV of several segments has a row for each.
        for rows, copies in (('', 0), ('{"stripes": "1"}', 1),
                             ('{"stripes": "3"}, {"stripes": "3"}', 3)):
            self.expect('lvs', *FORM, '-o', 'stripes', '-S', 'lv_name="a"',
                        'vg', stdout='{"report": [{"lv": [%s]}]}' % rows)
            self.assertEqual(copies, self.vg.count_copies('a'))

    def test_find_volume(self):
        self.expect('lvs', *FORM, '-o', FIELDS, '-S', 'lv_name="a"', 'vg',
                    stdout=NO_VOLUMES)
        self.assertIsNone(self.vg.find_volume('a'))
        self.assertEqual([7, 7], self.runner.timeouts)


@ddt.ddt
class TestQuestions(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))

    def test_get_volume(self):
        self.lvm.add('a')
        self.assertEqual('a', self.vg.get_volume('a').name)

    def test_get_volume_that_is_not_there(self):
        error = self.assertRaises(lvm.LogicalVolumeNotFound,
                                  self.vg.get_volume, 'b')
        self.assertEqual('LV b was not found in VG vg', str(error))

    def wait_until_closed(self, name, seconds, meanwhile=None):
        volume = self.lvm.add(name, is_open=True)
        found = self.vg.get_volume(name)
        event = mock.Mock()
        event.wait = lambda seconds: (
            meanwhile() if meanwhile else setattr(volume, 'is_open', False))
        self.useFixture(fixtures.MockPatchObject(
            group, 'CLOSING_SECONDS', seconds))
        self.useFixture(fixtures.MockPatchObject(
            group.threading, 'Event', lambda: event))
        return self.vg.wait_until_closed(found)

    def test_volume_that_is_let_go_of_late(self):
        self.assertFalse(self.wait_until_closed('a', 60).is_open)

    def test_volume_that_goes_while_it_is_waited_for(self):
        self.assertRaises(lvm.LogicalVolumeNotFound, self.wait_until_closed,
                          'a', 60, self.lvm.volumes.clear)

    def test_volume_that_stays_open(self):
        volume = self.wait_until_closed('a', 0)
        self.assertTrue(volume.is_open)
        error = self.assertRaises(lvm.LogicalVolumeInUse,
                                  self.vg.require_closed, volume)
        self.assertIn('LV a is in use', str(error))

    def test_volume_that_nobody_has_open(self):
        self.lvm.add('a')
        volume = self.vg.get_volume('a')
        self.assertEqual(volume, self.vg.require_closed(volume))

    def test_get_picture(self):
        self.lvm.add('a')
        picture = self.vg.get_picture()
        self.assertEqual({'a'}, set(picture.volumes))
        self.assertEqual('vg', picture.group.name)

    @ddt.data('', '.', '..', '-n', '../a', 'vg/a', 'a" || lv_name="b',
              'a\n', 'a b', 'ä', 'snapshot-1', 'pvmove0', 'a_tmeta')
    def test_name_that_no_volume_can_have(self, name):
        def run(*argv, **kwargs):
            self.fail(f'LVM was asked: {argv}')

        self.lvm.run = run
        self.assertIsNone(self.vg.find_volume(name))
        self.assertRaises(lvm.LogicalVolumeNotFound, self.vg.get_volume, name)
