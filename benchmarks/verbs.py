# SPDX-License-Identifier: Apache-2.0
"""Compares the operations of two drivers on one VG; see benchmarks/run.

Seconds differ between machines, and those of an emulated machine mean nothing
alone. The result is the ratio of both drivers in the same run.
"""

import collections
import statistics
import time
from unittest import mock

from tests.functional import base

# Volumes that exist but are not used.
BYSTANDERS = 10
PAGE = (None, 100, 0, ['reference'], ['asc'])
CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:benchmark',
             'host': 'benchmark', 'ip': '127.0.0.1', 'multipath': False}
OURS, THEIRS = 'this driver', 'in-tree driver'


class Rounds(base.TestCase):
    """The life of a thin volume with each driver."""

    pv_sizes = (8 * base.GIB,)
    rounds = 3

    def runTest(self):
        drivers = {OURS: self.make_driver(),
                   THEIRS: self.make_driver(base.in_tree.LVMVolumeDriver)}
        # Replaces Cinder's database, which their target reads.
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
        """Measure each operation once."""
        for step, operation, *arguments in self.steps(driver):
            with self.root.trace_programs() as trace:
                began = time.monotonic()
                operation(*arguments)
                taken = time.monotonic() - began
            if counts:
                self.seconds_taken[step, name].append(taken)
                self.processes[step, name].append(trace.programs.total())

    def steps(self, driver):
        """Yield the name, function and arguments of each operation."""
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
        """Export a volume, connect and disconnect a host, unexport it."""
        for key, value in driver.create_export(
                self.context, volume, CONNECTOR).items():
            setattr(volume, key, value)
        driver.initialize_connection(volume, CONNECTOR)
        driver.terminate_connection(volume, CONNECTOR)
        driver.remove_export(self.context, volume)


def print_table(seconds, processes):
    """Print the medians of both drivers and the ratio of theirs to ours."""
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
