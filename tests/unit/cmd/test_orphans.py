# SPDX-License-Identifier: Apache-2.0
"""Where the database and the node disagree."""

from unittest import mock

import ddt

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import orphans
from cinder_lvm_driver.cmd import survey
from tests.fakes import target
from tests.unit.cmd import test_database

GIB = test_database.base.backend.GIB
UUID = '1f2e3d4c-0000-4000-8000-0123456789ab'
CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:aaaa'}


@ddt.ddt
class TestFind(test_database.DatabaseTestCase):

    settings = {'lvm_type': 'default'}

    def find(self, *served, unused=()):
        """Return what is found.

        :param served: the names of LVs
        :param unused: the volumes that are served to no host
        """
        ids = {volume.id for volume in unused}
        with (mock.patch.object(survey, 'exports_of', return_value=[
                survey.Export(lv_name=name, target='iqn:a', hosts=1,
                              sessions=1) for name in served]),
              mock.patch.object(
                  target.RecordingTarget, 'find_unused', lambda _, volumes:
                  ids & {volume.id for volume in volumes})):
            return list(orphans.find(
                backends.open_pools(self.section.make_driver()),
                self.section))

    def assert_one(self, text, *served, **others):
        orphan, = self.find(*served, **others)
        self.assertIn(text, orphan.text)
        return orphan

    def with_lv(self, **values):
        volume = self.known_volume(**values)
        self.add_lv(volume)
        return volume

    def test_agreement(self):
        volume = self.with_lv()
        attached = self.with_lv()
        self.attach(attached, CONNECTOR)
        snapshot = self.known_snapshot(volume)
        self.lvm.add('_' + snapshot.name, GIB)
        for name in ('root', 'cinder-wipe-0123456789ab-0a1b2c3d',
                     f'clone-snap-{volume.name}', f'clone-snap-{volume.id}',
                     f'cinder-export-_{snapshot.name}'):
            self.lvm.add(name, GIB)
        self.assertEqual([], self.find(attached.name))

    @ddt.data((f'volume-{UUID}', 'volume'), (f'_snapshot-{UUID}', 'snapshot'))
    @ddt.unpack
    def test_lv_that_cinder_does_not_know(self, name, kind):
        """It stays: the user may have had Cinder unmanage the volume."""
        self.lvm.add(name, GIB)
        orphan = self.assert_one(f'LV vg/{name} has the name of a {kind} that')
        self.assertIsNone(orphan.remove)

    def stored(self, device):
        """Have a file define an export; return what removes it."""
        self.enterContext(mock.patch.object(
            target.RecordingTarget, 'stored_devices',
            return_value={'iqn:a': device}))
        return self.enterContext(mock.patch.object(
            target.RecordingTarget, 'remove_stored'))

    def test_file_of_an_export(self):
        remove = self.stored(f'/dev/vg/volume-{UUID}')
        self.assert_one(f'VG vg has no LV volume-{UUID}').remove()
        remove.assert_called_once_with('iqn:a')

    @ddt.data('/dev/vg/precious', f'/dev/nowhere/volume-{UUID}', '/dev/sdb',
              '')
    def test_file_of_somebody_else(self, device):
        self.stored(device)
        self.assertEqual([], self.find())

    def test_file_of_an_export_whose_volume_is_known(self):
        """The volume is restored, or Cinder is made to forget it."""
        volume = self.known_volume()
        self.stored(f'/dev/vg/{volume.name}')
        self.assert_one('is available for Cinder, but VG vg has no LV')

    def test_host_was_renamed(self):
        for _ in range(2):
            self.with_lv(host='old@backend#pool')
        self.assert_one('2 LVs, such as vg/volume-')

    def test_other_back_end_of_this_node(self):
        other = self.enable()
        self.with_lv(host=f'{self.section.host.partition("@")[0]}@{other}#x')
        self.assertEqual([], self.find())

    @ddt.data(f'clone-snap-volume-{UUID}', f'clone-snap-{UUID}',
              f'cinder-arriving-volume-{UUID}',
              f'cinder-export-_snapshot-{UUID}')
    def test_temporary_lv(self, name):
        self.lvm.add(name, GIB)
        self.assert_one(f'Temporary LV vg/{name} is of no use').remove()
        self.assertNotIn(name, self.lvm.volumes)

    def test_temporary_lv_in_use(self):
        self.lvm.add(f'clone-snap-volume-{UUID}', GIB, is_open=True)
        self.assertEqual([], self.find())

    @ddt.data(f'clone-snap-mine-{UUID}', 'clone-snap-volume-1', 'volume-a')
    def test_name_of_an_operator(self, name):
        self.lvm.add(name, GIB)
        self.assertEqual([], self.find())

    def test_data_of_a_thin_pool(self):
        self.lvm.add('cinder-orphan-0a1b2c3d', GIB)
        self.assertIsNone(self.assert_one('has data of a thin pool').remove)

    def test_no_lv(self):
        self.known_volume()
        self.known_volume(status='error')
        self.assert_one('VG vg has no LV volume-')

    def test_attached_and_not_served(self):
        self.attach(self.with_lv(), CONNECTOR)
        self.assert_one('is attached, but is not served')

    def test_attached_without_target(self):
        self.attach(self.with_lv(), CONNECTOR, driver_volume_type='local')
        self.assertEqual([], self.find())

    @ddt.data('available', 'attaching')
    def test_served_to_nobody(self, status):
        """Unless the volume is being attached when its export is removed."""
        volume = self.with_lv()
        orphan = self.assert_one('but no host may use it', volume.name,
                                 unused=[volume])

        def refresh(again):
            again.status = status

        with (mock.patch.object(type(volume), 'refresh', refresh),
              mock.patch.object(target.RecordingTarget,
                                'remove_export') as remove):
            orphan.remove()
        self.assertEqual(
            [mock.call(mock.ANY, volume, f'/dev/vg/{volume.name}')]
            * (status == 'available'), remove.mock_calls)

    def test_being_attached(self):
        volume = self.with_lv(status='attaching')
        self.assertEqual([], self.find(volume.name, unused=[volume]))


class TestPools(TestFind):
    """A back end with pools in two VGs."""

    settings = {'lvm_type': 'default', 'lvm_pool': [
        {'name': 'a'}, {'name': 'b', 'volume_group': 'other'}]}

    def setUp(self):
        super().setUp()
        self.other = self.machine.add_vg('other', size_bytes=100 * GIB)

    def known_volume(self, host=None, **values):
        return super().known_volume(
            host=host or f'{self.section.host}#a', **values)

    def test_lv_of_the_other_pool(self):
        volume = self.known_volume(host=f'{self.section.host}#b')
        self.add_lv(volume)
        self.assert_one('VG other has no LV volume-')

    def test_each_vg(self):
        self.other.add(f'clone-snap-volume-{UUID}', GIB)
        self.assert_one('Temporary LV other/clone-snap').remove()
        self.assertEqual({}, self.other.volumes)

    def test_pool_that_is_not_listed(self):
        self.with_lv(host=f'{self.section.host}#gone')
        self.assert_one('is in pool gone, which lvm_pool of back end')
