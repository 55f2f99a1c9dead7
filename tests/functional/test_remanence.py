# SPDX-License-Identifier: Apache-2.0
"""Data of deleted thick volumes: the whole disk is searched for it."""

from unittest import mock

from cinder import exception

from cinder_lvm_driver import background
from cinder_lvm_driver import devices
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_moving

MIB = base.MIB
MARK = 'cinder-lvm-driver-remanence'


@base.slow
class RemanenceTest(base.BackendTestCase):
    """Nothing that a tenant wrote is on the disk after the deletion."""

    seconds = 60
    settings = {'lvm_type': 'default'}
    pv_sizes = (1280 * MIB,)
    # Of the volumes, which are smaller than Cinder's.
    size = 8 * MIB

    def make(self):
        """Return a volume that is full of the mark."""
        self.root.run('lvcreate', '-qq', '-y', '-Wn', '-L', f'{self.size}b',
                      '-n', 'small', self.vg_name)
        volume = self.volume()
        self.driver.manage_existing(volume, {'source-name': 'small'})
        self.mark(self.device(volume.name))
        return volume

    def mark(self, device):
        self.root.run('bash', '-c', f'yes {MARK} | dd of={device} bs=1M '
                      f'iflag=fullblock oflag=direct status=none '
                      f'count={self.size // MIB}')

    def blank(self, volume):
        self.root.run('blkdiscard', '-z', self.device(volume.name))

    def found(self, vg_name=None):
        """Return how many lines with the mark are on the disk of a VG."""
        self.wait_until_wiped()
        path = fixtures.path_of(f'{vg_name or self.vg_name}-0')
        self.root.run('bash', '-c', 'sync; echo 3 > /proc/sys/vm/drop_caches')
        return int(self.root.try_run('grep', '-a', '-c', MARK,
                                     path).stdout)

    def snapshot_of(self, volume):
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        return snapshot

    def killed_while_wiping(self):
        volume = self.make()
        self.assertGreater(self.found(), 0)
        wipe = devices.DeviceWriter.wipe

        def wipe_half(writer, device):
            self.root.run('blkdiscard', '-z', '-l', self.size // 2, device)
            raise KeyboardInterrupt

        with (mock.patch.object(background, 'start',
                                lambda _name, work: work()),
              mock.patch.object(devices.DeviceWriter, 'wipe', wipe_half),
              self.assertRaises(KeyboardInterrupt)):
            self.driver.delete_volume(volume)
        self.assertIs(wipe, devices.DeviceWriter.wipe)
        self.driver.check_for_setup_error()

    def snapshot_store(self):
        volume = self.make()
        snapshot = self.snapshot_of(volume)
        self.blank(volume)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)

    def failed_copies(self):
        copy = devices.DeviceWriter.copy

        def copy_and_fail(*arguments, **keywords):
            copy(*arguments, **keywords)
            raise exception.VolumeBackendAPIException('failed')

        volume = self.make()
        snapshot = self.snapshot_of(volume)
        with mock.patch.object(devices.DeviceWriter, 'copy', copy_and_fail):
            for create, source in (
                    (self.driver.create_volume_from_snapshot, snapshot),
                    (self.driver.create_cloned_volume, volume)):
                with self.assertRaises(exception.VolumeBackendAPIException):
                    create(self.volume(), source)
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)

    def extended(self):
        volume = self.make()
        self.driver.extend_volume(volume, 1)
        self.root.run('bash', '-c', f'echo {MARK} | dd bs=4k conv=sync '
                      f'oflag=direct seek=262143 status=none '
                      f'of={self.device(volume.name)}')
        self.driver.delete_volume(volume)

    def test_nothing_is_left(self):
        for case in (self.killed_while_wiping, self.snapshot_store,
                     self.failed_copies, self.extended):
            with self.subTest(case.__name__):
                case()
                self.assertEqual(0, self.found())

    def test_migration(self):
        """One that fails leaves nothing there, one that succeeds nothing."""
        name = self.enterClassContext(fixtures.volume_group(
            self.root, f'{self.vg_name}-there', (1280 * MIB,)))
        there = self.make_driver(volume_group=name, **self.settings)
        volume = self.make()
        with mock.patch.object(type(there.vg), 'rename_volume',
                               side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                self.driver.migrate_volume(self.context, volume,
                                           test_moving.place(there))
        there.check_for_setup_error()
        base.wait_until(lambda: not self.root.run(
            'lvs', '--noheadings', name).strip(), 'the copy is wiped')
        self.assertEqual(0, self.found(name))
        self.driver.migrate_volume(self.context, volume,
                                   test_moving.place(there))
        self.assertEqual(0, self.found())
        there.delete_volume(volume)
