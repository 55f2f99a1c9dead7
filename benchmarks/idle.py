# SPDX-License-Identifier: Apache-2.0
"""An idle service, which does nothing but report its stats."""

import collections
import contextlib
import os

from benchmarks import section
from tests.functional import base

_CLOCK_TICKS = os.sysconf('SC_CLK_TCK')
_PAGE_KIB = os.sysconf('SC_PAGE_SIZE') // 1024


class Idle(section.Section):
    """Reports one after the other: an hour of a service has sixty."""

    pv_sizes = (8 * base.GIB,)
    vg_options = '--metadatasize', '64m'

    def measure(self, others, reports, in_tree_reports):
        drivers = self.drivers(in_tree_reports)
        self.populated(others)
        grown = collections.Counter()
        for name, subject in self.turns(reports, in_tree_reports):
            if name == section.BARE:
                continue
            busy, memory, files = _busy_seconds(), _memory_kib(), _files()
            drivers[name].get_volume_stats(True)
            if subject is not None:
                self.recorder.add('processor time of a report', subject,
                                  others, _busy_seconds() - busy)
                grown[subject, 'memory', 'KiB'] += _memory_kib() - memory
                grown[subject, 'open files', ''] += _files() - files
        for (subject, what, unit), count in grown.items():
            self.recorder.add(f'growth of {what} in all reports', subject,
                              others, count, unit=unit)


def _busy_seconds():
    """Return the seconds that all processors of this machine were busy."""
    with open('/proc/stat') as file:
        user, nice, system, _idle, _iowait, irq, softirq, *_rest = map(
            int, file.readline().split()[1:])
    return (user + nice + system + irq + softirq) / _CLOCK_TICKS


def _memory_kib():
    """Return the resident memory of this process and of all daemons."""
    pages = 0
    for pid in filter(str.isdigit, os.listdir('/proc')):
        # A process may end meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            with open(f'/proc/{pid}/comm') as file:
                is_ours = file.read().startswith(('python', 'cinder'))
            if is_ours:
                with open(f'/proc/{pid}/statm') as file:
                    pages += int(file.read().split()[1])
    return pages * _PAGE_KIB


def _files():
    """Return the number of files that this process has open."""
    return len(os.listdir('/proc/self/fd'))
