# SPDX-License-Identifier: Apache-2.0
"""The common part of all layouts, for LVs of any type."""

import contextlib

import ddt

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from tests.fakes import layouts

MIB = layouts.MIB


class LayoutTestCase(layouts.LayoutTestCase):

    layout_class = thick.Thick


@ddt.ddt
class TestSnapshot(LayoutTestCase):

    def snapshot_of(self, origin):
        self.layout.create_snapshot(self.vg.get_volume(origin), 's')
        return self.vg.get_volume('s')

    def test_of_a_linear_volume(self):
        self.lvm.add('a', 8 * MIB)
        self.assertTrue(self.snapshot_of('a').is_cow_snapshot)

    def test_of_a_thin_volume(self):
        self.add_thin_pool()
        self.add_thin('a')
        snapshot = self.snapshot_of('a')
        self.assertTrue(snapshot.is_thin)
        self.assertFalse(snapshot.active)

    def test_pool_name_is_the_in_tree_drivers(self):
        self.assertEqual('vg-pool', base.thin_pool_name(self.vg))


@ddt.ddt
class TestCopies(LayoutTestCase):
    """A new LV with the data of another one."""

    def setUp(self):
        super().setUp()
        self.lvm.add('a', 8 * MIB, content='data')
        self.add_cow('s', 'a', content='old data')

    def create(self, source, size_mib=8):
        lv = self.vg.get_volume(source)
        create = (self.layout.create_from_snapshot if source == 's'
                  else self.layout.create_from_volume)
        create(lv, 'new', size_mib * MIB)
        return self.lvm.volumes['new']

    def test_from_snapshot(self):
        new = self.create('s')
        self.assertEqual(('old data', 8 * MIB), (new.content, new.size))
        self.assertEqual([('/dev/vg/s', '/dev/vg/new', 8 * MIB, False)],
                         self.copies)

    def test_from_volume_in_use(self):
        self.lvm.volumes['a'].is_open = True
        self.assertEqual('data', self.create('a').content)
        self.assertEqual({'a', 's', 'new'}, self.names())

    @ddt.data('a', 's')
    def test_larger(self, source):
        self.assertEqual(16 * MIB, self.create(source, 16).size)
        self.assertEqual(8 * MIB, self.copies[0][2])

    @ddt.data('a', 's')
    def test_never_smaller_than_its_source(self, source):
        self.assertEqual(8 * MIB, self.create(source, 4).size)

    def test_inactive_snapshot_is_activated(self):
        for name in 'as':
            self.lvm.volumes[name].active = False
        self.assertEqual('old data', self.create('s').content)

    @ddt.data(True, False)
    def test_snapshot_that_has_overflowed(self, active):
        for name in 'as':
            self.lvm.volumes[name].active = active
        self.lvm.volumes['s'].reported = {
            'lv_snapshot_invalid': 'snapshot invalid'}
        error = self.assertRaises(lvm.SnapshotOverflowed, self.create, 's')
        self.assertIn('s of LV a has overflowed', str(error))
        self.assertEqual({'a', 's'}, self.names())

    @ddt.data('a', 's')
    def test_failed_copy_leaves_nothing(self, source):
        self.fill_error = layouts.DD_FAILED
        self.assertRaises(process.CommandFailed, self.create, source)
        self.assertEqual({'a', 's'}, self.names())

    @ddt.data('a', 's')
    def test_name_that_is_taken(self, source):
        self.lvm.add('new', content='of somebody')
        self.assertRaises(lvm.LogicalVolumeExists, self.create, source)
        self.assertEqual({'a', 's', 'new'}, self.names())
        self.assertEqual('of somebody', self.lvm.volumes['new'].content)

    def test_no_space(self):
        for source in 'as':
            self.assertRaises(lvm.InsufficientSpace, self.create, source, 999)
            self.assertEqual({'a', 's'}, self.names())

    def test_what_cannot_be_undone_is_told(self):
        def break_and_open(*arguments, **keywords):
            self.lvm.volumes['new'].is_open = True
            raise layouts.DD_FAILED

        self.copy = break_and_open
        self.assertRaises(process.CommandFailed, self.create, 's')
        self.assertIn('Temporary LV new cannot be removed', self.log.output)

    def test_command_that_is_repeated(self):
        """It fails, as it was done before, or it does not matter."""
        for commands in range(20):
            self.repeated_after = commands
            with contextlib.suppress(lvm.LVMError):
                self.create('a')
            self.assertLessEqual(self.names(), {'a', 's', 'new'})
            self.lvm.volumes.pop('new', None)
            if self.repeated_after >= 0:
                break
        self.assertGreater(commands, 3)

    def test_thin_volume_on_a_thick_back_end(self):
        self.add_thin_pool()
        self.add_thin('t', content='thin data')
        self.layout.create_from_volume(self.vg.get_volume('t'), 'new',
                                             8 * MIB)
        new = self.lvm.volumes['new']
        self.assertEqual(('linear', 'thin data'), (new.segtype, new.content))
        self.assertEqual({'a', 's', 't', 'new', 'vg-pool'}, self.names())
