# SPDX-License-Identifier: Apache-2.0
"""What the verbs on LIO promise, on the fake tree here.

The same cases run on the real kernel: ``tests/functional/lio_on_kernel.py``.
"""

import functools
import os

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import lio_tree
from cinder_lvm_driver.privileged.listening import Portal
from tests import base
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_lio

TARGET = 'iqn.2010-10.org.openstack:volume-1'
LONGER = 'iqn.2010-10.org.openstack:volume-10'
HOST = 'iqn.1993-08.org.debian:01:aaaa'
OTHER_HOST = 'iqn.1993-08.org.debian:01:bbbb'
SERIAL = '11111111-2222-3333-4444-555555555555'
PORTALS = (Portal('127.0.0.1', 3260), Portal('::1', 3260))
CHAP = Chap('name', 'secret123456')


class Cases(fake_configfs.KillingCases):
    """Give ``self.devices``, the paths of two LVs, and ``self.os``."""

    def create(self, target=TARGET, device=0, initiators=(HOST,),
               read_only=False):
        return lio.create_target(
            target_iqn=target, device=self.devices[device], serial=SERIAL,
            portals=PORTALS, chap=CHAP, initiators=initiators,
            read_only=read_only, mode='complete')

    def allow(self, host=HOST, chap=CHAP):
        return lio.allow_initiator(target_iqn=TARGET, initiator_iqn=host,
                                   chap=chap)

    def tree(self):
        """Return the paths of all objects and links that we made."""
        found = set()
        for folder, folders, _ in os.walk(lio_tree.ROOT.path):
            for name in folders:
                path = os.path.join(folder, name)
                if (os.path.islink(path) or name.startswith(
                        ('iblock_', 'iqn.', 'tpgt_', 'lun_'))
                        or os.path.basename(folder) == 'np'):
                    found.add(os.path.relpath(path, lio_tree.ROOT.path))
        return found

    def assert_whole(self, target=TARGET, initiators=(HOST,)):
        listed = lio.list_targets()[target]
        self.assertEqual(len(PORTALS), len(listed.portals))
        self.assertEqual(set(PORTALS), set(listed.portals))
        self.assertEqual(dict.fromkeys(initiators, True),
                         listed.initiators)
        self.assertIsNotNone(listed.device)
        self.assertTrue(listed.enabled)
        self.assertTrue(listed.closed)

    def hba(self):
        """Return the only HBA that there is."""
        hba, = (found for found in (lio_tree.ROOT / 'core').directories()
                if found.name.startswith('iblock_'))
        return hba

    def test_read_only(self):
        for read_only in False, True:
            self.create(read_only=read_only)
            backstore = lio_tree.search_backstore(TARGET)
            self.assertIn(f'readonly: {read_only:d}', backstore.read('info'))
            lio.delete_target(TARGET)

    def test_create_and_delete(self):
        self.assertEqual(lio.Served(discard=True, refused=()), self.create())
        self.assert_whole()
        hba = self.hba()
        self.assertEqual({
            f'core/{hba.name}', f'core/{hba.name}/{TARGET}',
            f'iscsi/{TARGET}', f'iscsi/{TARGET}/tpgt_1',
            f'iscsi/{TARGET}/tpgt_1/lun/lun_0',
            f'iscsi/{TARGET}/tpgt_1/lun/lun_0/backstore',
            f'iscsi/{TARGET}/tpgt_1/np/127.0.0.1:3260',
            f'iscsi/{TARGET}/tpgt_1/np/[::1]:3260',
            f'iscsi/{TARGET}/tpgt_1/acls/{HOST}',
            f'iscsi/{TARGET}/tpgt_1/acls/{HOST}/lun_0',
            f'iscsi/{TARGET}/tpgt_1/acls/{HOST}/lun_0/lun'}, self.tree())
        backstore = hba / TARGET
        self.assertEqual(self.devices[0], backstore.read('udev_path'))
        self.assertIn(SERIAL, (backstore / 'wwn').read('vpd_unit_serial'))

        lio.delete_target(TARGET)
        lio.delete_target(TARGET)
        self.assertEqual(set(), self.tree())
        self.assertEqual({}, lio.list_targets())

    def test_delete_spares_what_serves_another_device(self):
        self.create()
        for device in self.devices[1], '/dev/vg/gone':
            lio.delete_target(TARGET, device)
            self.assert_whole()
        for _ in range(2):
            lio.delete_target(TARGET, self.devices[0])
            self.assertEqual(set(), self.tree())

    def test_create_again_changes_nothing(self):
        self.create()
        self.os.steps = []
        self.assertTrue(self.create().discard)
        self.assertEqual(
            [], [step for step in self.os.steps if step[0] != 'mkdir'])
        self.assert_whole()

    def test_a_name_that_begins_like_another(self):
        self.create(LONGER, device=1)
        lio.delete_target(TARGET)
        self.assert_whole(LONGER)
        self.create()
        lio.deny_all_initiators(TARGET)
        self.assert_whole(LONGER)
        lio.delete_target(TARGET)
        self.assert_whole(LONGER)

    def test_initiators(self):
        self.create(initiators=())
        self.allow()
        self.allow(OTHER_HOST)
        self.assert_whole(initiators=(HOST, OTHER_HOST))
        lio.deny_initiator(TARGET, HOST)
        lio.deny_initiator(TARGET, HOST)
        self.assert_whole(initiators=(OTHER_HOST,))
        self.allow()
        lio.deny_all_initiators(TARGET)
        self.assert_whole(initiators=())

    def test_a_new_secret(self):
        self.create()
        self.allow(chap=Chap('other', 'changed12345'))
        auth = (lio_tree.ROOT / 'iscsi' / TARGET / 'tpgt_1' / 'acls' / HOST
                / 'auth')
        self.assertEqual('other', auth.read('userid'))
        self.assertEqual('changed12345', auth.read('password'))

    def test_no_such_target(self):
        self.assertRaises(errors.TargetNotFound, self.allow)
        lio.deny_initiator(TARGET, HOST)
        lio.deny_all_initiators(TARGET)

    def test_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(self.create):
            self.create()
            self.assert_whole()
            self.assertEqual(
                1, len([path for path in self.tree()
                        if path.startswith('core/') and '/iqn' not in path]),
                died)
            lio.delete_target(TARGET)
            self.assertEqual(set(), self.tree(), died)

    def test_deleted_after_being_killed_at_each_step_of_create(self):
        for died in self.kill_at_each_step(self.create):
            lio.delete_target(TARGET)
            self.assertEqual(set(), self.tree(), died)

    def test_unused_after_being_killed_at_each_step_of_create(self):
        create = functools.partial(self.create, initiators=())
        for died in self.kill_at_each_step(create):
            self.assertEqual((TARGET,) if self.tree() else (),
                             lio.find_unused([TARGET, LONGER]), died)
            lio.delete_target(TARGET)
            self.assertEqual((), lio.find_unused([TARGET, LONGER]))

    def test_unused_after_being_killed_at_each_step_of_delete(self):
        self.create(initiators=())
        for died in self.kill_at_each_step(lambda: lio.delete_target(TARGET)):
            self.assertEqual((TARGET,) if self.tree() else (),
                             lio.find_unused([TARGET]), died)
            lio.delete_target(TARGET)
            self.assertEqual(set(), self.tree(), died)
            self.create(initiators=())

    def test_used(self):
        self.create()
        self.assertEqual((), lio.find_unused([TARGET]))
        lio.deny_initiator(TARGET, HOST)
        self.assertEqual((TARGET,), lio.find_unused([TARGET]))

    def test_open_to_everybody(self):
        self.create(initiators=())
        (lio_tree.tpg(TARGET) / 'attrib').write('generate_node_acls', '1')
        self.assertEqual((), lio.find_unused([TARGET]))

    def test_killed_at_each_step_of_delete(self):
        self.create()
        for died in self.kill_at_each_step(
                lambda: lio.delete_target(TARGET)):
            self.create()
            self.assert_whole()
            self.assertEqual(11, len(self.tree()), died)

    def test_killed_at_each_step_of_allow(self):
        self.create(initiators=())
        for _ in self.kill_at_each_step(self.allow):
            self.allow()
            self.assert_whole()
            lio.deny_initiator(TARGET, HOST)

    def test_an_incomplete_target_is_listed(self):
        for died in self.kill_at_each_step(self.create):
            for listed in lio.list_targets().values():
                self.assertTrue(listed.closed)
                if listed.enabled:
                    self.assertIsNone(died)
            lio.delete_target(TARGET)

    def test_another_device(self):
        self.create()
        self.create(device=1)
        self.assert_whole()
        self.assertEqual(
            self.devices[1],
            (self.hba() / TARGET).read('udev_path'))

    def make_as_rtslib(self, device=0):
        """Make the backstore where rtslib does, and nothing else."""
        backstore = lio_tree.ROOT / 'core' / 'iblock_0' / TARGET
        backstore.parent.make()
        backstore.make()
        backstore.write('control', f'udev_path={self.devices[device]}')
        backstore.write('udev_path', self.devices[device])
        backstore.write('enable', '1')

    def test_a_backstore_of_rtslib_is_completed(self):
        self.make_as_rtslib()
        self.create()
        self.assert_whole()
        self.assertEqual('iblock_0', self.hba().name)
        lio.delete_target(TARGET)
        self.assertEqual(set(), self.tree())

    def test_a_backstore_of_rtslib_is_deleted(self):
        self.make_as_rtslib()
        lio.delete_target(TARGET)
        self.assertEqual(set(), self.tree())

    def test_failure_undoes_what_was_made(self):
        self.create()
        before = self.tree()
        # One LV cannot be opened twice.
        self.assertRaises(errors.DeviceNotUsable, self.create, LONGER)
        self.assertEqual(before, self.tree())


class TestOnFake(Cases, base.TestCase):

    def setUp(self):
        super().setUp()
        self.lio = self.useFixture(fake_lio.FakeLio())
        self.os = self.lio.os
        self.devices = ['/dev/vg/volume-1', '/dev/vg/volume-2']
