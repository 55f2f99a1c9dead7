# SPDX-License-Identifier: Apache-2.0
"""Runs steps and records the outcome of each."""

from collections.abc import Callable, Iterable
import dataclasses
import json
import time
import traceback
from typing import TextIO

from cloud_lib import errors

DONE = 'done'
FAILED = 'failed'
NOT_RUN = 'not run'


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The outcome of a step.

    :ivar detail: what was checked, or why the step failed
    """

    name: str
    state: str
    detail: str
    seconds: float

    def to_line(self) -> str:
        """Return one line of the journal."""
        return json.dumps(dataclasses.asdict(self)) + '\n'


def read_journal(lines: Iterable[str]) -> list[Outcome]:
    """Return the outcomes in a journal; skip an incomplete last line."""
    return [Outcome(**json.loads(line)) for line in lines
            if line.endswith('\n')]


@dataclasses.dataclass(frozen=True)
class Step:
    """A named function that returns what it checked."""

    name: str
    work: Callable[[], str]


class Runner:
    """Runs steps until one fails.

    :param journal: gets a line for each outcome at once, because the machine
        may die before the last step
    :ivar failed: whether a step has failed
    """

    def __init__(self, journal: TextIO,
                 say: Callable[[str], None]) -> None:
        self._journal = journal
        self._say = say
        self.failed = False

    def run(self, steps: Iterable[Step], always: bool = False) -> None:
        """Run steps; after a failure record them as not run.

        :param always: run them even after a failure
        """
        for step in steps:
            if self.failed and not always:
                self._record(Outcome(step.name, NOT_RUN, '', 0.0))
            else:
                self._run_one(step)

    def _run_one(self, step: Step) -> None:
        self._say(f'{step.name} ...')
        start = time.monotonic()
        state = FAILED
        try:
            detail = step.work()
            state = DONE
        except errors.CloudError as error:
            detail = str(error)
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            detail = f'{type(error).__name__}: {error}'
        seconds = time.monotonic() - start
        if state == FAILED:
            self.failed = True
            self._say(f'{step.name}: FAILED: {detail}')
        else:
            self._say(f'{step.name}: {detail} ({seconds:.1f} s)')
        self._record(Outcome(step.name, state, detail, seconds))

    def _record(self, outcome: Outcome) -> None:
        self._journal.write(outcome.to_line())
        self._journal.flush()
