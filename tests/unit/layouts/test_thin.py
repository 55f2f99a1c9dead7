# SPDX-License-Identifier: Apache-2.0
"""Thin LVs and their pool."""

import dataclasses
import decimal

from unittest import mock

import ddt

from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thin
from cinder_lvm_driver import lvm
from tests.fakes import layouts

MIB = layouts.MIB


class ThinTestCase(layouts.LayoutTestCase):

    layout_class = thin.Thin


@ddt.ddt
class TestPreparation(ThinTestCase):
    """What the next start would do, without doing it."""

    def preparation(self):
        return self.layout.preparation(self.vg.get_volumes())

    def test_pool_will_be_made(self):
        self.assertIn('creates pool vg-pool', self.preparation())
        self.assertEqual(set(), self.names())

    def test_pool_will_be_completed(self):
        self.lvm.add('cinder-new-pool', self.lvm.free_bytes)
        self.assertIn('creates pool vg-pool', self.preparation())

    def test_pool_is_there(self):
        self.add_thin_pool()
        self.assertIsNone(self.preparation())

    def test_no_room(self):
        self.lvm.add('a', self.lvm.free_bytes)
        error = self.assertRaises(lvm.InsufficientSpace, self.preparation)
        self.assertIn('add PVs with vgextend', str(error))

    def test_another_lv_has_the_name(self):
        self.lvm.add('vg-pool', 8 * MIB)
        error = self.assertRaises(lvm.InvalidRequest, self.preparation)
        self.assertIn('rename it with lvrename', str(error))

    def test_another_pool(self):
        self.lvm.add('pool', 8 * MIB, segtype='thin-pool')
        self.assertIsNone(self.preparation())


@ddt.ddt
class TestPrepare(ThinTestCase):

    def test_pool_is_made(self):
        self.layout.prepare()
        self.assertTrue(self.vg.get_pool_or_volume('vg-pool').is_thin_pool)

    def test_pool_is_kept(self):
        self.add_thin_pool()
        self.layout.prepare()
        self.assertEqual(400 * MIB, self.lvm.volumes['vg-pool'].size)

    def test_pool_is_activated(self):
        self.add_thin_pool(active=False)
        self.layout.prepare()
        self.assertTrue(self.lvm.volumes['vg-pool'].active)

    @ddt.data('zero', '')
    def test_copies_are_sparse_where_blocks_are_zeroed(self, zero):
        self.assertIs(False, self.layout.reads_zeroes)
        self.add_thin_pool(reported={'zero': zero})
        self.layout.prepare()
        self.assertIs(bool(zero), self.layout.reads_zeroes)

    def test_pool_that_cannot_be_activated(self):
        """LVs of other types are served, and the stats say why."""
        self.add_thin_pool(active=False, reported={'data_percent': ''})
        self.vg.activate_pool = mock.Mock(
            side_effect=lvm.CommandOfLVMFailed('Check of pool failed'))
        self.layout.prepare()
        self.assertRegex(self.layout.fault(self.vg.get_picture()),
                         r'inactive.*: Check of pool failed')
        self.lvm.volumes['vg-pool'].active = True
        self.lvm.volumes['vg-pool'].reported.clear()
        self.assertIsNone(self.layout.fault(self.vg.get_picture()))
        self.lvm.volumes['vg-pool'].active = False
        self.assertIn('activate it with lvchange',
                      self.layout.fault(self.vg.get_picture()))

    def test_pool_that_lvm_did_not_tell_all(self):
        self.add_thin_pool()
        self.lvm.kernel_transaction_id = 6

        def settle():
            self.lvm.kernel_transaction_id = 7

        with mock.patch.object(self.vg, '_create_thin_volume',
                               side_effect=lambda name, *_: (
                                   settle(), self.add_thin(name))):
            self.layout.prepare()
        self.assertEqual({'vg-pool'}, self.names())
        self.assertIsNone(self.layout.fault(self.vg.get_picture()))

    def test_pool_that_is_out_of_step(self):
        self.add_thin_pool()
        self.lvm.kernel_transaction_id = 6
        self.vg.settle_pool = mock.Mock(
            side_effect=lvm.ThinPoolOutOfStep('unexpected'))
        self.layout.prepare()
        self.assertIn('id 6 in the kernel and 7 in the metadata',
                      self.layout.fault(self.vg.get_picture()))

    def test_pool_of_another_name(self):
        """No second one is made, and the stats say what to do."""
        self.lvm.add('old', 8 * MIB, segtype='thin-pool')
        self.layout.prepare()
        self.assertEqual({'old'}, self.names())
        self.assertIn('lvrename vg old vg-pool',
                      self.layout.fault(self.vg.get_picture()))
        self.assertEqual([], list(self.layout.advice(None)))

    @ddt.data('thin-pool', 'linear')
    def test_pool_that_was_not_completed(self, segtype):
        self.lvm.add('cinder-new-pool', 8 * MIB, segtype=segtype,
                     active=False)
        self.layout.prepare()
        self.assertEqual({'vg-pool'}, self.names())
        self.assertTrue(self.lvm.volumes['vg-pool'].active)
        self.assertIs(segtype == 'thin-pool',
                      self.lvm.volumes['vg-pool'].size == 8 * MIB)

    def test_new_pool_that_is_damaged(self):
        self.lvm.add('cinder-new-pool', 8 * MIB, segtype='thin-pool')
        self.vg.activate_pool = mock.Mock(
            side_effect=lvm.CommandOfLVMFailed('Check of pool failed'))
        self.layout.prepare()
        self.assertEqual({'vg-pool'}, self.names())
        self.assertLess(8 * MIB, self.lvm.volumes['vg-pool'].size)

    def test_new_pool_zeroes_blocks(self):
        self.layout.prepare()
        self.assertIs(True, self.layout.reads_zeroes)

    def test_pool_that_is_none(self):
        self.lvm.add('vg-pool')
        error = self.assertRaises(lvm.InvalidRequest,
                                  self.layout.prepare)
        self.assertIn('of type linear', str(error))
        self.assertIn('lvm_type', str(error))

    def test_vg_that_is_full(self):
        self.lvm.add('a', 508 * MIB)
        self.assertRaises(lvm.InsufficientSpace, self.layout.prepare)

    def race(self, **facts):
        """Have somebody else make the pool while we are at it."""
        ask = self.vg.get_volumes

        def get_volumes():
            found = ask()
            if 'vg-pool' not in self.lvm.volumes:
                self.lvm.add('vg-pool', 8 * MIB, **facts)
            return found

        self.vg.get_volumes = get_volumes

    def test_pool_that_somebody_else_made_meanwhile(self):
        self.race(segtype='thin-pool', active=False)
        self.layout.prepare()
        self.assertEqual(8 * MIB, self.lvm.volumes['vg-pool'].size)
        self.assertTrue(self.lvm.volumes['vg-pool'].active)

    def test_volume_that_somebody_else_named_like_the_pool(self):
        self.race()
        self.assertRaises(lvm.InvalidRequest, self.layout.prepare)


@ddt.ddt
class TestThin(ThinTestCase):

    def setUp(self):
        super().setUp()
        self.add_thin_pool()
        self.add_thin('a', content='data')
        self.add_thin('s', content='old data', origin='a', active=False,
                      skip=True)
        self.layout.prepare()

    def create(self, source, size_mib=8):
        create = (self.layout.create_from_snapshot if source == 's'
                  else self.layout.create_from_volume)
        create(self.vg.get_volume(source), 'new', size_mib * MIB)
        return self.vg.get_volume('new')

    def content(self):
        return self.lvm.volumes['new'].content

    def test_create_volume(self):
        self.layout.create_volume('new', 2 ** 40)
        volume = self.vg.get_volume('new')
        self.assertEqual(('thin', 'vg-pool', 2 ** 40, True),
                         (volume.segtype, volume.pool, volume.size_bytes,
                          volume.active))

    @ddt.data(('a', 'data'), ('s', 'old data'))
    @ddt.unpack
    def test_blocks_are_shared(self, source, content):
        new = self.create(source)
        self.assertEqual(content, self.content())
        self.assertEqual([], self.copies)
        self.assertEqual((source, True, False, 8 * MIB),
                         (new.origin, new.active, new.skips_activation,
                          new.size_bytes))

    @ddt.data('a', 's')
    def test_larger(self, source):
        self.assertEqual(16 * MIB, self.create(source, 16).size_bytes)

    @ddt.data('a', 's')
    def test_failure_leaves_nothing(self, source):
        def fail(name, size_bytes):
            raise lvm.CommandOfLVMFailed('broken')

        self.vg.extend_volume = fail
        names = self.names()
        self.assertRaises(lvm.CommandOfLVMFailed, self.create, source, 16)
        self.assertEqual(names, self.names())

    @ddt.data('thick', 'cow')
    def test_linear_source_is_copied(self, source):
        self.lvm.add('thick', 8 * MIB, content='thick data')
        self.add_cow('cow', 'thick', content='cow data')
        create = (self.layout.create_from_snapshot if source == 'cow'
                  else self.layout.create_from_volume)
        create(self.vg.get_volume(source), 'new', 8 * MIB)
        self.assertEqual(f'{source} data', self.content())
        self.assertTrue(self.vg.get_volume('new').is_thin)
        # A fresh thin LV reads as zeroes, so they need not be written.
        self.assertIs(True, self.copies[0][-1])
        self.assertEqual({'vg-pool', 'a', 's', 'thick', 'cow', 'new'},
                         self.names())

    def test_volume_of_another_pool_is_copied(self):
        self.lvm.add('pool2', segtype='thin-pool')
        self.lvm.add('b', 8 * MIB, segtype='thin', pool='pool2',
                     content='far data')
        self.layout.create_from_volume(self.vg.get_volume('b'), 'new',
                                             8 * MIB)
        self.assertEqual('far data', self.content())
        self.assertEqual('vg-pool', self.lvm.volumes['new'].pool)

    @ddt.data(('a', True), ('thick', False))
    @ddt.unpack
    def test_convert(self, name, expected):
        self.lvm.add('thick')
        self.assertIs(expected, self.layout.convert(
            self.vg.get_volume(name)))


@ddt.ddt
class TestCapacity(ThinTestCase):

    def capacity(self, **pool_facts):
        """Return the capacity of a picture whose pool is different."""
        picture = self.vg.get_picture()
        pool = picture.lvs['vg-pool']
        return self.layout.capacity(dataclasses.replace(
            picture, lvs={
                **picture.lvs,
                'vg-pool': dataclasses.replace(pool, **pool_facts)}))

    def test_blocks_and_promises(self):
        self.add_thin_pool()
        self.add_thin('a', 300)
        self.add_thin('s', 300, origin='a')
        self.lvm.add('thick', 8 * MIB)
        self.assertEqual(
            base.Capacity(total_bytes=400 * MIB, free_bytes=350 * MIB,
                          provisioned_bytes=608 * MIB,
                          data_percent=decimal.Decimal('12.50'),
                          metadata_percent=decimal.Decimal(10)),
            self.capacity(data_percent=decimal.Decimal('12.50')))

    def test_pool_that_is_gone(self):
        self.lvm.add('thick', 8 * MIB)
        self.assertEqual(
            base.Capacity(total_bytes=0, free_bytes=0,
                          provisioned_bytes=8 * MIB),
            self.layout.capacity(self.vg.get_picture()))

    def test_inactive_pool(self):
        self.add_thin_pool()
        self.assertEqual(
            base.Capacity(total_bytes=400 * MIB, free_bytes=0,
                          provisioned_bytes=0),
            self.capacity(data_percent=None, metadata_percent=None))


@ddt.ddt
class TestHealth(ThinTestCase):
    """What is said of each state is in test_health."""

    def fault(self):
        return self.layout.fault(self.vg.get_picture())

    def test_well(self):
        self.add_thin_pool()
        self.assertIsNone(self.fault())

    def test_pool_in_trouble(self):
        self.add_thin_pool(reported={'lv_health_status': 'failed'})
        self.assertIn('vg/vg-pool has failed', self.fault())

    @ddt.data({}, {'vg-pool': 8 * MIB})
    def test_no_pool(self, linear):
        for name, size_bytes in linear.items():
            self.lvm.add(name, size_bytes)
        self.assertIn('no thin pool vg-pool', self.fault())

    def test_vg_in_trouble_comes_first(self):
        self.lvm.missing.add('/dev/lost')
        self.assertIn('lacks the devices', self.fault())

    def test_advice(self):
        self.add_thin_pool(reported={'zero': ''})
        self.lvm.has_spare = False
        zero, spare = self.layout.advice(None)
        self.assertIn('does not zero', zero)
        self.assertIn('no spare', spare)
