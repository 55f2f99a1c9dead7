# SPDX-License-Identifier: Apache-2.0
"""Thin pools that fill up while a host writes over iSCSI."""

from concurrent import futures

from cinder import exception

from cinder_lvm_driver import naming
from tests.functional import base
from tests.functional import test_attach

MIB = base.MIB
API_EXCEPTION = exception.VolumeBackendAPIException


class FullPoolTestCase(test_attach.AttachTestCase):
    """A small pool for each test, in a VG that has room or has not.

    :cvar has_room: whether the VG has
    :cvar own_settings: of the driver that the pool belongs to
    """

    seconds = 40
    pv_sizes = (512 * MIB,)
    pool_mib = 64
    has_room = False
    own_settings = {}

    def setUp(self):
        super().setUp()
        self.pool = f'{self.vg_name}/{self.vg_name}-pool'
        self.root.run('lvremove', '-ff', '-y', self.vg_name)
        # The metadata can then be as small as it may be at all.
        self.root.run('vgchange', '-qq', '-s', '1M', self.vg_name)
        self.root.run(
            'lvcreate', '-qq', '--type', 'thin-pool', '-L',
            f'{self.pool_mib}M', '--poolmetadatasize', '2M', '-c', '64k',
            '-n', self.pool.split('/')[1], self.vg_name)
        if not self.has_room:
            # Otherwise what is written waits for space for a minute.
            self.root.run('lvchange', '-qq', '--errorwhenfull', 'y',
                          self.pool)
        self.names_at_start = self.lv_names()
        self.snapshots_taken = 0
        if not self.has_room:
            self.root.run('lvcreate', '-qq', '-Zn', '-l', '100%FREE', '-n',
                          'filler', self.vg_name)
            self.addCleanup(self.root.run, 'lvremove', '-ff', '-y',
                            self.device('filler'))
        self.driver = self.make_driver(**self.own_settings)

    def told(self):
        """Return what the scheduler is told."""
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        return pool

    def host_writes(self, path, offset, size):
        """Write as a host, while Cinder asks for the stats."""
        with futures.ThreadPoolExecutor(1) as executor:
            writing = executor.submit(self.write, path, 'data', offset, size)
            base.wait_until(lambda: self.told() and writing.done(),
                            'the host has written')
            writing.result()

    def take_snapshots(self, number, path):
        """Have the kernel, which LVM would slow down, use metadata.

        Each snapshot makes the kernel copy the metadata of the next write.
        """
        first = 1000 + self.snapshots_taken
        self.snapshots_taken += number
        pool = naming.device_mapper_name(*self.pool.split('/')) + '-tpool'
        origin = self.root.run('dmsetup', 'table', self.device(
            self.volume_made.name)).split()[4]
        return self.root.try_run('bash', '-c', f'''
            for n in $(seq {first} {first + number - 1}); do
                dmsetup message {pool} 0 "create_snap $n {origin}" || exit
                dd if=/dev/zero of={path} bs=4k count=1 oflag=direct \
                    conv=notrunc status=none || exit
            done''')


@base.slow
class FullTest(FullPoolTestCase):
    """No room: what fails, what goes on, and what helps."""

    def test_data(self):
        other = self.create_small(16 * MIB)
        self.write(self.device(other.name), 'other', size=16 * MIB)
        volume = self.export()
        with self.connected(self.attach(volume)) as (_brick, path):
            self.write(path, 'old')
            old = self.checksum(path)
            done = self.root.try_run('dd', 'if=/dev/zero', f'of={path}',
                                     'bs=1M', 'seek=4', 'oflag=direct')
            self.assertNotEqual(0, done.code)
            self.assertEqual(('down', 0), (self.told()['backend_state'],
                                           self.told()['free_capacity_gb']))
            self.assertEqual(old, self.checksum(path))
            self.write(path, 'new')
            self.driver.delete_volume(other)
            self.assertEqual('up', self.told()['backend_state'])
            self.write(path, 'more', 100 * MIB)

    def test_metadata(self):
        volume = self.volume_made = self.export()
        with self.connected(self.attach(volume)) as (_brick, path):
            self.write(path, 'old')
            old = self.checksum(path, MIB)
            self.assertNotEqual(0, self.take_snapshots(500, path).code)
            self.assertEqual('down', self.told()['backend_state'])
            self.assertEqual(old, self.checksum(path, MIB))
        self.driver.remove_export(self.context, volume)
        self.root.run('lvremove', '-ff', '-y', self.pool)


@base.slow
class RoomTest(FullPoolTestCase):
    """Room in the VG: the driver extends the pool, the host sees nothing."""

    has_room = True
    own_settings = {'lvm_thin_pool_autoextend_threshold': 70}

    def test_data(self):
        volume = self.export()
        with self.connected(self.attach(volume)) as (_brick, path):
            self.host_writes(path, 0, 160 * MIB)
        self.assertEqual('up', self.told()['backend_state'])

    def test_metadata(self):
        volume = self.volume_made = self.export()
        size = self.lv(self.pool.split('/')[1], 'lv_metadata_size')
        with self.connected(self.attach(volume)) as (_brick, path):
            self.write(path, 'data')
            for _ in range(3):
                done = self.take_snapshots(150, path)
                self.assertEqual('up', self.told()['backend_state'])
            self.assertEqual(0, done.code, done.stderr)
        self.assertNotEqual(
            size, self.lv(self.pool.split('/')[1], 'lv_metadata_size'))


class ReserveTest(FullPoolTestCase):

    own_settings = {'lvm_thin_pool_reserve_percent': 25}

    def test_nothing_new_while_io_goes_on(self):
        volume = self.export()
        snapshot = self.create_snapshot(volume)
        with self.connected(self.attach(volume)) as (_brick, path):
            self.write(path, 'data', size=52 * MIB)
            names = self.lv_names()
            for verb, *arguments in (
                    (self.driver.create_volume, self.volume()),
                    (self.driver.create_snapshot, self.snapshot(volume)),
                    (self.driver.create_cloned_volume, self.volume(), volume),
                    (self.driver.create_volume_from_snapshot, self.volume(),
                     snapshot),
                    (self.driver.extend_volume, volume, 2)):
                with self.subTest(verb.__name__):
                    with self.assert_raises_with(
                            API_EXCEPTION,
                            'lvm_thin_pool_reserve_percent keeps 25 %'):
                        verb(*arguments)
            self.assertEqual(names, self.lv_names())
            self.write(path, 'more', 52 * MIB, 8 * MIB)
            self.root.run('blkdiscard', path)
            self.driver.extend_volume(volume, 2)


class NoOvercommitTest(FullPoolTestCase):

    own_settings = {'lvm_thin_pool_overcommit': False}

    def test_every_write_has_its_space(self):
        volumes = [self.create_small(28 * MIB) for _ in range(2)]
        self.assertEqual('1.0', self.told()['max_over_subscription_ratio'])
        for verb, *arguments in (
                (self.driver.create_volume, self.volume()),
                (self.driver.create_snapshot, self.snapshot(volumes[0])),
                (self.driver.create_cloned_volume, self.volume(), volumes[0]),
                (self.driver.extend_volume, volumes[0], 1)):
            with self.subTest(verb.__name__):
                with self.assert_raises_with(
                        API_EXCEPTION, 'lvm_thin_pool_overcommit is false'):
                    verb(*arguments)
        for volume in volumes:
            self.serve(volume)
            with self.connected(self.attach(volume)) as (_brick, path):
                self.write(path, 'all of it', size=28 * MIB)
        self.assertEqual('up', self.told()['backend_state'])
