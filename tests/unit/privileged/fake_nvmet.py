# SPDX-License-Identifier: Apache-2.0
"""A folder that behaves like nvmet's tree in configfs, as far as we use it.

tests/contract/test_nvmet.py holds it to the real kernel.
"""

import errno
import os
from unittest import mock

import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import nvmet_tree
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_devices

_PORTAL = ('addr_trtype', 'addr_adrfam', 'addr_traddr', 'addr_trsvcid')


class FakeOs(fake_configfs.FakeOs):
    """The kernel's side of the tree.

    :ivar devices: the LVs, number by path
    :ivar refused_addresses: traddr of portals that cannot be bound
    :ivar ended: subsystems whose controllers were ended
    :ivar revalidated: namespaces whose size was looked at
    :ivar removed_open: namespaces that were removed while they were enabled,
        which can leave the device open until a reboot
    """

    CONTENTS = (
        ('subsystems/[^/]+', {
            'attr_allow_any_host': '0', 'attr_qid_max': '128',
            'allowed_hosts/': '', 'namespaces/': ''}),
        (r'subsystems/[^/]+/namespaces/\d+', {
            'device_path': '(null)', 'enable': '0', 'revalidate_size': '',
            'device_uuid': '00000000-0000-4000-8000-000000000000',
            'device_nguid': '00000000-0000-0000-0000-000000000000'}),
        ('hosts/[^/]+', {'dhchap_key': '', 'dhchap_hash': 'hmac(sha256)'}),
        (r'ports/\d+', {**dict.fromkeys(_PORTAL, ''), 'subsystems/': '',
                        'referrals/': '', 'ana_groups/': '',
                        'param_inline_data_size': '-1'}),
    )

    def __init__(self, root):
        super().__init__(root)
        self.devices = {}
        self.refused_addresses = set()
        self.ended = []
        self.revalidated = []
        self.removed_open = []

    def rmdir(self, path):
        is_enabled = (os.path.basename(os.path.dirname(path)) == 'namespaces'
                      and self.value(path, 'enable') == '1')
        super().rmdir(path)
        if is_enabled:
            self.removed_open.append(os.path.relpath(path, self.root))

    def symlink(self, target, path):
        folder = os.path.dirname(path)
        if os.path.basename(folder) == 'allowed_hosts' and self.value(
                folder, '../attr_allow_any_host') != '0':
            self.fail(errno.EINVAL)
        if '/ports/' in path and not os.listdir(folder):
            self.bind(os.path.dirname(folder))
        super().symlink(target, path)

    def bind(self, port):
        portal = [self.value(port, name) for name in _PORTAL]
        if portal[0] == 'loop':
            return
        if not all(portal) or (':' in portal[2]) != (portal[1] == 'ipv6'):
            self.fail(errno.EINVAL)
        if portal[2] in self.refused_addresses:
            self.fail(errno.EADDRNOTAVAIL)
        for other in os.listdir(f'{self.root}/ports'):
            other = f'{self.root}/ports/{other}'
            if os.listdir(f'{other}/subsystems') and portal == [
                    self.value(other, name) for name in _PORTAL]:
                self.fail(errno.EADDRINUSE)

    def value(self, folder, attribute):
        return fake_configfs.read(f'{folder}/{attribute}')

    def _write_attr_qid_max(self, folder, text):
        self.ended.append(os.path.basename(folder))
        return text

    def _write_revalidate_size(self, folder, text):
        self.revalidated.append(os.path.relpath(folder, self.root))
        return ''

    def _write_enable(self, folder, text):
        if text == '1' and self.value(
                folder, 'device_path') not in self.devices:
            self.fail(errno.ENOENT)
        return text

    def _write_disabled(self, folder, text):
        if self.value(folder, 'enable') == '1':
            self.fail(errno.EBUSY)
        return text

    _write_device_path = _write_device_uuid = _write_disabled
    _write_device_nguid = _write_disabled

    def _write_address(self, folder, text):
        if os.listdir(f'{folder}/subsystems'):
            self.fail(errno.EACCES)
        return text

    _write_addr_traddr = _write_addr_trsvcid = _write_address
    _write_addr_trtype = _write_addr_adrfam = _write_address
    _write_param_inline_data_size = _write_address

    def _write_dhchap_key(self, folder, text):
        if not text.startswith('DHHC-1:'):
            self.fail(errno.EINVAL)
        return text


class FakeNvmet(fixtures.Fixture):
    """Gives the verbs of privileged/nvmet.py a tree of their own.

    :ivar os: the ``FakeOs``
    """

    def _setUp(self):
        root = self.useFixture(fixtures.TempDir()).path
        for name in ('hosts', 'ports', 'subsystems'):
            os.mkdir(f'{root}/{name}')
        self.os = FakeOs(root)
        self.root = configfs.Directory(root)
        self.sys = self.useFixture(fixtures.TempDir()).path
        for path, number in fake_devices.VOLUMES.items():
            self.add_device(path, number)
        self.useFixture(fake_devices.FakeDevices(self.os.devices))
        for patch in (
                mock.patch.object(configfs, 'os', self.os),
                mock.patch.object(nvmet_tree, 'ROOT', self.root),
                mock.patch.object(
                    nvmet_tree, 'UNMARKED',
                    f'{self.useFixture(fixtures.TempDir()).path}/host'),
                mock.patch.object(blockdev, 'SYS', self.sys)):
            patch.start()
            self.addCleanup(patch.stop)
        self.addCleanup(self.assert_nothing_removed_open)

    def add_device(self, path, number, discard=True):
        self.os.devices[path] = number
        self.os.put(f'{self.sys}/{number}/queue/discard_max_bytes',
                    '4194304' if discard else '0')

    def assert_nothing_removed_open(self):
        assert not self.os.removed_open, self.os.removed_open
