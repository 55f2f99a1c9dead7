# SPDX-License-Identifier: Apache-2.0
"""The facts of a back end."""

import decimal
from unittest import mock

import ddt

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import survey
from cinder_lvm_driver import lvm
from cinder_lvm_driver.targets import base as targets
from tests.fakes import target
from tests.unit.cmd import base

GIB = base.backend.GIB
UUID = '1f2e3d4c-0000-4000-8000-0123456789ab'


@ddt.ddt
class TestSurvey(base.CommandTestCase):

    settings = {'lvm_type': 'default'}

    def look(self, **settings):
        self.enable(**settings)
        section, = backends.sections(None)
        return survey.Surveyor(section).look()

    def test_all_is_well(self):
        self.lvm.add(f'volume-{UUID}', GIB)
        seen = self.look()
        self.assertTrue(seen.is_up)
        pool, = seen.pools
        self.assertEqual(('backend', 'vg', 'default', None, GIB), (
            pool.name, pool.vg_name, pool.layout, pool.fault,
            pool.capacity.provisioned_bytes))
        vg, = seen.vgs
        self.assertEqual([f'volume-{UUID}'], [*vg.picture.lvs])
        self.assertEqual((1, [], (), None), (
            len(vg.pvs), vg.thin_pools, vg.work, seen.exports))

    def test_pools_of_one_vg(self):
        """LVM is asked about the VG once."""
        self.lvm.add('vg-pool', GIB, segtype='thin-pool')
        seen = self.look(lvm_pool=[
            {'name': 'thin', 'lvm_type': 'thin'},
            {'name': 'thick', 'lvm_type': 'default'},
            {'name': 'gone', 'volume_group': 'nope'}])
        self.assertEqual(['vg'], [vg.picture.vg.name for vg in seen.vgs])
        self.assertEqual(['vg-pool'],
                         [pool.name for pool in seen.vgs[0].thin_pools])
        self.assertEqual(
            [('thin', True), ('thick', True), ('gone', False)],
            [(pool.name, pool.fault is None) for pool in seen.pools])
        self.assertFalse(seen.is_up)

    def test_rate(self):
        """What has become equal between two looks."""
        self.lvm.pvs['/dev/b'] = 100 * GIB
        self.lvm.add(f'volume-{UUID}', GIB, segtype='raid1')
        self.enable()
        section, = backends.sections(None)
        surveyor = survey.Surveyor(section)
        rates = []
        for percent, now in (10, 100.0), (30, 104.0):
            with (mock.patch.object(lvm.LVM, 'get_synchronization',
                                    return_value={f'volume-{UUID}':
                                                  decimal.Decimal(percent)}),
                  mock.patch.object(survey.time, 'monotonic',
                                    return_value=now)):
                work, = surveyor.look().vgs[0].work
                rates.append(work.rate)
        self.assertEqual([None, GIB / 20], rates)

    def test_wrong_option(self):
        seen = self.look(volume_clear_ionice='-c9')
        self.assertIn('volume_clear_ionice', seen.fault)
        self.assertEqual(((), (), None, False),
                         (seen.pools, seen.vgs, seen.exports, seen.is_up))

    def test_no_vg(self):
        seen = self.look(volume_group='nope')
        pool, = seen.pools
        self.assertIn('VG nope was not found', pool.fault)
        self.assertEqual((None, ()), (pool.capacity, seen.vgs))

    def test_faults_of_lvm_and_of_the_target(self):
        self.lvm.metadata_free = 0
        with mock.patch.object(target.RecordingTarget, 'fault',
                               lambda target: 'No address'):
            seen = self.look()
        self.assertEqual('No address', seen.fault)
        self.assertIn('metadata area', seen.pools[0].fault)
        self.assertEqual(1, len(seen.vgs))

    def test_exports_of_this_vg(self):
        self.lvm.add('a', GIB)
        self.lvm.add('b', GIB)
        numbers = {'/dev/vg/a': '253:1', '/dev/vg/b': '253:2'}
        served = [targets.Served(name=f'iqn:{device}', device=device,
                                 hosts=1, sessions=1)
                  for device in ['253:2', '253:9', None]]
        with (mock.patch.object(blockdev, 'number', numbers.get),
              mock.patch.object(target.RecordingTarget, 'list_served',
                                lambda target: served)):
            seen = self.look()
        self.assertEqual((survey.Export(
            lv_name='b', target='iqn:253:2', hosts=1, sessions=1),),
            seen.exports)

    def test_target_that_does_not_answer(self):
        with mock.patch.object(target.RecordingTarget, 'list_served',
                               side_effect=OSError('gone')):
            seen = self.look()
        self.assertEqual(('gone', 1), (seen.fault, len(seen.vgs)))

    @ddt.data(('cinder-wipe-0123456789ab-0a1b2c3d', (), 'wipe and remove'),
              (f'cinder-revert-to-volume-{UUID}', (), 'revert'),
              (f'volume-{UUID}', ('cinder.revert_to=a',), 'revert'),
              (f'volume-{UUID}', ('cinder.extend=1:2',), 'zero the new space'),
              (f'snapshot-{UUID}', ('cinder.snapshot_set=0a1b2c3d',),
               'complete the group snapshot'),
              (f'clone-snap-volume-{UUID}', (), 'remove'),
              ('cinder-new-pool', (), 'complete the thin pool'))
    @ddt.unpack
    def test_work(self, name, tags, what):
        self.lvm.add(name, GIB, tags=set(tags))
        self.assertEqual(
            (survey.Work(lv_name=name, what=what, size_bytes=GIB),),
            self.look().vgs[0].work)

    def test_copies_that_are_not_equal(self):
        self.lvm.pvs['/dev/b'] = 100 * GIB
        self.lvm.add('a', GIB, segtype='raid1')
        self.lvm.add('b', GIB, segtype='raid1')
        percent = {'a': decimal.Decimal('99.5'), 'b': decimal.Decimal(100)}
        with mock.patch.object(lvm.LVM, 'get_synchronization',
                               lambda vg: percent):
            work, = self.look().vgs[0].work
        self.assertEqual(('a', 'synchronize copies', percent['a']),
                         (work.lv_name, work.what, work.percent))

    @ddt.data((f'volume-{UUID}', 'volume'), (f'_snapshot-{UUID}', 'snapshot'),
              (f'cinder-arriving-volume-{UUID}', 'temporary'),
              ('cinder-orphan-0a1b2c3d', 'temporary'), ('root', 'other'))
    @ddt.unpack
    def test_kind(self, name, kind):
        self.lvm.add(name, GIB)
        self.assertEqual(kind, survey.kind(
            self.look().vgs[0].picture.lvs[name]))

    def test_kind_of_a_pool(self):
        self.lvm.add('vg-pool', GIB, segtype='thin-pool')
        pool, = self.look().vgs[0].thin_pools
        self.assertEqual('pool', survey.kind(pool))
