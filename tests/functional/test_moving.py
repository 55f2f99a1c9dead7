# SPDX-License-Identifier: Apache-2.0
"""Volumes that move to another VG, and LVs that are converted in use."""

from cinder import exception
from cinder.volume.drivers import lvm as in_tree

from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_attach

GIB = base.GIB
MIB = base.MIB
THICK = {'lvm_type': 'default', 'volume_clear': 'none'}
MOVED = (True, None)


def place(driver):
    """Return what the scheduler tells of a back end."""
    pool, = driver.get_volume_stats(refresh=True)['pools']
    return {'host': driver.host, 'capabilities': pool}


class MigrationTest(base.BackendTestCase):
    """From thick to thin to mirrored and back, on one host."""

    settings = THICK
    pv_sizes = (3 * GIB,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.groups = {'thick': cls.vg_name}
        cls.drivers = {'thick': cls.driver}
        for kind, pvs, settings in (
                ('thin', 1, {'lvm_type': 'thin'}),
                ('mirrored', 2, {'lvm_mirrors': 1, **THICK})):
            name = f'{cls.vg_name}-{kind}'
            cls.groups[kind] = cls.enterClassContext(fixtures.volume_group(
                cls.root, name, (2 * GIB,) * pvs))
            cls.drivers[kind] = cls.make_driver(volume_group=name,
                                                **settings)

    def names(self, kind):
        """Return the LVs of a back end but its pool and those being wiped."""
        out = self.root.run('lvs', '--noheadings', '-o', 'lv_name',
                            self.groups[kind])
        return {name for name in out.split() if not (
            name.endswith('-pool') or name.startswith(base.WIPED_LATER))}

    def device_at(self, kind, volume):
        return f'/dev/{self.groups[kind]}/{volume.name}'

    def sums(self, kind, volume):
        return [self.checksum(self.device_at(kind, volume), offset)
                for offset in (0, 512 * MIB, GIB - 4 * MIB)]

    def percent(self, volume):
        return float(self.root.run(
            'lvs', '--noheadings', '-o', 'data_percent',
            self.device_at('thin', volume)))

    def move(self, volume, source, destination, **drivers):
        """Migrate a volume; fail unless all of it came and nothing stayed."""
        drivers = {**self.drivers, **drivers}
        before = self.sums(source, volume)
        self.assertEqual(MOVED, drivers[source].migrate_volume(
            self.context, volume, place(drivers[destination])))
        self.assertEqual(before, self.sums(destination, volume))
        self.assertEqual((set(), {volume.name}),
                         (self.names(source), self.names(destination)))

    @base.slow
    def test_there_and_back(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        # What the disk held before would be no holes.
        self.root.run('blkdiscard', '-z', self.device(volume.name))
        for offset in 0, GIB - 4 * MIB:
            self.write(self.device(volume.name), 'data', offset)
        self.move(volume, 'thick', 'thin')
        with self.subTest('holes stay holes'):
            self.assertLess(self.percent(volume), 2)
        self.move(volume, 'thin', 'mirrored')
        self.assertEqual('raid1', self.root.run(
            'lvs', '--noheadings', '-o', 'segtype',
            self.device_at('mirrored', volume)).strip())
        upstream = self.make_driver(in_tree.LVMVolumeDriver, **THICK)
        with self.subTest('the in-tree driver is understood'):
            self.move(volume, 'mirrored', 'thick', thick=upstream)
        with self.subTest('and understands us'):
            self.move(volume, 'thick', 'thin', thick=upstream)
        self.drivers['thin'].delete_volume(volume)

    def test_failed_copy_leaves_nothing(self):
        driver = self.make_driver(lvm_type='default', volume_clear='none',
                                  volume_dd_blocksize='1024G')
        volume = self.create()
        self.write(self.device(volume.name), 'data')
        before = self.checksum(self.device(volume.name))
        for kind in 'thin', 'mirrored':
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, 'exhausted'):
                driver.migrate_volume(self.context, volume,
                                      place(self.drivers[kind]))
            self.assertEqual(set(), self.names(kind))
        self.assertEqual(before, self.checksum(self.device(volume.name)))

    def test_copy_takes_its_name(self):
        original, new = self.volume(), self.volume(provider_location='new')
        self.driver.create_volume(new)
        self.addCleanup(self.driver.delete_volume, original)
        for expected in ({'_name_id': None, 'provider_location': None},
                         {'_name_id': new.id, 'provider_location': 'new'}):
            self.assertEqual(expected, self.driver.update_migrated_volume(
                self.context, original, new, 'available'))
            self.assertEqual({original.name},
                             self.names('thick') - {new.name})
            if new.name not in self.names('thick'):
                self.driver.create_volume(new)
                self.addCleanup(self.driver.delete_volume, new)


class RetypeTest(test_attach.AttachTestCase):
    """Other numbers of copies while a host has the volume."""

    # Copies that are given up are wiped, for which they are split off.
    settings = {**THICK, 'volume_clear': 'zero', 'volume_clear_size': 1,
                'volume_clear_ionice': '-c3'}
    pv_sizes = (3 * GIB,) * 3
    direct = False
    diff = {'extra_specs': {'volume_backend_name': ('one', 'other')}}

    def retype(self, volume, mirrors, lvm_type='default'):
        return self.driver.retype(self.context, volume, None, self.diff, {
            'host': self.driver.host, 'capabilities': {'location_info': (
                f'LVMVolumeDriver:{self.driver.hostname}:{self.vg_name}:'
                f'{lvm_type}:{mirrors}')}})

    def wait_for_equal_copies(self, volume):
        base.wait_until(
            lambda: self.lv(volume.name, 'sync_percent') == ('100.00',),
            'the copies are equal', 120)

    @base.slow
    def test_in_use(self):
        volume = self.export()
        connection = self.attach(volume)
        with self.host.connected(connection) as (_brick, path):
            self.write(path, 'data')
            before = self.checksum(path)
            with self.slow_raid():
                self.assertIs(True, self.retype(volume, 1))
                for mirrors in 0, 2:
                    with self.assert_raises_with(
                            exception.VolumeBackendAPIException,
                            'in-sync|initializing'):
                        self.retype(volume, mirrors)
            self.assertEqual(('raid1', str(GIB)),
                             self.lv(volume.name, 'segtype,lv_size'))
            self.write(path, 'while it copies', 512 * MIB)
            self.wait_for_equal_copies(volume)
            self.assertEqual([before] * 2, self.legs(volume))
            snapshot = self.snapshot(volume)
            self.driver.create_snapshot(snapshot)
            self.assertIs(True, self.retype(volume, 2))
            self.wait_for_equal_copies(volume)
            self.assertEqual([before] * 3, self.legs(volume))
            self.assertIs(False, self.retype(volume, 0, 'thin'))
            with self.assert_raises_with(
                    exception.VolumeBackendAPIException, '(?i)insufficient'):
                self.retype(volume, 5)
            self.assertEqual([before] * 3, self.legs(volume))
            self.assertIs(True, self.retype(volume, 0))
            self.assertEqual(('linear',), self.lv(volume.name, 'segtype'))
            self.assertEqual(before, self.checksum(path))
            base.wait_until(
                lambda: not self.lvs('lv_name', '-S', 'lv_name=~^cinder-wipe'),
                'the copies that were given up are wiped', 120)
            self.write(path, 'after')
            self.assertEqual(before, self.checksum(
                self.device('_' + snapshot.name)))
            self.driver.delete_snapshot(snapshot)
        self.driver.terminate_connection(volume, self.connector)

    def test_mirror_of_the_in_tree_driver(self):
        """Of an older LVM: this one no longer makes such a log."""
        volume = self.volume()
        self.root.run('lvcreate', '-qq', '-y', '-L', '1G', '-n', volume.name,
                      '--type', 'mirror', '-m', '1', '--nosync',
                      '--mirrorlog', 'disk', self.vg_name)
        self.addCleanup(self.driver.delete_volume, volume)
        device = self.device(volume.name)
        self.write(device, 'data')
        before = self.checksum(device)
        snapshot = self.create_snapshot(volume)
        self.write(device, 'after')
        self.driver.delete_snapshot(snapshot)
        self.write(device, 'data')
        self.assertIs(True, self.retype(volume, 1))
        self.assertEqual(('raid1',), self.lv(volume.name, 'segtype'))
        self.assertEqual([before] * 2, self.legs(volume))
