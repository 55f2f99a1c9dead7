# SPDX-License-Identifier: Apache-2.0
"""How often each operation of a back end ran, and how long it took.

The numbers are in a file, so that they survive a restart of the service and
``cinder-lvm metrics`` can read them. Each operation and outcome has a line of
a fixed length, which is written in place: a write that is cut off leaves the
other lines as they are.
"""

import bisect
from collections.abc import Callable, Collection, Iterator
import contextlib
import dataclasses
import functools
import logging
import os
import threading
import time
from typing import Any, Protocol, TypeVar

LOG = logging.getLogger(__name__)

# Upper bounds in seconds; the last bucket has no bound.
BOUNDS = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_BUCKETS = len(BOUNDS) + 1
SUCCESS, BUSY, FAILURE = 'success', 'busy', 'failure'


@dataclasses.dataclass(kw_only=True, slots=True)
class Timing:
    """The runs of one operation with one outcome.

    :ivar counts: how many ended in each bucket of ``BOUNDS``, and later
    :ivar seconds: how long all of them took
    """

    operation: str
    outcome: str
    counts: list[int]
    seconds: float

    def __str__(self) -> str:
        counts = ''.join(f'{count:13d}' for count in self.counts)
        return (f'{self.operation:40} {self.outcome:8}{counts}'
                f'{self.seconds:20.3f}\n')


def path_of(state_path: str, section: str) -> str:
    """Return the path of the file of a back end.

    :param section: its section in cinder.conf
    """
    return os.path.join(state_path, 'lvm-driver', f'{section}.timings')


def read(path: str) -> list[Timing]:
    """Return the timings in a file; none if there is no such file.

    Lines of another version are left out.

    :raises OSError: it cannot be read
    """
    try:
        with open(path, encoding='ascii', errors='replace') as file:
            return list(filter(None, map(_parse, file)))
    except FileNotFoundError:
        return []


def _parse(line: str) -> Timing | None:
    try:
        operation, outcome, *counts, seconds = line.split()
        found = Timing(operation=operation, outcome=outcome,
                       counts=[*map(int, counts)], seconds=float(seconds))
    except ValueError:
        return None
    return found if len(found.counts) == _BUCKETS else None


class Timings:
    """The file of one back end, which one process serves."""

    def __init__(self, path: str) -> None:
        """Read nothing before the first operation ends."""
        self._path = path
        self._lock = threading.Lock()
        self._timings: dict[tuple[str, str], Timing] | None = None
        # The text of each of them.
        self._lines: dict[tuple[str, str], str] = {}
        self._is_told = False

    @contextlib.contextmanager
    def measure(self, operation: str,
                busy: tuple[type[Exception], ...]) -> Iterator[None]:
        """Count what happens meanwhile.

        :param busy: the exceptions that mean that something is in use
        """
        outcome = FAILURE
        started = time.monotonic()
        try:
            yield
            outcome = SUCCESS
        except busy:
            outcome = BUSY
            raise
        finally:
            self._add(operation, outcome, time.monotonic() - started)

    def _add(self, operation: str, outcome: str, seconds: float) -> None:
        key = operation, outcome
        with self._lock:
            try:
                if self._timings is None:
                    self._timings = {(each.operation, each.outcome): each
                                     for each in read(self._path)}
                    self._lines = {each: str(timing) for each, timing
                                   in self._timings.items()}
                timing = self._timings.setdefault(key, Timing(
                    operation=operation, outcome=outcome,
                    counts=[0] * _BUCKETS, seconds=0.0))
                timing.counts[bisect.bisect_left(BOUNDS, seconds)] += 1
                timing.seconds += seconds
                self._lines[key] = str(timing)
                self._write(''.join(self._lines.values()))
            except OSError as exc:
                if not self._is_told:
                    LOG.warning('%s cannot be written, so that cinder-lvm '
                                'metrics does not know how long operations '
                                'take: %s', self._path, exc)
                self._is_told = True

    def _write(self, text: str) -> None:
        data = text.encode()
        os.makedirs(os.path.dirname(self._path), mode=0o755, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, data)
            os.ftruncate(descriptor, len(data))
        finally:
            os.close(descriptor)


class Measured(Protocol):
    """An object whose operations are counted."""

    timings: Timings


_Class = TypeVar('_Class', bound=type[Measured])


def measured(operations: Collection[str],
             busy: tuple[type[Exception], ...]) -> Callable[[_Class], _Class]:
    """Have a class count the runs of some of its methods.

    :param busy: the exceptions that mean that something is in use
    """
    def decorate(cls: _Class) -> _Class:
        for operation in operations:
            setattr(cls, operation, _measured(getattr(cls, operation), busy))
        return cls
    return decorate


def _measured(method: Callable[..., Any],
              busy: tuple[type[Exception], ...]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Measured, *args: Any, **kwargs: Any) -> Any:
        with self.timings.measure(method.__name__, busy):
            return method(self, *args, **kwargs)
    return call
