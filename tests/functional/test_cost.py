# SPDX-License-Identifier: Apache-2.0
"""What operations cost: processes, as the kernel saw them executed."""

import collections

from tests.functional import test_attach
from tests.functional import test_nvmet

EXTENSION = {'lvs': 1, 'lvextend': 1}


class Costs:
    """After warm-up, thin: the fewest LVM commands, and never a Python."""

    def setUp(self):
        super().setUp()
        self.warm_up()

    def warm_up(self):
        volume = self.export()
        self.attach(volume)
        self.driver.terminate_connection(volume, self.connector)

    def costs(self, verb, *arguments):
        """Return the programs that a verb started, with their numbers."""
        with self.root.trace_programs() as trace:
            verb(*arguments)
        return trace.programs

    def assert_costs(self, expected, verb, *arguments):
        with self.subTest(verb=verb.__name__):
            self.assertEqual(collections.Counter(expected),
                             self.costs(verb, *arguments))

    def assert_extension_costs_the_same_in_use(self):
        volume = self.export()
        with self.connected(self.attach(volume)):
            self.assert_costs(EXTENSION, self.driver.extend_volume, volume, 2)

    def serve_and_remove(self, volume):
        self.store(volume, self.driver.create_export(
            self.context, volume, self.connector))
        self.driver.initialize_connection(volume, self.connector)
        self.driver.terminate_connection(volume, self.connector)
        self.driver.remove_export(self.context, volume)


class CostTest(Costs, test_attach.AttachTestCase):

    def test_costs(self):
        driver = self.driver
        volume, clone = self.volume(), self.volume()
        larger, larger_clone = self.volume(2), self.volume(2)
        snapshot = self.snapshot(volume)
        page = (None, 100, 0, ['reference'], ['asc'])
        self.assert_costs({'lvcreate': 1}, driver.create_volume, volume)
        self.assert_costs({'lvs': 1, 'lvcreate': 1},
                          driver.create_snapshot, snapshot)
        self.assert_costs({'lvs': 1, 'lvcreate': 1},
                          driver.create_volume_from_snapshot, clone,
                          snapshot)
        self.assert_costs({'lvs': 1, 'lvcreate': 1, 'lvextend': 1},
                          driver.create_volume_from_snapshot, larger,
                          snapshot)
        self.assert_costs({'lvs': 1, 'lvcreate': 1, 'lvextend': 1},
                          driver.create_cloned_volume, larger_clone, volume)
        self.assert_costs(
            {'lvs': 1, 'lvcreate': 1, 'lvrename': 2, 'lvremove': 1},
            driver.revert_to_snapshot, self.context, volume, snapshot)
        self.assert_costs(EXTENSION, driver.extend_volume, volume, 2)
        self.assert_extension_costs_the_same_in_use()
        self.assert_costs({'lvs': 1, 'vgs': 1}, driver.get_volume_stats,
                          True)
        self.assert_costs({'lvs': 1}, driver.get_manageable_volumes, [],
                          *page)
        self.assert_costs({'lvs': 1}, driver.get_manageable_snapshots, [],
                          *page)
        self.assert_costs({'lvs': 1}, self.serve_and_remove, volume)
        for made in clone, larger, larger_clone, volume:
            self.assert_costs({'lvs': 1, 'lvremove': 1},
                              driver.delete_volume, made)
        self.assert_costs({'lvs': 1, 'lvremove': 1},
                          driver.delete_snapshot, snapshot)
        self.assert_costs({'lvs': 1}, driver.delete_volume, volume)


class NvmetCostTest(Costs, test_nvmet.NvmetTestCase):

    def test_serving(self):
        self.assert_costs({'lvs': 1}, self.serve_and_remove,
                          self.create())
        self.assert_extension_costs_the_same_in_use()
