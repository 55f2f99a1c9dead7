# SPDX-License-Identifier: Apache-2.0
"""What operations are given, and the space that they wait for."""

import dataclasses
from unittest import mock

from cinder import exception
import ddt

from cinder_lvm_driver import background
from cinder_lvm_driver import wiping
from tests.fakes import backend

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException


class TestBackend(backend.DriverTestCase):

    def test_nothing_in_it_is_replaced(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr,
                          self.driver._backend, 'vg', None)

    def test_each_has_a_memory_of_its_own(self):
        self.assertIsNot(self.driver._backend.workarounds,
                         self.make_driver()._backend.workarounds)

    def test_other_group_of_the_host(self):
        self.machine.add_group('other', size_bytes=GIB)
        other = self.driver._backend.open_vg('other')
        self.machine.as_root.clear()
        self.assertEqual(GIB, other.get_vg().size_bytes)
        self.assertNotEqual([], self.machine.as_root)


@ddt.ddt
class TestSpace(backend.DriverTestCase):

    settings = {'lvm_type': 'default'}

    def delete_unwiped(self, volume):
        """Delete a volume, and return the work that is left then."""
        works = []
        with mock.patch.object(background, 'start',
                               lambda name, work: works.append(work)):
            self.driver.delete_volume(volume)
        work, = works
        return work

    @ddt.data(*range(5))
    def test_space_of_a_deleted_volume(self, number):
        volume = self.create(20)
        snapshot = self.create_snapshot(volume)
        work = self.delete_unwiped(self.create(58))
        verb, *arguments = (
            (self.driver.create_volume, self.volume(50)),
            (self.driver.create_snapshot, self.snapshot(volume)),
            (self.driver.create_cloned_volume, self.volume(30), volume),
            (self.driver.create_volume_from_snapshot, self.volume(50),
             snapshot),
            (self.driver.extend_volume, volume, 70))[number]
        with mock.patch.object(wiping.Remover, 'wait',
                               lambda remover: work()):
            verb(*arguments)
        self.assertFalse([name for name in self.machine.names()
                          if name.startswith('cinder-')])
        self.assertNotEqual([], self.machine.wiped)

    def test_space_of_a_deleted_volume_that_takes_too_long(self):
        self.delete_unwiped(self.create(60))
        names = self.machine.names()
        with mock.patch.object(wiping.Remover, 'wait'):
            self.assertRaises(BACKEND_ERROR, self.driver.create_volume,
                              self.volume(60))
        self.assertEqual(names, self.machine.names())

    def test_volume_that_is_extended_while_its_snapshot_waits(self):
        volume = self.create(20)
        work = self.delete_unwiped(self.create(70))

        def wait(remover):
            work()
            self.driver.extend_volume(volume, 30)

        snapshot = self.snapshot(volume)
        with mock.patch.object(wiping.Remover, 'wait', wait):
            self.driver.create_snapshot(snapshot)
        # LVM makes a store as small as it is asked to.
        argv = self.machine.as_root[-1]
        store = argv[argv.index('--size') + 1]
        self.assertGreater(int(store.removesuffix('b')), 30 * GIB)
