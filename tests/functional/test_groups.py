# SPDX-License-Identifier: Apache-2.0
"""Groups whose snapshots are of one moment.

With more members and rounds, this measures the figures of
``doc/source/admin/groups.rst``. Each combination prints a line::

    tools/testvm --disk 64G --share RESULTS --env GROUP_MEMBERS=2,4,16 \\
        --env GROUP_ROUNDS=200 -- \\
        tests/functional/run VENV RESULTS MomentTest
"""

import contextlib
import json
import os
import platform
import statistics
import sys
import tempfile
from unittest import mock
import uuid

from cinder import exception
from cinder import objects
from cinder.volume import volume_utils

from cinder_lvm_driver.lvm import snapshot_set
from cinder_lvm_driver import naming
from tests.functional import base
from tests.functional import sequence
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_states_pools
from tests.functional import test_tgt

MEMBERS = tuple(map(int, os.environ.get('GROUP_MEMBERS', '3').split(',')))
# In each, the contents of the snapshots are taken again.
ROUNDS = int(os.environ.get('GROUP_ROUNDS', 3))
# Measured rounds are not given up.
_LIMIT_MS = 20_000
# Numbers that are acknowledged between two snapshots.
_NUMBERS = 50


class GroupCases:
    """The objects of a group with consistent snapshots."""

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(
            volume_utils, 'is_group_a_cg_snapshot_type', return_value=True))

    def group(self):
        return objects.Group(self.context, id=str(uuid.uuid4()))

    def group_snapshot(self):
        return objects.GroupSnapshot(self.context, id=str(uuid.uuid4()),
                                     group_id=str(uuid.uuid4()))

    def create_snapshots(self, volumes):
        """Take a group snapshot."""
        snapshots = [self.snapshot(volume) for volume in volumes]
        self.assertEqual((None, None), self.driver.create_group_snapshot(
            self.context, self.group_snapshot(), snapshots))
        return snapshots

    def delete_snapshots(self, snapshots):
        self.assertEqual((None, None), self.driver.delete_group_snapshot(
            self.context, self.group_snapshot(), snapshots))

    def lv_name(self, snapshot):
        return naming.snapshot_lv_name(snapshot.name)

    def bring_up(self, snapshots):
        """Return the device paths of snapshots, which are active then."""
        names = [self.lv_name(snapshot) for snapshot in snapshots]
        self.driver.vg.activate_lv(*names)
        return [self.device(name) for name in names]


def program(name, *arguments):
    """Return a shell command that runs a program of this folder.

    As a module, it would import all of Cinder first.
    """
    return (f'cd {os.getcwd()} && exec env PYTHONPATH=. {sys.executable} -P '
            f'tests/functional/{name}.py {" ".join(map(str, arguments))}')


def spelled(vg, origins):
    """Return the members of a set as arguments of a program."""
    return [f'{member.pool},{member.origin},{member.origin_id},'
            f'{member.snapshot_id}'
            for member in snapshot_set._members(vg, origins)]


class MomentCases(GroupCases):
    """A host writes numbers to all members in turn."""

    seconds = 60
    pv_sizes = (4 * base.GIB,)

    def test_no_number_without_those_before(self):
        volumes, paths = [], []
        for count in MEMBERS:
            for _ in range(count - len(volumes)):
                volumes.append(self.export())
                paths.append(self.enterContext(
                    self.connected(self.attach(volumes[-1])))[1])
            with self.subTest(members=count):
                self.write_and_look(volumes[:count], paths[:count])

    def write_and_look(self, volumes, paths):
        # Else the numbers of an earlier group are found.
        for path in paths:
            self.root.run('dd', 'if=/dev/zero', f'of={path}', 'oflag=direct',
                          f'bs={sequence.BLOCK * sequence.PLACES}', 'count=1')
        with self.numbering(paths):
            self.wait_for_numbers()
            snapshots = self.create_snapshots(volumes)
            self.wait_for_numbers()
            taken_again = self.take_again(volumes, snapshots)
            highest, missing = self.look(snapshots)
            self.assertGreater(highest, 0)
            self.assertEqual(0, missing, f'below {highest}')
            # What Cinder does for other group types.
            snapshots = [self.snapshot(volume) for volume in volumes]
            for snapshot in snapshots:
                self.driver.create_snapshot(snapshot)
                self.wait_for_numbers()
            highest, missing = self.look(snapshots)
            self.tell(len(volumes), taken_again, missing)
            self.assertGreater(missing, 0, f'below {highest}')
        for wrong in 'torn', 'lost', 'idle':
            self.assertEqual(0, taken_again[wrong], wrong)

    def take_again(self, volumes, snapshots):
        """Return what ``moments`` says."""
        lvs = self.driver.vg.get_volumes()
        return json.loads(self.root.run('bash', '-c', program(
            'moments', self.driver.vg.lock_file(), _LIMIT_MS, ROUNDS,
            self.progress, *spelled(self.driver.vg, {
                self.lv_name(snapshot): lvs[volume.name]
                for volume, snapshot in zip(volumes, snapshots,
                                            strict=True)}))))

    def tell(self, members, taken_again, missing):
        """Print the figures of a combination."""
        held = taken_again['held']
        cuts = statistics.quantiles(held, n=100, method='inclusive')
        print(f'{type(self).__name__}: {members} members, {len(held)} rounds: '
              f'p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, longest '
              f'{max(held)} ms; torn {taken_again["torn"]}, lost '
              f'{taken_again["lost"]}, idle {taken_again["idle"]}; one '
              f'snapshot after the other: {missing} numbers missing; Linux '
              f'{platform.release()}', flush=True)

    def look(self, snapshots):
        """Return the highest number in snapshots, and how many are missing.

        The snapshots are deleted then.
        """
        found = self.root.run('bash', '-c', program(
            'sequence', 'missing', *self.bring_up(snapshots)))
        self.delete_snapshots(snapshots)
        return tuple(map(int, found.split()))

    @contextlib.contextmanager
    def numbering(self, paths):
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            self.progress = os.path.join(folder, 'progress')
            pid = self.root.run('bash', '-c', program(
                'sequence', 'write', self.progress, *paths)
                + ' > /dev/null 2>&1 & echo $!').strip()
            try:
                base.wait_until(lambda: os.path.exists(self.progress),
                                'the writer has begun')
                yield
            finally:
                self.root.run('kill', '-9', pid)
                base.wait_until(lambda: self.root.try_run(
                    'test', '-e', f'/proc/{pid}').code, 'the writer ended')

    def wait_for_numbers(self):
        """Wait until some more numbers are acknowledged."""
        wanted = sequence.acknowledged(self.progress) + _NUMBERS
        base.wait_until(
            lambda: sequence.acknowledged(self.progress) >= wanted,
            'more numbers are written')


class LioMomentTest(MomentCases, test_attach.AttachTestCase):
    pass


@base.slow
class NvmetMomentTest(MomentCases, test_nvmet.NvmetTestCase):
    pass


@base.slow
class TgtMomentTest(MomentCases, test_tgt.TgtTestCase):
    pass


class GroupTest(GroupCases, base.BackendTestCase):
    """A group on its way, without I/O."""

    seconds = 40

    def test_life(self):
        pool, = self.driver.get_volume_stats(refresh=True)['pools']
        self.assertIs(True, pool['consistent_group_snapshot_enabled'])
        volumes = [self.volume() for _ in range(2)]
        for volume in volumes:
            self.driver.create_volume(volume)
            self.write(self.device(volume.name), volume.id)
        snapshots = self.create_snapshots(volumes)
        self.assertEqual([('', '', 'skip activation')] * 2, [
            self.lv(self.lv_name(snapshot),
                    'lv_tags,lv_active,lv_skip_activation')
            for snapshot in snapshots])
        groups = []
        for sources in {'snapshots': snapshots}, {'source_vols': volumes}:
            new = [self.volume() for _ in volumes]
            self.assertEqual((None, None), self.driver.create_group_from_src(
                self.context, self.group(), new, **sources))
            self.assertEqual(
                [self.checksum(self.device(volume.name))
                 for volume in volumes],
                [self.checksum(self.device(volume.name)) for volume in new])
            groups.append(new)
        self.delete_snapshots(snapshots)
        for each in volumes, *groups:
            self.assertEqual((None, None), self.driver.delete_group(
                self.context, self.group(), each))

    def test_limit(self):
        volumes = [self.create() for _ in range(2)]
        names = self.lv_names()
        lvs = self.driver.vg.get_volumes()
        with self.assertRaisesRegex(Exception, 'lvm_group_snapshot_limit'):
            snapshot_set.create(self.driver.vg, {
                f's-{volume.id}': lvs[volume.name] for volume in volumes}, 1)
        self.assertEqual(names, self.lv_names())

    def test_member_that_is_suspended(self):
        volumes = [self.create() for _ in range(2)]
        names = self.lv_names()
        device = self.device(volumes[1].name)
        self.root.run('dmsetup', 'suspend', '--nolockfs', device)
        self.addCleanup(self.root.run, 'dmsetup', 'resume', device)
        with self.assert_raises_with(exception.VolumeBackendAPIException,
                                     'is suspended'):
            self.create_snapshots(volumes)
        self.assertEqual(names, self.lv_names())


class KilledTest(GroupCases, test_states_pools.PoolTestCase):
    """The privileged daemon is killed while it takes snapshots."""

    seconds = 50

    def setUp(self):
        super().setUp()
        self.volumes = [self.volume() for _ in range(2)]
        for volume in self.volumes:
            self.driver.create_volume(volume)
        self.names = self.lv_names()

    def kill(self, step, kill_all):
        """Leave what LVM has created when the daemon is killed."""
        vg, tag = self.driver.vg, naming.snapshot_set_tag()
        lvs = vg.get_volumes()
        for volume in self.volumes:
            vg.create_thin_snapshot(f's-{volume.id}', lvs[volume.name],
                                    activate=False, tags=[tag])
        return self.root.try_run('bash', '-c', program(
            'killed_snapshot_set', vg.lock_file(), step, int(kill_all),
            *spelled(vg, {f's-{volume.id}': lvs[volume.name]
                          for volume in self.volumes}))).stdout

    def assert_recovered(self):
        self.driver = self.make_driver()
        self.assertEqual([], self.suspended())
        self.assertEqual(self.names, self.lv_names())
        self.assert_in_step()
        for volume in self.volumes:
            self.write(self.device(volume.name), 'after')
        self.delete_snapshots(self.create_snapshots(self.volumes))

    # The changes are two deletes, suspends, new snapshots and resumes.

    def test_some_steps(self):
        self.assertIn('was killed', self.kill(3, False))
        self.assertEqual([], self.suspended())
        self.assert_recovered()
        self.assertEqual('', self.kill(5, True))
        self.assertEqual(2, len(self.suspended()))
        self.assert_recovered()

    @base.slow
    def test_each_step(self):
        for step in range(8):
            answer = self.kill(step, False)
            # In the deletes, it is the parent that is killed.
            self.assertIs(step > 1, 'was killed' in answer, step)
            self.assertEqual([], self.suspended())
            self.assert_recovered()
        held = []
        for step in range(8):
            self.assertEqual('', self.kill(step, True), step)
            held.append(len(self.suspended()))
            self.assert_recovered()
        self.assertEqual([0, 0, 0, 1, 2, 2, 2, 1], held)
        self.assertRegex(self.kill(8, True), r'^\d+\n$')
        self.assert_recovered()
