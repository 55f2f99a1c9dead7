# SPDX-License-Identifier: Apache-2.0
"""Images to volumes and back; copies and moves of volumes."""

import os

from cinder import objects

from benchmarks import section
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_images
from tests.functional import test_moving

_BLOCK = 8 * base.MIB
# What is measured is the copy, not the wipe.
_LAYOUTS = {'thick': {'lvm_type': 'default', 'volume_clear': 'none'},
            'thin': {'lvm_type': 'thin'}}


class Copies(section.Section):
    """Sparse and full ones, beside dd with direct I/O."""

    pv_sizes = (60 * base.GIB,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = cls.enterClassContext(fixtures.volume_group(
            cls.root, f'{cls.vg_name}-other', cls.pv_sizes))

    def measure(self, layout, size, image_mib, percent, rounds,
                in_tree_rounds):
        """Copy an image of which some percent is data, in a larger volume."""
        self.service = test_images.ImageService()
        # Images can be larger than the memory that holds its default.
        folder = fixtures.path_of('conversion')
        self.root.run('install', '-d', '-o', 'cinder', folder)
        base.CONF.set_override('image_conversion_dir', folder)
        self.there = self.make_driver(volume_group=self.other,
                                      **_LAYOUTS['thick'])
        drivers = self.drivers(in_tree_rounds, **_LAYOUTS[layout])
        image_id = self.service.add(self.image(image_mib, percent), 'raw')
        kind = f'{layout}, {percent} % data'
        # The first round also allocates the blocks below the loop devices.
        for name, subject in self.turns(rounds, in_tree_rounds):
            self.copy(drivers, name, subject, kind, size, image_id)

    def image(self, mib, percent):
        """Return the path of a new raw image."""
        path = self.file('image')
        data = os.urandom(_BLOCK)
        with open(path, 'r+b') as file:
            file.truncate(mib * base.MIB)
            for offset in range(0, mib * base.MIB, _BLOCK * 100 // percent):
                file.seek(offset)
                file.write(data)
            os.fsync(file.fileno())
        return path

    def file(self, name):
        """Return the path of a new file that user cinder can write."""
        path = fixtures.path_of(name)
        self.root.run('install', '-o', 'cinder', '/dev/null', path)
        return path

    def copy(self, drivers, name, subject, kind, size, image_id):
        """Fill a volume with an image, upload it, clone it and move it."""
        bare = name == section.BARE
        ours = drivers[section.OURS]
        driver = ours if bare else drivers[name]
        image = self.service.images[image_id]['path']
        volume, clone = self.typed(size), self.typed(size)
        device, upload = self.device(volume.name), self.file('upload')
        driver.create_volume(volume)
        with self.recording(f'image to volume ({kind})', subject, size):
            if bare:
                self.dd(image, device)
            else:
                driver.copy_image_to_volume(self.context, volume,
                                            self.service, image_id)
        with self.recording(f'volume to image ({kind})', subject, size):
            if bare:
                self.dd(device, upload)
            else:
                driver.copy_volume_to_image(
                    self.context, volume, self.service,
                    self.service.images[self.service.add(upload, 'raw')])
        self.root.run('rm', upload)
        if kind.startswith('thick'):
            with self.recording(f'clone ({kind})', subject, size):
                if bare:
                    ours.create_volume(clone)
                    self.dd(device, self.device(clone.name))
                else:
                    driver.create_cloned_volume(clone, volume)
            ours.delete_volume(clone)
            place = test_moving.place(self.there)
            with self.recording(f'migrate ({kind})', subject, size):
                if bare:
                    self.there.create_volume(volume)
                    self.dd(device, f'/dev/{self.other}/{volume.name}')
                    ours.delete_volume(volume)
                else:
                    moved, _update = driver.migrate_volume(
                        self.context, volume, place)
                    self.assertTrue(moved)
            ours = self.there
        ours.delete_volume(volume)

    def dd(self, source, destination):
        self.root.run('dd', f'if={source}', f'of={destination}', 'bs=1M',
                      'iflag=direct', 'oflag=direct', 'conv=notrunc')

    def recording(self, what, subject, beside):
        """Return a context that is recorded, and starts without a cache."""
        self.root.run('sysctl', '-q', 'vm.drop_caches=3')
        return super().recording(what, subject, beside)

    def typed(self, size):
        """Return a volume with what Cinder's upload wants to see."""
        volume = self.volume(size)
        volume.volume_type = objects.VolumeType(self.context, extra_specs={})
        volume.glance_metadata = {}
        return volume
