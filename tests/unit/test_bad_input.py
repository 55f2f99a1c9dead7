# SPDX-License-Identifier: Apache-2.0
"""LVs, sizes and references that are not as a verb needs them.

Each ends in the exception that Cinder's contract has for it, with a message
that names what is wrong, and leaves everything as it was; or in success
where the contract wants that.
"""

import copy
import itertools
from unittest import mock

from cinder import exception
from cinder.image import image_utils
from cinder.volume import volume_utils
import ddt

from cinder_lvm_driver import naming
from cinder_lvm_driver.targets import errors as target_errors
from tests.fakes import backend
from tests.fakes import lvm as fake_lvm

GIB = backend.GIB
BACKEND_ERROR = exception.VolumeBackendAPIException
BUSY = exception.VolumeIsBusy
SNAPSHOT_BUSY = exception.SnapshotIsBusy
# What LVM does although a PV is missing (seen with 2.03.16).
_WORKS_ON_PARTIAL = {'lvs', 'vgs', 'lvremove'}
NEW_SIZE = 2


class BadInputTestCase(backend.BackendTestCase):
    """A back end with a volume that has a snapshot.

    :cvar kind: facts of the LVs of its kind
    """

    settings = {'lvm_type': 'thin'}
    kind = backend.THIN

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.owner = self.volume(provider_location='portal,1 iqn 0')
        self.shot = self.snapshot(self.owner)
        self.other = self.volume()
        self.add_lv(self.owner, content='data', **self.kind)
        self.add_snapshot()

    def add_snapshot(self, **facts):
        name = '_' + self.shot.name
        if self.kind:
            facts = {'active': False, 'skip': True, **self.kind, **facts}
        self.lvm.add(name, GIB, origin=self.owner.name, **facts)

    def world(self):
        """Return all that must stay as it is."""
        return copy.deepcopy((self.lvm.volumes, {
            name: lv for name, lv in self.lvm.removed.items()
            if not naming.is_temporary(name)}))

    def assert_refused(self, error, words, verb, *arguments):
        """Look that a verb fails as it should and changes nothing."""
        before = self.world()
        raised = self.assertRaises(error, verb, *arguments)
        for word in words:
            self.assertRegex(str(raised), word)
        self.assertEqual(before, self.world())
        return raised

    # Verbs as functions of the driver and of the world's objects -----------

    def calls(self, verb):
        """Return a verb with its arguments."""
        owner, shot, other = self.owner, self.shot, self.other
        other.size = NEW_SIZE
        return {
            'create_volume': (owner,),
            'create_volume_from_snapshot': (other, shot),
            'create_cloned_volume': (other, owner),
            'delete_volume': (owner,),
            'create_snapshot': (shot,),
            'delete_snapshot': (shot,),
            'revert_to_snapshot': (self.context, owner, shot),
            'extend_volume': (owner, NEW_SIZE),
            'create_export': (self.context, owner, None),
            'ensure_export': (self.context, owner),
            'copy_image_to_volume': (self.context, owner, None, 'id'),
            'copy_volume_to_image': (self.context, owner, None, {}),
            'remove_export': (self.context, owner),
            'create_export_snapshot': (self.context, shot, None),
            'remove_export_snapshot': (self.context, shot),
            'terminate_connection_snapshot': (shot, None),
            'migrate_volume': (self.context, owner, self.elsewhere()),
            'retype': (self.context, owner, None,
                       {'extra_specs': {'layout': ('old', 'new')}}, {}),
            'unmanage': (owner,),
            'unmanage_snapshot': (shot,),
        }[verb]

    def elsewhere(self):
        """Return a back end on another VG of this host."""
        self.machine.add_vg('other', size_bytes=10 * GIB)
        return {'capabilities': {'location_info': (
            f'LVMVolumeDriver:{self.driver.hostname}:other:default:0')}}

    def call(self, verb):
        return (getattr(self.driver, verb), *self.calls(verb))


GONE = (
    'create_volume_from_snapshot', 'create_cloned_volume', 'create_snapshot',
    'revert_to_snapshot', 'extend_volume', 'create_export', 'ensure_export',
    'copy_image_to_volume', 'copy_volume_to_image', 'create_export_snapshot',
    'migrate_volume', 'retype')
# The contract wants success, and nothing is to be done.
GONE_IS_FINE = ('delete_volume', 'delete_snapshot', 'remove_export',
                'remove_export_snapshot', 'terminate_connection_snapshot',
                'unmanage', 'unmanage_snapshot')
# And the object whose LV must not be there.
THERE = (('create_volume', 'owner'), ('create_volume_from_snapshot', 'other'),
         ('create_cloned_volume', 'other'), ('create_snapshot', 'shot'))
OPEN = (
    ('delete_volume', BUSY, 'owner'),
    ('revert_to_snapshot', BUSY, 'owner'),
    ('delete_snapshot', SNAPSHOT_BUSY, 'shot'),
)
SUSPENDED = (
    ('create_volume_from_snapshot', BACKEND_ERROR, 'shot'),
    ('create_cloned_volume', BACKEND_ERROR, 'owner'),
    ('create_snapshot', BACKEND_ERROR, 'owner'),
    ('extend_volume', BACKEND_ERROR, 'owner'),
    ('delete_volume', BUSY, 'owner'),
    ('delete_snapshot', SNAPSHOT_BUSY, 'shot'),
    ('revert_to_snapshot', BUSY, 'owner'),
    ('revert_to_snapshot', BUSY, 'shot'),
    ('create_export', BACKEND_ERROR, 'owner'),
    ('ensure_export', BACKEND_ERROR, 'owner'),
    ('copy_image_to_volume', BACKEND_ERROR, 'owner'),
    ('copy_volume_to_image', BACKEND_ERROR, 'owner'),
    ('create_export_snapshot', SNAPSHOT_BUSY, 'shot'),
    ('migrate_volume', BACKEND_ERROR, 'owner'),
    ('retype', BACKEND_ERROR, 'owner'),
)
# A volume or snapshot whose LV is one that other LVs are made of.
POOLS = (
    ('create_volume_from_snapshot', 'shot'),
    ('create_cloned_volume', 'owner'),
    ('create_snapshot', 'owner'),
    ('delete_volume', 'owner'),
    ('delete_snapshot', 'shot'),
    ('revert_to_snapshot', 'owner'),
    ('revert_to_snapshot', 'shot'),
    ('extend_volume', 'owner'),
    ('create_export', 'owner'),
    ('ensure_export', 'owner'),
    ('copy_image_to_volume', 'owner'),
    ('copy_volume_to_image', 'owner'),
    ('create_export_snapshot', 'shot'),
    ('migrate_volume', 'owner'),
    ('retype', 'owner'),
)
POOL_IS_FINE = (
    ('remove_export', 'owner'), ('remove_export_snapshot', 'shot'),
    ('terminate_connection_snapshot', 'shot'), ('unmanage', 'owner'),
    ('unmanage_snapshot', 'shot'),
)
# Commands that change a VG, one of whose PVs is missing.
PARTIAL = ('create_volume', 'create_volume_from_snapshot',
           'create_cloned_volume', 'extend_volume', 'create_snapshot',
           'revert_to_snapshot', 'create_export', 'ensure_export',
           'create_export_snapshot', 'migrate_volume')


@ddt.ddt
class TestThin(BadInputTestCase):

    def lv_name(self, thing):
        name = getattr(self, thing).name
        return '_' * name.startswith('snapshot') + name

    @ddt.data(*GONE)
    def test_gone(self, verb):
        self.lvm.volumes = {name: lv for name, lv in self.lvm.volumes.items()
                            if name == 'vg-pool'}
        raised = self.assert_refused(
            BACKEND_ERROR, ['not found|Failed to find'], *self.call(verb))
        self.assertRegex(str(raised), '(volume|snapshot)-[0-9a-f-]{36}')

    @ddt.data(*GONE_IS_FINE)
    def test_gone_is_fine(self, verb):
        self.lvm.volumes = {name: lv for name, lv in self.lvm.volumes.items()
                            if name == 'vg-pool'}
        before = self.world()
        verb, *arguments = self.call(verb)
        self.assertIsNone(verb(*arguments))
        self.assertEqual(before, self.world())

    @ddt.data(*THERE)
    @ddt.unpack
    def test_there_already(self, verb, taken):
        if self.lv_name(taken) not in self.lvm.volumes:
            self.lvm.add(self.lv_name(taken), GIB, content='of another')
        self.assert_refused(BACKEND_ERROR, ['already exists'],
                            *self.call(verb))

    @ddt.data(*OPEN)
    @ddt.unpack
    def test_open(self, verb, error, thing):
        lv = self.lvm.volumes[self.lv_name(thing)]
        lv.active = lv.is_open = True
        self.assert_refused(
            error, [self.lv_name(thing).lstrip('_'),
                    'in use|has COW snapshots'],
            *self.call(verb))
        self.assertIn(self.lv_name(thing), self.log.output)

    @ddt.data(*SUSPENDED)
    @ddt.unpack
    def test_suspended(self, verb, error, thing):
        """Whoever would read or write such an LV would wait for ever."""
        vars(self.lvm.volumes[self.lv_name(thing)]).update(
            active=True, is_suspended=True)
        if verb in ('extend_volume', 'create_snapshot'):
            self.lvm.volumes.pop('_' + self.shot.name, None)
        if verb == 'delete_volume':
            self.lvm.volumes.pop('_' + self.shot.name)
        self.assert_refused(error, ['is suspended', 'lvchange --activate y'],
                            *self.call(verb))

    @ddt.data(*PARTIAL)
    def test_missing_device_of_the_vg(self, verb):
        if verb in ('extend_volume', 'create_snapshot', 'migrate_volume'):
            self.lvm.volumes.pop('_' + self.shot.name)
        if verb in ('create_export', 'ensure_export'):
            # One that is whole is served.
            self.lvm.volumes[self.owner.name].reported = {
                'lv_health_status': 'partial'}
        answer = self.machine.answer

        def refusing(argv):
            if fake_lvm.parse(argv)[0] in _WORKS_ON_PARTIAL:
                return answer(argv)
            return 5, '', '  Cannot change VG vg while PVs are missing.\n'
        with mock.patch.object(self.machine, 'answer', refusing):
            self.assert_refused(BACKEND_ERROR, ['while PVs are missing'],
                                *self.call(verb))

    @ddt.data('create_volume', 'create_volume_from_snapshot',
              'create_cloned_volume', 'extend_volume')
    def test_larger_than_the_vg(self, verb):
        """Of a thin pool anything may be promised."""
        for name in ('_' + self.shot.name, self.owner.name):
            self.lvm.volumes[name].size = GIB // 2
        if verb in ('extend_volume', 'create_volume'):
            self.lvm.volumes.pop('_' + self.shot.name)
        if verb == 'create_volume':
            self.lvm.volumes.pop(self.owner.name)
        verb, *arguments = self.call(verb)
        self.owner.size = self.other.size = 1000
        arguments = [1000 if argument == NEW_SIZE else argument
                     for argument in arguments]
        if self.kind:
            verb(*arguments)
        else:
            self.assert_refused(BACKEND_ERROR, ['insufficient free space'],
                                verb, *arguments)

    @ddt.data('copy_image_to_volume', 'copy_volume_to_image')
    def test_image_where_there_is_no_device_yet(self, verb):
        self.lvm.volumes[self.owner.name].active = False
        for module, name in ((image_utils, 'fetch_to_raw'),
                             (volume_utils, 'upload_volume')):
            patcher = mock.patch.object(module, name)
            patcher.start()
            self.addCleanup(patcher.stop)
        verb, *arguments = self.call(verb)
        verb(*arguments)
        self.assertTrue(self.lvm.volumes[self.owner.name].active)

    @ddt.data('create_export', 'create_export_snapshot')
    def test_target_that_cannot_be_made(self, verb):
        self.driver.target_driver.failures['create_export'] = (
            target_errors.TargetInUse('iqn', 'one', 'other'))
        self.assert_refused(BACKEND_ERROR, ['log the initiator out'],
                            *self.call(verb))

    @ddt.data(0, -1)
    def test_size_of_nothing(self, size):
        new = self.volume(size)
        for verb, *sources in (
                (self.driver.create_volume,),
                (self.driver.create_cloned_volume, self.owner),
                (self.driver.create_volume_from_snapshot, self.shot)):
            self.assert_refused(BACKEND_ERROR, [new.name, f'{size} GiB'],
                                verb, new, *sources)

    def test_extend_to_no_more(self):
        before = self.world()
        self.driver.extend_volume(self.owner, self.owner.size)
        self.assertEqual(before, self.world())

    @ddt.data(0, -1, 2)
    def test_extend_to_less(self, size):
        self.owner.size = 3
        self.assert_refused(BACKEND_ERROR, [self.owner.name, '3 GiB'],
                            self.driver.extend_volume, self.owner, size)

    def make_pool(self, thing, segtype):
        """Have an LV in use that bears a volume's or snapshot's name."""
        if thing == 'owner':
            self.lvm.volumes.pop('_' + self.shot.name)
        vars(self.lvm.volumes[self.lv_name(thing)]).update(
            segtype=segtype, pool='', origin='', active=True, is_open=True)

    @ddt.data(*itertools.product(POOLS, ('thin-pool', 'cache-pool')))
    @ddt.unpack
    def test_pool(self, call, segtype):
        """What is done to it would be done to the LVs in it."""
        verb, thing = call
        self.make_pool(thing, segtype)
        if verb == 'revert_to_snapshot' and thing == 'owner':
            self.add_snapshot()
        self.assert_refused(
            BACKEND_ERROR, [self.lv_name(thing), f'segtype {segtype}',
                            'lvrename'], *self.call(verb))
        self.assertEqual([], self.driver.target_driver.calls)

    def test_extend_a_cow_snapshot(self):
        """What LVM extends of it is the room for changes."""
        del self.lvm.volumes[self.owner.name]
        self.lvm.volumes['_' + self.shot.name].origin = ''
        self.lvm.add('origin', GIB)
        self.add_lv(self.owner, origin='origin')
        self.assert_refused(
            BACKEND_ERROR, [self.owner.name, 'COW snapshot of origin'],
            *self.call('extend_volume'))

    @ddt.data(*POOL_IS_FINE)
    @ddt.unpack
    def test_pool_is_fine(self, verb, thing):
        self.make_pool(thing, 'thin-pool')
        before = self.world()
        verb, *arguments = self.call(verb)
        self.assertFalse(verb(*arguments))
        self.assertEqual(before, self.world())

    def test_unmanage_leaves_all_as_it_is(self):
        before = self.world()
        for verb in ('unmanage', 'unmanage_snapshot'):
            verb, *arguments = self.call(verb)
            verb(*arguments)
        self.assertEqual(before, self.world())

    def test_unmanage_where_lvm_cannot_be_asked(self):
        self.machine.refused.add('lvs')
        self.driver.unmanage(self.owner)
        self.assertIn('lvchange --deltag', self.log.output)


class TestThick(TestThin):

    settings = {'lvm_type': 'default'}
    kind = {}
