# SPDX-License-Identifier: Apache-2.0
"""Outcomes of stages, and how the stages run programs."""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
# The last lines of a failed program, which are repeated.
TAIL = 60

SUMMARY = re.compile(
    r'(\d+) passed, (\d+) failed, (\d+) skipped', re.ASCII)


@dataclasses.dataclass
class Outcome:
    """The outcome of a stage.

    :ivar failures: pairs of a title and a text
    :ivar skips: one line each
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    skips: list[str] = dataclasses.field(default_factory=list)

    def fail(self, title: str, text: str) -> None:
        """Count one failure and keep its text."""
        self.failed += 1
        self.failures.append((title, text))
        say(f'FAILED {title}')

    def skip(self, line: str) -> None:
        """Count one skipped test."""
        self.skipped += 1
        self.skips.append(line)
        say(f'skipped {line}')

    def add(self, other: 'Outcome') -> None:
        """Add another outcome to this one."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips

    def __str__(self) -> str:
        return (f'{self.passed} passed, {self.failed} failed, '
                f'{self.skipped} skipped')


def say(text: str) -> None:
    """Print a line at once, because the output may be a file."""
    print(f'test: {text}', flush=True)


def enter() -> None:
    """Run all programs in the tree, with its environment first in PATH."""
    os.chdir(TREE)
    count = int(os.environ.get('GIT_CONFIG_COUNT') or 0)
    os.environ.update({
        'PYTHONPATH': str(TREE), 'VIRTUAL_ENV': sys.prefix,
        'PATH': f'{sys.prefix}/bin{os.pathsep}'
        f'{os.environ.get("PATH", os.defpath)}',
        # git refuses a clone of another user, see git-config(1).
        f'GIT_CONFIG_KEY_{count}': 'safe.directory',
        f'GIT_CONFIG_VALUE_{count}': str(TREE),
        'GIT_CONFIG_COUNT': str(count + 1)})


def run_lines(argv: list[str], on_line: Callable[[str], None],
              extra: Mapping[str, str] | None = None) -> int:
    """Run a program and return its exit status.

    :param on_line: called with each line of output at once
    :param extra: additional variables
    """
    with subprocess.Popen(
            argv, env={**os.environ, **(extra or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace') as child:
        for line in child.stdout or ():
            on_line(line.rstrip('\n'))
    return child.returncode


def run_checked(outcome: Outcome, title: str, argv: list[str],
                cwd: pathlib.Path = TREE,
                extra: Mapping[str, str] | None = None) -> bool:
    """Run a program and count it; show its output only if it fails."""
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **(extra or {})},
        text=True, errors='replace', stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        outcome.fail(title, f'exit status {done.returncode}\n{done.stdout}')
        return False
    outcome.passed += 1
    return True
