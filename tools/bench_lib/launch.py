# SPDX-License-Identifier: Apache-2.0
"""The benchmark on the machine that runs ``tools/bench``."""

import argparse
from collections.abc import Sequence
import json
import os
import shutil
import subprocess
import tempfile
import time
from typing import Any

from bench_lib import figures
from bench_lib import plan
from bench_lib import tables
from cloud_lib import errors
from cloud_lib import programs

RESULTS = os.path.join(programs.TREE, 'doc/source/admin/performance-results')
MEMORY_MIB = 4096
# Emulated, on a machine that others use as well.
TIMEOUT = 3600
FULL_TIMEOUT = 6 * 3600
# Sparse, and larger than all sparse files on it together.
DISK = '200G'
_DESCRIPTION = """\
Compare this driver with Cinder's own LVM driver, and with the bare commands
or steps that its work needs. Each run boots a test machine and takes turns.
The results of a run replace those of the same run in the results folder; a
table and plots of all results are made again.
"""

say = programs.speaker('bench')


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(
        prog='tools/bench', description=_DESCRIPTION, allow_abbrev=False)
    add = parser.add_argument
    add('--full', action='store_true',
        help='more LVs, sizes and rounds; this takes hours')
    add('--only', action='append', metavar='RUN',
        choices=[run.name for run in plan.RUNS],
        help='measure only this run; repeatable: %(choices)s')
    add('--draw', action='store_true',
        help='measure nothing; make the table and the plots again')
    add('--results', metavar='FOLDER', default=RESULTS,
        help='read and replace the results here (default: the manual)')
    return parser.parse_args(argv)


def chosen(options: argparse.Namespace) -> list[plan.Run]:
    """Return the runs to measure."""
    if options.draw:
        return []
    if options.only:
        return [run for run in plan.RUNS if run.name in options.only]
    return [run for run in plan.RUNS if options.full or not run.only_full]


def measure(run: plan.Run, venv: str, full: bool) -> dict[str, Any]:
    """Boot a test machine for a run; return its rows and facts.

    :raises errors.CloudError: it failed; its log is kept
    """
    folder = tempfile.mkdtemp(prefix=f'bench-{run.name}-')
    os.chmod(folder, 0o755)
    settings = os.path.join(folder, 'settings.json')
    with open(settings, 'w') as file:
        json.dump({'venv': venv, 'results': folder, 'section': run.section,
                   'arguments': run.values(full)}, file)
    began, load_before = time.time(), os.getloadavg()[0]
    status = subprocess.run(programs.testvm(
        venv, 'benchmarks', settings, '--disk', DISK, '--cpus', '1',
        memory=MEMORY_MIB,
        timeout=FULL_TIMEOUT if full else TIMEOUT, share=folder,
        kernel=None), cwd=programs.TREE, stdin=subprocess.DEVNULL).returncode
    if status:
        raise errors.CloudError(
            f'{run.name} exited with status {status}; its log is '
            f'{folder}/driver.log')
    with open(os.path.join(folder, 'figures.json')) as file:
        found: dict[str, Any] = json.load(file)
    shutil.rmtree(folder)
    found['facts'].update({
        'date': time.strftime('%Y-%m-%d', time.gmtime(began)),
        'load before and after': '%.1f, %.1f' % (
            load_before, os.getloadavg()[0]),
        'seconds': round(time.time() - began)})
    return found


def draw(folder: str) -> None:
    """Make the table and the plots of the results in a folder."""
    tables.write(folder, figures.read(folder))
    subprocess.run([f'{programs.setup("plots")}/bin/python', '-m',
                    'bench_lib.plots', folder], cwd=programs.TOOLS,
                   check=True)


def run_all(options: argparse.Namespace) -> int:
    """Measure, and show the results; return the exit status."""
    programs.setup('packages')
    venv = programs.setup('venv')
    os.makedirs(options.results, exist_ok=True)
    failed = []
    for run in chosen(options):
        say(f'{run.name} ...')
        try:
            found = measure(run, venv, options.full)
        except errors.CloudError as error:
            say(f'FAILED: {error}')
            failed.append(run.name)
            continue
        results = figures.read(options.results)
        results[run.name] = found
        figures.write(options.results, results)
        say(f'{run.name} took {found["facts"]["seconds"]} s')
    draw(options.results)
    print(tables.text(figures.read(options.results)), flush=True)
    say(f'results: {options.results}')
    if failed:
        say(f'FAILED: {", ".join(failed)}')
    return 1 if failed else 0


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    options = parse(argv)
    return programs.run('bench', lambda: run_all(options))
