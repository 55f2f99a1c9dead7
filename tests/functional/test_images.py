# SPDX-License-Identifier: Apache-2.0
"""Images to volumes and back, raw and qcow2."""

import os
import uuid

from cinder import exception
from cinder import objects

from tests.functional import base

GIB = base.GIB
MIB = base.MIB
_FOLDER = '/var/lib/cinder/tmp'


class ImageService:
    """What Cinder's image code asks of Glance, over files."""

    def __init__(self):
        self.images = {}
        self.temp_images = None

    def add(self, path, disk_format):
        """Offer a file as an image; return its id."""
        image_id = str(uuid.uuid4())
        self.images[image_id] = {
            'id': image_id, 'disk_format': disk_format, 'path': path,
            'container_format': 'bare', 'size': os.path.getsize(path)}
        return image_id

    def show(self, context, image_id):
        return self.images[image_id]

    def download(self, context, image_id, data):
        with open(self.images[image_id]['path'], 'rb') as source:
            while chunk := source.read(MIB):
                data.write(chunk)

    def update(self, context, image_id, metadata, data, **kwargs):
        with open(self.images[image_id]['path'], 'wb') as target:
            while chunk := data.read(MIB):
                target.write(chunk)


class ImageVerbs:
    """What holds for every kind of LV."""

    def setUp(self):
        super().setUp()
        self.service = ImageService()
        self.number = 0

    def image(self, disk_format, content=b''):
        """Offer an image file that lasts for the test."""
        self.number += 1
        path = f'{_FOLDER}/{self.id()}-{self.number}'
        with open(path, 'wb') as target:
            target.write(content)
        self.addCleanup(os.remove, path)
        return self.service.add(path, disk_format), path

    def typed(self, volume):
        """Give a volume what Cinder's upload wants to see."""
        volume.volume_type = objects.VolumeType(self.context, extra_specs={})
        volume.glance_metadata = {}
        return volume

    def test_image_to_volume_and_back(self):
        _id, raw = self.image('raw', os.urandom(4 * MIB))
        os.truncate(raw, 64 * MIB)
        for disk_format in self.disk_formats:
            with self.subTest(disk_format):
                volume = self.typed(self.create_small(96 * MIB))
                image_id, path = self.image(disk_format)
                self.root.run('qemu-img', 'convert', '-f', 'raw', '-O',
                              disk_format, raw, path)
                self.driver.copy_image_to_volume(
                    self.context, volume, self.service, image_id)
                device = self.device(volume.name)
                self.root.run('cmp', '-n', 64 * MIB, device, raw)
                self.check_blocks(volume)
                upload_id, uploaded = self.image(disk_format)
                self.driver.copy_volume_to_image(
                    self.context, volume, self.service,
                    self.service.images[upload_id])
                self.root.run('qemu-img', 'compare', '-f', 'raw', '-F',
                              disk_format, device, uploaded)


class ThinImagesTest(ImageVerbs, base.BackendTestCase):
    settings = {'lvm_type': 'thin'}
    disk_formats = ('raw', 'qcow2')

    def check_blocks(self, volume):
        # 4 MiB of data, 60 MiB of zeroes, in 96 MiB.
        percent, = self.lv(volume.name, 'data_percent')
        self.assertAlmostEqual(4 * 100 / 96, float(percent), delta=0.1)

    def test_written_volume_is_written_over(self):
        volume = self.create_small()
        device = self.device(volume.name)
        self.write(device, 'old', size=8 * MIB)
        image_id, path = self.image('raw', os.urandom(MIB))
        os.truncate(path, 8 * MIB)
        self.driver.copy_image_to_volume(self.context, volume, self.service,
                                         image_id)
        self.root.run('cmp', '-n', 8 * MIB, device, path)

    def test_images_that_are_refused(self):
        volume = self.create()
        chained, path = self.image('qcow2')
        self.root.run('qemu-img', 'create', '-f', 'qcow2', '-F', 'raw', '-b',
                      '/etc/passwd', path)
        disguised, path = self.image('raw')
        self.root.run('qemu-img', 'create', '-f', 'qcow2', path, '8M')
        large, path = self.image('qcow2')
        self.root.run('qemu-img', 'create', '-f', 'qcow2', path, '2G')
        for image_id in chained, disguised, large:
            with self.assertRaises((exception.ImageUnacceptable,
                                    exception.Invalid)):
                self.driver.copy_image_to_volume(
                    self.context, volume, self.service, image_id)
        self.assertEqual('0.00', *self.lv(volume.name, 'data_percent'))


@base.slow
class ThickImagesTest(ImageVerbs, base.BackendTestCase):
    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    pv_sizes = (3 * GIB,)
    disk_formats = ('qcow2',)

    def check_blocks(self, volume):
        """Every extent is allocated anyway."""
