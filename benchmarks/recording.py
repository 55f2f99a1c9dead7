# SPDX-License-Identifier: Apache-2.0
"""The figures of one run, as tools/bench reads them."""

import collections
import contextlib
import functools
import shutil
import time


class Recorder:
    """Collects figures in rows.

    A row has one quantity (``what``) of one driver or of the bare commands
    (``subject``), beside a number of other LVs or targets (``beside``).
    """

    def __init__(self, root):
        self._root = root
        self._rows = {}

    def add(self, what, subject, beside, value, *, unit='s', **more):
        """Add one figure, and others of the same moment."""
        row = self._rows.setdefault((what, subject, beside, unit), (
            collections.defaultdict(list)))
        for name, number in dict(more, values=value).items():
            row[name].append(number)

    @contextlib.contextmanager
    def measured(self, what, subject, beside):
        """Add the seconds, processes and Python starts of a block."""
        with self._root.trace_programs() as trace:
            began = time.monotonic()
            yield
            seconds = time.monotonic() - began
        self.add(what, subject, beside, seconds,
                 processes=trace.programs.total(),
                 pythons=sum(number for name, number
                             in trace.programs.items() if _is_python(name)))

    def rows(self):
        """Return all rows, for JSON."""
        return [{'what': what, 'subject': subject, 'beside': beside,
                 'unit': unit, **row}
                for (what, subject, beside, unit), row in self._rows.items()]


@functools.cache
def _is_python(name):
    """Return whether a program is Python, or a script of it."""
    path = shutil.which(name, path='/usr/sbin:/usr/bin')
    path = shutil.which(name) or path
    if name.startswith('python') or path is None:
        return name.startswith('python')
    with open(path, 'rb') as file:
        first = file.readline(200)
    return first.startswith(b'#!') and b'python' in first
