# SPDX-License-Identifier: Apache-2.0
"""What the driver gives to each operation."""

import dataclasses

from tests.fakes import backend

GIB = backend.GIB


class TestBackend(backend.DriverTestCase):

    def test_nothing_in_it_is_replaced(self):
        self.assertRaises(dataclasses.FrozenInstanceError, setattr,
                          self.driver._backend, 'vg', None)

    def test_each_has_a_memory_of_its_own(self):
        self.assertIsNot(self.driver._backend.workarounds,
                         self.make_driver()._backend.workarounds)

    def test_other_vg_of_the_host(self):
        self.machine.add_vg('other', size_bytes=GIB)
        other = self.driver._backend.open_vg('other')
        self.machine.as_root.clear()
        self.assertEqual(GIB, other.get_vg().size_bytes)
        self.assertNotEqual([], self.machine.as_root)
