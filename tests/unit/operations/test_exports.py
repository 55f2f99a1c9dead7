# SPDX-License-Identifier: Apache-2.0
"""Volumes and their targets."""

import threading
from unittest import mock

from cinder import exception
import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.operations import exports
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from tests.fakes import backend

HOST = {'initiator': 'iqn.host', 'host': 'host'}
OTHER_HOST = {'initiator': 'iqn.other', 'host': 'other'}


class ExportTestCase(backend.BackendTestCase):

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()
        self.target = self.driver.target_driver

    def make_volume(self, active=True, **values):
        values = {'provider_location': 'portal,1 iqn 0', **values}
        volume = self.volume(**values)
        self.add_lv(volume, active=active, **backend.THIN)
        return volume

    def path(self, volume):
        return f'/dev/vg/{volume.name}'


@ddt.ddt
class TestOneVolume(ExportTestCase):

    def test_create_export(self):
        volume = self.make_volume(active=False)
        self.assertEqual(
            {'provider_location': f'portal,1 iqn:{volume.name} 0',
             'provider_auth': 'CHAP name secret'},
            self.driver.create_export(self.context, volume, None))
        self.assertEqual([('create_export', volume.id, self.path(volume))],
                         self.target.calls)
        self.assertTrue(self.lv(volume).active)

    @ddt.data('create_export', 'ensure_export')
    def test_volume_that_is_active_costs_one_report(self, verb):
        volume = self.make_volume()
        arguments = (None,) * (verb == 'create_export')
        getattr(self.driver, verb)(self.context, volume, *arguments)
        self.assertEqual(['lvs'], self.machine.programs())

    def test_create_export_in_another_vg(self):
        volume = self.make_volume()
        self.driver.create_export(self.context, volume, None, vg='vg2')
        self.assertEqual(f'/dev/vg2/{volume.name}', self.target.calls[0][-1])

    def test_create_export_of_a_volume_that_is_gone(self):
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.create_export, self.context,
                          self.volume(), None)
        self.assertEqual([], self.target.calls)

    def test_ensure_export(self):
        volume = self.make_volume(active=False)
        self.driver.ensure_export(self.context, volume)
        self.assertEqual([('ensure_exports', (volume.id, self.path(volume)))],
                         self.target.calls)
        self.assertTrue(self.lv(volume).active)

    def test_volume_that_is_still_being_reverted(self):
        volume = self.volume()
        snapshot = self.snapshot(volume)
        self.add_lv(volume)
        self.driver.create_snapshot(snapshot)
        with mock.patch.object(self.driver.vg, 'delete_tag',
                               side_effect=lvm.CommandOfLVMFailed('lvchange')):
            self.assertRaises(
                exception.VolumeBackendAPIException,
                self.driver.revert_to_snapshot, self.context, volume,
                snapshot)
        error = self.assertRaises(
            exception.VolumeBackendAPIException,
            self.driver.create_export, self.context, volume, HOST)
        self.assertIn('still being reverted', str(error))
        self.assertEqual([], self.target.calls)

    def test_ensure_export_fails(self):
        volume = self.make_volume()
        self.target.failures['ensure_exports'] = {
            volume.id: target_errors.TargetError('kernel says no')}
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.driver.ensure_export, self.context,
                                  volume)
        self.assertIn('kernel says no', str(error))

    def test_remove_export(self):
        volume = self.volume()
        self.driver.remove_export(self.context, volume)
        self.assertEqual(
            [('remove_export', volume.id, f'/dev/vg/{volume.name}')],
            self.target.calls)
        self.assertEqual([], self.machine.as_root)

    def test_initialize_connection(self):
        volume = self.volume()
        self.assertEqual({'driver_volume_type': 'iscsi', 'data': {}},
                         self.driver.initialize_connection(volume, HOST))
        self.assertEqual([('initialize_connection', volume.id, HOST)],
                         self.target.calls)

    def test_validate_connector(self):
        self.assertIs(True, self.driver.validate_connector(HOST))

    def test_connector_that_is_not_valid(self):
        self.target.failures['validate_connector'] = (
            target_errors.InvalidConnector('initiator'))
        self.assertRaises(exception.InvalidConnectorException,
                          self.driver.validate_connector, {})

    @ddt.data('create_export', 'remove_export', 'initialize_connection',
              'terminate_connection')
    def test_target_fails(self, verb):
        self.target.failures[verb] = target_errors.TargetError('broken')
        volume = self.make_volume()
        arguments = {
            'create_export': (self.context, volume, None),
            'remove_export': (self.context, volume)}.get(verb, (volume, HOST))
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  getattr(self.driver, verb), *arguments)
        self.assertIn('broken', str(error))


class TestHostThatCannotBeLetIn(ExportTestCase):
    """Cinder removes the export of its volume next."""

    def setUp(self):
        super().setUp()
        self.made = self.make_volume()
        self.attach(self.made, HOST)

    def attach_another(self):
        """Do as Cinder's manager does for one more host."""
        self.driver.validate_connector(OTHER_HOST)
        self.driver.create_export(self.context, self.made, OTHER_HOST)
        try:
            self.driver.initialize_connection(self.made, OTHER_HOST)
        except exception.VolumeBackendAPIException:
            self.driver.remove_export(self.context, self.made)

    def refuse(self):
        self.target.failures['initialize_connection'] = (
            target_errors.TargetError('no room'))
        self.target.calls.clear()

    def verbs(self):
        return [call[0] for call in self.target.calls]

    def test_the_others_keep_the_volume(self):
        self.refuse()
        for _ in 'once', 'again':
            self.attach_another()
        self.assertNotIn('remove_export', self.verbs())
        self.assertIn(f'Volume {self.made.id} stays exported',
                      self.log.output)
        self.driver.remove_export(self.context, self.made)
        self.assertIn('remove_export', self.verbs())

    def test_more_hosts_at_the_same_time(self):
        # All are refused before the export is removed for any of them.
        hosts = 3
        refused = threading.Barrier(hosts, timeout=30)
        remove = self.driver.remove_export

        def remove_last(*arguments):
            refused.wait()
            remove(*arguments)

        self.refuse()
        self.useFixture(fixtures.MockPatchObject(
            self.driver, 'remove_export', remove_last))
        threads = [threading.Thread(target=self.attach_another)
                   for _ in range(hosts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        self.assertEqual(hosts, self.verbs().count('initialize_connection'))
        self.assertNotIn('remove_export', self.verbs())

    def test_one_that_is_let_in_meanwhile(self):
        self.refuse()
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.initialize_connection, self.made,
                          OTHER_HOST)
        self.target.failures.clear()
        thread = threading.Thread(target=self.driver.initialize_connection,
                                  args=[self.made, HOST])
        thread.start()
        thread.join(30)
        self.driver.remove_export(self.context, self.made)
        self.assertNotIn('remove_export', self.verbs())

    def test_nobody_else_has_it(self):
        self.made.volume_attachment.objects.clear()
        self.refuse()
        self.attach_another()
        self.assertIn('remove_export', self.verbs())

    def test_what_ends_it(self):
        for end in (self.driver.initialize_connection,
                    self.driver.terminate_connection):
            self.refuse()
            self.assertRaises(exception.VolumeBackendAPIException,
                              self.driver.initialize_connection, self.made,
                              OTHER_HOST)
            self.target.failures.clear()
            end(self.made, HOST)
            self.driver.remove_export(self.context, self.made)
            self.assertEqual('remove_export', self.verbs()[-1])

    def test_another_volume(self):
        self.refuse()
        self.assertRaises(exception.VolumeBackendAPIException,
                          self.driver.initialize_connection, self.made,
                          OTHER_HOST)
        other = self.volume()
        self.driver.remove_export(self.context, other)
        self.assertEqual(('remove_export', other.id),
                         self.target.calls[-1][:2])


@ddt.ddt
class TestTerminateConnection(ExportTestCase):

    @ddt.data(
        # attached to, multiattach, detached from: access ends, needed yet
        ((HOST,), False, HOST, True, False),
        ((HOST, OTHER_HOST), True, HOST, True, True),
        ((HOST, HOST), True, HOST, False, True),
        ((HOST, HOST, OTHER_HOST), True, OTHER_HOST, True, True),
        # A live migration has two attachments without multiattach, and two
        # hosts may have one name.
        ((HOST, HOST), False, HOST, False, True),
        ((HOST, OTHER_HOST), False, HOST, True, True),
        ((None, HOST), True, HOST, True, True),
        ((), False, HOST, True, False),
        # A forced detach names no host and ends them all.
        ((HOST,), False, None, True, False),
        ((HOST, HOST), True, None, True, False))
    @ddt.unpack
    def test_terminate(self, hosts, multiattach, connector, ends, needed):
        volume = self.volume(multiattach=multiattach)
        for host in hosts:
            self.attach(volume, host)
        self.assertIs(needed, self.driver.terminate_connection(
            volume, connector, force=False))
        self.assertEqual(
            [('terminate_connection', volume.id, connector)] * ends,
            self.target.calls)
        self.assertIn(
            f'INFO cinder_lvm_driver.operations.exports: Volume {volume.id}: '
            + ('every host is denied' if connector is None else
               f'host {exports.host_of(connector)} '
               + ('is denied' if ends else 'keeps its access')),
            self.log.output)


class TestSharedName(ExportTestCase):

    def connect(self, *hosts):
        volume = self.make_volume()
        for host in hosts:
            self.attach(volume, {**HOST, 'host': host})
        self.driver.initialize_connection(volume,
                                          {**HOST, 'host': hosts[-1]})

    def test_two_hosts_of_one_name(self):
        self.connect('compute-1', 'compute-2')
        self.assertIn('WARNING cinder_lvm_driver.operations.exports: Hosts '
                      'compute-1 and compute-2 have the same initiator name',
                      self.log.output)

    def test_one_host(self):
        self.connect('compute-1', 'compute-1')
        self.assertNotIn('same initiator name', self.log.output)


@ddt.ddt
class TestStart(ExportTestCase):
    """Cinder's call for all volumes, and its call for each after that."""

    def attached(self, **facts):
        volume = self.make_volume(**facts)
        self.attach(volume, HOST)
        return volume

    def update(self, *volumes):
        self.assertEqual(([], []), self.driver.update_provider_info(
            list(volumes), []))

    def ensure(self, *volumes):
        """Do as Cinder does next; return the ids of those not yet served."""
        self.target.calls.clear()
        for volume in volumes:
            self.driver.ensure_export(self.context, volume)
        return [served[0] for _, served in self.target.calls]

    def test_nothing_is_attached(self):
        self.update(self.make_volume(active=False))
        self.update()
        self.assertEqual([], self.machine.as_root)
        self.assertEqual([], self.target.calls)

    def test_attached_volumes_only(self):
        volume, free = self.attached(), self.make_volume(active=False)
        self.update(volume, free)
        self.assertEqual([('ensure_exports', (volume.id, self.path(volume)))],
                         self.target.calls)
        self.assertFalse(self.lv(free).active)

    @ddt.data('uploading', 'backing-up', 'retyping', 'detaching', 'reserved',
              'error', 'maintenance')
    def test_whatever_is_done_with_an_attached_volume(self, status):
        volume = self.attached(active=False)
        volume.status = status
        self.update(volume)
        self.assertEqual([('ensure_exports', (volume.id, self.path(volume)))],
                         self.target.calls)
        self.assertTrue(self.lv(volume).active)

    def test_what_a_killed_service_has_left(self):
        attached, free, left = (
            self.attached(), self.make_volume(), self.make_volume())
        self.target.unused = {attached.id, left.id}
        self.update(attached, free, left)
        self.assertEqual(
            [('remove_export', left.id, self.path(left)),
             ('ensure_exports', (attached.id, self.path(attached)))],
            self.target.calls)
        self.assertIn(f'Removing the export of {left.name}', self.log.output)

    @ddt.data('find_unused', 'remove_export')
    def test_what_is_left_and_stays(self, verb):
        attached, left = self.attached(), self.make_volume()
        self.target.unused = {left.id}
        for error in target_errors.TargetError('broken'), OSError('ended'):
            self.target.failures[verb] = error
            self.update(attached, left)
            self.assertIn(('ensure_exports',
                           (attached.id, self.path(attached))),
                          self.target.calls)
            self.assertIn(str(error), self.log.output)

    def test_attachment_that_no_host_has_yet(self):
        volume = self.make_volume()
        self.attach(volume, None)
        volume.status = 'reserved'
        self.update(volume)
        self.assertEqual([], self.target.calls)

    def test_volume_that_no_host_was_ever_told_of(self):
        """As of the old API ``os-attach``, which exports nothing."""
        volume = self.make_volume(active=False, provider_location=None,
                                  status='in-use')
        self.update(volume)
        self.assertEqual([], self.ensure(volume))
        self.assertFalse(self.lv(volume).active)
        self.attach(volume, HOST)
        self.assertEqual([volume.id], self.ensure(volume))

    def test_one_report_and_one_activation_for_all(self):
        volumes = [self.attached(active=False) for _ in range(9)]
        self.update(*volumes)
        self.assertEqual(['lvs', 'lvchange'], self.machine.programs())
        self.assertTrue(all(self.lv(volume).active for volume in volumes))

    def test_no_activation_of_what_is_active(self):
        self.update(self.attached(), self.attached())
        self.assertEqual(['lvs'], self.machine.programs())

    def test_each_is_looked_at_once(self):
        volumes = [self.attached() for _ in range(2)]
        self.update(*volumes)
        self.assertEqual([], self.ensure(*volumes))
        self.assertEqual([volume.id for volume in volumes],
                         self.ensure(*volumes))

    def test_volume_that_is_gone(self):
        volume, gone = self.attached(), self.attached()
        del self.lvm.volumes[gone.name]
        self.update(volume, gone)
        self.assertIn(f'Volume {gone.id} is attached, but its LV does not',
                      self.log.output)
        self.assertEqual([], self.ensure(volume))
        self.assertRaises(exception.VolumeBackendAPIException, self.ensure,
                          gone)

    def test_volume_whose_lv_is_a_pool(self):
        volume, pool = self.attached(), self.attached(active=False)
        vars(self.lv(pool)).update(segtype='thin-pool', pool='')
        self.update(volume, pool)
        self.assertIn(f'Volume {pool.id} is attached, but cannot be served',
                      self.log.output)
        self.assertFalse(self.lv(pool).active)
        self.assertEqual([], self.ensure(volume))
        self.assertRaises(exception.VolumeBackendAPIException, self.ensure,
                          pool)

    def test_volume_that_is_suspended(self):
        """It may be for a moment: Cinder is not told of an error."""
        volume = self.attached()
        self.lv(volume).is_suspended = True
        self.update(volume)
        self.assertEqual([], self.ensure(volume))
        self.assertTrue(self.lv(volume).is_suspended)

    def test_one_that_cannot_be_served(self):
        volume, broken = self.attached(), self.attached()
        self.target.failures['ensure_exports'] = {
            broken.id: target_errors.TargetError('broken')}
        self.update(broken, volume)
        self.assertEqual([], self.ensure(volume))
        self.assertRaises(exception.VolumeBackendAPIException, self.ensure,
                          broken)

    def test_one_that_cannot_be_activated(self):
        """LVM activates the others nevertheless."""
        volume, broken = (self.attached(active=False) for _ in range(2))
        volume.status = 'uploading'
        run = self.lvm.run

        def fail(*argv, **keywords):
            answer = run(*argv, **keywords)
            if 'lvchange' in argv:
                self.lv(broken).active = False
                raise process.CommandFailed(argv, 5, '', 'partial')
            return answer

        self.lvm.run = fail
        self.update(broken, volume)
        self.assertIn('partial', self.log.output)
        self.assertEqual([('ensure_exports', (volume.id, self.path(volume)))],
                         self.target.calls)

    @ddt.data('lvs', 'lvchange')
    def test_lvm_fails(self, program):
        volume = self.attached(active=False)
        run = self.lvm.run

        def fail(*argv, **keywords):
            if program in argv:
                raise process.CommandFailed(argv, 5, '', 'no such disk')
            return run(*argv, **keywords)

        self.lvm.run = fail
        self.update(volume)
        self.assertIn('no such disk', self.log.output)
        self.lvm.run = run
        self.assertEqual([volume.id], self.ensure(volume))

    def test_privileged_daemon_is_gone(self):
        volume = self.attached()
        with mock.patch.object(self.target, 'ensure_exports',
                               side_effect=BrokenPipeError('no daemon')):
            self.update(volume)
        self.assertIn('no daemon', self.log.output)
        self.assertEqual([volume.id], self.ensure(volume))

    def test_log_tells_how_many(self):
        self.update(self.attached(), self.make_volume())
        self.assertIn('1 of 1 attached volumes are served', self.log.output)


class TestErrors(ExportTestCase):

    def test_lvm_error_keeps_its_cause(self):
        error = self.assertRaises(exception.VolumeBackendAPIException,
                                  self.driver.create_export, self.context,
                                  self.volume(), None)
        self.assertIsInstance(error.__context__, lvm.LogicalVolumeNotFound)
