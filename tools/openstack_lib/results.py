# SPDX-License-Identifier: Apache-2.0
"""Results of tests: lines, files, and comparisons with a record.

A file of results has comments, which start with ``#``, and a line for each
test: ``ok``, ``FAIL`` or ``skip``, seconds, name, and optionally ``#`` and a
reason. A class whose set-up failed or was skipped has one line:
``setUpClass(name of the class)``.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
import dataclasses
import re

OK = 'ok'
FAIL = 'FAIL'
SKIP = 'skip'
_BEST_FIRST = (OK, FAIL, SKIP)
_LINE = re.compile(r'(ok|FAIL|skip) +([0-9.]+) +(\S+)(?: +# (.*))?')
_CLASS = re.compile(r'(?:setUp|tearDown)Class\((.+)\)')
REASON_LETTERS = 160


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of a test.

    :ivar reason: why it failed or was skipped, one line
    """

    status: str
    seconds: float
    name: str
    reason: str = ''

    def line(self) -> str:
        """Return a line for a file of results."""
        text = f'{self.status:4} {self.seconds:7.1f}  {self.name}'
        return f'{text}  # {self.reason}' if self.reason else text


def clean_name(identity: str) -> str:
    """Return the name of a test without its attributes, in one word."""
    name = identity.partition('[')[0]
    return name.replace('Class (', 'Class(').replace(' ', '_')


def clean_reason(text: str) -> str:
    """Return the last line of a text, shortened."""
    lines = text.strip().splitlines()
    return lines[-1].strip()[:REASON_LETTERS].rstrip() if lines else ''


def read(lines: Iterable[str]) -> list[Result]:
    """Return the results in the lines of a file.

    :raises ValueError: a line is neither a result nor a comment
    """
    found = []
    for line in lines:
        line = line.rstrip()
        if not line or line.startswith('#'):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f'{line!r} is not a result')
        found.append(Result(match[1], float(match[2]), match[3],
                            match[4] or ''))
    return found


def write(found: Sequence[Result], facts: Mapping[str, str]) -> str:
    """Return the text of a file of results.

    :param facts: the head of the file
    """
    head = ['# SPDX-License-Identifier: Apache-2.0', '#']
    head += [f'# {name}: {value}' for name, value in facts.items()]
    body = [one.line() for one in sorted(
        found, key=lambda one: (one.name, one.status))]
    return '\n'.join([*head, '', *body]) + '\n'


def totals(found: Iterable[Result]) -> str:
    """Return how many tests passed, failed and were skipped."""
    count = {OK: 0, FAIL: 0, SKIP: 0}
    for one in found:
        count[one.status] += 1
    return (f'{count[OK]} passed, {count[FAIL]} failed, '
            f'{count[SKIP]} skipped')


@dataclasses.dataclass(frozen=True)
class Comparison:
    """The differences from the record of upstream's driver.

    :ivar broken: fail here, pass there
    :ivar unknown: fail here, did not run there
    :ivar shared: fail here and there
    :ivar mended: pass here, fail there
    :ivar missing: pass there, skipped or missing here
    """

    broken: tuple[str, ...]
    unknown: tuple[str, ...]
    shared: tuple[str, ...]
    mended: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def good(self) -> bool:
        """Whether all tests that fail here fail there too."""
        return not self.broken and not self.unknown

    def lines(self) -> list[str]:
        """Return a report."""
        text = []
        for title, names in (
                ('FAIL here, pass with upstream\'s driver', self.broken),
                ('FAIL here, not run with upstream\'s driver', self.unknown),
                ('fail here and with upstream\'s driver', self.shared),
                ('pass here, fail with upstream\'s driver', self.mended),
                ('skipped or missing here, pass with upstream\'s driver',
                 self.missing)):
            text.append(f'{title}: {len(names) or "none"}')
            text += [f'    {name}' for name in names]
        return text


def compare(here: Sequence[Result], there: Iterable[Result],
            whole: bool = False) -> Comparison:
    """Compare results with a record.

    A test of the record counts as passed if it passed in any recorded run. A
    class whose set-up fails stands for all its tests.

    :param whole: whether all recorded tests were selected
    """
    record: dict[str, str | None] = {}
    for one in there:
        record[one.name] = _best({one.status, record.get(one.name)})
    found: dict[str, list[str]] = {key: [] for key in (
        'broken', 'unknown', 'shared', 'mended', 'missing')}

    def recorded(name: str) -> str | None:
        match = _CLASS.fullmatch(name)
        if name in record or match is None:
            return record.get(name)
        return _best({status for other, status in record.items()
                      if other.startswith(f'{match[1]}.')})

    for one in here:
        was = recorded(one.name)
        if one.status == FAIL:
            found[{OK: 'broken', FAIL: 'shared'}.get(
                was or '', 'unknown')].append(one.name)
        elif one.status == OK and was == FAIL:
            found['mended'].append(one.name)
        elif one.status == SKIP and was == OK:
            found['missing'].append(one.name)
    if whole:
        seen = {one.name for one in here}
        found['missing'] += [name for name, status in record.items()
                              if status == OK and name not in seen]
    return Comparison(**{key: tuple(sorted(names))
                         for key, names in found.items()})


def _best(states: Container[str | None]) -> str | None:
    return next((status for status in _BEST_FIRST if status in states), None)
