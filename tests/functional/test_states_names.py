# SPDX-License-Identifier: Apache-2.0
"""Names at their limits."""

import contextlib
import re

from cinder import exception

from cinder_lvm_driver.operations import startup
from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_tgt

GIB = base.GIB
TEMPLATE = 'openstack-production-eu-west-1-volume-%s'


class VgNamesTest(base.TestCase):

    def vg(self, name, size=3 * GIB):
        return self.enterContext(fixtures.volume_group(
            self.root, name, (size,), direct=False))

    def test_name_that_leaves_no_room_for_a_pool(self):
        name = self.vg('production-eu-west-1-rack-07-storage-node-0042-'
                       'nvme-cinder-volumes-000')
        self.assertEqual(70, len(name))
        with self.assert_raises_with(
                exception.VolumeBackendAPIException,
                'vgrename: a name of up to 57 characters works'):
            self.make_driver(volume_group=name)
        self.assertEqual('', self.root.run('lvs', '--noheadings', name))

    def assert_all_verbs_work(self, name, **settings):
        with self.assertNoLogs(startup.LOG, 'WARNING'):
            driver = self.make_driver(volume_group=name, **settings)
        volume, clone, copy = (self.volume() for _ in range(3))
        snapshot = self.snapshot(volume)
        driver.create_volume(volume)
        driver.create_snapshot(snapshot)
        driver.create_volume_from_snapshot(copy, snapshot)
        driver.create_cloned_volume(clone, volume)
        driver.revert_to_snapshot(self.context, volume, snapshot)
        driver.delete_snapshot(snapshot)
        for made in volume, clone, copy:
            driver.delete_volume(made)
        base.wait_until(
            lambda: not re.search('volume|snap', self.root.run(
                'lvs', '--noheadings', '-o', 'lv_name', name)),
            'all is deleted')

    @base.slow
    def test_longest_name_for_a_pool(self):
        # 56 for reverts, which is less than 57 for the pool.
        self.assert_all_verbs_work(self.vg('p' * 56))

    @base.slow
    def test_longest_name_for_thick_volumes(self):
        name = self.vg('t' * 51, 6 * GIB)
        self.assert_all_verbs_work(name, lvm_type='default',
                                   volume_clear='none')


class WwidCases:
    """What hosts tell disks apart by comes from the volume's id."""

    def test_long_template(self):
        option = 'volume_name_template'
        base.CONF.set_override(option, TEMPLATE)
        self.addCleanup(base.CONF.clear_override, option)
        volumes = [self.export() for _ in range(2)]
        with contextlib.ExitStack() as stack:
            paths = [stack.enter_context(self.connected(
                self.attach(volume)))[1] for volume in volumes]
            wwids = {self.root.run('bash', '-c', f'cat /sys/class/block/'
                                   f'$(basename $(readlink -f {path}))/wwid '
                                   f'/sys/class/block/$(basename '
                                   f'$(readlink -f {path}))/device/wwid '
                                   '2> /dev/null || true')
                     for path in paths}
        self.assertEqual(2, len(wwids), wwids)
        for volume in volumes:
            self.driver.terminate_connection(volume, self.connector)


@base.slow
class LioWwidTest(WwidCases, test_attach.AttachTestCase):
    pass


@base.slow
class NvmetWwidTest(WwidCases, test_nvmet.NvmetTestCase):
    pass


class TgtWwidTest(WwidCases, test_tgt.TgtTestCase):
    pass
