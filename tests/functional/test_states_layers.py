# SPDX-License-Identifier: Apache-2.0
"""LVs that consist of others, and LVs that others depend on."""

import contextlib

from cinder import exception

from cinder_lvm_driver import naming
from tests.functional import base

MIB = base.MIB
FAILURE = exception.VolumeBackendAPIException


class LayersTestCase(base.TestCase):

    settings = {'lvm_type': 'default', 'volume_clear': 'none'}

    def setUp(self):
        super().setUp()
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.driver = self.make_driver(**self.settings)

    def made(self, *how):
        """Return a small volume that LVM has made."""
        volume = self.volume()
        self.root.run('lvcreate', '-qq', '-y', *how, '-n', volume.name,
                      self.vg_name)
        return volume

    @contextlib.contextmanager
    def suspended(self, name):
        """Have a device of the VG hold back all I/O."""
        name = naming.device_mapper_name(self.vg_name, '') + name
        self.root.run('dmsetup', 'suspend', '--noflush', '--nolockfs', name)
        try:
            yield f'is suspended.*dmsetup resume {name}'
        finally:
            self.root.run('dmsetup', 'resume', name)

    def assert_busy(self, pattern, volume, snapshot=None):
        """Fail unless a volume, and its snapshot, cannot be changed."""
        names = self.lv_names()
        error, verb, thing = (
            (exception.SnapshotIsBusy, self.driver.delete_snapshot, snapshot)
            if snapshot else
            (exception.VolumeIsBusy, self.driver.delete_volume, volume))
        with self.assert_raises_with(error, pattern):
            verb(thing)
        for verb, *arguments in (
                (self.driver.create_snapshot, self.snapshot(volume)),
                (self.driver.create_cloned_volume, self.volume(), volume),
                (self.driver.extend_volume, volume, 1)):
            with self.assert_raises_with(FAILURE, pattern):
                verb(*arguments)
        self.assertEqual(names, self.lv_names())


class SuspendedOriginTest(LayersTestCase):
    """The device below a thick volume that has a snapshot is suspended."""

    def test_busy(self):
        volume = self.made('-L', '16M')
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        name = naming.device_mapper_name(
            '', volume.name).removeprefix('-')
        with self.suspended(name) as pattern:
            # LVM would resume it, and leave half of the snapshot.
            with self.assert_raises_with(exception.SnapshotIsBusy, pattern):
                self.driver.delete_snapshot(snapshot)
        with self.suspended(f'{name}-real') as pattern:
            self.assert_busy(pattern, volume, snapshot)
            # Others are not affected.
            self.driver.delete_volume(self.made('-L', '8M'))
        self.driver.delete_snapshot(snapshot)
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lv_names())


class SuspendedCopyTest(LayersTestCase):
    """A copy of a mirrored volume is suspended."""

    pv_sizes = (512 * MIB,) * 2
    settings = {**LayersTestCase.settings, 'lvm_mirrors': 1}

    def test_busy(self):
        volume = self.made('--type', 'raid1', '-m', 1, '-L', '16M')
        name = naming.device_mapper_name('', volume.name).removeprefix('-')
        with self.suspended(f'{name}_rimage_0') as pattern:
            self.assert_busy(pattern, volume)
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lv_names())


class ExternalOriginTest(LayersTestCase):
    """Thin LVs that somebody has made read through a volume."""

    def setUp(self):
        super().setUp()
        self.root.run('lvcreate', '-qq', '--type', 'thin-pool', '-L', '64M',
                      '-n', 'other-pool', self.vg_name)

    def depend_on(self, volume):
        path = self.device(volume.name)
        self.root.run('lvchange', '-qq', '-pr', '-an', path)
        self.root.run('lvcreate', '-qq', '-s', '--thinpool', 'other-pool',
                      '-n', 'dependent', path)
        return self.checksum(self.device('dependent'))

    def test_deletion(self):
        for clear in 'none', 'zero':
            with self.subTest(clear):
                driver = self.make_driver(lvm_type='default',
                                          volume_clear=clear)
                volume = self.made('-L', '16M')
                self.write(self.device(volume.name), 'data')
                data = self.depend_on(volume)
                names = self.lv_names()
                with self.assert_raises_with(
                        exception.VolumeIsBusy,
                        f'external origin.*lvs -S origin={volume.name}'):
                    driver.delete_volume(volume)
                self.assertEqual(names, self.lv_names())
                self.assertEqual(data,
                                 self.checksum(self.device('dependent')))
                self.root.run('lvremove', '-f', self.device('dependent'))
                self.root.run('lvremove', '-f', self.device(volume.name))

    def test_thin_volume(self):
        """Its old LV would be removed with the dependent one, as well."""
        pool = f'{self.vg_name}-pool'
        self.root.run('lvcreate', '-qq', '--type', 'thin-pool', '-L', '64M',
                      '-n', pool, self.vg_name)
        volume = self.made('-V', '16M', '--thinpool', pool)
        driver = self.make_driver()
        snapshot = self.snapshot(volume)
        driver.create_snapshot(snapshot)
        data = self.depend_on(volume)
        with self.assert_raises_with(exception.VolumeIsBusy,
                                     'external origin'):
            driver.delete_volume(volume)
        with self.assert_raises_with(exception.VolumeIsBusy,
                                     'external origin'):
            driver.revert_to_snapshot(self.context, volume, snapshot)
        self.assertEqual(data, self.checksum(self.device('dependent')))


class CachedVolumeTest(LayersTestCase):
    """An operator has put a cache before a volume."""

    def test_snapshot_and_deletion(self):
        self.root.run('modprobe', 'dm-cache')
        volume = self.made('-L', '16M')
        self.root.run('lvcreate', '-qq', '-y', '-L', '8M', '-n', 'fast',
                      self.vg_name)
        self.root.run('lvconvert', '-qq', '-y', '--type', 'cache',
                      '--cachevol', 'fast', f'{self.vg_name}/{volume.name}')
        snapshot, clone = self.snapshot(volume), self.volume()
        names = self.lv_names()
        # LVM 2.03.16 cannot: it leaves half of the snapshot.
        for verb, *arguments in (
                (self.driver.create_snapshot, snapshot),
                (self.driver.create_cloned_volume, clone, volume)):
            with self.assert_raises_with(
                    FAILURE, r"fast_cvol failed.*exit status 5\)$"):
                verb(*arguments)
            self.assertEqual(names, self.lv_names())
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lv_names())
