# SPDX-License-Identifier: Apache-2.0
"""Device nodes that are missing, or lead to the device of another LV."""

import contextlib
import hashlib
import os
import tempfile

from cinder_lvm_driver.lvm import activation
from cinder_lvm_driver import naming
from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_images
from tests.functional import test_nvmet
from tests.functional import test_tgt

GIB = base.GIB
MIB = base.MIB
# As in containers where no udev runs (OpenStack-Helm).
LVM_CONF = '''
activation {
    udev_rules = 0
    udev_sync = 0
}
devices {
    obtain_device_list_from_udev = 0
}
'''


@contextlib.contextmanager
def without_udev(root):
    """Have no udev on this machine."""
    root.run('pkill', '-KILL', '-x', 'systemd-udevd')
    base.wait_until(lambda: root.try_run('pidof', 'systemd-udevd').code,
                    'udev has ended')
    root.run('mv', '/run/udev', '/run/udev.away')
    try:
        yield
    finally:
        root.try_run('rm', '-rf', '/run/udev')
        root.run('mv', '/run/udev.away', '/run/udev')
        root.run('/lib/systemd/systemd-udevd', '--daemon')
        root.run('udevadm', 'trigger', '--subsystem-match=block')
        root.run('udevadm', 'settle')


WAYS = ('stale link', 'stale node', 'stale mapper', 'missing link',
        'missing both')


class Nodes:
    """Breaks the nodes of an LV in all ways that were seen."""

    def break_nodes(self, way, name, other):
        """Break the nodes of an LV.

        :param way: of ``WAYS``
        :param other: the LV whose device the wrong nodes lead to
        """
        path = self.device(name)
        mapped = naming.device_mapper_path(self.vg_name, name)
        if way == 'stale link':
            self.root.run('ln', '-sfn', self.real(other), path)
        elif way == 'stale node':
            # At once, or udev may create the link again meanwhile.
            self.root.run('mknod', f'{path}.new', 'b', *self.number(other))
            self.root.run('mv', '-f', f'{path}.new', path)
        elif way == 'stale mapper':
            self.root.run('ln', '-sfn', self.real(other), mapped)
        elif way == 'missing link':
            self.root.run('rm', '-f', path)
        else:
            self.root.run('rm', '-f', path, mapped)

    def number(self, name):
        """Return the device number of an LV."""
        return self.lv(name, 'lv_kernel_major,lv_kernel_minor')

    def real(self, name):
        return self.root.run('readlink', '-f', naming.device_mapper_path(
            self.vg_name, name)).strip()

    def pair(self):
        """Return two volumes of different data."""
        volumes = self.create(), self.create()
        for volume in volumes:
            self.write(self.device(volume.name), volume.id)
        return volumes


class ServedCases(Nodes):

    def test_export(self):
        volume, other = self.pair()
        data = self.checksum(self.device(volume.name))
        for way in WAYS:
            with self.subTest(way):
                self.break_nodes(way, volume.name, other.name)
                self.store(volume, self.driver.create_export(
                    self.context, volume, self.connector))
                with self.connected(self.attach(volume)) as (_brick, path):
                    self.assertEqual(data, self.checksum(path))
            self.driver.terminate_connection(volume, self.connector)
            self.driver.remove_export(self.context, volume)
            volume.volume_attachment.objects.clear()

    @base.slow
    def test_restart(self):
        volume, other = self.pair()
        data = self.checksum(self.device(volume.name))
        self.serve(volume)
        connection = self.attach(volume)
        for way in WAYS:
            with self.subTest(way):
                self.forget_targets()
                self.break_nodes(way, volume.name, other.name)
                self.driver.update_provider_info([volume], [])
                with self.connected(connection) as (_brick, path):
                    self.assertEqual(data, self.checksum(path))
        self.driver.terminate_connection(volume, self.connector)


class LioNodesTest(ServedCases, test_attach.AttachTestCase):
    pass


class NvmetNodesTest(ServedCases, test_nvmet.NvmetTestCase):
    pass


@base.slow
class TgtNodesTest(ServedCases, test_tgt.TgtTestCase):
    pass


class ThickNodesTest(Nodes, base.BackendTestCase):
    """What the driver itself writes and reads."""

    pv_sizes = (10 * GIB,)
    direct = False
    settings = {'lvm_type': 'default', 'volume_clear': 'zero'}

    @base.slow
    def test_clone(self):
        volume, other = self.create_small(), self.create()
        self.write(self.device(volume.name), 'ours')
        data = self.checksum(self.device(volume.name))
        snapshot = self.create_snapshot(volume)
        name = naming.snapshot_lv_name(snapshot.name)
        for way in WAYS:
            with self.subTest(way):
                self.break_nodes(way, name, other.name)
                clone = self.create_from(snapshot)
                self.assertEqual(data,
                                 self.checksum(self.device(clone.name)))

    def create_from(self, snapshot):
        """Create a volume of a snapshot, deleted after the test."""
        volume = self.volume()
        self.driver.create_volume_from_snapshot(volume, snapshot)
        self.addCleanup(self.driver.delete_volume, volume)
        return volume

    def test_extension(self):
        other = self.create()
        end = 64 * MIB
        self.write(self.device(other.name), 'other', end)
        kept = self.checksum(self.device(other.name), end)
        for way in 'stale link', 'stale node', 'missing link':
            volume = self.create_small()
            with self.subTest(way):
                self.break_nodes(way, volume.name, other.name)
                self.driver.extend_volume(volume, 1)
                self.assertEqual(kept, self.checksum(
                    self.device(other.name), end))

    def test_wiping_that_goes_on_at_a_start(self):
        other = self.create_small()
        self.write(self.device(other.name), 'other')
        kept = self.checksum(self.device(other.name))
        for number, way in enumerate(WAYS):
            doomed = f'cinder-wipe-123456789abc-0000000{number}'
            self.root.run('lvcreate', '-qq', '-y', '-L', '8M', '-n', doomed,
                          self.vg_name)
            with self.subTest(way):
                self.break_nodes(way, doomed, other.name)
                self.make_driver(**self.settings)
                self.assertNotIn(doomed, self.wait_until_wiped())
                self.assertEqual(kept,
                                 self.checksum(self.device(other.name)))

    @base.slow
    def test_image(self):
        verbs = test_images.ImageVerbs
        volume, other = self.create_small(), self.create_small()
        self.write(self.device(volume.name), 'ours')
        data = self.checksum(self.device(volume.name))
        verbs.typed(self, volume)
        folder = self.enterContext(tempfile.TemporaryDirectory())
        os.chmod(folder, 0o777)
        for way in WAYS:
            service = test_images.ImageService()
            image = os.path.join(folder, way.replace(' ', '-'))
            with open(image, 'w'):
                pass
            image_id = service.add(image, 'raw')
            with self.subTest(way):
                self.break_nodes(way, volume.name, other.name)
                self.driver.copy_volume_to_image(
                    self.context, volume, service, service.images[image_id])
                with open(image, 'rb') as uploaded:
                    self.assertEqual(data, hashlib.sha256(
                        uploaded.read(4 * MIB)).hexdigest())


class NoUdevTest(base.TestCase):
    """A container in which LVM makes the nodes itself, as plain nodes."""

    pv_sizes = (3 * GIB,)
    direct = False

    def setUp(self):
        super().setUp()
        # LVM keeps its backups there, as root.
        folder = self.root.run('mktemp', '-d', '-p', '/etc').strip()
        self.addCleanup(self.root.run, 'rm', '-r', folder)
        self.root.run('chmod', '755', folder)
        self.conf = os.path.join(folder, 'lvm.conf')
        self.root.run('tee', self.conf, text=LVM_CONF)
        self.enterContext(without_udev(self.root))

    def driver(self, **settings):
        self.addCleanup(self.root.run, 'env', f'LVM_SYSTEM_DIR='
                        f'{os.path.dirname(self.conf)}', 'lvremove', '-ff',
                        '-y', self.vg_name)
        return self.make_driver(lvm_conf_file=self.conf, **settings)

    def served(self):
        return self.root.run('bash', '-c', 'cat /sys/kernel/config/target/'
                             'core/iblock_*/*/info')

    def serve(self, driver):
        volume = self.volume()
        driver.create_volume(volume)
        for key, value in driver.create_export(
                self.context, volume, None).items():
            setattr(volume, key, value)
        number = self.root.run('lvs', '--noheadings', '-o',
                               'lv_kernel_major,lv_kernel_minor',
                               f'{self.vg_name}/{volume.name}').split()
        self.assertIn('Major: {} Minor: {} '.format(*number), self.served())
        self.driver_removes(driver, volume)

    def driver_removes(self, driver, volume):
        driver.remove_export(self.context, volume)
        driver.delete_volume(volume)

    def test_thin(self):
        self.serve(self.driver())

    def test_thick(self):
        driver = self.driver(lvm_type='default', volume_clear='zero')
        self.serve(driver)
        base.wait_until(lambda: not self.lvs(), 'the LV is wiped')
        volume = self.volume()
        driver.create_volume(volume)
        driver.extend_volume(volume, 2)
        driver.delete_volume(volume)
        base.wait_until(lambda: not self.lvs(), 'the LV is wiped')


class NodesCostTest(base.BackendTestCase):

    def test_nodes_that_are_right(self):
        volume = self.create()
        with self.assertNoLogs(activation.LOG, 'WARNING'):
            self.driver.create_export(self.context, volume, None)
        self.driver.remove_export(self.context, volume)
