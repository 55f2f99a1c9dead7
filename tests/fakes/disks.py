# SPDX-License-Identifier: Apache-2.0
"""Disks of a host, as udev, the kernel and LVM tell of them."""

import os

import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.lvm import finding
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import members
from cinder_lvm_driver.lvm import udev

UUID = 'aaaaaa-bbbb-cccc-dddd-eeee-ffff-gggggg'


class Disks(fixtures.Fixture):
    """Disks with PVs.

    :ivar contents: VG name, VG UUID and PV UUID of each path
    :ivar looks: the paths of each listing that LVM was asked for
    """

    def __init__(self):
        super().__init__()
        self.contents = {}
        self.looks = []
        self._numbers = {}

    def _setUp(self):
        self._sysfs = self.useFixture(fixtures.TempDir()).path
        self._udev = self.useFixture(fixtures.TempDir()).path
        for module, name, value in (
                (blockdev, 'SYS', self._sysfs),
                (blockdev, 'number', self.number),
                (udev, '_FOLDER', self._udev),
                (finding, '_UDEV_SECONDS', 0),
                (kernel, '_REQUEST_SECONDS', 0)):
            self.useFixture(fixtures.MockPatchObject(module, name, value))

    def add(self, name, pv_uuid, vg_uuid=UUID, vg_name='vg',
            is_known_to_udev=True, **attributes):
        """Add a disk with a PV."""
        path = f'/dev/{name}'
        self.contents[path] = vg_name, vg_uuid, pv_uuid
        number = self.number(path)
        # As the kernel's: a link to a folder that has the device's name.
        folder = os.path.join(self._sysfs, 'devices', name)
        os.makedirs(os.path.join(folder, 'slaves'), exist_ok=True)
        link = os.path.join(self._sysfs, number)
        if not os.path.lexists(link):
            os.symlink(folder, link)
        for attribute, value in {'size': '8', 'dev': number,
                                 **attributes}.items():
            file = os.path.join(folder, attribute)
            os.makedirs(os.path.dirname(file), exist_ok=True)
            self._write(file, value)
        if is_known_to_udev:
            self._write(os.path.join(self._udev, f'b{number}'),
                        f'S:disk/by-id/serial-of-{name}\n'
                        f'S:disk/by-id/lvm-pv-uuid-{pv_uuid}\n'
                        f'E:ID_FS_UUID={pv_uuid}\n'
                        'E:ID_FS_TYPE=LVM2_member\n')
        return path

    def add_lv(self, name, vg_uuid, *disks, vg_name='vg'):
        """Add the device of an active LV on some disks."""
        path = self.add(name, 'guest-pv', **{
            'dm/name': f'{vg_name}-{name}',
            'dm/uuid': 'LVM-' + vg_uuid.replace('-', '') + 'x' * 32})
        del self.contents[path]
        for disk in disks:
            os.symlink(os.path.join(self._sysfs, self.number(disk)),
                       os.path.join(self._sysfs, self.number(path), 'slaves',
                                    os.path.basename(disk)))
        return path

    def remove(self, path):
        """Take a disk away."""
        del self.contents[path]
        number = self.number(path)
        os.remove(os.path.join(self._sysfs, number))
        udev_file = os.path.join(self._udev, f'b{number}')
        if os.path.exists(udev_file):
            os.remove(udev_file)

    def number(self, path):
        """Return the number of a device."""
        return self._numbers.setdefault(path, f'7:{len(self._numbers)}')

    def _write(self, path, text):
        # Another inode each time, as udev does it.
        with open(path + '.new', 'w') as file:
            file.write(text)
        os.replace(path + '.new', path)

    def list_pvs(self, paths):
        """Answer as LVM: each PV lists all PVs of its VG."""
        self.looks.append(set(paths))
        seen = {path: content for path, content in self.contents.items()
                if not paths or path in paths}
        vgs = {content[1] for content in seen.values()}
        by_uuid = {}
        for path, (_, _, pv_uuid) in sorted(seen.items()):
            by_uuid.setdefault(pv_uuid, []).append(path)
        everything = {content for content in (
            *self.contents.values(), *self.lost) if content[1] in vgs}
        return members.Listing(
            members=tuple(members.Member(
                vg_name=vg_name, vg_uuid=vg_uuid, pv_uuid=pv_uuid,
                path=by_uuid.get(pv_uuid, [None])[0])
                for vg_name, vg_uuid, pv_uuid in sorted(everything)),
            duplicates={pv_uuid: tuple(found)
                        for pv_uuid, found in by_uuid.items()
                        if len(found) > 1})

    #: PVs that are on no disk
    lost = ()
