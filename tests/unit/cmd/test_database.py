# SPDX-License-Identifier: Apache-2.0
"""What Cinder's database knows of LVs; the queries are answered here."""

import os

from cinder import objects
import fixtures
from oslo_db import exception as db_exception

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import database
from tests.unit.cmd import base


class DatabaseTestCase(base.CommandTestCase):
    """A test with a database.

    :ivar volumes: all that are in it
    :ivar snapshots: all that are in it
    :ivar queries: the filters of all queries
    """

    def setUp(self):
        super().setUp()
        self.volumes, self.snapshots, self.queries = [], [], []
        self.use_connection('mysql+pymysql://cinder:s3cret@db/cinder')
        for kind, things in ((objects.VolumeList, self.volumes),
                             (objects.SnapshotList, self.snapshots)):
            self.useFixture(fixtures.MockPatchObject(
                kind, 'get_all', self.answering(things)))
        self.enable()
        self.section, = backends.sections(None)

    def use_connection(self, url):
        self.config.config(group='database', connection=url)

    def answering(self, things):
        def get_all(_context, filters):
            self.queries.append(filters)
            return [thing for thing in things
                    if all(_value(thing, name) == value
                           for name, value in filters.items())]
        return get_all

    def known_volume(self, **values):
        """Put a volume into the database."""
        made = self.volume(**{'host': self.section.host, **values})
        self.volumes.append(made)
        return made

    def known_snapshot(self, volume):
        """Put a snapshot into the database."""
        made = self.snapshot(volume)
        self.snapshots.append(made)
        return made


def _value(thing, name):
    if name != 'host':
        return None if name not in thing else thing[name]
    volume = thing.volume if isinstance(thing, objects.Snapshot) else thing
    # As Cinder does: a back end without a pool stands for all of its pools.
    return volume.host.partition('#')[0]


class TestDatabase(DatabaseTestCase):

    def test_own(self):
        volume = self.known_volume()
        self.known_volume(host='other@backend')
        snapshot = self.known_snapshot(volume)
        known = database.Database(self.section)
        self.assertEqual({volume.name, '_' + snapshot.name}, known.lv_names)
        self.assertEqual([volume], list(known.volumes))

    def test_cluster(self):
        self.config.config(cluster='both')
        section, = backends.sections(None)
        database.Database(section)
        self.assertEqual([{'cluster_name': f'both@{section.name}'}] * 2,
                         self.queries)

    def test_lvs_of_other_back_ends(self):
        volume = self.known_volume(host='other@backend')
        migrated = self.known_volume(
            host='third@backend',
            _name_id='1f2e3d4c-0000-4000-8000-0123456789ab')
        snapshot = self.known_snapshot(volume)
        known = database.Database(self.section)
        for lv_name, host in ((volume.name, 'other@backend'),
                              (migrated.name, 'third@backend'),
                              ('_' + snapshot.name, 'other@backend'),
                              (f'clone-snap-{volume.id}', 'other@backend'),
                              ('volume-1f2e3d4c-0000-4000-8000-012345678900',
                               None),
                              ('root', None)):
            self.assertEqual(host, known.host_of(lv_name), lv_name)

    def assert_unreachable(self, reason):
        error = self.assertRaises(database.Unreachable, database.Database,
                                  self.section)
        self.assertIn(f'({reason}): check that it runs', str(error))
        self.assertNotIn('s3cret', str(error))

    def test_no_answer(self):
        self.useFixture(fixtures.MockPatchObject(
            objects.VolumeList, 'get_all', self.failing()))
        self.assert_unreachable('DBConnectionError')

    def failing(self):
        def fail(_context, filters):
            raise db_exception.DBConnectionError(Exception('s3cret'))
        return fail

    def test_no_answer_later(self):
        known = database.Database(self.section)
        self.useFixture(fixtures.MockPatchObject(
            objects.VolumeList, 'get_all', self.failing()))
        self.assertRaises(database.Unreachable, known.host_of,
                          'volume-1f2e3d4c-0000-4000-8000-0123456789ab')

    def test_no_file(self):
        path = os.path.join(self.useFixture(fixtures.TempDir()).path, 'x')
        self.use_connection(f'sqlite:///{path}')
        self.assert_unreachable('there is no such file')
        self.assertFalse(os.path.exists(path))
