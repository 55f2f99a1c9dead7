# SPDX-License-Identifier: Apache-2.0
"""Volumes that go back to a snapshot, also when the service is killed."""

from cinder import exception

from cinder_lvm_driver.layouts import revert
from tests.functional import base

GIB = base.GIB


class Killed(BaseException):
    """The end of the service."""


class KilledRunner:
    """Runs as many commands as it is told, and then the service ends."""

    def __init__(self, runner, commands):
        self._runner = runner
        self._commands = commands

    def run(self, *argv, **keywords):
        self._step()
        return self._runner.run(*argv, **keywords)

    def run_long(self, *argv):
        self._step()
        return self._runner.run_long(*argv)

    def _step(self):
        if not self._commands:
            raise Killed
        self._commands -= 1


class RevertVerbs:
    """What holds for thin and thick volumes."""

    seconds = 50

    def setUp(self):
        super().setUp()
        self.volume = self.make_volume()
        self.snapshots = []
        for number in range(3):
            self.write_volume(number)
            self.snapshots.append(self.create_snapshot(self.volume))
        self.write_volume('now')

    def write_volume(self, seed):
        self.write(self.device(self.volume.name), seed)

    def contents(self):
        """Return checksums of the volume and of all its snapshots."""
        names = ['_' + snapshot.name for snapshot in self.snapshots]
        for name in names:
            self.root.run('lvchange', '-y', '-ay', '-K', self.device(name))
        return [self.checksum(self.device(name))
                for name in (self.volume.name, *names)]

    def revert(self, number):
        self.driver.revert_to_snapshot(self.context, self.volume,
                                       self.snapshots[number])

    def recover(self, names):
        """Start again after a crash; all is to be as it was before.

        :param names: of the LVs
        """
        revert.Reverts(self.driver.vg).recover(
            self.driver.vg.get_volumes(), lambda snapshot_name: True)
        base.wait_until(
            lambda: self.lv_names() == names
            and self.lv(self.volume.name, 'lv_tags') == ('',),
            'no trace is left of the interrupted revert')

    def test_every_snapshot_is_kept(self):
        self.driver.extend_volume(self.volume, self.larger)
        names, contents = self.lv_names(), self.contents()
        for number in 1, 2, 0:
            self.revert(number)
            self.assertEqual([contents[number + 1], *contents[1:]],
                             self.contents())
            self.assertEqual((str(self.larger * GIB), 'active', 'writeable'),
                             self.lv(self.volume.name, 'lv_size,lv_active,'
                                                       'lv_permissions'))
            self.write_volume(f'after {number}')
        self.assertEqual(names, self.lv_names())

    def test_volume_in_use(self):
        contents = self.contents()
        with base.opened(self.root, self.device(self.volume.name)):
            with self.assertRaises(exception.VolumeIsBusy):
                self.revert(1)
        self.assertEqual(contents, self.contents())

    def test_end_of_the_service_at_any_step(self):
        names, contents = self.lv_names(), self.contents()
        reverted = [contents[2], *contents[1:]]
        commands = self.driver.vg._commands
        runner = commands._runner
        self.addCleanup(setattr, commands, '_runner', runner)
        # The first command is a report.
        for steps in range(1, 20):
            commands._runner = KilledRunner(runner, steps)
            try:
                self.revert(1)
                break
            except Killed:
                commands._runner = runner
            self.recover(names)
            with self.subTest(steps=steps):
                self.assertIn(self.contents(), [contents, reverted])
            self.write_volume('now')
        self.assertGreater(steps, 4)
        self.assertEqual(reverted, self.contents())


class ThinRevertTest(RevertVerbs, base.BackendTestCase):

    slow_tests = ('test_volume_in_use',)
    settings = {'lvm_type': 'thin'}
    larger = 2

    def make_volume(self):
        return self.create()


class ThickRevertTest(RevertVerbs, base.BackendTestCase):

    slow_tests = ('test_end_of_the_service_at_any_step',)
    settings = {'lvm_type': 'default', 'volume_clear': 'none'}
    pv_sizes = (6 * GIB,)
    direct = False
    larger = 1

    def make_volume(self):
        # Its snapshots cost as much again each.
        return self.create_small()

    @base.slow
    def test_merge_that_nobody_waits_for(self):
        contents = self.contents()
        names = self.lv_names()
        volume, snapshot = (self.volume.name, '_' + self.snapshots[1].name)
        self.root.run('lvchange', '--addtag', f'cinder.revert_to={snapshot}',
                      self.device(volume))
        with base.opened(self.root, self.device(volume)):
            # It cannot begin while the volume is open.
            self.root.run('lvconvert', '--merge', self.device(snapshot))
        self.root.run('vgchange', '-an', self.vg_name)
        self.recover(names)
        self.assertEqual([contents[2], *contents[1:]], self.contents())
