# SPDX-License-Identifier: Apache-2.0
"""The examples of the contributor pages, as a back end on a real kernel."""

import pathlib
import sys

from cinder_lvm_driver import layouts
from cinder_lvm_driver import options
from cinder_lvm_driver import targets
from tests.functional import base

MIB = base.MIB
EXAMPLES = (pathlib.Path(__file__).parents[2]
            / 'doc/source/contributor/examples')


class ExamplesTest(base.BackendTestCase):

    settings = {'lvm_type': 'twin', 'target_helper': 'local',
                'volume_clear': 'none'}
    pv_sizes = (2048 * MIB,) * 2
    direct = False

    @classmethod
    def setUpClass(cls):
        sys.path.insert(0, str(EXAMPLES))
        cls.addClassCleanup(sys.path.remove, str(EXAMPLES))
        for registry, name, path in (
                (layouts.REGISTRY, 'twin', 'twin.Twin'),
                (targets.MAPPING, 'local', 'local.LocalTarget')):
            registry[name] = path
            cls.addClassCleanup(registry.pop, name)
        options.offer_registered()
        super().setUpClass()

    def setUp(self):
        super().setUp()
        self.enterContext(self.slow_raid())

    def test_life_of_a_volume(self):
        volume = self.create()
        self.assertEqual(('raid1',), self.lv(volume.name, 'segtype'))
        snapshot = self.snapshot(volume)
        self.write(self.device(volume.name), 'data')
        data = self.checksum(self.device(volume.name))
        self.driver.create_snapshot(snapshot)
        for key, value in self.driver.create_export(
                self.context, volume, None).items():
            setattr(volume, key, value)
        connection = self.driver.initialize_connection(volume, {'host': 'a'})
        self.assertEqual('local', connection['driver_volume_type'])
        self.assertEqual(data, self.checksum(connection['data']['path']))
        self.driver.terminate_connection(volume, {'host': 'a'})
        self.driver.remove_export(self.context, volume)
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.driver.delete_snapshot(snapshot)
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        self.assertEqual('up', pool['backend_state'])
