# SPDX-License-Identifier: Apache-2.0
"""The steps of tools/openstack that need attached volumes."""

import contextlib
import json
import os
from unittest import mock

import fixtures
import testtools

from cloud_lib import compute
from cloud_lib import errors
from cloud_lib import rest
from cloud_lib import storage
from openstack_lib import features
from openstack_lib import groups
from openstack_lib import settings
from openstack_lib import survive


class Cloud:
    """Cinder and a host; the data of a volume is a file."""

    def __init__(self, folder):
        self.folder = folder
        self.listed = {'snapshot': [], 'backup': [], 'volume': [],
                       'attachment': []}
        self.types = []
        self.moves = []
        self.lvs = {'pool': {}}
        self.cinder = mock.create_autospec(rest.Cinder, instance=True)
        self.cinder.ids.side_effect = lambda resource: list(
            self.listed[resource])
        self.cinder.show.return_value = {
            'os-vol-host-attr:host': 'storage@lvm-2#lvm-2'}
        for verb in ('create_volume', 'create_backup', 'create_type',
                     'create_attachment', 'delete_attachment', 'delete',
                     'delete_type', 'restore', 'encryption', 'migrate'):
            getattr(self.cinder, verb).side_effect = getattr(self, verb)
        self.host = mock.create_autospec(compute.Host, instance=True)
        self.host.attach.side_effect = lambda connection: {
            'path': connection['path']}
        self.host.decrypted.side_effect = (
            lambda device, *_: contextlib.nullcontext(device.path))

    def create_volume(self, **fields):
        volume = f'v{len(self.listed["volume"])}'
        self.listed['volume'].append(volume)
        source = fields.get('source_volid')
        path = os.path.join(self.folder, volume)
        with open(path, 'wb') as file:
            if source:
                with open(os.path.join(self.folder, source), 'rb') as data:
                    file.write(data.read())
            else:
                file.truncate(features.DATA)
        self.lvs[f'volume-{volume}'] = {}
        return volume

    def create_backup(self, volume, name):
        self.lvs['_snapshot-1'] = {}
        self.listed['backup'].append(volume)
        with open(os.path.join(self.folder, volume), 'rb') as file:
            self.backed_up = file.read()
        return volume

    def restore(self, backup, volume):
        with open(os.path.join(self.folder, volume), 'wb') as file:
            file.write(self.backed_up)

    def create_type(self, name, specs):
        self.types.append(name)
        return name

    def delete_type(self, name):
        self.types.remove(name)

    def create_attachment(self, volume, connector):
        self.listed['attachment'].append(volume)
        return volume, {'path': os.path.join(self.folder, volume)}

    def delete_attachment(self, attachment, volume, status='available'):
        self.listed['attachment'].remove(attachment)

    def delete(self, resource, identity):
        self.listed[resource].remove(identity)

    def encryption(self, volume):
        return {}

    def migrate(self, volume, destination):
        self.moves.append(destination)
        self.vgs = {'cinder-volumes-1': {}, 'cinder-volumes-2': {}}
        self.vgs[f'cinder-volumes-{destination[-1]}'] = {
            f'volume-{volume}': {}}

    def lvs_of(self, vg):
        return getattr(self, 'vgs', {}).get(vg, self.lvs)


class AttachedTestCase(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path
        self.cloud = Cloud(self.folder)
        for where, name, value in (
                (storage, 'lvs', self.cloud.lvs_of),
                (storage, 'initiator_records', list),
                (os, 'O_DIRECT', 0)):
            self.useFixture(fixtures.MockPatchObject(where, name, value))


class TestFeatures(AttachedTestCase):

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            features.Features, '_require_luks'))

    def user(self, **values):
        return features.Features(self.cloud.cinder, self.cloud.host,
                                 settings.Settings(**values), b'key')

    def run_all(self, user):
        for step in user.steps():
            step.work()

    def test_nothing_is_left(self):
        self.run_all(self.user(
            backends=2, extra=('backup_use_temp_snapshot=true',)))
        self.assertEqual({'snapshot': [], 'backup': [], 'volume': [],
                          'attachment': []}, self.cloud.listed)
        self.assertEqual([], self.cloud.types)
        self.assertEqual(['storage@lvm-1#lvm-1', 'storage@lvm-2#lvm-2'],
                         self.cloud.moves)

    def test_steps_follow_the_settings(self):
        names = {step.name for step in self.user(backup=False).steps()}
        self.assertNotIn('backup of a volume in use', names)
        self.assertNotIn('migration and back', names)

    def test_backup_that_takes_a_copy(self):
        user = self.user(extra=('backup_use_temp_snapshot=true',))
        user.begin()
        with mock.patch.dict(self.cloud.lvs, clear=False):
            self.cloud.cinder.create_backup.side_effect = (
                lambda *arguments: self.cloud.lvs.update(
                    {'volume-temporary': {}}) or 'b')
            error = self.assertRaises(errors.CloudError, user.backup)
        self.assertIn('volume-temporary', str(error))

    def test_clean_removes_types(self):
        user = self.user()
        user.begin()
        self.cloud.cinder.create_volume.side_effect = errors.CloudError('no')
        self.assertRaises(errors.CloudError, user.multiattach)
        user.clean()
        self.assertEqual([], self.cloud.types)


class TestSurvive(AttachedTestCase):

    def setUp(self):
        super().setUp()
        self.state = os.path.join(self.folder, 'state')
        for name, value in (('STATE', self.state), ('COUNT', 2)):
            self.useFixture(fixtures.MockPatchObject(survive, name, value))

    def user(self):
        return survive.Survivor(self.cloud.cinder, self.cloud.host, 'vg')

    def again(self):
        user = self.user()
        user.load()
        return user

    def test_all_parts(self):
        self.user().begin()
        self.assertEqual(0o600, os.stat(self.state).st_mode & 0o777)
        self.again().check()
        self.again().connect()
        self.again().end()
        self.assertEqual(([], []), (self.cloud.listed['volume'],
                                    self.cloud.listed['attachment']))
        self.assertFalse(os.path.exists(self.state))

    def test_lost_data(self):
        self.user().begin()
        with open(self.state) as file:
            path = json.load(file)[1][0]['info']['path']
        with open(path, 'r+b') as file:
            file.write(b'other')
        error = self.assertRaises(errors.CloudError, self.again().check)
        self.assertIn(f'{path} are not the data expected', str(error))

    def test_begin_that_fails_leaves_nothing(self):
        self.cloud.host.attach.side_effect = OSError('no')
        self.assertRaises(OSError, self.user().begin)
        self.assertEqual(([], []), (self.cloud.listed['volume'],
                                    self.cloud.listed['attachment']))


class TestGroups(testtools.TestCase):

    def setUp(self):
        super().setUp()
        self.made, self.commands, self.copied = [], [], True
        self.cinder = mock.create_autospec(rest.Cinder, instance=True)
        self.cinder.show.side_effect = self.show
        self.cinder.request.side_effect = self.members

    def client(self, *words):
        self.commands.append(words[1:])
        if 'delete' in words:
            self.made.remove(words[-1])
        if 'create-group-from-src' in words:
            self.made.append(words[-1])
        if 'create' not in words or words[0] == 'cinder':
            return ''
        self.made.append(words[5] if 'type' in words else
                         f'{words[3]}-{len(self.commands)}')
        return json.dumps({'ID': self.made[-1]})

    def members(self, _method, path):
        if path == '/groups':
            return {'groups': [{'id': made, 'name': made}
                               for made in self.made]}
        group = path.partition('=')[2]
        words = next(words for words in self.commands
                     if words[:3] == ('volume', 'group', 'create'))
        first = group == f'create-{self.commands.index(words) + 1}'
        return {'volumes': [
            {'id': f'{group}-{name}', 'snapshot_id': None,
             'source_volid': None if first else self.source(name)}
            for name in 'ab']}

    def source(self, name):
        group = next(made for made in self.made if made.startswith('create'))
        return f'{group}-{name if self.copied else "x"}'

    def show(self, resource, identity):
        if identity not in self.made:
            raise rest.NotFound('404')
        return {'status': 'deleting'}

    def run_all(self, status=0):
        groups.Groups(self.cinder, settings.Settings().back_ends()[0],
                      self.client, lambda _command: status,
                      lambda _text: None).run()

    def test_nothing_is_left(self):
        self.run_all()
        self.assertEqual([], self.made)
        self.assertIn('consistent_group_snapshot_enabled=<is> True',
                      self.commands[1])

    def test_copies_of_other_volumes(self):
        self.copied = False
        error = self.assertRaises(errors.CloudError, self.run_all)
        self.assertIn('have the sources', str(error))
        self.assertEqual([], self.made)

    def test_other_data(self):
        error = self.assertRaises(errors.CloudError, self.run_all, 1)
        self.assertIn('failed on the storage node', str(error))
        self.assertEqual([], self.made)
