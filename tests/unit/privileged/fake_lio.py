# SPDX-License-Identifier: Apache-2.0
"""A folder that behaves like LIO's tree in configfs, as far as we use it.

tests/contract/test_lio.py holds it to the real kernel.
"""

import errno
import os
from unittest import mock

import fixtures

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import lio_tree
from cinder_lvm_driver.privileged.listening import Portal
from tests import base
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_devices

# What a new directory brings with it: files with their texts, and folders.
_CONTENTS = (
    (r'core/iblock_\d+', {'hba_info': '', 'hba_mode': ''}),
    (r'core/iblock_\d+/[^/]+', {
        'enable': '0', 'udev_path': '', 'control': '',
        'info': 'Status: DEACTIVATED\n        Major: 0 Minor: 0',
        'wwn/vpd_unit_serial': 'T10 VPD Unit Serial Number: ',
        'attrib/emulate_tpu': '0'}),
    ('iscsi', {'discovery_auth/enforce_discovery_auth': '0',
               'lio_version': ''}),
    ('iscsi/[^/]+', {'fabric_statistics/': ''}),
    (r'iscsi/[^/]+/tpgt_\d+', {
        'enable': '0', 'dynamic_sessions': '', 'attrib/authentication': '1',
        'attrib/generate_node_acls': '0', 'attrib/demo_mode_discovery': '1',
        'acls/': '', 'lun/': '', 'np/': ''}),
    (r'.*/lun/lun_\d+', {'alua_tg_pt_gp': '', 'statistics/': ''}),
    ('.*/np/[^/]+', {'iser': '0'}),
    ('.*/acls/[^/]+', {
        'info': 'No active iSCSI Session for Initiator Endpoint: x',
        'auth/userid': '', 'auth/password': '', 'attrib/': ''}),
    (r'.*/acls/[^/]+/lun_\d+', {'write_protect': '0'}),
)


class FakeOs(fake_configfs.FakeOs):
    """The kernel's side of the tree.

    :ivar devices: the LVs, number by path
    :ivar without_discard: paths of LVs that cannot be discarded
    :ivar opened_elsewhere: paths of LVs that something else has opened
    :ivar refused_portals: names of portals that cannot be bound
    """

    CONTENTS = _CONTENTS

    def __init__(self, root):
        super().__init__(root)
        self.devices = {}
        self.without_discard = set()
        self.opened_elsewhere = set()
        self.refused_portals = set()

    def mkdir(self, path):
        relative = os.path.relpath(path, self.root)
        if ('/np/' in relative and not os.path.exists(path)
                and os.path.basename(path) in self.refused_portals):
            self.fail(errno.EINVAL)
        super().mkdir(path)

    def _write_control(self, folder, text):
        if self.is_enabled(folder):
            self.fail(errno.EEXIST)
        device, _, self.read_only = text.partition(',')
        return device.removeprefix('udev_path=')

    def _write_enable(self, folder, text):
        if '/core/' not in folder:
            return text
        if self.is_enabled(folder):
            self.fail(errno.EEXIST)
        device = fake_configfs.read(f'{folder}/control')
        if device not in self.devices:
            self.fail(errno.ENOENT)
        number = 'Major: %s Minor: %s ' % tuple(
            self.devices[device].split(':'))
        opened = set(self.opened_elsewhere)
        if device in opened or any(
                number in fake_configfs.read(
                    f'{self.root}/core/{hba}/{name}/info')
                for hba in os.listdir(f'{self.root}/core')
                for name in os.listdir(f'{self.root}/core/{hba}')
                if '.' in name):
            self.fail(errno.EBUSY)
        self.put(f'{folder}/info', f'Status: ACTIVATED\n readonly: '
                 f'{int(self.read_only == "readonly=1")}\n'
                 f' {number} CLAIMED')
        return text

    def _write_vpd_unit_serial(self, folder, text):
        if os.path.dirname(folder) in self.links().values():
            self.fail(errno.EINVAL)
        return f'T10 VPD Unit Serial Number: {text}'

    def _write_emulate_tpu(self, folder, text):
        if fake_configfs.read(f'{folder}/../control') in self.without_discard:
            self.fail(errno.ENOSYS)
        return text

    def is_enabled(self, folder):
        return fake_configfs.read(f'{folder}/enable') == '1'

class FakeLio(fixtures.Fixture):
    """Gives the verbs of privileged/lio.py a tree of their own.

    :ivar os: the ``FakeOs``
    """

    def _setUp(self):
        root = self.useFixture(fixtures.TempDir()).path
        os.mkdir(f'{root}/core')
        self.os = FakeOs(root)
        self.root = configfs.Directory(root)
        for path, number in fake_devices.VOLUMES.items():
            self.add_device(path, number)
        self.useFixture(fake_devices.FakeDevices(self.os.devices))
        for patch in (
                mock.patch.object(configfs, 'os', self.os),
                mock.patch.object(lio_tree, 'ROOT', self.root),
                mock.patch.object(lio_tree, '_why_refused',
                                  lambda portal, failure: 'Address in use')):
            patch.start()
            self.addCleanup(patch.stop)

    def add_device(self, path, number):
        self.os.devices[path] = number

    def log_in(self, target_iqn, initiator_iqn):
        """Let an initiator have a session."""
        self.os.put(f'{self.root.path}/iscsi/{target_iqn}/tpgt_1/acls/'
                    f'{initiator_iqn}/info', 'InitiatorName: x')


class LioTestCase(base.TestCase):
    """A test of the verbs on a fake tree.

    :ivar lio: the ``FakeLio``
    """

    TARGET = 'iqn.2010-10.org.openstack:volume-1'
    HOST = 'iqn.1993-08.org.debian:01:aaaa'
    DEVICE = '/dev/vg/volume-1'
    OTHER_DEVICE = '/dev/vg/volume-2'
    SERIAL = '11111111-2222-3333-4444-555555555555'
    CHAP = Chap('name', 'secret123456')
    PORTALS = (Portal('10.0.0.1', 3260), Portal('2001:db8::1', 3260))

    def setUp(self):
        super().setUp()
        self.lio = self.useFixture(FakeLio())

    def create(self, **kwargs):
        return lio.create_target(**{
            'target_iqn': self.TARGET, 'device': self.DEVICE,
            'serial': self.SERIAL, 'portals': self.PORTALS,
            'chap': self.CHAP, 'initiators': (), 'mode': 'complete',
            **kwargs})

    def allow(self):
        return lio.allow_initiator(target_iqn=self.TARGET,
                                   initiator_iqn=self.HOST, chap=self.CHAP)

    def listed(self):
        return lio.list_targets()[self.TARGET]

    @property
    def tpg(self):
        return self.lio.root / 'iscsi' / self.TARGET / 'tpgt_1'

    def backstores(self):
        """Return all backstores, by the index of their HBA."""
        return sorted((backstore
                       for hba in (self.lio.root / 'core').directories()
                       for backstore in hba.directories()),
                      key=lambda directory: int(
                          directory.parent.name.partition('_')[2]))
