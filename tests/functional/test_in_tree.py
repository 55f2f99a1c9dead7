# SPDX-License-Identifier: Apache-2.0
"""Volumes of the in-tree driver under this one, and the other way round."""

from unittest import mock

from cinder.volume.drivers import lvm as in_tree
from oslo_concurrency import processutils

from tests.functional import test_attach

_EXECUTE = processutils.execute


class BothWays:
    """Each driver takes what the other one made, with its data."""

    seconds = 150

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.enterClassContext(mock.patch.object(
            processutils, 'execute', cls.execute))
        cls.upstream = cls.make_driver(in_tree.LVMVolumeDriver,
                                       **cls.settings)
        # What Cinder's database would tell it of a volume.
        cls.stored = {}
        cls.upstream.target_driver.db = mock.Mock(
            volume_get=lambda context, volume_id: cls.stored[volume_id])

    @classmethod
    def execute(cls, *argv, run_as_root=False, process_input=None,
                check_exit_code=(0,), **keywords):
        """Run a command of the in-tree driver.

        Its way to become root starts a Python for each, which takes the
        emulated machine seconds; the tests have another way.
        """
        if not run_as_root:
            return _EXECUTE(*argv, process_input=process_input,
                            check_exit_code=check_exit_code, **keywords)
        done = cls.root.try_run(*argv, text=process_input)
        if done.code not in (check_exit_code or range(256)):
            raise processutils.ProcessExecutionError(
                done.stdout, done.stderr, done.code, ' '.join(argv))
        return done.stdout, done.stderr

    def test_from_upstream(self):
        self.hand_over(self.upstream, self.driver)

    def test_to_upstream(self):
        self.hand_over(self.driver, self.upstream)

    def hand_over(self, giver, taker):
        volume = self.volume()
        self.stored[volume.id] = volume
        giver.create_volume(volume)
        self.addCleanup(self.driver.delete_volume, volume)
        device = self.device(volume.name)
        self.write(device, 'before')
        before = self.checksum(device)
        snapshot = self.snapshot(volume)
        giver.create_snapshot(snapshot)
        self.addCleanup(self.driver.delete_snapshot, snapshot)
        self.store(volume, giver.create_export(self.context, volume,
                                               self.connector))
        self.addCleanup(self.driver.remove_export, self.context, volume)
        connection = self.attach(volume, giver)

        with self.host.connected(connection) as (_brick, path):
            taker.ensure_export(self.context, volume)
            self.assertEqual(before, self.checksum(path))
            self.write(path, 'after')
        told = taker.initialize_connection(volume, self.connector)
        told['data'].pop('discard', None)
        connection['data'].pop('discard', None)
        self.assertEqual(connection, told)
        self.assert_round_trip(volume, told)
        self.assertFalse(taker.terminate_connection(volume, self.connector))
        taker.remove_export(self.context, volume)
        self.assertEqual([], self.targets())
        self.assertEqual([], self.backstores())

        copy = self.volume()
        taker.create_volume_from_snapshot(copy, snapshot)
        self.addCleanup(self.driver.delete_volume, copy)
        self.assertEqual(before, self.checksum(self.device(copy.name)))
        taker.extend_volume(copy, 2)
        copy.size = 2
        self.write(self.device(copy.name), 'a snapshot of ours is read-only')
        if taker.configuration.lvm_type == 'thin':
            clone = self.volume(2)
            taker.create_cloned_volume(clone, copy)
            taker.delete_volume(clone)
        self.assert_same_stats()
        taker.delete_volume(copy)
        taker.delete_snapshot(snapshot)
        taker.delete_volume(volume)
        self.assertEqual(self.names_at_start, self.lv_names())

    def assert_same_stats(self):
        """Compare all that the scheduler is told; upstream rounds more."""
        ours, theirs = (driver.get_volume_stats(refresh=True)
                        for driver in (self.driver, self.upstream))
        for key in ('lvm_thin_pool_data_percent',
                    'lvm_thin_pool_metadata_percent',
                    'lvm_vg_metadata_percent',
                    'consistent_group_snapshot_enabled'):
            ours['pools'][0].pop(key, None)
        for key in ('total_capacity_gb', 'free_capacity_gb',
                    'provisioned_capacity_gb'):
            self.assertAlmostEqual(theirs['pools'][0].pop(key),
                                   ours['pools'][0].pop(key), delta=0.02)
        self.assertEqual(theirs, ours)


class LioBothWaysTest(BothWays, test_attach.AttachTestCase):
    """Of thin volumes; those of the tests of tgtd are thick."""

    settings = {'lvm_type': 'thin'}
