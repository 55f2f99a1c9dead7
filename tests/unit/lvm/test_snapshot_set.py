# SPDX-License-Identifier: Apache-2.0
"""Sets of snapshots, on a fake LVM."""

from unittest import mock

import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import snapshot_set
from cinder_lvm_driver.privileged import errors as privileged_errors
from cinder_lvm_driver.privileged import snapshot_set as privileged_set
from tests import base
from tests.fakes import lvm as fake_lvm

MIB = 2 ** 20
TAG = 'cinder.snapshot_set=0'
SLOW = privileged_errors.SnapshotSetTooSlow(2000)


class SetTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('my-vg')
        self.retake = mock.Mock(side_effect=self.lvm.retake)
        for attribute, value in (('_stack', self.lvm.stack),
                                 ('retake', self.retake)):
            self.useFixture(fixtures.MockPatchObject(
                kernel_thin, attribute, value))
        self.vg = lvm.LVM('my-vg', self.lvm, version=(2, 3, 16))
        self.lvm.add('pool', 400 * MIB, segtype='thin-pool')
        for name in 'ab':
            self.add_thin(name, content=f'old {name}')

    def add_thin(self, name, **facts):
        return self.lvm.add(name, 8 * MIB, segtype='thin', pool='pool',
                            **facts)

    def names(self):
        return set(self.lvm.volumes) - {'pool'}


class TestCreate(SetTestCase):

    def create(self, names='ab', limit_ms=2000):
        return snapshot_set.create(
            self.vg, {f's{name}': self.vg.get_volume(name)
                      for name in names}, limit_ms)

    def assert_fails(self, error, text='', names='ab', left=('a', 'b')):
        failure = self.assertRaises(error, self.create, names)
        self.assertIn(text, str(failure))
        self.assertEqual(set(left), self.names())

    def test_all(self):
        def write_first(*arguments):
            for name in 'ab':
                self.lvm.volumes[name].content = f'new {name}'
            return self.lvm.retake(*arguments)
        self.retake.side_effect = write_first
        self.assertEqual(40, self.create())
        for name in 'ab':
            snapshot = self.lvm.volumes[f's{name}']
            self.assertEqual(
                (f'new {name}', name, False, True, True, set()),
                (snapshot.content, snapshot.origin, snapshot.active,
                 snapshot.skip, snapshot.read_only, snapshot.tags))

    def test_what_the_kernel_is_asked(self):
        self.create('a', limit_ms=5)
        self.retake.assert_called_once_with(
            '/run/lock/lvm/V_my-vg', [privileged_set.Member(
                pool='my--vg-pool-tpool', origin='my--vg-a',
                origin_id=self.lvm.volumes['a'].thin_id,
                snapshot_id=self.lvm.volumes['sa'].thin_id)], 5)

    def test_space_is_claimed_once_for_each_pool(self):
        self.lvm.add('other', 40 * MIB, segtype='thin-pool')
        self.lvm.add('c', 8 * MIB, segtype='thin', pool='other')
        with mock.patch.object(self.vg.space, 'claimed',
                               wraps=self.vg.space.claimed) as claimed:
            self.create('acb')
        self.assertEqual([mock.call('pool', 16 * MIB),
                          mock.call('other', 8 * MIB)],
                         claimed.call_args_list)

    def test_kernel_fails(self):
        for error in SLOW, privileged_errors.SnapshotSetFailed('no'):
            self.retake.side_effect = error
            self.assert_fails(type(error))

    def test_name_is_taken(self):
        self.add_thin('sb')
        self.assert_fails(lvm.LogicalVolumeExists, left=['a', 'b', 'sb'])
        self.retake.assert_not_called()

    def test_command_that_was_repeated(self):
        """LVM had created the snapshot, though it says that it has not."""
        run = self.lvm.run

        def run_twice(*argv, **kwargs):
            if 'sb' in argv:
                run(*argv, **kwargs)
            return run(*argv, **kwargs)
        with mock.patch.object(self.lvm, 'run', run_twice):
            self.assert_fails(lvm.LogicalVolumeExists)

    def test_tags_that_stay(self):
        def delete_some(names, tag):
            self.lvm.volumes['sa'].tags.remove(tag)
            raise lvm.LogicalVolumeNotFound
        with mock.patch.object(self.vg, 'delete_tag_of', delete_some):
            self.assert_fails(lvm.LogicalVolumeNotFound)

    def test_volume_that_is_removed_meanwhile(self):
        with mock.patch.object(self.vg, 'thin_ids', return_value={'a': 1}):
            self.assert_fails(lvm.LogicalVolumeNotFound, 'removed meanwhile')

    def test_thick_volume(self):
        self.lvm.add('thick')
        self.assert_fails(lvm.LogicalVolumeOfWrongKind, 'only snapshots of '
                          'thin LVs', ['a', 'thick'], ['a', 'b', 'thick'])

    def test_volume_that_is_merged(self):
        self.lvm.volumes['b'].merging = 'merging'
        self.assert_fails(lvm.LogicalVolumeInUse, 'being merged')

    def test_volume_with_cow_snapshots(self):
        self.lvm.add('cow', origin='b')
        self.assert_fails(lvm.LogicalVolumeInUse, 'COW snapshots',
                          left=['a', 'b', 'cow'])

    def test_pool_that_moves(self):
        self.lvm.below_pools = ('my--vg-pvmove0',)
        self.assert_fails(lvm.LogicalVolumeMoving)

    def test_snapshots_that_cannot_be_removed(self):
        self.retake.side_effect = SLOW
        with mock.patch.object(
                self.lvm, '_lvremove', side_effect=fake_lvm.Failure('no')):
            self.assert_fails(type(SLOW), left=['a', 'b', 'sa', 'sb'])
        self.assertIn('the next start tries again', self.log.output)
        self.assertTrue(snapshot_set.recover(self.vg, self.vg.get_volumes()))
        self.assertEqual({'a', 'b'}, self.names())


class TestRecover(SetTestCase):

    def recover(self):
        return snapshot_set.recover(self.vg, self.vg.get_volumes())

    def test_nothing(self):
        self.add_thin('s', origin='a', active=False)
        self.assertFalse(self.recover())
        self.assertEqual({'a', 'b', 's'}, self.names())

    def test_left(self):
        for name in 'ab':
            self.add_thin(f's{name}', origin=name, active=False, tags={TAG})
        self.assertTrue(self.recover())
        self.assertEqual({'a', 'b'}, self.names())

    def test_origin_that_is_gone(self):
        self.add_thin('s', active=False, tags={TAG})
        self.assertTrue(self.recover())
        self.assertEqual({'a', 'b'}, self.names())
