# SPDX-License-Identifier: Apache-2.0
"""What is created in a thin pool, and what is refused."""

import threading

import ddt
import fixtures

from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver.layouts import thin
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import snapshot_set
from tests.fakes import layouts

MIB = layouts.MIB


class SpaceTestCase(layouts.LayoutTestCase):

    layout_class = thin.Thin
    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, 'retake', self.lvm.retake))
        self.add_thin_pool()
        self.pool = self.lvm.volumes['vg-pool']
        self.layout.create_volume('a', 100 * MIB)

    def verbs(self):
        """Yield what needs room in the pool, 60 MiB more or a snapshot."""
        a = self.vg.get_volume('a')
        yield 'create', lambda: self.layout.create_volume('b', 60 * MIB)
        yield 'snapshot', lambda: self.layout.create_snapshot(a, 'b')
        yield 'clone', lambda: self.layout.create_from_volume(
            a, 'b', 100 * MIB)
        yield 'from snapshot', lambda: self.layout.create_from_snapshot(
            a, 'b', 100 * MIB)
        yield 'snapshot by a thick back end', lambda: thick.Thick(
            self.vg, self, self.vg.delete).create_snapshot(a, 'b')
        yield 'snapshot of a group', lambda: snapshot_set.create(
            self.vg, {'b': a}, 100)
        yield 'extend', lambda: self.layout.extend_volume(a, 160 * MIB)

    def assert_refused(self, pattern):
        names = set(self.lvm.volumes)
        for name, verb in self.verbs():
            with self.subTest(name):
                error = self.assertRaises(lvm.InsufficientSpace, verb)
                self.assertRegex(str(error), pattern)
        self.assertEqual(names, set(self.lvm.volumes))
        self.assertEqual(100 * MIB, self.lvm.volumes['a'].size)

    def assert_allowed(self):
        for name, verb in self.verbs():
            with self.subTest(name):
                verb()
            if 'b' in self.lvm.volumes:
                self.vg.delete('b')


class TestNoLimits(SpaceTestCase):

    def test_nothing_is_asked_for(self):
        self.pool.reported['data_percent'] = '99.00'
        self.assert_allowed()


@ddt.ddt
class TestReserve(SpaceTestCase):

    pool_limits = lvm.PoolLimits(reserve_percent=10)

    @ddt.data('data', 'metadata')
    def test_little_is_free(self, part):
        self.pool.reported[f'{part}_percent'] = '90.01'
        self.assert_refused(
            f'The {part} of thin pool vg-pool is 90.01 % full.*keeps 10 %')

    def test_reserve_is_free(self):
        self.pool.reported.update(data_percent='90.00',
                                  metadata_percent='90.00')
        self.assert_allowed()

    def test_inactive_pool(self):
        """LVM activates it, and its own checks say why it cannot."""
        self.pool.active = False
        self.layout.create_volume('b', 60 * MIB)


class TestNoOvercommit(SpaceTestCase):

    pool_limits = lvm.PoolLimits(overcommit=False)

    def test_all_is_promised(self):
        self.layout.create_volume('c', 260 * MIB)
        self.assert_refused('has 0.39 GiB.*have 0.35 GiB.*'
                            'lvm_thin_pool_overcommit is false')

    def test_all_may_be_promised(self):
        self.layout.create_volume('c', 200 * MIB)
        self.assert_allowed()
        self.layout.create_volume('d', 40 * MIB)

    def test_thick_lvs_are_not_counted(self):
        self.layout.create_volume('c', 200 * MIB)
        self.lvm.add('thick', 60 * MIB)
        self.assert_allowed()

    def test_many_at_the_same_time(self):
        refused = []

        def create(name):
            try:
                self.layout.create_volume(name, 100 * MIB)
            except lvm.InsufficientSpace:
                refused.append(name)

        threads = [threading.Thread(target=create, args=[name])
                   for name in 'bcdefg']
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(3, len(refused))
