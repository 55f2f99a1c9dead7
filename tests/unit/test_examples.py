# SPDX-License-Identifier: Apache-2.0
"""What the contributor pages tell to do ends in a working back end."""

import pathlib
import re
import sys

import cinder.volume.driver
from cinder.volume.drivers import lvm as in_tree
import ddt

from cinder_lvm_driver import layouts
from cinder_lvm_driver import options
from cinder_lvm_driver import targets
from tests.fakes import backend

PAGES = pathlib.Path(__file__).parents[2] / 'doc/source/contributor'


@ddt.ddt
class TestPages(backend.BackendTestCase):

    def follow(self, page, registry, options_of, option):
        """Do what a page says; return what it has for cinder.conf."""
        text = (PAGES / page).read_text()
        example, = re.findall(r'literalinclude:: (examples/\w+\.py)', text)
        self.assertTrue((PAGES / example).exists())
        sys.path.insert(0, str(PAGES / 'examples'))
        self.addCleanup(sys.path.pop, 0)
        line, = re.findall(r"^    '(\w+)': '([\w.]+)',$", text, re.M)
        self.addCleanup(registry.pop, line[0], None)
        # In the tree the module is in the folder of the others.
        registry[line[0]] = '.'.join(line[1].split('.')[-2:])
        choices = next(each.type.choices for each in options_of
                       if each.name == option)
        self.addCleanup(choices.pop, line[0], None)
        before = dict(choices)
        options.offer_registered()
        self.assertEqual({**before, line[0]: None}, dict(choices))
        self.assertIn(f'{option} = {line[0]}', text)
        return {option: line[0]}

    def take_through_its_life(self, driver):
        volume = self.volume()
        driver.create_volume(volume)
        snapshot = self.snapshot(volume)
        driver.create_snapshot(snapshot)
        for key, value in driver.create_export(self.context, volume,
                                               None).items():
            setattr(volume, key, value)
        connection = driver.initialize_connection(volume, {'host': 'a'})
        driver.terminate_connection(volume, {'host': 'a'})
        driver.remove_export(self.context, volume)
        self.assertEqual('up', driver.get_volume_stats(True)['pools'][0][
            'backend_state'])
        driver.delete_snapshot(snapshot)
        driver.delete_volume(volume)
        self.assertNotIn(volume.name, self.lvm.volumes)
        return connection

    def test_layout(self):
        settings = self.follow('adding-an-lv-type.rst', layouts.REGISTRY,
                               in_tree.volume_opts, 'lvm_type')
        self.lvm.pvs.update({f'/dev/more-{n}': 100 * backend.GIB
                             for n in range(2)})
        driver = self.make_driver(**settings)
        volume = self.volume()
        driver.create_volume(volume)
        self.assertEqual('raid1', self.lv(volume).segtype)
        pool, = driver.get_volume_stats(True)['pools']
        self.assertEqual(150, pool['total_capacity_gb'])
        driver.delete_volume(volume)

    def test_target(self):
        settings = self.follow('adding-a-target.rst', targets.MAPPING,
                               cinder.volume.driver.volume_opts,
                               'target_helper')
        driver = self.make_driver(**settings)
        connection = self.take_through_its_life(driver)
        self.assertEqual('local', connection['driver_volume_type'])
        self.assertRegex(connection['data']['path'], '^/dev/vg/volume-')

    def test_cinders_own_values_come_first(self):
        """Cinder's help lists its own values in its own order."""
        for owner, name, last, own in (
                (in_tree.volume_opts, 'lvm_type', 'auto',
                 ['striped', 'raid10', 'raid5', 'raid6']),
                (cinder.volume.driver.volume_opts, 'target_helper', 'fake',
                 [])):
            choices = next(each.type.choices for each in owner
                           if each.name == name)
            names = list(choices)
            self.assertEqual(own, names[names.index(last) + 1:])
