# SPDX-License-Identifier: Apache-2.0
"""Each trouble has its sentence, with what to do about it."""

import dataclasses
import decimal
import logging

import ddt

from cinder_lvm_driver.layouts import health
from cinder_lvm_driver import lvm
from tests import base
from tests.unit.lvm import test_types

MIB = 2 ** 20
POOL = dataclasses.replace(
    test_types.LINEAR, name='pool', vg_name='vg', segtype='thin-pool',
    data_percent=decimal.Decimal(50), metadata_percent=decimal.Decimal(50),
    metadata_size_bytes=64 * MIB, zeroes_blocks=True)

VG = lvm.VolumeGroup(
    name='vg', size_bytes=8, free_bytes=8, closed_bytes=0,
    extent_size_bytes=4, metadata_size_bytes=2 ** 20,
    metadata_free_bytes=2 ** 18, max_lvs=0, lv_count=2)


@ddt.ddt
class TestFaults(base.TestCase):

    def fault(self, **facts):
        return health.pool_fault(dataclasses.replace(POOL, **facts))

    def test_well(self):
        self.assertIsNone(self.fault())

    @ddt.data(
        ({'health': 'failed'}, 'has failed', 'lvconvert --repair vg/pool'),
        ({'health': 'metadata_read_only'}, 'metadata', 'lvconvert --repair'),
        ({'needs_check': True}, 'check', 'lvconvert --repair vg/pool'),
        ({'data_percent': None}, 'inactive', '--activate y vg/pool'),
        ({'health': 'out_of_data'}, 'out of data', 'lvextend'),
        ({'data_percent': decimal.Decimal(100)}, 'out of data', 'lvextend'),
        ({'metadata_percent': decimal.Decimal('93.75')},
         'nearly out of metadata', '--poolmetadatasize'),
        ({'health': 'partial'}, 'vg/pool as partial'))
    @ddt.unpack
    def test_pool(self, facts, *texts):
        for text in texts:
            self.assertIn(text, self.fault(**facts))

    @ddt.data((4, '74.99', '75.00'), (16, '74.99', '75.00'),
              (64, '93.74', '93.75'))
    @ddt.unpack
    def test_metadata_that_lvm_keeps_in_reserve(self, size_mib, enough,
                                                too_much):
        for percent, is_well in (enough, True), (too_much, False):
            fault = self.fault(metadata_size_bytes=size_mib * MIB,
                               metadata_percent=decimal.Decimal(percent))
            self.assertIs(is_well, fault is None)

    def test_metadata_of_which_lvm_says_nothing(self):
        self.assertIsNone(self.fault(metadata_percent=None))

    @ddt.data(({}, None),
              ({'lost_pvs': ('uuid-a',)}, 'uuid-a.*--removemissing'),
              ({'returned_pvs': ('/dev/a', '/dev/b')},
               'vgextend --restoremissing vg /dev/a /dev/b'),
              ({'duplicate_pvs': {'uuid-a': ('/dev/a', '/dev/b')}},
               'uuid-a.*/dev/a and /dev/b.*multipath'),
              ({'read_only_pvs': ('/dev/a',)}, 'read-only.*/dev/a.*--setrw'),
              ({'shrunk_pvs': ('/dev/a',)}, 'smaller.*/dev/a.*old size'),
              ({'metadata_free_bytes': 4095}, 'metadata area.*is full'),
              ({'metadata_free_bytes': 4096}, None),
              ({'max_lvs': 3}, None),
              ({'max_lvs': 2}, 'vgchange --logicalvolume'))
    @ddt.unpack
    def test_vg(self, facts, pattern):
        fault = health.vg_fault(dataclasses.replace(VG, **facts))
        if pattern is None:
            self.assertIsNone(fault)
        else:
            self.assertRegex(fault, pattern)

    def test_pool_that_could_not_be_activated(self):
        pool = dataclasses.replace(POOL, data_percent=None)
        self.assertIn('lvchange --activate y', health.pool_fault(pool))
        self.assertRegex(health.pool_fault(pool, 'Check failed'),
                         r'inactive.*: Check failed')

    def test_no_pool(self):
        self.assertIn('restart cinder-volume',
                      health.no_pool_fault('vg', 'vg-pool', []))
        self.assertIn('lvrename vg old vg-pool',
                      health.no_pool_fault('vg', 'vg-pool', ['old']))


class TestComplaints(base.TestCase):

    def complaints(self, vg=None, **facts):
        lv = dataclasses.replace(POOL, name='a', segtype='linear', **facts)
        return health.complaints(lvm.Picture(
            vg=dataclasses.replace(VG, **vg or {}),
            lvs=lvm.LogicalVolumes('vg', {'a': lv})))

    def test_nothing_to_say(self):
        self.assertEqual({}, self.complaints(
            {'metadata_free_bytes': 52429}))

    def test_metadata_area_that_fills_up(self):
        (sentence, level), = self.complaints(
            {'metadata_free_bytes': 52428}).items()
        self.assertEqual(logging.WARNING, level)
        self.assertIn('VG vg is more than 90 % full', sentence)

    def test_copy_that_is_out_of_date(self):
        sentence, = self.complaints(health='refresh needed')
        self.assertIn('lvchange --refresh vg/a', sentence)


@ddt.ddt
class TestAdvice(base.TestCase):

    def advice(self, *, has_spare=True, threshold=70, is_monitored=True,
               **facts):
        return list(health.pool_advice(
            dataclasses.replace(POOL, **facts), has_spare=has_spare,
            autoextension=lvm.Autoextension(threshold_percent=threshold,
                                            is_monitored=is_monitored)))

    def test_nothing_to_say(self):
        self.assertEqual([], self.advice())

    @ddt.data(({'zeroes_blocks': False}, 'lvchange --zero y vg/pool'),
              ({'has_spare': False}, 'lvextend --poolmetadatasize'),
              ({'threshold': 100}, 'thin_pool_autoextend_threshold'),
              ({'threshold': 100, 'is_monitored': False},
               'thin_pool_autoextend_threshold'),
              ({'is_monitored': False}, 'monitoring is 0'))
    @ddt.unpack
    def test_one_sentence_each(self, facts, text):
        sentence, = self.advice(**facts)
        self.assertIn(text, sentence)

    def test_configuration_that_is_not_known(self):
        self.assertEqual([], list(health.pool_advice(
            POOL, has_spare=True, autoextension=None)))
