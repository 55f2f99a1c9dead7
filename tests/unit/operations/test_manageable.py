# SPDX-License-Identifier: Apache-2.0
"""Which LVs could be managed, and what Cinder is told of them."""

import dataclasses

from cinder import exception
import ddt
from oslo_config import cfg

from cinder_lvm_driver import lvm
from cinder_lvm_driver.operations import manageable
from tests import base

GIB = 2 ** 30
ID = '1b41a09e-1b9b-4b24-9ab3-2f3f5a3c9b6e'
LINEAR = lvm.LogicalVolume(
    name='a', vg_name='vg', size_bytes=GIB, origin_size_bytes=None,
    segtype='linear', role=frozenset(['public']), origin=None, pool=None,
    active=True, skips_activation=False, is_open=False, data_percent=None,
    metadata_percent=None, tags=frozenset(), is_read_only=False, health=None,
    needs_check=False, zeroes_blocks=False, metadata_size_bytes=None,
    is_invalid=False, is_merging=False, is_suspended=False,
    transaction_id=None)
COW = dataclasses.replace(
    LINEAR, name='cow', role=frozenset(['snapshot', 'thicksnapshot']),
    size_bytes=GIB + 1, origin_size_bytes=GIB, origin='a')
THIN = dataclasses.replace(LINEAR, name='thin', segtype='thin', pool='p')
THIN_SNAPSHOT = dataclasses.replace(
    THIN, name='shot', origin='thin', skips_activation=True)
CLONE = dataclasses.replace(THIN, name='clone', origin='thin')
POOL = dataclasses.replace(LINEAR, name='p', segtype='thin-pool',
                           is_open=True)
CACHE = dataclasses.replace(LINEAR, name='c', segtype='cache-pool',
                            role=frozenset(['private']))


def named(volume, name, **facts):
    return dataclasses.replace(volume, name=name, **facts)


@ddt.ddt
class TestFacts(base.TestCase):

    @ddt.data((GIB, 1), (GIB + 1, 2), (1028 * 2 ** 20, 2), (1, 1))
    @ddt.unpack
    def test_size_is_rounded_up(self, size_bytes, size_gib):
        self.assertEqual(size_gib, manageable.size_gib(
            dataclasses.replace(LINEAR, size_bytes=size_bytes)))

    def test_size_of_a_cow_snapshot_is_not_that_of_its_store(self):
        self.assertEqual(1, manageable.size_gib(COW))

    @ddt.data((LINEAR, False), (COW, True), (THIN, False), (CLONE, False),
              (THIN_SNAPSHOT, True), (named(CLONE, '_snapshot-1'), True),
              (named(LINEAR, '_snapshot-1'), True), (POOL, False),
              (named(CLONE, 'c', origin=None, skips_activation=True), False),
              (named(THIN, f'volume-{ID}'), False))
    @ddt.unpack
    def test_is_snapshot(self, volume, is_snapshot):
        self.assertIs(is_snapshot, manageable.is_snapshot(volume))

    def test_is_snapshot_by_another_name(self):
        """A revert of ours has taken the origin of the in-tree driver's."""
        self.override('snapshot_name_template', 'shot-%s')
        self.assertTrue(manageable.is_snapshot(named(THIN, f'shot-{ID}')))
        self.override('volume_name_template', '%s')
        self.override('snapshot_name_template', '%s')
        self.assertFalse(manageable.is_snapshot(named(THIN, ID)))

    def override(self, name, value):
        cfg.CONF.set_override(name, value)
        self.addCleanup(cfg.CONF.clear_override, name)

    @ddt.data((f'volume-{ID}', 'volume', ID), ('volume-1', 'volume', None),
              (f'_snapshot-{ID}', 'snapshot', ID),
              (f'volume-{ID}', 'snapshot', None), ('x', 'snapshot', None))
    @ddt.unpack
    def test_cinder_id(self, name, kind, found):
        self.assertEqual(found, manageable.cinder_id(name, kind))


@ddt.ddt
class TestReference(base.TestCase):

    @ddt.data({'source-name': 'a'}, 'a')
    def test_name(self, reference):
        self.assertEqual('a', manageable.referenced_name(reference))

    @ddt.data(None, [], 5, {}, '', {'source-name': ''}, {'source-name': None},
              {'source-id': 'a'}, {'source-name': 1})
    def test_no_name(self, reference):
        self.assertRaises(exception.ManageExistingInvalidReference,
                          manageable.referenced_name, reference)

    @ddt.data((LINEAR, 'volume', None), (THIN, 'volume', None),
              (CLONE, 'volume', None), (COW, 'snapshot', 'a'),
              (THIN_SNAPSHOT, 'snapshot', 'thin'),
              (CLONE, 'snapshot', 'thin'))
    @ddt.unpack
    def test_can_be_managed(self, volume, kind, origin):
        self.assertIs(volume, manageable.check(
            volume, volume.name, kind, 'vg', origin))

    @ddt.data(
        (None, 'volume', None, 'no such LV'),
        (POOL, 'volume', None, 'thin pool'),
        (CACHE, 'volume', None, 'part of other LVs (cache-pool)'),
        (COW, 'volume', None, 'is a snapshot'),
        (THIN_SNAPSHOT, 'volume', None, 'is a snapshot'),
        (named(LINEAR, 'b', is_open=True), 'volume', None, 'in use'),
        (LINEAR, 'snapshot', 'a', 'not a snapshot'),
        (COW, 'snapshot', 'b', 'snapshot of a, not of b'),
        (named(COW, 'b', is_open=True), 'snapshot', 'a', 'in use'),
        (named(COW, 'b', is_invalid=True), 'snapshot', 'a', 'overflowed'))
    @ddt.unpack
    def test_cannot_be_managed(self, volume, kind, origin, reason):
        error = self.assertRaises(
            exception.ManageExistingInvalidReference, manageable.check,
            volume, 'given', kind, 'vg', origin)
        self.assertIn(reason, str(error))
        self.assertIn('given', str(error))


class TestEntries(base.TestCase):

    ALL = (LINEAR, COW, THIN, THIN_SNAPSHOT, CLONE, POOL, CACHE)

    def entries(self, kind, *volumes, managed=None):
        return manageable.entries(volumes, kind, managed or {})

    def names(self, kind):
        return [entry['reference']['source-name']
                for entry in self.entries(kind, *self.ALL)]

    def test_every_lv_but_the_pool_is_one_or_the_other(self):
        self.assertEqual(['a', 'thin', 'clone'], self.names('volume'))
        self.assertEqual(['cow', 'shot'], self.names('snapshot'))

    def test_volume(self):
        self.assertEqual([{
            'reference': {'source-name': 'a'}, 'size': 1,
            'safe_to_manage': True, 'reason_not_safe': None,
            'cinder_id': None, 'extra_info': None,
        }], self.entries('volume', LINEAR))

    def test_snapshot(self):
        entry, = self.entries('snapshot', COW)
        self.assertEqual({'source-name': 'a'}, entry['source_reference'])
        self.assertEqual(1, entry['size'])

    def test_snapshots_that_are_of_no_use(self):
        for volume, reason in (
                (named(COW, 'x', is_invalid=True), 'snapshot overflowed'),
                (named(THIN, '_snapshot-x'),
                 'volume of the snapshot not known')):
            entry, = self.entries('snapshot', volume)
            self.assertEqual((False, reason), (entry['safe_to_manage'],
                                               entry['reason_not_safe']))

    def test_managed_already(self):
        entry, = self.entries('volume', named(LINEAR, f'volume-{ID}'),
                              managed={f'volume-{ID}': ID})
        self.assertEqual(
            (False, 'already managed', ID),
            (entry['safe_to_manage'], entry['reason_not_safe'],
             entry['cinder_id']))

    def test_named_like_a_volume_of_somebody_else(self):
        entry, = self.entries('volume', named(LINEAR, f'volume-{ID}'))
        self.assertEqual((True, None),
                         (entry['safe_to_manage'], entry['cinder_id']))

    def test_in_use(self):
        for kind, volume in (('volume', LINEAR), ('snapshot', COW)):
            entry, = self.entries(kind, named(volume, 'x', is_open=True))
            self.assertEqual(
                (False, f'{kind} in use'),
                (entry['safe_to_manage'], entry['reason_not_safe']))
