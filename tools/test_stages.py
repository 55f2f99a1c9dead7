# SPDX-License-Identifier: Apache-2.0
"""Run the stages of the test run and count what they say.

Each stage is a function that returns an Outcome.  A stage never ends the
run: the later ones still tell what they know.
"""

import argparse
import collections
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

import subunit
import testtools

from test_lib import guests
from test_lib import report

HOOK = re.compile(
    r'(?P<name>.+?)\.{3,}(?:\(.*\))?(?P<status>Passed|Failed|Skipped)')
# How tests/unit/upstream names its verdicts on Cinder's tests.
UPSTREAM_TEST = re.compile(r'\.upstream\..*\.test_(holds|differs|elsewhere)_')

EPILOG = """\
Stages, in this order: style (the hooks of .pre-commit-config.yaml), unit
(tests/unit and tests/contract, no root), docs (manual and release notes
without a warning), package (wheel built, installed, imported), guest
(tests/functional on a real kernel, in two test machines; needs root for
Debian packages).  REGEX alone means: the matching tests of unit and guest.
The last line counts everything; the exit status is 0 only if every stage
asked for ran and nothing failed.
"""


def cache_folder() -> str:
    """Return the folder that tools/setup keeps things in."""
    return subprocess.run(
        [report.TREE / 'tools' / 'setup', 'cache'], check=True, text=True,
        stdout=subprocess.PIPE).stdout.strip()


def tree_files() -> list[str]:
    """Return what git knows and what it would know, not what it ignores."""
    names = subprocess.run(
        ['git', 'ls-files', '-z', '--cached', '--others',
         '--exclude-standard'],
        cwd=report.TREE, env=report.environment(), check=True, text=True,
        stdout=subprocess.PIPE).stdout
    return sorted({name for name in names.split('\0')
                   if name and (report.TREE / name).is_file()})


def run_checked(outcome: report.Outcome, title: str, argv: list[str],
                cwd: pathlib.Path = report.TREE,
                extra: Mapping[str, str] | None = None) -> bool:
    """Run a program that says something only when it fails; count it."""
    done = subprocess.run(
        argv, cwd=cwd, env={**report.environment(), **(extra or {})},
        text=True, errors='replace', stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        outcome.fail(title, f'exit status {done.returncode}\n{done.stdout}')
        return False
    outcome.passed += 1
    return True


# --- style ------------------------------------------------------------------

def run_style(_regex: str | None) -> report.Outcome:
    """Run the hooks of .pre-commit-config.yaml; each counts as one."""
    outcome = report.Outcome()
    texts: list[tuple[str, list[str]]] = []
    others: list[str] = []
    status: str | int = 0
    # It writes a small database; a folder per run needs no rights elsewhere.
    with tempfile.TemporaryDirectory(prefix='pre-commit-') as home:
        for status in report.output_lines(
                ['pre-commit', 'run', '--color', 'never', '--files',
                 *tree_files()], {'PRE_COMMIT_HOME': home}):
            if isinstance(status, int):
                break
            hook = HOOK.fullmatch(status)
            if hook is None:
                (texts[-1][1] if texts else others).append(status)
                continue
            print(status, flush=True)
            if hook['status'] == 'Passed':
                outcome.passed += 1
            elif hook['status'] == 'Skipped':
                outcome.skip(f'style: {hook["name"]}: no file to check')
            else:
                texts.append((f'style: {hook["name"]}', []))
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
        details = '\n'.join(
            f'{key}:\n{content.as_text()}'
            for key, content in sorted(test['details'].items())
            if content.content_type.type == 'text').strip()
        if test['status'] in ('success', 'xfail'):
            outcome.passed += 1
            upstream.update(UPSTREAM_TEST.findall(name))
        elif test['status'] == 'skip':
            reason = test['details'].get('reason')
            outcome.skip(f'{name}: {reason.as_text() if reason else ""}')
        elif test['status'] == 'inprogress':
            outcome.fail(name, 'it never ended: its process died\n' + details)
        elif test['status'] != 'exists':
            outcome.fail(name, details)

    argv = ['stestr', 'run', '--subunit', *([regex] if regex else [])]
    with tempfile.TemporaryFile('w+', errors='replace') as stderr:
        with subprocess.Popen(argv, cwd=report.TREE, env=report.environment(),
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=stderr) as child:
            result = testtools.StreamToDict(count)
            result.startTestRun()
            subunit.ByteStreamToStreamResult(
                child.stdout, non_subunit_name='stdout').run(result)
            result.stopTestRun()
        stderr.seek(0)
        said = stderr.read()
    if upstream:
        report.say(
            "Cinder's own tests of its LVM driver: {holds} hold, {differs} "
            'differ by decision, {elsewhere} test something else'.format_map(
                upstream))
    if outcome.passed + outcome.failed + outcome.skipped == 0 and regex:
        report.say(f'unit: no test matches {regex!r}')
    elif not outcome.failed and (child.returncode or not outcome.passed):
        outcome.fail('unit: stestr', f'exit status {child.returncode}\n{said}')
    return outcome


# --- documentation ----------------------------------------------------------

def run_docs(_regex: str | None) -> report.Outcome:
    """Build the manual and the release notes; a warning is a failure."""
    outcome = report.Outcome()
    with tempfile.TemporaryDirectory(prefix='docs-') as folder:
        for title, source, prefix in (
                ('manual', 'doc/source', []),
                ('release notes', 'releasenotes/source',
                 ['tools/one_commit'])):
            run_checked(outcome, f'docs: {title}', [
                *prefix, 'sphinx-build', '-W', '--keep-going', '-q',
                '-b', 'html', '-d', f'{folder}/doctrees', source,
                f'{folder}/{source}'])
    return outcome


# --- package ----------------------------------------------------------------

# What cinder-volume does: register its objects, then import the driver.
IMPORT_ALL = """
import importlib, sys
from cinder import objects
objects.register_all()
for name in sys.argv[2:]:
    module = importlib.import_module(name)
    assert module.__file__.startswith(sys.argv[1]), module.__file__
"""


def copy_tree(target: pathlib.Path) -> None:
    """Copy the files git knows, but not git's own: as an archive has them."""
    for name in tree_files():
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(report.TREE / name, copy, follow_symlinks=False)


def wheel_faults(wheel: pathlib.Path) -> Iterator[str]:
    """Compare what is in the wheel with what is in the tree."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packed = {re.sub(r'^[^/]+\.data/data/', '', name) for name in names}
    wanted = {name for name in tree_files()
              if name.startswith(('cinder_lvm_driver/',
                                  'etc/cinder/rootwrap.d/'))}
    for name in ('cinder_lvm_driver/py.typed',
                 'etc/cinder/rootwrap.d/lvm-driver.filters'):
        if name not in wanted:
            yield f'not in the tree: {name}'
    for name in sorted(wanted - packed):
        yield f'not in the wheel: {name}'
    for name in sorted(packed):
        if name.startswith(('tests/', 'tools/', 'doc/')):
            yield f'in the wheel, where it has no business: {name}'


def run_package(_regex: str | None) -> report.Outcome:
    """Build the wheel, look into it, install it, import it."""
    outcome = report.Outcome()
    with tempfile.TemporaryDirectory(prefix='package-') as name:
        folder = pathlib.Path(name)
        copy_tree(folder / 'tree')
        if not run_checked(
                outcome, 'package: build a wheel',
                [sys.executable, '-m', 'build', '--wheel', '--no-isolation',
                 '--outdir', str(folder), '.'],
                cwd=folder / 'tree', extra={'PBR_VERSION': '0.0.0'}):
            return outcome
        wheel = next(folder.glob('*.whl'))
        faults = list(wheel_faults(wheel))
        if faults:
            outcome.fail('package: contents of the wheel', '\n'.join(faults))
        else:
            outcome.passed += 1
        prefix = folder / 'prefix'
        if not run_checked(
                outcome, 'package: install the wheel',
                [sys.executable, '-m', 'pip', 'install', '--quiet',
                 '--disable-pip-version-check', '--no-deps', '--no-index',
                 '--ignore-installed', '--prefix', str(prefix), str(wheel)]):
            return outcome
        site = next(prefix.glob('lib/python3*/site-packages'))
        installed = {'PYTHONPATH': str(site)}
        modules = sorted(
            '.'.join(path.relative_to(site).with_suffix('').parts)
            for path in site.glob('cinder_lvm_driver/**/*.py'))
        run_checked(
            outcome, 'package: import what was installed',
            [sys.executable, '-P', '-W', 'ignore', '-c', IMPORT_ALL,
             str(site), *modules], cwd=prefix, extra=installed)
        run_checked(
            outcome, 'package: oslo-config-generator finds the options',
            ['oslo-config-generator', '--namespace', 'cinder_lvm_driver',
             '--output-file', str(folder / 'sample.conf')],
            cwd=prefix, extra=installed)
    return outcome


# --- all of it --------------------------------------------------------------

STAGES: dict[str, Callable[[str | None], report.Outcome]] = {
    'style': run_style,
    'unit': run_unit,
    'docs': run_docs,
    'package': run_package,
    'guest': guests.run,
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Return the command line's ``stages`` and ``regex``."""
    parser = argparse.ArgumentParser(
        prog='tools/test', description='Test all of it, or a part.',
        epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    part = parser.add_mutually_exclusive_group()
    part.add_argument('--quick', action='store_true',
                      help='only style and unit')
    part.add_argument('--only', choices=STAGES, action='append', default=[],
                      help='only this stage; repeatable')
    parser.add_argument('regex', nargs='?', metavar='REGEX',
                        help='only the tests whose name it is found in')
    result = parser.parse_args(arguments)
    if result.only:
        result.stages = [name for name in STAGES if name in result.only]
    elif result.quick:
        result.stages = ['unit'] if result.regex else ['style', 'unit']
    else:
        result.stages = ['unit', 'guest'] if result.regex else list(STAGES)
    return result


def run_stage(name: str, regex: str | None) -> report.Outcome:
    """Run a stage; a stage that breaks has failed."""
    try:
        return STAGES[name](regex)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        outcome = report.Outcome()
        outcome.fail(name, f'the stage itself broke: {error!r}')
        return outcome


def main(arguments: list[str]) -> int:
    """Run the stages that the command line asks for."""
    options = parse(arguments)
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
    # The short list goes first: of a long output, CI keeps only a part.
    for title, text in total.failures:
        *_, last = '', *text.rstrip().splitlines()
        print(f'failed: {title}: {last[:200]}')
    for title, text in total.failures:
        print(f'\n=== {title}\n{text.rstrip()}')
    print(total, flush=True)
    return 1 if total.failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
