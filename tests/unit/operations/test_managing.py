# SPDX-License-Identifier: Apache-2.0
"""LVs that Cinder did not make."""

from unittest import mock
import uuid

from cinder import exception
from cinder import objects
from cinder.volume import volume_utils
import ddt

from tests.fakes import backend

MIB = backend.MIB
PAGE = (None, 100, 0, ['reference'], ['asc'])
NO_SUCH = exception.ManageExistingInvalidReference


class ManageTestCase(backend.BackendTestCase):

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.known = set()
        self.migrated = []
        for owner, name, answer in (
                (volume_utils, 'check_already_managed_volume',
                 lambda volume_id: volume_id in self.known),
                (objects.Snapshot, 'exists',
                 lambda context, snapshot_id: snapshot_id in self.known),
                (objects.VolumeList, 'get_all', self.find_by_name_id)):
            patcher = mock.patch.object(owner, name, answer)
            patcher.start()
            self.addCleanup(patcher.stop)

    def find_by_name_id(self, context, filters):
        return [volume for volume in self.migrated
                if volume._name_id == filters['_name_id']]

    def add_snapshot(self, volume, name='shot'):
        return self.lvm.add(name, volume.size * backend.GIB, active=False,
                            skip=True, origin=volume.name, **backend.THIN)


@ddt.ddt
class TestManage(ManageTestCase):

    REFERENCE = {'source-name': 'theirs'}

    def test_volume(self):
        self.lvm.add('theirs', 1028 * MIB, content='data')
        volume = self.volume(2)
        self.assertEqual(2, self.driver.manage_existing_get_size(
            volume, self.REFERENCE))
        self.driver.manage_existing(volume, self.REFERENCE)
        self.assertEqual({'vg-pool', volume.name}, self.machine.names())
        self.assertEqual('data', self.lv(volume).content)

    def test_managed_volume_loses_our_tags(self):
        """The in-tree driver may have unmanaged it with them."""
        made = self.lvm.add('theirs', 8 * MIB,
                            tags={'cinder.extend=1-2', 'theirs'})
        self.driver.manage_existing(self.volume(), self.REFERENCE)
        self.assertEqual({'theirs'}, made.tags)

    def test_unmanaged_volume_loses_our_tags(self):
        volume = self.volume()
        self.driver.create_volume(volume)
        tags = self.lv(volume).tags
        tags |= {'cinder.extend=1-2', 'cinder.revert_to=s', 'theirs',
                 'cinder.theirs'}
        self.driver.unmanage(volume)
        self.assertEqual({'theirs', 'cinder.theirs'}, tags)
        self.assertIn(volume.name, self.machine.names())

    def test_volume_that_has_its_name_already(self):
        volume = self.volume()
        self.add_lv(volume)
        self.driver.manage_existing(volume, {'source-name': volume.name})
        self.assertEqual({'vg-pool', volume.name}, self.machine.names())

    @ddt.data({}, {'source-name': 'nope'}, {'source-name': ''},
              {'source-name': 'vg-pool'}, {'source-name': 'their'},
              {'source-name': 'vg/theirs'}, {'source-id': 'theirs'},
              {'source-name': 'shot'})
    def test_reference_to_no_volume(self, reference):
        self.lvm.add('theirs')
        self.lvm.add('shot', origin='theirs')
        before = self.machine.names()
        for verb in (self.driver.manage_existing_get_size,
                     self.driver.manage_existing):
            self.assertRaises(NO_SUCH, verb, self.volume(), reference)
        self.assertEqual(before, self.machine.names())

    def test_volume_in_use(self):
        self.lvm.add('theirs', is_open=True)
        self.assertRaises(NO_SUCH, self.driver.manage_existing_get_size,
                          self.volume(), self.REFERENCE)

    def test_volume_that_takes_no_write(self):
        self.lvm.add('theirs', read_only=True)
        error = self.assertRaises(NO_SUCH, self.driver.manage_existing,
                                  self.volume(), self.REFERENCE)
        self.assertIn('lvchange --permission rw', str(error))
        entry, = self.driver.get_manageable_volumes([], *PAGE)
        self.assertEqual((False, 'read-only'), (entry['safe_to_manage'],
                                                entry['reason_not_safe']))

    @ddt.data({}, {'is_open': True}, {'is_suspended': True},
              {'origin': 'vg-pool', 'skip': True, **backend.THIN})
    def test_volume_of_cinder(self, facts):
        managed = self.volume()
        self.add_lv(managed, **facts)
        self.known.add(managed.id)
        self.assertRaises(exception.ManageExistingAlreadyManaged,
                          self.driver.manage_existing, self.volume(),
                          {'source-name': managed.name})
        self.assertIn(managed.name, self.machine.names())

    def test_size_of_volumes_and_snapshots_of_cinder(self):
        """Cinder asks for it first, and goes no further without it."""
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.add_lv(volume, **backend.THIN)
        self.add_snapshot(volume, f'_{snapshot.name}')
        self.known |= {volume.id, snapshot.id}
        for get_size, taker, name in (
                (self.driver.manage_existing_get_size, self.volume(),
                 volume.name),
                (self.driver.manage_existing_snapshot_get_size,
                 self.snapshot(volume), f'_{snapshot.name}')):
            reference = {'source-name': name}
            self.assertEqual(1, get_size(taker, reference))
            vars(self.lvm.volumes[name]).update(active=True, is_open=True)
            self.assertRaises(exception.ManageExistingAlreadyManaged,
                              get_size, taker, reference)

    def test_volume_that_cinder_migrated_while_it_was_in_use(self):
        managed = self.volume(_name_id=str(uuid.uuid4()))
        self.add_lv(managed)
        self.migrated.append(managed)
        self.assertRaises(exception.ManageExistingAlreadyManaged,
                          self.driver.manage_existing, self.volume(),
                          {'source-name': managed.name})
        self.assertIn(managed.name, self.machine.names())

    def test_name_that_is_taken(self):
        self.lvm.add('theirs')
        volume = self.volume()
        self.add_lv(volume, content='ours')
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.manage_existing, volume,
                          self.REFERENCE)
        self.assertEqual('ours', self.lv(volume).content)

    def test_clone_of_cinder_is_no_snapshot(self):
        source, clone = self.volume(), self.volume()
        self.add_lv(source, **backend.THIN)
        self.add_lv(clone, origin=source.name, **backend.THIN)
        self.known.add(clone.id)
        self.assertRaises(exception.ManageExistingAlreadyManaged,
                          self.driver.manage_existing_snapshot,
                          self.snapshot(source), {'source-name': clone.name})
        self.assertIn(clone.name, self.machine.names())

    @ddt.data({'source-name': 'shot'}, 'shot')
    def test_snapshot(self, reference):
        volume = self.volume()
        self.add_lv(volume, **backend.THIN)
        self.add_snapshot(volume)
        snapshot = self.snapshot(volume)
        self.assertEqual(1, self.driver.manage_existing_snapshot_get_size(
            snapshot, reference))
        self.driver.manage_existing_snapshot(snapshot, reference)
        self.assertIn(f'_{snapshot.name}', self.machine.names())

    @ddt.data('shot', 'nope', 'vg-pool', 'theirs')
    def test_reference_to_no_snapshot_of_the_volume(self, name):
        volume, other = self.volume(), self.volume()
        for each in (volume, other):
            self.add_lv(each, **backend.THIN)
        self.lvm.add('theirs')
        self.add_snapshot(volume)
        for verb in (self.driver.manage_existing_snapshot_get_size,
                     self.driver.manage_existing_snapshot):
            self.assertRaises(NO_SUCH, verb, self.snapshot(other),
                              {'source-name': name})

    @ddt.data(False, True)
    def test_snapshot_of_cinder(self, is_open):
        volume = self.volume()
        managed = self.snapshot(volume)
        self.add_lv(volume, **backend.THIN)
        vars(self.add_snapshot(volume, f'_{managed.name}')).update(
            active=is_open, is_open=is_open)
        self.known.add(managed.id)
        self.assertRaises(exception.ManageExistingAlreadyManaged,
                          self.driver.manage_existing_snapshot,
                          self.snapshot(volume),
                          {'source-name': f'_{managed.name}'})


class TestList(ManageTestCase):

    def setUp(self):
        super().setUp()
        self.ours = self.volume()
        self.add_lv(self.ours, **backend.THIN)
        self.add_snapshot(self.ours)
        self.lvm.add('free', 1028 * MIB)
        self.machine.as_root.clear()

    def names(self, entries):
        return [entry['reference']['source-name'] for entry in entries]

    def test_volumes(self):
        found = self.driver.get_manageable_volumes([self.ours], *PAGE)
        self.assertEqual(['free', self.ours.name], self.names(found))
        self.assertEqual([(2, True), (1, False)], [
            (entry['size'], entry['safe_to_manage']) for entry in found])

    def test_snapshots(self):
        found, = self.driver.get_manageable_snapshots([], *PAGE)
        self.assertEqual(({'source-name': 'shot'}, 1, True,
                          {'source-name': self.ours.name}),
                         (found['reference'], found['size'],
                          found['safe_to_manage'],
                          found['source_reference']))

    def test_snapshot_of_cinder(self):
        snapshot = self.snapshot(self.ours)
        self.add_snapshot(self.ours, f'_{snapshot.name}')
        found = self.driver.get_manageable_snapshots([snapshot], *PAGE)
        self.assertEqual([snapshot.id, None],
                         [entry['cinder_id'] for entry in found])

    def test_migrated_volume_of_cinder(self):
        """Its LV bears the id of the volume it was migrated to."""
        migrated = self.volume(_name_id=str(uuid.uuid4()))
        self.add_lv(migrated)
        found = self.driver.get_manageable_volumes([migrated], *PAGE)
        entry, = (entry for entry in found
                  if entry['reference']['source-name'] == migrated.name)
        self.assertEqual((False, migrated.id),
                         (entry['safe_to_manage'], entry['cinder_id']))

    def test_pages(self):
        for page, names in (((None, 1, 0), ['free']),
                            ((None, 1, 1), [self.ours.name]),
                            (({'source-name': 'free'}, 5, 0),
                             [self.ours.name])):
            self.assertEqual(names, self.names(
                self.driver.get_manageable_volumes(
                    [], *page, ['reference'], ['asc'])))

    def test_one_report_however_many_volumes(self):
        for number in range(20):
            self.lvm.add(f'a{number}')
        self.driver.get_manageable_volumes([], *PAGE)
        self.assertEqual(['lvs'], self.machine.programs())
