# SPDX-License-Identifier: Apache-2.0
"""Volumes that become volumes of another VG, layout or type."""

import itertools
from unittest import mock
import uuid

from cinder import exception
from cinder.volume.drivers import lvm as in_tree
import ddt
from oslo_concurrency import processutils

from cinder_lvm_driver import lvm
from cinder_lvm_driver import wiping
from tests.fakes import backend

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException
MOVED = (True, None)
NOT_MOVED = (False, None)
THICK = {'lvm_type': 'default'}


class Killed(BaseException):
    """The process has ended."""


def host(*words):
    """Return a destination as the scheduler describes it."""
    return {'host': 'host@other#other', 'capabilities': {
        'location_info': ':'.join(('LVMVolumeDriver', *words))}}


class MovingTestCase(backend.BackendTestCase):

    settings = THICK

    def setUp(self):
        super().setUp()
        self.lvm.pvs = dict.fromkeys(('/dev/sda', '/dev/sdb', '/dev/sdc'),
                                     100 * GIB)
        self.other = self.machine.add_vg('other', size_bytes=100 * GIB,
                                            pvs=3)
        self.driver = self.make_driver()

    def place(self, vg_name='other', lvm_type='default', mirrors=0):
        return host(self.driver.hostname, vg_name, lvm_type, str(mirrors))

    def volume_with_data(self, size=1, segtype='linear', **facts):
        volume = self.volume(size)
        self.add_lv(volume, segtype=segtype, content='data', **facts)
        return volume


@ddt.ddt
class TestMigrate(MovingTestCase):

    def migrate(self, volume, place):
        return self.driver.migrate_volume(self.context, volume, place)

    @ddt.data(('default', 0, 'linear'), ('default', 1, 'raid1'),
              ('thin', 0, 'thin'))
    @ddt.unpack
    def test_layout_is_the_destinations(self, lvm_type, mirrors, segtype):
        volume = self.volume_with_data(2)
        self.assertEqual(MOVED, self.migrate(
            volume, self.place('other', lvm_type, mirrors)))
        moved = self.other.volumes[volume.name]
        self.assertEqual((segtype, 2 * GIB, 'data', True),
                         (moved.segtype, moved.size, moved.content,
                          moved.active))
        self.assertEqual(set(), self.machine.names())
        self.assertEqual([GIB * 2],
                         [size for _, _, size in self.machine.wiped])
        # Blocks of zeroes are left out where they read as zeroes anyway.
        copies = [argv for argv in self.machine.as_root
                  if f'of=/dev/other/cinder-arriving-{volume.name}' in argv]
        self.assertEqual([lvm_type == 'thin'],
                         [argv[-1].endswith(',sparse') for argv in copies])

    def killed(self, number, act):
        """Let no command follow the first ones; return whether one would."""
        answer, numbers = self.machine.answer, itertools.count()

        def answer_or_die(argv):
            if next(numbers) >= number:
                raise Killed
            return answer(argv)

        with mock.patch.object(self.machine, 'answer', answer_or_die):
            try:
                act()
            except Killed:
                return True
        return False

    def test_killed_at_each_command(self):
        """There is one volume afterwards, where Cinder can have it."""
        volume, place = self.volume(), self.place()
        for number in range(99):
            self.lvm.volumes.clear()
            self.other.volumes.clear()
            self.add_lv(volume, content='data')
            was_killed = self.killed(
                number, lambda: self.migrate(volume, place))
            for vg_name in 'other', 'vg':
                self.make_driver(volume_group=vg_name)
            (name, lv), = (*self.lvm.volumes.items(),
                           *self.other.volumes.items())
            self.assertEqual((volume.name, 'data', set()),
                             (name, lv.content, set(lv.tags)))
            if not was_killed:
                break
        self.assertEqual(set(), self.machine.names())

    def test_two_copies_that_each_came_from_the_other(self):
        volume = self.volume_with_data(tags={'cinder.moved_from=other'})
        self.other.add(volume.name, tags={'cinder.moved_from=vg'})
        for vg_name in 'other', 'vg':
            self.make_driver(volume_group=vg_name)
        self.assertIn('compare them', self.log.output)
        self.assertEqual((1, 1), (len(self.lvm.volumes),
                                  len(self.other.volumes)))

    def test_from_thin_to_thick(self):
        self.driver = self.make_driver(lvm_type='thin')
        volume = self.volume()
        self.driver.create_volume(volume)
        self.lv(volume).content = 'data'
        self.assertEqual(MOVED, self.migrate(volume, self.place()))
        moved = self.other.volumes[volume.name]
        self.assertEqual(('linear', 'data'), (moved.segtype, moved.content))
        self.assertEqual({'vg-pool'}, self.machine.names())
        self.assertEqual([], self.machine.wiped)

    def test_inactive_volume_of_an_odd_size(self):
        volume = self.volume()
        self.lvm.add(volume.name, GIB + 5 * backend.MIB, active=False)
        self.assertEqual(MOVED, self.migrate(volume, self.place()))
        self.assertEqual(GIB + 8 * backend.MIB,
                         self.other.volumes[volume.name].size)

    @ddt.data('retyping', 'maintenance')
    def test_other_states_of_a_volume_without_attachment(self, status):
        volume = self.volume_with_data()
        volume.status = status
        self.assertEqual(MOVED, self.migrate(volume, self.place()))

    def assert_not_moved(self, volume, place):
        names = self.machine.names()
        self.assertEqual(NOT_MOVED, self.migrate(volume, place))
        self.assertEqual(names, self.machine.names())
        self.assertEqual({}, self.other.volumes)

    def test_destinations_that_are_not_here(self):
        volume = self.volume_with_data()
        for place in ({}, {'capabilities': {}},
                      host('elsewhere', 'other', 'default', '0'),
                      host(self.driver.hostname, 'other', 'default'),
                      self.place('nope'), self.place('nope', 'auto'),
                      self.place('other', 'nonsense'),
                      self.place('other', 'thin', 1)):
            with self.subTest(place):
                self.assert_not_moved(volume, place)

    @ddt.data('in-use', 'error', 'creating')
    def test_status(self, status):
        volume = self.volume_with_data()
        volume.status = status
        self.assert_not_moved(volume, self.place())

    def test_volume_that_is_open(self):
        self.assert_not_moved(self.volume_with_data(is_open=True),
                              self.place())
        self.assertIn('it is in use', self.log.output)

    def test_volume_with_cow_snapshot(self):
        volume = self.volume_with_data()
        self.lvm.add('_snapshot-1', GIB, origin=volume.name)
        self.assert_not_moved(volume, self.place())
        self.assertIn('it has snapshots _snapshot-1', self.log.output)

    def test_volume_with_thin_snapshot_or_clone(self):
        self.lvm.add('vg-pool', GIB, segtype='thin-pool')
        for skip, expected in (True, NOT_MOVED), (False, MOVED):
            volume = self.volume_with_data(**backend.THIN)
            self.lvm.add(f'thin-{skip}', GIB, origin=volume.name, skip=skip,
                         **backend.THIN)
            self.assertEqual(expected, self.migrate(volume, self.place()))

    def test_no_such_volume(self):
        self.assertRaises(BACKEND_ERROR, self.migrate, self.volume(),
                          self.place())
        self.assertEqual({}, self.other.volumes)

    def test_no_space(self):
        volume = self.volume_with_data(2)
        self.other.add('full', 3 * 100 * GIB - GIB)
        self.assertRaises(BACKEND_ERROR, self.migrate, volume, self.place())
        self.assertEqual({'full'}, set(self.other.volumes))
        self.assertEqual('data', self.lv(volume).content)

    def test_name_that_is_taken(self):
        volume = self.volume_with_data()
        self.other.add(volume.name, GIB, content='of somebody')
        self.assertRaises(BACKEND_ERROR, self.migrate, volume, self.place())
        self.assertEqual('of somebody',
                         self.other.volumes[volume.name].content)
        self.assertEqual('data', self.lv(volume).content)

    @ddt.data('default', 'thin')
    def test_failure_leaves_nothing(self, lvm_type):
        volume = self.volume_with_data()
        # The first of these makes the destination's pool.
        self.migrate(self.volume_with_data(), self.place('other', lvm_type))
        names = set(self.other.volumes)
        for steps in range(99):
            self.machine.fail_after(steps)
            try:
                self.migrate(volume, self.place('other', lvm_type))
            except BACKEND_ERROR:
                self.assertEqual('data', self.lv(volume).content)
                self.assertEqual(names, set(self.other.volumes))
            else:
                break
        # The last one to fail was the wiping of what was moved.
        self.assertTrue(self.machine.has_failed)
        self.assertIn('Trying once more', self.log.output)
        self.assertEqual(names | {volume.name}, set(self.other.volumes))

    def test_what_was_moved_cannot_be_removed(self):
        volume = self.volume_with_data()
        with mock.patch.object(self.driver._pools[0].remover, 'remove',
                               side_effect=lvm.LogicalVolumeInUse('open')):
            self.migrate(volume, self.place())
        self.assertIn('was copied to another VG', self.log.output)
        self.assertIn(volume.name, self.other.volumes)

    def test_half_a_copy_is_wiped(self):
        volume = self.volume_with_data()
        with mock.patch.object(
                self.driver._pools[0].writer, 'copy',
                side_effect=processutils.ProcessExecutionError):
            self.assertRaises(processutils.ProcessExecutionError,
                              self.migrate, volume, self.place())
        (wiped, *extent), = self.machine.wiped
        self.assertIn(volume.name[-12:], wiped)
        self.assertEqual([0, GIB], extent)
        self.assertEqual({}, self.other.volumes)

    def test_end_of_the_service_in_the_middle_of_the_copy(self):
        volume = self.volume_with_data()
        with mock.patch.object(wiping.Remover, 'remove'), \
                mock.patch.object(self.driver._pools[0].writer, 'copy',
                                  side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.migrate, volume,
                              self.place())
        half = f'cinder-arriving-{volume.name}'
        self.assertEqual({half}, set(self.other.volumes))
        self.assertEqual('data', self.lv(volume).content)
        self.assertEqual(MOVED, self.migrate(volume, self.place()))
        self.assertEqual({volume.name}, set(self.other.volumes))
        self.assertIn(f'Removing LV {half}', self.log.output)

    def test_copy_that_another_one_is_at(self):
        volume = self.volume_with_data()
        half = self.other.add(f'cinder-arriving-{volume.name}', GIB,
                              is_open=True)
        self.assertRaises(BACKEND_ERROR, self.migrate, volume, self.place())
        self.assertEqual([half], list(self.other.volumes.values()))
        self.assertEqual('data', self.lv(volume).content)

    def test_same_vg_and_layout(self):
        volume = self.volume_with_data()
        self.assertEqual(MOVED, self.migrate(volume, self.place('vg')))
        self.assertEqual('data', self.lv(volume).content)

    def test_same_vg_with_mirrors(self):
        volume = self.volume_with_data()
        self.assertEqual(MOVED, self.migrate(
            volume, self.place('vg', mirrors=1)))
        self.assertEqual('raid1', self.lv(volume).segtype)

    def test_same_vg_that_cannot_convert_it_now(self):
        """Cinder copies it then."""
        volume = self.volume_with_data()
        with mock.patch.object(
                lvm.LVM, 'convert_to_raid1',
                side_effect=lvm.errors.LogicalVolumeInitializing('not equal')):
            self.assertEqual(NOT_MOVED, self.migrate(
                volume, self.place('vg', mirrors=1)))
        self.assertIn('is not converted: not equal', self.log.output)

    def test_same_vg_thin(self):
        volume = self.volume_with_data()
        self.assertEqual(NOT_MOVED, self.migrate(
            volume, self.place('vg', 'thin')))
        self.assertEqual('linear', self.lv(volume).segtype)

    def test_back_ends_of_the_in_tree_driver(self):
        """It calls itself what we understand, and the other way round."""
        theirs = in_tree.LVMVolumeDriver(
            vg_obj=mock.Mock(vg_size=1.0, vg_free_space=1.0,
                             get_volumes=list),
            configuration=self.configure(
                volume_group='other', target_helper='fake', **THICK),
            execute=self.machine.execute)
        theirs._update_volume_stats()
        volume = self.volume_with_data()
        self.assertEqual(MOVED, self.migrate(
            volume, {'capabilities': theirs._stats['pools'][0]}))
        self.assertIn(volume.name, self.other.volumes)


@ddt.ddt
class TestUpdateMigrated(MovingTestCase):

    def setUp(self):
        super().setUp()
        self.original = self.volume(provider_location='old')
        self.new = self.volume(provider_location='new')
        self.add_lv(self.new, content='data')

    def update(self, status='available'):
        return self.driver.update_migrated_volume(
            self.context, self.original, self.new, status)

    def in_tree_update(self, status='available', fails=False):
        """Return what the in-tree driver makes of the same."""
        vg = mock.Mock()
        if fails:
            vg.rename_volume.side_effect = (
                processutils.ProcessExecutionError)
        driver = in_tree.LVMVolumeDriver(
            vg_obj=vg, configuration=self.configure(target_helper='fake'))
        return driver.update_migrated_volume(
            self.context, self.original, self.new, status)

    def test_renamed(self):
        update = self.update()
        self.assertEqual({'_name_id': None, 'provider_location': None},
                         update)
        self.assertEqual({self.original.name}, self.machine.names())
        self.assertEqual(self.in_tree_update(), update)

    def assert_keeps_its_name(self, update, fails):
        self.assertEqual({'_name_id': self.new.name_id,
                          'provider_location': 'new'}, update)
        self.assertIn(self.new.name, self.machine.names())
        self.assertEqual(self.in_tree_update('available' if fails
                                             else 'in-use', fails), update)

    @ddt.data('in-use', 'error')
    def test_attached(self, status):
        self.assert_keeps_its_name(self.update(status), False)

    def test_name_that_is_taken(self):
        self.add_lv(self.original, content='source')
        self.assert_keeps_its_name(self.update(), True)
        self.assertEqual('source', self.lv(self.original).content)

    def test_open_though_it_was_available(self):
        self.lv(self.new).is_open = True
        self.assert_keeps_its_name(self.update(), True)

    def test_new_volume_that_was_migrated_itself(self):
        self.new._name_id = str(uuid.uuid4())
        self.add_lv(self.new)
        self.assert_keeps_its_name(self.update('in-use'), False)
        self.update()
        self.assertIn(self.original.name, self.machine.names())
        self.assertNotIn(self.new.name, self.machine.names())

    def test_original_that_was_migrated_before(self):
        self.original._name_id = str(uuid.uuid4())
        self.update()
        self.assertEqual({f'volume-{self.original.id}'},
                         self.machine.names())


@ddt.ddt
class TestRetype(MovingTestCase):

    SPECS = {'extra_specs': {'volume_backend_name': ('a', 'b')}}

    def retype(self, volume, diff=None, place=None):
        return self.driver.retype(self.context, volume, None,
                                  diff or self.SPECS,
                                  self.place('vg') if place is None
                                  else place)

    def layout(self, volume):
        lv = self.lv(volume)
        return lv.segtype, len(lv.on), lv.content

    @ddt.data({'qos_specs': {'iops': (1, 2)}},
              {'qos_specs': {'consumer': ('front-end', None)},
               'extra_specs': {'x': (1, 1)}, 'encryption': {}},
              {'extra_specs': {'multiattach': (None, '<is> True'),
                               'RESKEY:availability_zones': ('a', 'b')}})
    def test_nothing_about_the_volume(self, diff):
        volume = self.volume_with_data()
        self.assertIs(True, self.retype(volume, diff,
                                        self.place('vg', mirrors=1)))
        self.assertEqual(('linear', 1, 'data'), self.layout(volume))
        self.assertEqual([], self.machine.as_root)

    def test_encryption(self):
        self.assertIs(False, self.retype(self.volume_with_data(), {
            **self.SPECS, 'encryption': {'cipher': (None, 'aes')}}))

    def test_same_encryption(self):
        self.assertIs(True, self.retype(self.volume_with_data(), {
            **self.SPECS, 'encryption': {'cipher': ('aes', 'aes')}}))

    @ddt.data(('linear', 1, 0), ('linear', 1, 1), ('linear', 1, 2),
              ('raid1', 2, 0), ('raid1', 2, 1), ('raid1', 2, 2),
              ('raid1', 3, 1), ('mirror', 2, 0), ('mirror', 2, 1))
    @ddt.unpack
    def test_mirrors(self, segtype, copies, mirrors):
        volume = self.volume_with_data(segtype=segtype, mirrors=copies - 1,
                                       is_open=True)
        self.assertIs(True, self.retype(
            volume, place=self.place('vg', mirrors=mirrors)))
        self.assertEqual(('raid1' if mirrors else 'linear', mirrors + 1,
                          'data'), self.layout(volume))

    def test_place_that_is_not_told_is_this_back_end(self):
        self.driver = self.make_driver(lvm_mirrors=1)
        volume = self.volume_with_data()
        self.assertIs(True, self.retype(volume, place={}))
        self.assertEqual('raid1', self.lv(volume).segtype)

    def test_between_thick_and_thin(self):
        volume = self.volume_with_data()
        self.assertIs(False, self.retype(volume,
                                         place=self.place('vg', 'thin')))
        self.lvm.add('vg-pool', GIB, segtype='thin-pool')
        thin = self.volume_with_data(**backend.THIN)
        for mirrors in (0, 1):
            self.assertIs(False, self.retype(
                thin, place=self.place('vg', mirrors=mirrors)))
        self.assertIs(True, self.retype(thin,
                                        place=self.place('vg', 'thin')))
        self.assertEqual('linear', self.lv(volume).segtype)

    def test_elsewhere(self):
        volume = self.volume_with_data()
        for place in (self.place('other'), self.place('vg', 'thin', 1),
                      host('elsewhere', 'vg', 'default', '0')):
            self.assertIs(False, self.retype(volume, place=place))

    def test_too_few_pvs_are_told(self):
        volume = self.volume_with_data()
        error = self.assertRaises(BACKEND_ERROR, self.retype, volume,
                                  place=self.place('vg', mirrors=3))
        self.assertIn('Insufficient', str(error))
        self.assertEqual(('linear', 1, 'data'), self.layout(volume))

    def test_no_such_volume(self):
        self.assertRaises(BACKEND_ERROR, self.retype, self.volume())
