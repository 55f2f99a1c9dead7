# SPDX-License-Identifier: Apache-2.0
"""Attached volumes that are not thin: linear and raid1, over each target.

What is not here is as with thin ones.
"""

from cinder import exception

from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_tgt

GIB = base.GIB
MIB = base.MIB
THICK = {'lvm_type': 'default', 'volume_clear': 'none'}
MIRRORED = {**THICK, 'lvm_mirrors': 1}
TAIL = GIB - 4 * MIB


class ThickCases:

    pv_sizes = (3 * GIB,)
    direct = False

    def assert_stored(self, volume, path, offset):
        """Fail unless what the host reads is on the LV."""
        self.assertEqual(self.checksum(path, offset),
                         self.checksum(self.device(volume.name), offset))

    def test_life_of_an_attachment(self):
        volume = self.serve(self.create_small())
        connection = self.attach(volume)
        with self.connected(connection) as (brick, path):
            self.write(path, volume.id)
            self.live_on(volume, path)
            with self.connections_kept():
                self.driver.extend_volume(volume, 1)
                self.assertEqual(GIB, brick.extend_volume(
                    connection['data']))
            self.write(path, 'tail', TAIL)
            for offset in 0, TAIL:
                self.assert_stored(volume, path, offset)
            with self.assertRaises(exception.VolumeIsBusy):
                self.driver.delete_volume(volume)
        self.assertFalse(self.driver.terminate_connection(
            volume, self.connector))

    def live_on(self, volume, path):
        before = self.checksum(path)
        snapshot = self.create_snapshot(volume)
        self.write(path, 'after')
        copy = self.volume()
        self.driver.create_volume_from_snapshot(copy, snapshot)
        self.addCleanup(self.driver.delete_volume, copy)
        self.assertEqual(before, self.checksum(self.device(copy.name)))
        self.assertNotEqual(before, self.checksum(path))
        # With a snapshot it could not be extended in use.
        self.driver.delete_snapshot(snapshot)


class ThickAttachTest(ThickCases, test_attach.SnapshotAttachCases,
                      test_attach.AttachTestCase):
    slow_tests = ('test_snapshot_is_read_and_not_written',)
    settings = THICK

    def test_extend_in_use_with_snapshot_is_refused(self):
        volume = self.export()
        connection = self.attach(volume)
        self.create_snapshot(volume)
        with self.host.connected(connection):
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, 'COW snapshots'):
                self.driver.extend_volume(volume, 2)
        self.assertEqual((str(GIB), 'active'),
                         self.lv(volume.name, 'lv_size,lv_active'))


@base.slow
class NvmetThickTest(ThickCases, test_attach.SnapshotAttachCases,
                     test_nvmet.NvmetTestCase):
    settings = {**test_nvmet.NvmetTestCase.settings, **THICK}
    # There is nothing to refuse writes with, and no clone takes its place.
    snapshot_stays_as_it_is = False


@base.slow
class TgtThickTest(ThickCases, test_tgt.TgtTestCase):
    settings = {**test_tgt.TgtTestCase.settings, **THICK}


class MirroredCases(ThickCases):

    pv_sizes = (3 * GIB,) * 2

    def setUp(self):
        super().setUp()
        # What the kernel copies to make the copies equal is of no interest.
        self.enterContext(self.slow_raid())

    def assert_stored(self, volume, path, offset):
        super().assert_stored(volume, path, offset)
        self.assertEqual([self.checksum(path, offset)] * 2,
                         self.legs(volume, offset))

    def live_on(self, _volume, _path):
        """Leave out snapshots, which test_volumes has."""


@base.slow
class MirroredAttachTest(MirroredCases, test_attach.AttachTestCase):
    settings = MIRRORED


class NvmetMirroredTest(MirroredCases, test_nvmet.NvmetTestCase):
    settings = {**test_nvmet.NvmetTestCase.settings, **MIRRORED}


@base.slow
class TgtMirroredTest(MirroredCases, test_tgt.TgtTestCase):
    settings = {**test_tgt.TgtTestCase.settings, **MIRRORED}
