# SPDX-License-Identifier: Apache-2.0
"""The verbs of two drivers on one VG, in turn.

Seconds differ between machines, and in the test machine, which is emulated,
they say nothing by themselves. What is told is how many times less or more
the same verb takes of the other driver in the same run.
"""

import collections
import statistics
import time
from unittest import mock

from tests.functional import base

# So many volumes are there that nothing is done with.
BYSTANDERS = 10
PAGE = (None, 100, 0, ['reference'], ['asc'])
CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:benchmark',
             'host': 'benchmark', 'ip': '127.0.0.1', 'multipath': False}
OURS, THEIRS = 'this driver', 'in-tree driver'


class Rounds(base.TestCase):
    """Takes the verbs through the life of a thin volume."""

    pv_sizes = (8 * base.GIB,)
    rounds = 3

    def runTest(self):
        drivers = {OURS: self.make_driver(),
                   THEIRS: self.make_driver(base.in_tree.LVMVolumeDriver)}
        # What Cinder's database would tell it of a volume.
        self.stored = {}
        drivers[THEIRS].target_driver.db = mock.Mock(
            volume_get=lambda context, volume_id: self.stored[volume_id])
        for _ in range(BYSTANDERS):
            drivers[OURS].create_volume(self.volume())
        self.seconds_taken = collections.defaultdict(list)
        self.processes = collections.defaultdict(list)
        for number in range(self.rounds + 1):
            for name, driver in drivers.items():
                self.live(name, driver, counts=number > 0)
        print_table(self.seconds_taken, self.processes)

    def live(self, name, driver, *, counts):
        """Measure each verb once."""
        for step, verb, *arguments in self.steps(driver):
            with self.root.trace_programs() as trace:
                began = time.monotonic()
                verb(*arguments)
                taken = time.monotonic() - began
            if counts:
                self.seconds_taken[step, name].append(taken)
                self.processes[step, name].append(trace.programs.total())

    def steps(self, driver):
        """Yield a name, a verb and its arguments, in the order of a life."""
        volume, copy, clone = self.volume(), self.volume(), self.volume()
        self.stored[volume.id] = volume
        snapshot = self.snapshot(volume)
        yield 'create a volume', driver.create_volume, volume
        yield 'create a snapshot', driver.create_snapshot, snapshot
        yield ('volume from a snapshot', driver.create_volume_from_snapshot,
               copy, snapshot)
        yield 'clone', driver.create_cloned_volume, clone, volume
        yield 'extend', driver.extend_volume, volume, 2
        yield 'export and remove', self.serve, driver, volume
        yield 'stats', driver.get_volume_stats, True
        yield 'list manageable', driver.get_manageable_volumes, [], *PAGE
        yield 'delete a snapshot', driver.delete_snapshot, snapshot
        for each in copy, clone, volume:
            yield 'delete a volume', driver.delete_volume, each

    def serve(self, driver, volume):
        """Export a volume, let a host in and out, and remove the export."""
        for key, value in driver.create_export(
                self.context, volume, CONNECTOR).items():
            setattr(volume, key, value)
        driver.initialize_connection(volume, CONNECTOR)
        driver.terminate_connection(volume, CONNECTOR)
        driver.remove_export(self.context, volume)


def print_table(seconds, processes):
    """Print the medians of both drivers and the ratios of theirs to ours."""
    form = '{:24} {:>10} {:>10} {:>10} {:>10} {:>8}'
    print(form.format('', *(f'{what}, {whose}'
                            for what in ('proc.', 's')
                            for whose in ('ours', 'theirs')), 'ratio s'))
    for step in dict.fromkeys(step for step, _ in seconds):
        ours, theirs = (statistics.median(seconds[step, name])
                        for name in (OURS, THEIRS))
        counts = [round(statistics.median(processes[step, name]))
                  for name in (OURS, THEIRS)]
        print(form.format(step, *counts, f'{ours:.3f}', f'{theirs:.3f}',
                          f'{theirs / ours:.1f}'))
