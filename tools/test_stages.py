# SPDX-License-Identifier: Apache-2.0
"""Run the stages of the tests and count their results.

Each stage is a function that returns an Outcome. The other stages run even if
one fails.
"""

import argparse
import collections
from collections.abc import Callable
import functools
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import check_tree
from test_lib import guests
from test_lib import html
from test_lib import package
from test_lib import report
from test_lib import stream

HOOK = re.compile(
    r'(?P<name>.+?)\.{3,}(?:\(.*\))?(?P<status>Passed|Failed|Skipped)')
# How tests/unit/upstream classifies Cinder's own tests.
UPSTREAM_TEST = re.compile(r'\.upstream\..*\.test_(holds|differs|elsewhere)_')

EPILOG = """\
Stages, in this order: style (the hooks of .pre-commit-config.yaml), unit
(tests/unit and tests/contract, no root), docs (build the manual without a
warning, check its links), package (build, install and import the wheel, build
the Debian package, test the alert rules; needs root once, for Debian's build
tools), guest (tests/functional on a real kernel, in two test machines, without
the slow tests; needs root). guest-all, only if it is named, runs the slow
tests, too. REGEX without other options selects tests of unit and guest. The
last line is the total; the exit status is 0 only if all selected stages ran
and nothing failed.
"""


# --- style ------------------------------------------------------------------

def run_style(_regex: str | None) -> report.Outcome:
    """Run the hooks of .pre-commit-config.yaml; each counts as one."""
    outcome = report.Outcome()
    texts: list[tuple[str, list[str]]] = []
    others: list[str] = []

    def take(line: str) -> None:
        hook = HOOK.fullmatch(line)
        if hook is None:
            (texts[-1][1] if texts else others).append(line)
            return
        print(line, flush=True)
        if hook['status'] == 'Passed':
            outcome.passed += 1
        elif hook['status'] == 'Skipped':
            outcome.skip(f'style: {hook["name"]}: no file to check')
        else:
            texts.append((f'style: {hook["name"]}', []))

    # pre-commit keeps a database; a temporary folder is always writable.
    with tempfile.TemporaryDirectory(prefix='pre-commit-') as home:
        status = report.run_lines(
            ['pre-commit', 'run', '--color', 'never', '--files',
             *map(str, check_tree.tree_files())], take,
            {'PRE_COMMIT_HOME': home})
    for title, lines in texts:
        outcome.fail(title, '\n'.join(lines))
    if status and not texts:
        outcome.fail('style: pre-commit',
                     f'exit status {status}\n' + '\n'.join(others))
    return outcome


# --- unit -------------------------------------------------------------------

def run_unit(regex: str | None) -> report.Outcome:
    """Run tests/unit and tests/contract with stestr."""
    outcome = report.Outcome()
    upstream: collections.Counter[str] = collections.Counter()

    def count(test: dict) -> None:
        name = test['id']
        texts = stream.texts(test)
        details = '\n'.join(
            f'{key}:\n{text}' for key, text in texts.items()).strip()
        if test['status'] in ('success', 'xfail'):
            outcome.passed += 1
            upstream.update(UPSTREAM_TEST.findall(name))
        elif test['status'] == 'skip':
            outcome.skip(f'{name}: {texts.get("reason", "")}')
        elif test['status'] == 'inprogress':
            outcome.fail(name, 'the process of the test died\n' + details)
        elif test['status'] != 'exists':
            outcome.fail(name, details)

    argv = ['stestr', 'run', '--subunit', *([regex] if regex else [])]
    with tempfile.TemporaryFile('w+', errors='replace') as stderr:
        status = stream.run(argv, count, stderr=stderr)
        stderr.seek(0)
        errors = stderr.read()
    if upstream:
        report.say(
            "Cinder's own tests of its LVM driver: {holds} hold, {differs} "
            'differ by decision, {elsewhere} test something else'.format_map(
                upstream))
    if outcome.passed + outcome.failed + outcome.skipped == 0 and regex:
        report.say(f'unit: no test matches {regex!r}')
    elif not outcome.failed and (status or not outcome.passed):
        outcome.fail('unit: stestr', f'exit status {status}\n{errors}')
    return outcome


# --- documentation ----------------------------------------------------------

def run_docs(_regex: str | None) -> report.Outcome:
    """Build the manual without a warning, and check its links."""
    outcome = report.Outcome()
    with tempfile.TemporaryDirectory(prefix='docs-') as name:
        folder = pathlib.Path(name).resolve()
        if report.run_checked(outcome, 'docs: manual', [
                'sphinx-build', '-W', '--keep-going', '-q', '-b', 'html',
                '-d', f'{folder}/doctrees', 'doc/source', f'{folder}/html']):
            faults = list(html.faults(folder / 'html'))
            if faults:
                outcome.fail('docs: links', '\n'.join(faults))
            else:
                outcome.passed += 1
    return outcome


# --- all of it --------------------------------------------------------------

STAGES: dict[str, Callable[[str | None], report.Outcome]] = {
    'style': run_style,
    'unit': run_unit,
    'docs': run_docs,
    'package': package.run,
    'guest': guests.run,
}
# Run only if named.
OTHER_STAGES: dict[str, Callable[[str | None], report.Outcome]] = {
    'guest-all': functools.partial(guests.run, everything=True),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the ``stages`` and the ``regex`` of a command line."""
    parser = argparse.ArgumentParser(
        prog='tools/test', description='Run all tests or a part of them.',
        epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    part = parser.add_mutually_exclusive_group()
    part.add_argument('--quick', action='store_true',
                      help='run only the stages style and unit')
    part.add_argument('--only', choices=STAGES | OTHER_STAGES,
                      action='append', default=[],
                      help='run only this stage; repeatable')
    parser.add_argument('regex', nargs='?', metavar='REGEX',
                        help='run only tests whose name matches')
    result = parser.parse_args(arguments)
    if result.only:
        result.stages = [name for name in STAGES | OTHER_STAGES
                         if name in result.only]
    elif result.quick:
        result.stages = ['unit'] if result.regex else ['style', 'unit']
    else:
        result.stages = ['unit', 'guest'] if result.regex else list(STAGES)
    return result


def run_stage(name: str, regex: str | None) -> report.Outcome:
    """Run a stage; a stage that raises an error has failed."""
    try:
        return (STAGES | OTHER_STAGES)[name](regex)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        outcome = report.Outcome()
        outcome.fail(name, f'the stage cannot run: {error!r}')
        return outcome


def main(arguments: list[str]) -> int:
    """Run the stages of a command line; return the exit status."""
    options = parse(arguments)
    report.enter()
    total = report.Outcome()
    for name in options.stages:
        report.say(name)
        start = time.monotonic()
        outcome = run_stage(name, options.regex)
        seconds = time.monotonic() - start
        report.say(f'{name} done: {outcome} ({seconds:.1f} s)')
        total.add(outcome)
    if total.passed + total.failed == 0:
        total.fail('everything', 'no test ran')
    for line in total.skips:
        print(f'skipped: {line}')
    # A short list first: CI truncates long output.
    for title, text in total.failures:
        *_, last = '', *text.rstrip().splitlines()
        print(f'failed: {title}: {last[:200]}')
    for title, text in total.failures:
        print(f'\n=== {title}\n{text.rstrip()}')
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
