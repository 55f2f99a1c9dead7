# SPDX-License-Identifier: Apache-2.0
"""Which devices a VG is found on, and what is read for that."""

import os
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import finding
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import members
from cinder_lvm_driver.lvm import record
from tests import base
from tests.fakes import disks


@ddt.ddt
class TestFinder(base.TestCase):

    def setUp(self):
        super().setUp()
        self.disks = self.useFixture(disks.Disks())
        self.record = record.Record(os.path.join(
            self.useFixture(fixtures.TempDir()).path, 'folder/vg.json'))

    def finder(self, rules=members.NO_DEVICE_RULES, kept=None):
        return finding.Finder('vg', self.disks.list_pvs, rules,
                              kept or self.record)

    def find(self, **keywords):
        """Return the paths that a service which is started finds."""
        self.disks.looks.clear()
        return self.finder(**keywords).paths()

    def test_first_start(self):
        a, b = (self.disks.add(name, f'pv-{name}') for name in 'ba')
        self.assertEqual((b, a), self.find())
        self.assertEqual([{a, b}], self.disks.looks)

    def test_nothing_is_asked_twice(self):
        self.disks.add('a', 'pv-a')
        finder = self.finder()
        self.assertEqual(finder.paths(), finder.paths())
        self.assertEqual(1, len(self.disks.looks))

    def test_restart_looks_at_own_disks_only(self):
        a = self.disks.add('a', 'pv-a')
        self.find()
        self.disks.add('guest', 'pv-g', 'uuid-g', 'vg')
        self.assertEqual((a,), self.find())
        self.assertEqual([{a}], self.disks.looks)

    def test_first_start_leaves_out_disks_that_hang(self):
        a = self.disks.add('a', 'pv-a')
        self.disks.add('guest', 'pv-g', 'uuid-g', **{'dm/suspended': '1'})
        self.assertEqual((a,), self.find())
        self.assertEqual([{a}], self.disks.looks)

    def test_all_disks_hang(self):
        self.disks.add('a', 'pv-a', **{'dm/suspended': '1'})
        self.find()
        self.assertEqual([set()], self.disks.looks)

    def test_labels_on_lvs_are_not_looked_at(self):
        a = self.disks.add('a', 'pv-a')
        self.disks.add_lv('lv', 'other-uuid', vg_name='vg2')
        self.assertEqual((a,), self.find())
        self.assertEqual([{a}], self.disks.looks)

    @ddt.data({'size': '0'}, None)
    def test_device_that_went(self, attributes):
        a, b = self.disks.add('a', 'pv-a'), self.disks.add('b', 'pv-b')
        finder = self.finder()
        finder.paths()
        if attributes:
            self.disks.add('b', 'pv-b', **attributes)
        else:
            self.disks.remove(b)
        self.assertEqual((a,), finder.paths())

    def test_disk_under_another_name(self):
        a, b = self.disks.add('a', 'pv-a'), self.disks.add('b', 'pv-b')
        finder = self.finder()
        finder.paths()
        self.disks.remove(a)
        c = self.disks.add('c', 'pv-a')
        self.disks.looks.clear()
        self.assertEqual((b, c), finder.paths())
        self.assertEqual([], self.disks.looks)

    def test_vg_that_grew(self):
        a = self.disks.add('a', 'pv-a')
        self.find()
        self.disks.add('guest', 'pv-g', 'uuid-g')
        finder = self.finder()
        used = finder.paths()
        b = self.disks.add('b', 'pv-b')
        self.disks.looks.clear()
        self.assertEqual((a, b), finder.look_again(used))
        self.assertEqual([{a}, {a, b}], self.disks.looks)
        self.assertIn('are now on /dev/a, /dev/b', self.log.output)

    def test_pv_that_udev_does_not_know(self):
        a = self.disks.add('a', 'pv-a')
        b = self.disks.add('b', 'pv-b', is_known_to_udev=False)
        self.assertEqual((a, b), self.find())
        self.assertEqual([{a}, set()], self.disks.looks)

    def test_pv_that_is_lost(self):
        a = self.disks.add('a', 'pv-a')
        self.disks.lost = [('vg', disks.UUID, 'pv-b')]
        finder = self.finder()
        self.assertEqual((a,), finder.paths())
        # All devices are looked at for it, but once.
        self.assertEqual([{a}, set()], self.disks.looks)
        self.disks.looks.clear()
        self.assertEqual((a,), finder.look_again((a,)))
        self.assertEqual([{a}], self.disks.looks)
        b = self.disks.add('b', 'pv-b')
        self.assertEqual((a, b), finder.paths())

    def test_pv_that_is_lost_while_a_disk_hangs(self):
        a = self.disks.add('a', 'pv-a')
        self.disks.lost = [('vg', disks.UUID, 'pv-b')]
        list_pvs = self.disks.list_pvs

        def hang(paths):
            if not paths:
                raise lvm.errors.DeviceHangs('LVM waits for /dev/x')
            return list_pvs(paths)

        self.disks.list_pvs = hang
        self.assertEqual((a,), self.find())
        self.assertIn('waits for /dev/x', self.log.output)

    def test_without_udev(self):
        a = self.disks.add('a', 'pv-a', is_known_to_udev=False)
        self.assertEqual((a,), self.find())
        self.assertEqual([set()], self.disks.looks)

    def test_copy_of_a_disk(self):
        a = self.disks.add('a', 'pv-a')
        finder = self.finder()
        finder.paths()
        b = self.disks.add('b', 'pv-a')
        # LVM itself refuses to change anything then.
        self.assertEqual((a, b), finder.paths())
        error = self.assertRaises(lvm.PhysicalVolumeDuplicate, self.find)
        self.assertIn('/dev/a and /dev/b', str(error))

    def test_copy_of_the_disk_of_somebody_else(self):
        a = self.disks.add('a', 'pv-a')
        for name in 'bc':
            self.disks.add(name, 'pv-b', 'uuid-g', 'other')
        self.assertEqual((a,), self.find())

    def test_two_vgs_of_the_name(self):
        self.disks.add('a', 'pv-a')
        self.disks.add('b', 'pv-b', 'uuid-g')
        error = self.assertRaises(lvm.errors.VolumeGroupAmbiguous, self.find)
        self.assertRegex(str(error), f'{disks.UUID} on /dev/a.*'
                         'uuid-g on /dev/b')

    def test_vg_that_is_absent(self):
        a = self.disks.add('a', 'pv-a')
        finder = self.finder()
        finder.paths()
        self.disks.remove(a)
        self.disks.add('b', 'pv-b', 'uuid-g')
        self.assertRaises(lvm.VolumeGroupNotFound, finder.paths)
        self.disks.looks.clear()
        self.assertRaises(lvm.VolumeGroupNotFound, finder.paths)
        self.assertEqual([], self.disks.looks)
        for find in finder.paths, self.find:
            error = self.assertRaises(lvm.VolumeGroupNotFound, find)
            self.assertRegex(str(error), f'{disks.UUID}.*uuid-g on /dev/b.*'
                             f'remove {self.record.path}')
        # Once by each service.
        self.assertEqual(2, self.log.output.count('Ignoring another VG'))
        self.disks.add('c', 'pv-a')
        self.assertEqual(('/dev/c',), finder.paths())

    def test_vg_that_disappears_while_it_is_looked_for(self):
        a = self.disks.add('a', 'pv-a')
        finder = self.finder()
        used = finder.paths()
        with mock.patch.object(self.record, 'write',
                               lambda _: self.disks.remove(a)):
            error = self.assertRaises(lvm.VolumeGroupNotFound,
                                      finder.look_again, used)
        self.assertIn('disappeared just now', str(error))
        # LVM is not given an empty list, which would mean all devices.
        self.assertRaises(lvm.VolumeGroupNotFound, finder.look_again, used)

    def test_vg_that_was_made_anew_on_the_same_disk(self):
        self.disks.add('a', 'pv-a')
        self.find()
        self.disks.add('a', 'pv-b', 'uuid-new')
        self.assertEqual(('/dev/a',), self.find())
        self.assertIn('created anew', self.log.output)
        self.assertEqual('uuid-new', self.record.read().vg_uuid)

    def test_vg_that_was_renamed(self):
        self.disks.add('a', 'pv-a')
        self.find()
        self.disks.add('a', 'pv-a', vg_name='new')
        error = self.assertRaises(lvm.VolumeGroupNotFound, self.find)
        self.assertIn('was renamed to new', str(error))

    def test_vg_that_was_never_there(self):
        self.disks.add('a', 'pv-a', 'uuid-g', 'other')
        error = self.assertRaises(lvm.VolumeGroupNotFound, self.find)
        self.assertIn('vgcreate', str(error))

    @ddt.data(({'has_filter': True}, 'filter'),
              ({'devices_file': '/f'}, 'devices file /f'))
    @ddt.unpack
    def test_rules_that_hide_the_vg(self, rules, text):
        a = self.disks.add('a', 'pv-a')
        rules = members.DeviceRules(**rules)
        self.assertEqual((a,), self.find(rules=rules))
        # LVM's own look at all devices counts.
        self.assertEqual([set()], self.disks.looks)
        list_pvs = self.disks.list_pvs
        self.disks.list_pvs = lambda paths: (
            list_pvs(paths) if paths
            else members.Listing(members=(), duplicates={}))
        error = self.assertRaises(lvm.VolumeGroupNotFound, self.find,
                                  rules=rules)
        self.assertRegex(str(error), f'on /dev/a, which .*{text}')

    def test_disks_that_are_gone(self):
        a = self.disks.add('a', 'pv-a')
        lv = self.disks.add_lv('lv', disks.UUID, a)
        finder = self.finder()
        self.assertFalse(finder.has_lost_disks)
        finder.paths()
        self.assertFalse(finder.has_lost_disks)
        self.disks.remove(a)
        self.disks.add('b', 'pv-a')
        self.assertTrue(finder.has_lost_disks)
        self.assertTrue(kernel.is_on_lost_disk(lv))
