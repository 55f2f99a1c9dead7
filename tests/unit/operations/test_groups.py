# SPDX-License-Identifier: Apache-2.0
"""Groups, on a host with a fake LVM."""

from unittest import mock
import uuid

from cinder import exception
from cinder import objects
from cinder.volume import group_types
import ddt

from cinder_lvm_driver.privileged import errors as privileged_errors
from tests.fakes import backend

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException
CONSISTENT, GENERIC = (str(uuid.uuid4()) for _ in range(2))
SPECS = {CONSISTENT: '<is> True', GENERIC: '<is> False'}


class GroupTestCase(backend.DriverTestCase):

    def setUp(self):
        super().setUp()
        patcher = mock.patch.object(
            group_types, 'get_group_type_specs',
            lambda type_id, key: SPECS[type_id])
        patcher.start()
        self.addCleanup(patcher.stop)
        self.group = self.make_group()
        self.volumes = [self.create(), self.create(size=2)]

    def make_group(self, type_id=CONSISTENT):
        return objects.Group(self.context, id=str(uuid.uuid4()),
                             group_type_id=type_id)

    def group_snapshot(self, type_id=CONSISTENT):
        return objects.GroupSnapshot(
            self.context, id=str(uuid.uuid4()), group_id=self.group.id,
            group_type_id=type_id)

    def create_snapshots(self):
        snapshots = [self.snapshot(volume) for volume in self.volumes]
        self.assertEqual((None, None), self.driver.create_group_snapshot(
            self.context, self.group_snapshot(), snapshots))
        return snapshots

    def failing(self, error):
        """Return a context in which no snapshots of one moment are taken."""
        return mock.patch.object(self.lvm, 'retake', side_effect=error)

    def names(self):
        return self.machine.names() - {'vg-pool'}

    def names_of(self, things):
        return {self.lv(thing).name for thing in things}


class TestGroups(GroupTestCase):

    def test_other_types_are_left_to_cinder(self):
        group = self.make_group(GENERIC)
        group_snapshot = self.group_snapshot(GENERIC)
        before = self.machine.names()
        for verb, *arguments in (
                (self.driver.create_group, group),
                (self.driver.update_group, group, self.volumes, []),
                (self.driver.delete_group, group, self.volumes),
                (self.driver.create_group_snapshot, group_snapshot, []),
                (self.driver.delete_group_snapshot, group_snapshot, []),
                (self.driver.create_group_from_src, group, [])):
            self.assertRaises(NotImplementedError, verb, self.context,
                              *arguments)
        self.assertEqual(before, self.machine.names())

    def test_create_and_update(self):
        self.assertEqual({'status': 'available'},
                         self.driver.create_group(self.context, self.group))
        self.assertEqual((None, None, None), self.driver.update_group(
            self.context, self.group, self.volumes, []))

    def test_delete(self):
        self.assertEqual((None, None), self.driver.delete_group(
            self.context, self.group, self.volumes))
        self.assertEqual(set(), self.names())
        removed = [call for call in self.driver.target_driver.calls
                   if call[0] == 'remove_export']
        self.assertEqual(2, len(removed))

    def test_delete_with_a_volume_in_use(self):
        self.lv(self.volumes[0]).is_open = True
        group, volumes = self.driver.delete_group(
            self.context, self.group, self.volumes)
        self.assertEqual({'status': 'error'}, group)
        self.assertEqual(
            [{'id': volume.id, 'status': status} for volume, status in zip(
                self.volumes, ('available', 'deleted'), strict=True)],
            volumes)
        self.lv(self.volumes[0]).is_open = False
        self.assertEqual((None, None), self.driver.delete_group(
            self.context, self.group, self.volumes))

    def test_delete_with_a_target_that_fails(self):
        with mock.patch.object(self.driver.target_driver, 'remove_export',
                               side_effect=ValueError):
            group, volumes = self.driver.delete_group(
                self.context, self.group, self.volumes)
        self.assertEqual({'status': 'error'}, group)
        self.assertEqual(['error_deleting'] * 2,
                         [volume['status'] for volume in volumes])


@ddt.ddt
class TestGroupSnapshots(GroupTestCase):

    def test_create(self):
        snapshots = self.create_snapshots()
        for snapshot in snapshots:
            self.assertEqual(('data', False, set()), (
                self.lv(snapshot).content, self.lv(snapshot).active,
                self.lv(snapshot).tags))
        self.assertIn('writes to 2 volumes were held back for 40 ms',
                      self.log.output)

    @ddt.data(privileged_errors.SnapshotSetTooSlow(2000),
              privileged_errors.SnapshotSetFailed('no'))
    def test_all_or_none(self, error):
        before = self.names()
        with self.failing(error):
            self.assertRaises(BACKEND_ERROR, self.create_snapshots)
        self.assertEqual(before, self.names())

    def test_volume_that_does_not_exist(self):
        before = self.names()
        self.volumes.append(self.volume())
        self.assertRaises(BACKEND_ERROR, self.create_snapshots)
        self.assertEqual(before, self.names())

    def test_volume_that_is_suspended(self):
        self.lv(self.volumes[1]).is_suspended = True
        error = self.assertRaises(BACKEND_ERROR, self.create_snapshots)
        self.assertIn('is suspended', str(error))

    def test_limit(self):
        self.driver = self.make_driver(lvm_group_snapshot_limit=70)
        with self.failing(None) as retake:
            retake.return_value = 1
            self.create_snapshots()
        self.assertEqual(70, retake.call_args.args[2])

    def test_delete(self):
        snapshots = self.create_snapshots()
        for _ in range(2):
            self.assertEqual((None, None), self.driver.delete_group_snapshot(
                self.context, self.group_snapshot(), snapshots))
            self.assertEqual(self.names_of(self.volumes), self.names())

    def test_delete_in_use(self):
        snapshots = self.create_snapshots()
        vars(self.lv(snapshots[1])).update(is_open=True, active=True)
        group, updates = self.driver.delete_group_snapshot(
            self.context, self.group_snapshot(), snapshots)
        self.assertEqual({'status': 'error'}, group)
        self.assertEqual(['deleted', 'available'],
                         [update['status'] for update in updates])


class TestGroupsFromSources(GroupTestCase):

    def setUp(self):
        super().setUp()
        self.new = [self.volume(1), self.volume(2)]

    def create_from(self, snapshots=None, source_vols=None):
        self.assertEqual((None, None), self.driver.create_group_from_src(
            self.context, self.make_group(), self.new, None, snapshots,
            None, source_vols))

    def test_from_snapshots(self):
        snapshots = self.create_snapshots()
        self.create_from(snapshots)
        self.assertEqual(['data'] * 2, [self.lv(volume).content
                                        for volume in self.new])

    def test_from_volumes(self):
        def write_first(*arguments):
            for volume in self.volumes:
                self.lv(volume).content = 'new'
            return 1
        before = self.names()
        retake = self.lvm.retake
        with mock.patch.object(self.lvm, 'retake', lambda *arguments: (
                write_first(), retake(*arguments))[1]):
            self.create_from(source_vols=self.volumes)
        self.assertEqual(['new'] * 2, [self.lv(volume).content
                                       for volume in self.new])
        self.assertEqual(before | self.names_of(self.new), self.names())

    def test_all_or_none(self):
        snapshots = self.create_snapshots()
        before = self.names()
        self.add_lv(self.new[1], **backend.THIN)
        self.assertRaises(BACKEND_ERROR, self.create_from, snapshots)
        self.assertRaises(BACKEND_ERROR, self.create_from,
                          source_vols=self.volumes)
        self.assertEqual(before | {self.new[1].name}, self.names())

    def test_no_moment(self):
        before = self.names()
        with self.failing(privileged_errors.SnapshotSetFailed('no')):
            self.assertRaises(BACKEND_ERROR, self.create_from,
                              source_vols=self.volumes)
        self.assertEqual(before, self.names())


class TestGroupsOfThickVolumes(GroupTestCase):

    settings = {'lvm_type': 'default'}

    def test_snapshot(self):
        error = self.assertRaises(BACKEND_ERROR, self.create_snapshots)
        self.assertIn('only snapshots of thin LVs', str(error))
        self.assertEqual(self.names_of(self.volumes), self.names())


class TestGroupsInPools(GroupTestCase):
    """A back end with two thin pools, each in a VG of its own."""

    def make_driver(self, **settings):
        self.other = self.machine.add_vg('other', size_bytes=100 * GIB)
        return super().make_driver(lvm_pool=[
            'name:one', 'name:two,volume_group:other'], **settings)

    def create(self, size=1, pool='one'):
        volume = self.volume(size, host=f'host@backend#{pool}')
        self.driver.create_volume(volume)
        return volume

    def test_one_vg(self):
        self.volumes = [self.create(pool='two') for _ in range(2)]
        snapshots = [self.snapshot(volume) for volume in self.volumes]
        self.driver.create_group_snapshot(
            self.context, self.group_snapshot(), snapshots)
        self.assertEqual(
            {'_' + snapshot.name for snapshot in snapshots},
            {name for name in self.other.volumes if name.startswith('_')})

    def test_several_vgs(self):
        self.volumes = [self.create(), self.create(pool='two')]
        error = self.assertRaises(
            BACKEND_ERROR, self.driver.create_group_snapshot, self.context,
            self.group_snapshot(),
            [self.snapshot(volume) for volume in self.volumes])
        self.assertIn('in VGs other and vg', str(error))
