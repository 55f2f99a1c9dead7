# SPDX-License-Identifier: Apache-2.0
"""Every failure that was recorded from a real LVM has a name."""

import json
import pathlib

import ddt

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver import process
from tests import base

VERSIONS = sorted((pathlib.Path(__file__).parents[2] / 'samples/lvm')
                  .iterdir())
EXPECTED = {
    lvm.VolumeGroupNotFound: [
        'create-all-missing', 'create-no-group', 'remove-no-group',
        'rename-no-group', 'report-no-group', 'volumes-all-missing',
        'volumes-no-group'],
    lvm.LogicalVolumeNotFound: [
        'activate-not-found', 'convert-not-found', 'cow-not-found',
        'deactivate-not-found',
        'extend-not-found', 'remove-not-found', 'rename-not-found',
        'split-not-found', 'thin-no-pool', 'thin-snapshot-not-found'],
    lvm.LogicalVolumeExists: [
        'cow-exists', 'create-exists', 'pool-exists', 'rename-exists',
        'thin-exists', 'thin-snapshot-exists'],
    lvm.LogicalVolumeInUse: [
        'cow-of-merging', 'remove-merging', 'split-merging',
        'deactivate-mounted', 'deactivate-open',
        'deactivate-origin-open-snapshot', 'extend-active-origin',
        'extend-merging', 'pool-remove-open',
        'raid1-extend-active-origin', 'remove-mounted',
        'remove-open', 'remove-open-snapshot', 'remove-origin-open-snapshot',
        'split-open', 'thin-remove-mounted', 'thin-remove-open'],
    errors.LogicalVolumeInitializing: [
        'convert-initializing', 'convert-to-linear-initializing',
        'convert-to-linear-resyncing'],
    lvm.InsufficientSpace: [
        'convert-too-few-pvs', 'cow-no-space', 'create-no-space',
        'extend-no-space', 'mirror-no-space', 'pool-no-space',
        'raid1-no-space',
        'thin-pool-full', 'thin-snapshot-pool-full'],
    lvm.InvalidRequest: [
        'create-invalid', 'create-nothing', 'create-reserved',
        'option-unknown', 'rename-reserved', 'thin-reserved'],
    errors.PhysicalVolumeMissing: [
        'activate-missing', 'create-missing', 'extend-missing',
        'rename-missing', 'snapshot-missing'],
    lvm.LogicalVolumeMoving: [
        'moving-cow', 'moving-extend', 'moving-remove', 'moving-rename',
        'moving-split'],
    errors.ThinIdTaken: ['thin-snapshot-id-taken'],
    lvm.ThinPoolOutOfStep: [
        'thin-remove-transaction-id', 'thin-snapshot-transaction-id',
        'thin-transaction-id'],
    errors.ThinPoolPartsActive: ['pool-part-active'],
    errors.ThinPoolDamaged: [
        'pool-damaged', 'thin-metadata-broken', 'thin-needs-check'],
    errors.ArchiveFull: ['create-archive-full'],
    errors.VolumeGroupFull: ['create-limit', 'create-metadata-full'],
    # What no verb of the driver can meet, or nobody handles, has no name.
    lvm.CommandOfLVMFailed: [
        'convert-inactive', 'convert-thin', 'cow-of-cached',
        'create-device-taken'],
    errors.VolumeGroupExported: ['create-exported'],
    errors.VolumeGroupForeign: ['create-foreign'],
    lvm.PhysicalVolumeDuplicate: ['activate-duplicate', 'create-duplicate'],
    lvm.LogicalVolumeLargeEnough: ['extend-same-size', 'extend-smaller'],
    lvm.LogicalVolumeOfWrongKind: [
        'cow-of-cow', 'split-no-snapshot', 'thin-no-thin-pool',
        'thin-snapshot-of-linear'],
}


def recorded(version):
    """Return the failures of a version by name."""
    answers = json.loads((version / 'failures.json').read_text())
    return {name: process.CommandFailed(
        tuple(answer['argv']), answer['exit_code'], '', answer['stderr'])
        for name, answer in answers.items()}


class TestWarnings(base.TestCase):

    def test_shrunk_devices(self):
        line = ('  WARNING: Device %s has size of 1048576 sectors which is '
                'smaller than corresponding PV size of 4194304 sectors. Was '
                'device resized?\n')
        self.assertEqual(('/dev/b', '/dev/a'), errors.shrunk_devices(
            line % '/dev/b' + line % '/dev/a' + line % '/dev/b' +
            '  WARNING: One or more devices used as PVs in VG vg have changed '
            'sizes.\n'))
        self.assertEqual((), errors.shrunk_devices(''))


@ddt.ddt
class TestClassify(base.TestCase):

    @ddt.data(*((version, error, name) for version in VERSIONS
                for error, names in EXPECTED.items() for name in names))
    @ddt.unpack
    def test_recorded(self, version, error, name):
        failure = recorded(version)[name]
        typed = errors.classify(failure)
        self.assertIs(error, type(typed))
        self.assertIs(failure, typed.__cause__)
        for line in failure.stderr.splitlines():
            self.assertIn(line.strip(), str(typed))
        self.assertNotIn('\n', str(typed))

    @ddt.data(*VERSIONS)
    def test_every_recording_is_expected_to_be_something(self, version):
        self.assertEqual(sorted(sum(EXPECTED.values(), [])),
                         sorted(recorded(version)))

    @ddt.data(*(pattern for pattern, _ in errors._TABLE))
    def test_every_row_is_there_for_a_recording(self, pattern):
        self.assertTrue([
            failure for version in VERSIONS
            for failure in recorded(version).values()
            if errors.re.search(pattern, failure.stderr)])

    @ddt.data('vg/a while it', 'mirror vg/a that')
    def test_copies_that_are_not_equal_yet(self, which):
        failure = process.CommandFailed(
            ('lvconvert',), 5, '', f'  Unable to split {which} is not '
            f'in-sync.\n')
        self.assertIs(errors.LogicalVolumeInitializing,
                      type(errors.classify(failure)))

    def test_cache_that_cannot_be_checked(self):
        failure = process.CommandFailed(
            ('lvcreate',), 5, '', '  Check of pool vg/fast_cvol failed '
            '(status:1). Manual repair required!\n')
        self.assertIs(lvm.CommandOfLVMFailed, type(errors.classify(failure)))

    def test_device_on_top(self):
        failure = process.CommandFailed(
            ('lvremove',), 5, '',
            '  Logical volume vg/a is used by another device.\n')
        self.assertIs(lvm.LogicalVolumeInUse,
                      type(errors.classify(failure)))

    def test_extension_that_was_done_already(self):
        # 2.03.31 says "matches existing size" on stdout.
        failure = process.CommandFailed(
            ('lvextend',), 5, '  New size (2 extents) matches existing size '
            '(2 extents).\n', '  No size change.\n')
        self.assertIs(lvm.LogicalVolumeLargeEnough,
                      type(errors.classify(failure)))

    @ddt.data('', 'Segmentation fault', '  WARNING: Sum of all thin volume '
              'sizes exceeds the size of the thin pool.')
    def test_not_known(self, stderr):
        failure = process.CommandFailed(('lvs',), 5, '', stderr)
        self.assertIs(lvm.CommandOfLVMFailed, type(errors.classify(failure)))

    def test_exit_status_3_is_our_own_mistake(self):
        failure = process.CommandFailed(
            ('lvs',), 3, '', 'Volume group "vg" not found')
        self.assertIs(lvm.InvalidRequest, type(errors.classify(failure)))
