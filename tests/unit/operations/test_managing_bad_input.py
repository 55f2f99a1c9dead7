# SPDX-License-Identifier: Apache-2.0
"""References that mean no LV, or one that cannot be managed."""

import json

from cinder import context
from cinder import exception
from cinder import objects
import ddt
import fixtures

from cinder_lvm_driver.lvm import questions
from tests.fakes import backend
from tests.unit.operations import test_managing

GIB = backend.GIB
NO_SUCH = exception.ManageExistingInvalidReference
LONG = 'a' * 10000
# What can come out of a request's JSON.
NO_NAMES = (None, {}, [], 5, True, '', {'source-id': 'theirs'},
            {'source-name': None}, {'source-name': ''}, {'source-name': 5},
            {'source-name': ['theirs']}, {'source-name': {'a': 'theirs'}},
            {'SOURCE-NAME': 'theirs'}, ['source-name', 'theirs'])
NAMES_OF_NOTHING = (
    '-n x', '--all', '../x', '.', '..', '/', 'vg/theirs', '/dev/vg/theirs',
    '/dev/mapper/vg-theirs', 'other/theirs', 'theirs ', ' theirs',
    'thei rs', 'theirs\n', 'theirs\0', 'théirs', '\u202etheirs', 'THEIRS',
    '[theirs]', 'theirs"', '" || lv_name="theirs', "';reboot", '$(reboot)',
    'theirs,shot', '@tag', 'snapshot', 'pvmove0', 'vg-pool_tdata',
    'vg-pool_tmeta', 'lvol0_pmspare', '[lvol0_pmspare]', 'mirrored_rimage_0',
    'cache_cdata', LONG)


@ddt.ddt(testNameFormat=ddt.TestNameFormat.INDEX_ONLY)
class TestReferences(test_managing.ManageTestCase):

    def setUp(self):
        super().setUp()
        self.lvm.add('theirs', GIB + 1, content='data')
        self.lvm.add('cow', GIB, origin='theirs')
        self.lvm.add('thin', GIB, **backend.THIN)
        self.lvm.add('shot', GIB, origin='thin', active=False, skip=True,
                     **backend.THIN)
        self.lvm.add('cache', GIB, segtype='cache-pool')
        self.lvm.add('mirrored', mirrors=0, segtype='raid1')
        self.before = dict(self.lvm.volumes)
        self.machine.as_root.clear()

    def assert_refused(self, reference, *words):
        """Neither verb of neither kind takes a reference."""
        volume = self.volume()
        volume_verbs = (self.driver.manage_existing_get_size,
                        self.driver.manage_existing)
        snapshot_verbs = (self.driver.manage_existing_snapshot_get_size,
                          self.driver.manage_existing_snapshot)
        for thing, verbs in ((volume, volume_verbs),
                             (self.snapshot(volume), snapshot_verbs)):
            for verb in verbs:
                error = self.assertRaises(NO_SUCH, verb, thing, reference)
                for word in words:
                    self.assertIn(word, str(error))
        self.assertEqual(self.before, self.lvm.volumes)
        self.assertLessEqual(set(self.machine.programs()), {'lvs', 'vgs'})

    @ddt.data(*NO_NAMES)
    def test_no_name(self, reference):
        self.assert_refused(reference, 'source-name')
        self.assertEqual([], self.machine.as_root)

    @ddt.data(*NAMES_OF_NOTHING)
    def test_name_of_no_lv(self, name):
        self.assert_refused({'source-name': name}, 'no such LV', 'vg')

    def test_message_is_not_as_long_as_the_reference(self):
        error = self.assertRaises(
            NO_SUCH, self.driver.manage_existing, self.volume(),
            {'source-name': LONG})
        self.assertLess(len(str(error)), 1000)

    @ddt.data('vg-pool', 'cache')
    def test_lv_that_other_lvs_are_in(self, name):
        self.assert_refused({'source-name': name}, name, 'pool')

    def test_suspended(self):
        for name in 'theirs', 'thin', 'cow':
            self.lvm.volumes[name].is_suspended = True
            self.assert_refused({'source-name': name}, name)
        self.assertIn('suspended', str(self.assertRaises(
            NO_SUCH, self.driver.manage_existing, self.volume(),
            {'source-name': 'theirs'})))
        page = (None, 9, 0, ['reference'], ['asc'])
        for listed in (self.driver.get_manageable_volumes([], *page),
                       self.driver.get_manageable_snapshots([], *page)):
            found = {entry['reference']['source-name']:
                     entry['reason_not_safe'] for entry in listed}
            for name, reason in found.items():
                self.assertEqual(
                    name in ('theirs', 'thin', 'cow'),
                    'suspended' in (reason or ''), name)

    @ddt.data('theirs', 'thin', 'cow')
    def test_suspended_while_somebody_has_it_open(self, name):
        vars(self.lvm.volumes[name]).update(is_suspended=True, is_open=True)
        self.assert_refused_at_once(name)

    def test_pool_with_active_volumes(self):
        self.assertTrue(self.driver.vg.find_volume('vg-pool').is_open)
        self.assert_refused_at_once('vg-pool')

    def assert_refused_at_once(self, name):
        self.useFixture(fixtures.MockPatchObject(
            questions, 'CLOSING_SECONDS', 10))
        self.assert_refused({'source-name': name}, name)

    def test_what_lvs_are_made_of_is_not_listed(self):
        page = (None, 99, 0, ['reference'], ['asc'])
        for verb in (self.driver.get_manageable_volumes,
                     self.driver.get_manageable_snapshots):
            for entry in verb([], *page):
                self.assertIn(entry['reference']['source-name'],
                              ('theirs', 'cow', 'thin', 'shot', 'mirrored'))
        for name in self.lvm.hidden():
            self.assertIsNone(self.driver.vg.find_volume(name))

    def test_other_keys_do_no_harm(self):
        self.assertEqual(2, self.driver.manage_existing_get_size(
            self.volume(), {'source-name': 'theirs', 'source-id': 5}))

    @ddt.data('cow', 'shot')
    def test_snapshot_as_a_volume(self, name):
        self.assertRaises(NO_SUCH, self.driver.manage_existing,
                          self.volume(), {'source-name': name})

    @ddt.data('theirs', 'thin')
    def test_volume_as_a_snapshot(self, name):
        self.assertRaises(NO_SUCH, self.driver.manage_existing_snapshot,
                          self.snapshot(self.volume()), {'source-name': name})


@ddt.ddt(testNameFormat=ddt.TestNameFormat.INDEX_ONLY)
class TestPages(test_managing.ManageTestCase):
    """What the API of Cinder asks for, and what it does with the answer."""

    def setUp(self):
        super().setUp()
        for number, name in enumerate('dbca'):
            self.lvm.add(name, (number + 1) * GIB, **backend.THIN)
        self.lvm.add('cache', GIB, segtype='cache-pool')

    def names(self, *page):
        return ''.join(entry['reference']['source-name'] for entry in
                       self.driver.get_manageable_volumes([], *page))

    @ddt.data(
        ((None, 9, 0, ['size'], ['asc']), 'dbca'),
        ((None, 9, None, ['size'], ['desc']), 'acbd'),
        ((None, 9, 0, ['reference'], ['asc']), 'abcd'),
        ((None, 9, 0, ['size', 'reference'], ['asc', 'desc']), 'dbca'),
        ((None, 2, 1, ['reference'], ['asc']), 'bc'),
        ((None, 2, 9, ['reference'], ['asc']), ''),
        ((None, 0, 0, ['reference'], ['asc']), ''),
        (({'source-name': 'b'}, 9, 1, ['reference'], ['asc']), 'd'),
        ((json.dumps({'source-name': 'b'}), 1, 0, ['reference'], ['asc']),
         'c'))
    @ddt.unpack
    def test_page(self, page, names):
        self.assertEqual(names, self.names(*page))

    @ddt.data('b', 'not json', {'source-name': 'nope'}, {'source-id': 'b'})
    def test_marker_that_is_not_there(self, marker):
        self.assertRaises(exception.InvalidInput, self.names, marker, 9, 0,
                          ['reference'], ['asc'])

    def test_answers_are_what_the_api_can_send(self):
        volume = self.volume()
        self.add_lv(volume, **backend.THIN)
        self.add_snapshot(volume)
        # A snapshot's name on an LV that has lost its origin.
        self.lvm.add(f'_{self.snapshot(volume).name}', GIB)
        page = (None, 9, 0, ['reference'], ['asc'])
        admin = context.get_admin_context()
        objects.ManageableVolumeList.from_primitives(
            admin, self.driver.get_manageable_volumes([volume], *page))
        found = objects.ManageableSnapshotList.from_primitives(
            admin, self.driver.get_manageable_snapshots([], *page))
        self.assertEqual([{'source-name': None},
                          {'source-name': volume.name}],
                         [entry.source_reference for entry in found])
