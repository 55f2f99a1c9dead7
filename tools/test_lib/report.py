# SPDX-License-Identifier: Apache-2.0
"""What the stages of the test run say, and how they run programs."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import os
import pathlib
import re
import subprocess
import sys

TREE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.prefix, 'bin')
# Lines of a program's output that are repeated when it failed.
TAIL = 60

SUMMARY = re.compile(
    r'(\d+) passed, (\d+) failed, (\d+) skipped', re.ASCII)


@dataclasses.dataclass
class Outcome:
    """What a stage found.

    :ivar failures: pairs of a title and a text
    :ivar skips: one line each
    """

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    skips: list[str] = dataclasses.field(default_factory=list)

    def fail(self, title: str, text: str) -> None:
        """Count one failure and keep its text for the end."""
        self.failed += 1
        self.failures.append((title, text))
        say(f'FAILED {title}')

    def skip(self, line: str) -> None:
        """Count something that was not done."""
        self.skipped += 1
        self.skips.append(line)
        say(f'skipped {line}')

    def add(self, other: 'Outcome') -> None:
        """Count what another stage found, too."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        self.skips += other.skips

    def __str__(self) -> str:
        return (f'{self.passed} passed, {self.failed} failed, '
                f'{self.skipped} skipped')


def say(text: str) -> None:
    """Print a line at once: the output may be a file that is watched."""
    print(f'test: {text}', flush=True)


def environment() -> dict[str, str]:
    """Return the environment of every program: tools and tree come first."""
    count = int(os.environ.get('GIT_CONFIG_COUNT') or 0)
    result = {**os.environ, 'PYTHONPATH': str(TREE),
              # Else git refuses the clone of an ordinary user to root.
              f'GIT_CONFIG_KEY_{count}': 'safe.directory',
              f'GIT_CONFIG_VALUE_{count}': str(TREE),
              'GIT_CONFIG_COUNT': str(count + 1)}
    result['PATH'] = f'{BIN}{os.pathsep}{os.environ.get("PATH", os.defpath)}'
    result['VIRTUAL_ENV'] = sys.prefix
    return result


def output_lines(argv: list[str], extra: Mapping[str, str] | None = None,
                 ) -> Iterator[str | int]:
    """Run a program; yield its lines as they come, then its exit status."""
    with subprocess.Popen(
            argv, cwd=TREE, env={**environment(), **(extra or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors='replace') as child:
        for line in child.stdout or ():
            yield line.rstrip('\n')
    yield child.returncode
