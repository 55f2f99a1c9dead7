# SPDX-License-Identifier: Apache-2.0
"""The stage of the tests that need a real kernel.

Two test machines share the tests: one machine keeps only a single core busy.
"""

import concurrent.futures
import pathlib
import shutil
import sys
import tempfile

from test_lib import report

RUNNER = 'tests/functional/run'
WHOLE_RUN = 'tests.functional.whole_run'
# In seconds, from the start of a test machine to the end of its tests: enough
# for an emulated machine on two cores.
TIMEOUT = 4200
MACHINES = 2

_TEST_LINES = ('ok ', 'skip ', 'FAIL ')


def run(regex: str | None, *, everything: bool = False) -> report.Outcome:
    """Run tests/functional in test machines that share the tests.

    Without a regular expression and ``everything``, slow tests are left out.

    The arguments of the runner are the virtual environment, a folder for
    results and optionally a regular expression. It prints a line for each
    test, ``ok``, ``skip`` or ``FAIL`` and the name, optionally followed by
    text, and finally 'N passed, N failed, N skipped'.
    """
    outcome = report.Outcome()
    results = pathlib.Path(tempfile.mkdtemp(prefix='guest-results-'))
    claims = results / 'claims'
    claims.mkdir()
    # User cinder of the test machines creates folders in it.
    claims.chmod(0o1777)
    results.chmod(0o711)
    chosen = '.' if everything else regex
    numbers = range(1, (1 if regex else MACHINES) + 1)
    folders = [str(results / str(number)) for number in numbers]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for each in pool.map(lambda number: _run_machine(
                number, results, chosen), numbers):
            outcome.add(each)
    if not outcome.passed and not regex:
        outcome.fail('guest', 'no test ran')
    if not regex:
        outcome.add(_run(
            'whole run', [sys.executable, '-m', WHOLE_RUN, *folders]))
    if outcome.failed:
        report.say(f'guest: results are kept in {results}')
    else:
        shutil.rmtree(results)
    return outcome


def _run_machine(number: int, results: pathlib.Path,
                 regex: str | None) -> report.Outcome:
    return _run(f'guest {number}', [
        # With two processors each, the emulators wait for each other's locks
        # on the two cores of CI and take 1.4 times as long.
        'tools/testvm', '--cpus', '1', '--disk', '64G',
        '--share', str(results),
        '--env', f'CLAIMS={results}/claims', '--timeout', str(TIMEOUT),
        '--', RUNNER, sys.prefix, str(results / str(number)),
        *([regex] if regex else [])])


def _run(title: str, argv: list[str]) -> report.Outcome:
    """Run a program that prints a line for each test, and a summary."""
    outcome = report.Outcome()
    lines: list[str] = []

    def take(line: str) -> None:
        lines.append(line)
        print(f'{title}: {line}', flush=True)

    status = report.run_lines(argv, take)
    tail = '\n'.join(lines[-report.TAIL:])
    found = next(filter(None, map(report.SUMMARY.fullmatch, lines[::-1])),
                 None)
    if found is None:
        outcome.fail(title, f'exit status {status} and no summary\n{tail}')
        return outcome
    outcome.passed, outcome.failed, outcome.skipped = map(
        int, found.groups())
    if outcome.failed:
        outcome.failures += [
            (f'{title}: {first.split(None, 3)[-1]}', text)
            for first, _, text in (each.partition('\n') for each in _reports(
                lines, 'FAIL'))] or [(title, tail)]
    elif status:
        outcome.fail(title, f'exit status {status}, but no test failed\n'
                     f'{tail}')
    outcome.skips += _reports(lines, 'skip')
    return outcome


def _reports(lines: list[str], word: str) -> list[str]:
    """Return the lines of the tests with a result."""
    reports: list[list[str]] = []
    wanted = False
    for line in lines:
        if line.startswith(_TEST_LINES):
            wanted = line.startswith(word)
            if wanted:
                reports.append([])
        elif report.SUMMARY.fullmatch(line):
            wanted = False
        if wanted:
            reports[-1].append(line)
    return ['\n'.join(each) for each in reports]
