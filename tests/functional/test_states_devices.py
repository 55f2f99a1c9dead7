# SPDX-License-Identifier: Apache-2.0
"""Devices in the states that storage nodes get into.

PVs that are there twice, that went and came back, or that are new; VGs of
the same name; disks that guests write to, and disks that do not answer.
"""

import contextlib
import os
from unittest import mock

from cinder import exception

from cinder_lvm_driver import devices
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_health
from tests.functional import test_lvm

MIB = base.MIB
FAILURE = exception.VolumeBackendAPIException
RECORDS = '/var/lib/cinder/lvm-driver/{}.json'
THICK = {'lvm_type': 'default', 'volume_clear': 'none'}


class DevicesTestCase(test_health.HealthTestCase, test_lvm.LVMTestCase):

    pv_sizes = (2 * base.GIB,)

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver(**THICK)

    def disk(self, name, size=256 * MIB):
        """Give another disk."""
        return self.enterContext(fixtures.loop_device(self.root, name, size))

    def settle(self):
        """Wait until udev knows what is on each disk.

        The kernel (6.12) sends no event when a loop device gets its file.
        """
        self.root.run('udevadm', 'trigger', '--settle', '--action=change',
                      '--sysname-match=loop*')
        self.root.run('udevadm', 'settle')

    def pvs(self, vg_name=None):
        """Return the devices of a VG."""
        out = self.root.run('vgs', '--noheadings', '-o', 'pv_name',
                            vg_name or self.vg_name)
        return sorted(out.split())

    def backing_file(self, device):
        return self.root.run('losetup', '-n', '-O', 'BACK-FILE',
                             device).strip()

    def small_lv(self, name, *pvs):
        self.root.run('lvcreate', '-qq', '-y', '-L', '8M', '-n', name,
                      self.vg_name, *pvs)
        self.settle()


class DuplicateTest(DevicesTestCase):
    """A PV that is on two devices."""

    def assert_refused(self, *devices):
        # Each of them, in any order.
        pattern = ''.join(f'(?=.*{device})' for device in devices)
        with self.assert_raises_with(FAILURE, pattern):
            self.driver.create_volume(self.volume())
        self.assert_down(self.driver, pattern)
        volume = self.volume(id=self.name_of_lv)
        with self.assert_raises_with(FAILURE, pattern):
            self.driver.delete_volume(volume)
        with self.assert_raises_with(FAILURE, pattern):
            self.make_driver(**THICK)
        self.assertIn(f'volume-{self.name_of_lv}', self.lv_names())

    def setUp(self):
        super().setUp()
        volume = self.volume()
        self.name_of_lv = volume.id
        self.small_lv(volume.name)
        self.pv, = self.pvs()

    def test_copy_of_a_disk(self):
        path = self.backing_file(self.pv) + '-copy'
        self.root.run('cp', '--sparse=always', self.backing_file(self.pv),
                      path)
        self.addCleanup(self.root.run, 'rm', '-f', path)
        with contextlib.ExitStack() as stack:
            copy = self.root.run('losetup', '--find', '--show', path).strip()
            stack.callback(self.settle)
            stack.callback(self.root.run, 'losetup', '-d', copy)
            self.settle()
            self.assert_refused(self.pv, copy)
        self.assert_up(self.driver)
        self.make_driver(**THICK)

    def test_second_path_to_a_disk(self):
        # As that of a disk whose paths multipathd does not join.
        with contextlib.ExitStack() as stack:
            self.root.run('dmsetup', 'create', 'second-path', '--table',
                          f'0 {256 * MIB // 512} linear {self.pv} 0')
            stack.callback(self.settle)
            stack.callback(self.root.run, 'dmsetup', 'remove', '--retry',
                           'second-path')
            self.settle()
            self.assert_refused(self.pv, '/dev/mapper/second-path')
        self.assert_up(self.driver)


class SameNameTest(DevicesTestCase):
    """Another VG of the name, such as one that a guest has made."""

    def setUp(self):
        super().setUp()
        self.stranger = self.disk('stranger')
        devices = '--devices', self.stranger
        self.root.run('vgcreate', '-qq', '--setautoactivation', 'n',
                      *devices, 'stranger-vg', self.stranger)
        self.root.run('vgrename', '-qq', *devices, 'stranger-vg',
                      self.vg_name)
        self.settle()
        # A cleanup by name would mean either.
        self.addCleanup(self.settle)
        self.addCleanup(self.root.run, 'wipefs', '-qa', self.stranger)
        self.before = self.fingerprint()
        self.addCleanup(lambda: self.assertEqual(self.before,
                                                 self.fingerprint()))

    def fingerprint(self):
        return self.checksum(self.stranger, 0, MIB)

    def own_devices(self):
        return [device for device in self.pvs_of_all()
                if device != self.stranger]

    def pvs_of_all(self):
        return self.root.run('pvs', '--noheadings', '-o', 'pv_name', '-S',
                             f'vg_name={self.vg_name}').split()

    def test_first_start(self):
        """Without a record, nothing tells which VG is meant."""
        self.root.run('rm', RECORDS.format(self.vg_name))
        with self.assert_raises_with(
                FAILURE, f'several VGs {self.vg_name}.*vgrename'):
            self.make_driver(**THICK)
        self.assert_up(self.driver)

    def test_restart_and_extension(self):
        self.make_driver(**THICK)
        own = self.own_devices()
        extra = self.disk('extra', 2 * base.GIB)
        self.root.run('vgextend', '-qq', '--devices',
                      ','.join([*own, extra]), self.vg_name, extra)
        for number in range(3):
            self.driver.vg.create_volume(f'filler-{number}', 700 * MIB)
        self.assert_up(self.driver)
        driver = self.make_driver(**THICK)
        for number in range(3):
            driver.vg.delete(f'filler-{number}')
        self.root.run('vgreduce', '-qq', '--devices',
                      ','.join([*own, extra]), self.vg_name, extra)

    def test_own_vg_is_absent(self):
        own, = self.own_devices()
        path = self.backing_file(own)
        self.root.run('losetup', '-d', own)
        self.settle()
        try:
            self.assert_down(self.driver, 'was not found.*bring.*back')
            for act in (lambda: self.driver.create_volume(self.volume()),
                        lambda: self.make_driver(**THICK)):
                with self.assert_raises_with(
                        FAILURE, 'was not found.*Another VG has the same '
                        f'name.*{self.stranger}'):
                    act()
        finally:
            self.root.run('losetup', own, path)
            self.settle()
        self.assert_up(self.driver)
        self.make_driver(**THICK)


class GrownTest(DevicesTestCase):
    """A VG that is extended while the driver has it in hand."""

    def setUp(self):
        super().setUp()
        self.small_lv('a')
        self.small_lv('b')
        for name in self.vg.get_volumes():
            self.assertIn(name, 'ab')
        extra = self.disk('extra')
        self.root.run('vgextend', '-qq', self.vg_name, extra)
        self.addCleanup(self.root.run, 'vgreduce', '-qq', self.vg_name,
                        extra)
        self.addCleanup(self.root.run, 'lvremove', '-ff', '-y', self.vg_name)
        self.small_lv('new', extra)

    def assert_whole(self):
        vg = self.vg.get_vg()
        self.assertEqual(((), ()), (vg.lost_pvs, vg.returned_pvs))
        self.assertIsNone(self.vg.get_volume('new').health)
        out = self.root.run('vgs', '--noheadings', '-o',
                            'vg_missing_pv_count', self.vg_name)
        self.assertEqual('0', out.strip())

    def test_delete(self):
        self.vg.delete('a')
        self.assert_whole()
        self.assertEqual({'b', 'new'}, self.lv_names())

    def test_wipe(self):
        """The VG is extended while the volume is wiped."""
        volume = self.volume()
        self.vg.rename_volume('a', volume.name)
        more = self.disk('more')
        wipe = devices.DeviceWriter.wipe

        def extend_and_wipe(writer, device):
            self.root.run('vgextend', '-qq', self.vg_name, more)
            self.addCleanup(self.root.run, 'vgreduce', '-qq', self.vg_name,
                            more)
            self.small_lv('newer', more)
            self.addCleanup(self.root.run, 'lvremove', '-f',
                            self.device('newer'))
            wipe(writer, device)

        with mock.patch.object(devices.DeviceWriter, 'wipe',
                               extend_and_wipe):
            self.make_driver(lvm_type='default').delete_volume(volume)
            base.wait_until(lambda: self.lv_names() == {'b', 'new', 'newer'},
                            'the volume is wiped and removed')
        self.assert_whole()

    @base.slow
    def test_tags(self):
        tag = naming.EXTEND_TAG + '5-6'
        self.vg.add_tag('a', tag)
        self.assert_whole()
        self.assertEqual({tag}, self.vg.get_volume('a').tags)
        self.vg.delete_tag('a', tag)
        self.assertEqual(set(), self.vg.get_volume('a').tags)

    @base.slow
    def test_permission(self):
        self.root.run('lvchange', '-qq', '--permission', 'r',
                      f'{self.vg_name}/a')
        self.vg.make_writable('a')
        self.assert_whole()
        self.assertFalse(self.vg.get_volume('a').is_read_only)

    def test_other_changes(self):
        self.vg.rename_volume('a', 'c')
        self.vg.extend_volume('c', 16 * MIB)
        self.vg.create_volume('d', 8 * MIB)
        self.assert_whole()
        self.assertEqual({'b', 'c', 'd', 'new'}, self.lv_names())


class ReturnTest(DevicesTestCase):
    """A PV that is lost for a while."""

    pv_sizes = (256 * MIB, 256 * MIB)

    def setUp(self):
        super().setUp()
        self.first, self.second = self.pvs()
        self.small_lv('on-second', self.second)
        self.volumes = [self.volume() for _ in range(2)]
        for volume in self.volumes:
            self.small_lv(volume.name, self.first)

    @contextlib.contextmanager
    def lost(self):
        path, name = self.backing_file(self.second), self.second
        self.root.run('lvchange', '-qq', '-an', f'{self.vg_name}/on-second')
        self.root.run('losetup', '-d', name)
        self.settle()
        yield
        self.addCleanup(self.root.run, 'losetup', name, path)
        self.addCleanup(self.detach)
        # Another disk has its name now.
        self.enterContext(fixtures.loop_device(self.root, 'taken', MIB))
        self.second = self.root.run('losetup', '--find', '--show',
                                    path).strip()
        self.assertNotEqual(name, self.second)
        self.settle()

    def detach(self):
        self.root.run('lvchange', '-qq', '-an', self.vg_name)
        self.root.run('losetup', '-d', self.second)
        self.settle()

    def test_nothing_was_changed_meanwhile(self):
        with self.lost():
            self.assert_down(self.driver, 'lacks the devices')
        self.assert_up(self.driver)
        for volume in self.volumes:
            self.driver.delete_volume(volume)

    def test_volume_was_deleted_meanwhile(self):
        with self.lost():
            self.driver.delete_volume(self.volumes[0])
        self.assert_down(self.driver, self.advice)
        self.root.run(*self.advice.split())
        self.assert_up(self.driver)
        self.assertIsNone(self.vg.get_volume('on-second').health)

    @base.slow
    def test_volume_was_deleted_by_a_service_that_was_started_meanwhile(self):
        with self.lost():
            self.make_driver(**THICK).delete_volume(self.volumes[1])
        self.assert_down(self.make_driver(**THICK), self.advice)
        self.root.run(*self.advice.split())
        self.assert_up(self.make_driver(**THICK))

    @property
    def advice(self):
        return f'vgextend --restoremissing {self.vg_name} {self.second}'


class GuestDiskTest(DevicesTestCase):
    """A disk of a guest, attached to this host, with damaged metadata."""

    def setUp(self):
        super().setUp()
        disks = [self.disk(f'guest-{n}', 64 * MIB) for n in range(2)]
        self.root.run('vgcreate', '-qq', '--setautoactivation', 'n',
                      '--devices', ','.join(disks), 'guest-vg', *disks)
        # Where LVM keeps the text of the metadata.
        self.root.run('dd', 'of=' + disks[0], 'bs=1', 'seek=4638',
                      'conv=notrunc,fsync', 'status=none',
                      text='damaged by the guest')
        self.settle()
        self.disks = disks
        out = self.root.run('vgs', '--reportformat', 'json')
        self.assertIn('Retrying metadata scan', out)

    def reads(self):
        return [self.root.run('cat', '/sys/block/%s/stat' %
                              os.path.basename(disk)).split()[0]
                for disk in self.disks]

    def test_restart(self):
        before = self.reads()
        driver = self.make_driver(**THICK)
        self.assert_up(driver)
        self.assertEqual(before, self.reads())

    def test_first_start(self):
        name = self.enterContext(fixtures.volume_group(
            self.root, 'first-vg', (128 * MIB,)))
        self.assert_up(self.make_driver(volume_group=name, **THICK))

    def test_vg_that_lacks_a_pv_meanwhile(self):
        extra = self.disk('extra')
        devices = ','.join([*self.pvs(), extra])
        before = self.reads()
        self.root.run('vgextend', '-qq', '--devices', devices, self.vg_name,
                      extra)
        self.addCleanup(self.root.run, 'vgreduce', '-qq', self.vg_name,
                        extra)
        self.assert_up(self.driver)
        self.assertEqual(before, self.reads())


class HangingDiskTest(DevicesTestCase):
    """A disk that holds back I/O for ever."""

    @contextlib.contextmanager
    def suspended(self, name):
        self.root.run('dmsetup', 'suspend', '--noflush', '--nolockfs', name)
        try:
            yield
        finally:
            self.root.run('dmsetup', 'resume', name)

    def device_on(self, disk, name):
        """Give a device that can be suspended, over a disk."""
        self.root.run('dmsetup', 'create', name, '--table',
                      f'0 {255 * MIB // 512} linear {disk} {MIB // 512}')
        self.addCleanup(self.root.run, 'dmsetup', 'remove', '--retry', name)
        self.settle()
        return f'/dev/mapper/{name}'

    def test_disk_of_somebody_else(self):
        self.device_on(self.disk('else'), 'not-ours')
        with self.suspended('not-ours'):
            driver = self.make_driver(lvm_report_timeout=10, **THICK)
            self.assert_up(driver)
            volume = self.volume()
            driver.create_volume(volume)
            driver.delete_volume(volume)

    @base.slow
    def test_pv_of_somebody_else(self):
        device = self.device_on(self.disk('else'), 'other-pv')
        self.root.run('vgcreate', '-qq', '--devices', device, 'other-vg',
                      device)
        self.addCleanup(self.root.run, 'vgremove', '-ff', '-y', 'other-vg')
        self.settle()
        with self.suspended('other-pv'):
            self.assert_up(self.make_driver(lvm_report_timeout=10, **THICK))
            self.root.run('rm', RECORDS.format(self.vg_name))
            self.assert_up(self.make_driver(lvm_report_timeout=10, **THICK))

    def test_multipath_device_without_a_path(self):
        disk = self.disk('else')
        self.root.run('modprobe', 'dm-multipath')
        self.root.run('modprobe', 'dm-round-robin')
        self.root.run('dmsetup', 'create', 'no-path', '--table',
                      f'0 {255 * MIB // 512} multipath 1 queue_if_no_path 0 1 '
                      f'1 round-robin 0 1 1 {disk} 1')
        self.addCleanup(self.root.run, 'dmsetup', 'remove', '--retry',
                        'no-path')
        self.settle()
        number = self.root.run('cat', '/sys/block/%s/dev' %
                               os.path.basename(disk)).strip()
        self.root.run('dmsetup', 'message', 'no-path', 0,
                      f'fail_path {number}')
        try:
            driver = self.make_driver(lvm_report_timeout=10, **THICK)
            self.assert_up(driver)
        finally:
            self.root.run('dmsetup', 'message', 'no-path', 0,
                          'fail_if_no_path')

    def test_disk_of_the_vg(self):
        device = self.device_on(self.disk('own'), 'own-pv')
        self.root.run('vgcreate', '-qq', '--devices', device, 'slow-vg',
                      device)
        self.addCleanup(self.root.run, 'vgremove', '-ff', '-y', 'slow-vg')
        driver = self.make_driver(volume_group='slow-vg',
                                  lvm_report_timeout=3, **THICK)
        with self.suspended('own-pv'):
            self.assert_down(driver, 'waits for /dev/mapper/own-pv')
        base.wait_until(
            lambda: self.pool(driver)['backend_state'] == 'up',
            'the back end is up again')


class ReadOnlyDiskTest(DevicesTestCase):
    """A disk that accepts no writes, as after a fault of an array."""

    def test_down(self):
        volume = self.volume()
        self.small_lv(volume.name)
        pv, = self.pvs()
        self.root.run('blockdev', '--setro', pv)
        try:
            self.assert_down(self.driver, f'read-only.*{pv}.*--setrw')
            for verb, thing in ((self.driver.create_volume, self.volume()),
                                (self.driver.delete_volume, volume)):
                with self.assertRaises(FAILURE):
                    verb(thing)
            self.assertEqual({volume.name}, self.lv_names())
            again = self.make_driver(**THICK)
            self.assert_down(again, 'read-only')
            again.vg.bring_up(volume.name)
        finally:
            self.root.run('blockdev', '--setrw', pv)
        self.assert_up(self.driver)
        self.driver.delete_volume(volume)
        self.assertEqual(set(), self.lv_names())


class ShrunkDiskTest(DevicesTestCase):
    """A disk that has become smaller, as a LUN or a partition can."""

    def test_down(self):
        volume = self.volume()
        self.small_lv(volume.name)
        pv, = self.pvs()
        path = self.backing_file(pv)
        size = int(self.root.run('stat', '-c', '%s', path))
        self.resize(path, pv, size // 2)
        try:
            self.assert_down(self.driver, f'smaller.*{pv}.*old size')
            again = self.make_driver(**THICK)
            self.assert_down(again, 'smaller')
            again.delete_volume(volume)
        finally:
            self.resize(path, pv, size)
        self.assert_up(self.driver)
        self.assertEqual(set(), self.lv_names())

    def resize(self, path, pv, size):
        self.root.run('truncate', '-s', size, path)
        self.root.run('losetup', '-c', pv)


class RenamedDiskTest(DevicesTestCase):
    """A SCSI disk that goes and comes back under another name."""

    def scsi_disk(self):
        names = []

        def found():
            done = self.root.try_run('bash', '-c', 'ls /sys/bus/pseudo/devices'
                                     '/adapter0/host*/target*/*/block')
            names[:] = done.stdout.split()
            return len(names) == 1

        base.wait_until(found, 'the SCSI disk is there')
        return f'/dev/{names[0]}'

    def setUp(self):
        super().setUp()
        self.root.run('modprobe', 'scsi_debug', 'dev_size_mb=200')
        self.addCleanup(
            base.wait_until,
            lambda: not self.root.try_run('modprobe', '-r',
                                          'scsi_debug').code,
            'nothing uses the SCSI disk')
        self.settle()
        self.root.run('vgcreate', '-qq', '--setautoactivation', 'n',
                      'scsi-vg', self.scsi_disk())
        self.addCleanup(self.root.run, 'vgremove', '-ff', '-y', 'scsi-vg')
        self.settle()

    def rename(self):
        before = self.scsi_disk()
        device = os.path.join('/sys/block', os.path.basename(before),
                              'device')
        host = self.root.run('bash', '-c', f'readlink -f {device} | '
                             'grep -o "host[0-9]*" | head -n 1').strip()
        self.root.run('bash', '-c', f'echo 1 > {device}/delete')
        self.settle()
        self.root.run('bash', '-c',
                      f'echo "- - -" > /sys/class/scsi_host/{host}/scan')
        self.settle()
        self.assertNotEqual(before, self.scsi_disk())

    def test_thick(self):
        driver = self.make_driver(volume_group='scsi-vg', **THICK)
        driver.vg.create_volume('a', 16 * MIB)
        self.write('/dev/scsi-vg/a', 'data')
        data = self.checksum('/dev/scsi-vg/a')
        self.rename()
        driver.vg.bring_up('a')
        self.assertEqual(data, self.checksum('/dev/scsi-vg/a'))

        self.rename()
        self.assert_up(driver)
        self.assertEqual(data, self.checksum('/dev/scsi-vg/a'))

        self.rename()
        driver = self.make_driver(volume_group='scsi-vg', **THICK)
        driver.vg.create_cow_snapshot('s', 'a', 16 * MIB)
        self.assertEqual(data, self.checksum('/dev/scsi-vg/s'))

    @base.slow
    def test_mirrored(self):
        other = self.disk('second', 200 * MIB)
        self.root.run('vgextend', '-qq', 'scsi-vg', other)
        driver = self.make_driver(volume_group='scsi-vg', lvm_mirrors=1,
                                  **THICK)
        driver.vg.create_shaped_volume('a', 16 * MIB,
                                       lvm.Shape('raid1', mirrors=1))
        self.write('/dev/scsi-vg/a', 'data')
        data = self.checksum('/dev/scsi-vg/a')
        self.rename()
        driver.vg.bring_up('a')
        self.assertEqual(data, self.checksum('/dev/scsi-vg/a'))
        self.assertFalse(driver.vg.has_lost_disks)
        self.root.run('lvremove', '-ff', '-y', 'scsi-vg')

    def test_thin(self):
        driver = self.make_driver(volume_group='scsi-vg')
        volume = self.volume()
        driver.create_volume(volume)
        self.rename()
        if self.pool(driver)['backend_state'] == 'up':
            self.checksum(f'/dev/scsi-vg/{volume.name}')
        else:
            self.assert_down(
                self.make_driver(volume_group='scsi-vg'),
                'failed|no longer exist')


class TrueReasonTest(DevicesTestCase):
    """Why a VG cannot be used, where LVM would say that it is not there."""

    @contextlib.contextmanager
    def lvm_conf(self, text):
        """Give another lvm.conf than that of the machine."""
        # Not below /tmp: LVM must not read what others than root can change.
        folder = self.root.run('mktemp', '-d', '-p', '/etc').strip()
        self.root.run('chmod', '755', folder)
        self.root.run('tee', f'{folder}/lvm.conf', text=text)
        try:
            yield f'{folder}/lvm.conf'
        finally:
            self.root.run('rm', '-r', folder)

    def assert_start_fails(self, pattern, **settings):
        with self.assert_raises_with(FAILURE, pattern):
            self.make_driver(**{**THICK, **settings})

    def test_exported(self):
        self.root.run('vgexport', '-qq', self.vg_name)
        try:
            self.assert_start_fails('is exported.*vgimport')
            self.assert_down(self.driver, 'is exported.*vgimport')
        finally:
            self.root.run('vgimport', '-qq', self.vg_name)
        self.assert_up(self.driver)

    def test_of_another_host(self):
        self.root.run('vgchange', '-qq', '-y', '--systemid', 'other-host',
                      self.vg_name)
        try:
            self.assert_start_fails('system ID other-host.*lvmsystemid')
            self.assert_down(self.driver, 'system ID other-host')
        finally:
            self.root.run(
                'vgchange', '-qq', '-y', '--systemid', '', '--config',
                'global{system_id_source="lvmlocal"} '
                'local{system_id="other-host"}', self.vg_name)
        self.assert_up(self.driver)

    def test_hidden_by_a_filter(self):
        pv, = self.pvs()
        for name in 'filter', 'global_filter':
            with self.lvm_conf(
                    f'devices {{ {name} = ["r|^{pv}$|"] }}\n') as path:
                self.assert_start_fails(f'{pv}.*filter in lvm.conf',
                                        lvm_conf_file=path)

    def test_hidden_by_the_devices_file(self):
        pv, = self.pvs()
        with self.lvm_conf('devices { use_devicesfile = 1 }\n') as path:
            folder = os.path.dirname(path) + '/devices'
            self.root.run('mkdir', folder)
            self.root.run('tee', f'{folder}/system.devices',
                          text='VERSION=1.1.1\n')
            self.assert_start_fails(f'{pv}.*devices file.*lvmdevices',
                                    lvm_conf_file=path)

    def test_renamed(self):
        self.root.run('vgrename', '-qq', self.vg_name, 'renamed-vg')
        try:
            self.assert_start_fails('was renamed to renamed-vg')
            self.assert_down(self.driver, 'was renamed to renamed-vg')
        finally:
            self.root.run('vgrename', '-qq', 'renamed-vg', self.vg_name)
        self.assert_up(self.driver)

    def test_two_of_the_name_and_none_known(self):
        disks = [self.disk(f'twin-{n}', 64 * MIB) for n in range(2)]
        for number, disk in enumerate(disks):
            self.root.run('vgcreate', '-qq', '--devices', disk,
                          f'twin-{number}', disk)
            self.addCleanup(self.root.run, 'wipefs', '-qa', disk)
        for number, disk in enumerate(disks):
            self.root.run('vgrename', '-qq', '--devices', disk,
                          f'twin-{number}', 'twin-vg')
        self.settle()
        self.assert_start_fails('several VGs twin-vg.*vgrename',
                                volume_group='twin-vg')

    def test_made_anew_on_the_same_disks(self):
        name = 'anew-vg'
        disk = self.disk('anew')
        for _ in range(2):
            self.root.run('vgcreate', '-qq', '--setautoactivation', 'n',
                          name, disk)
            self.assert_up(self.make_driver(volume_group=name, **THICK))
            self.root.run('vgremove', '-qq', name)
            self.root.run('pvremove', '-qq', disk)
            self.settle()
