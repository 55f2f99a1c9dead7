# SPDX-License-Identifier: Apache-2.0
"""The demo on the machine that runs ``tools/demo``."""

import argparse
from collections.abc import Sequence
import contextlib
import dataclasses
import os
import signal
import subprocess
import time

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import programs
from cloud_lib import steps
from cloud_lib import table
from cloud_lib import waiting
from demo_lib import kept
from demo_lib import options
from demo_lib import settings
from testvm_lib import cache
from testvm_lib import processes

# Long enough for all steps, emulated, and the shutdown.
STOP_SECONDS = 600.0
ASK_SECONDS = 2.0
MACHINE_END_SECONDS = 30.0
# The memory of the test machine cannot hold the data of thick LVs.
THICK_DISK = '20G'

say = programs.speaker('demo')


def testvm_command(chosen: argparse.Namespace,
                   wanted: settings.Settings) -> list[str]:
    """Return the command that runs the demo in the test machine."""
    more = []
    if not wanted.thin:
        more += ['--disk', THICK_DISK]
    if wanted.keep:
        more += ['--forward', f'{wanted.api_port}:{settings.API_PORT}',
                 '--forward', f'{wanted.stop_port}:{settings.STOP_PORT}']
    return programs.testvm(
        wanted.venv, 'demo_lib.guest',
        os.path.join(wanted.results, kept.SETTINGS), *more,
        memory=chosen.memory, timeout=chosen.timeout, share=wanted.results,
        kernel=chosen.kernel)


class Launch:
    """One run of the demo.

    :param results: the folder that the test machine writes to
    """

    def __init__(self, chosen: argparse.Namespace, results: str) -> None:
        self._chosen = chosen
        self._results = results
        ports = {'api_port': kept.free_port(settings.API_PORT),
                 'stop_port': kept.free_port(0)} if chosen.keep else {}
        self._wanted = settings.Settings(
            venv='', results=results, driver=chosen.driver,
            lvm_type=chosen.lvm_type, extra=tuple(chosen.extra),
            keep=chosen.keep, debug=chosen.debug, **ports)

    def packages(self) -> str:
        """Install the Debian packages."""
        programs.setup('packages')
        return 'Debian packages are installed'

    def environment(self) -> str:
        """Create the virtual environment."""
        self._wanted = dataclasses.replace(self._wanted,
                                           venv=programs.setup('venv'))
        return f'Cinder and the clients are in {self._wanted.venv}'

    def database(self) -> str:
        """Create Cinder's database: ten times faster than emulated."""
        path = self._wanted.empty_database
        config = f'{path}.conf'
        with open(config, 'w') as file:
            file.write(f'[database]\nconnection = sqlite:///{path}\n')
        done = subprocess.run(
            [f'{self._wanted.venv}/bin/cinder-manage', '--config-file',
             config, 'db', 'sync'], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(
                'cinder-manage db sync exited with status '
                f'{done.returncode}: {done.stdout}')
        return 'created by "cinder-manage db sync"'

    def _run_machine(self) -> int:
        """Run the demo in the test machine; return its exit status."""
        with open(f'{self._results}/{kept.SETTINGS}', 'w') as file:
            file.write(self._wanted.to_json())
        machine = subprocess.Popen(
            testvm_command(self._chosen, self._wanted), cwd=programs.TREE,
            stdin=subprocess.DEVNULL,
            # If this process is killed, nobody else can stop a kept cloud.
            preexec_fn=processes.ending_with_us(signal.SIGTERM))
        try:
            return machine.wait()
        finally:
            # Not SIGKILL: testvm must stop its emulator.
            if machine.poll() is None:
                machine.terminate()
                machine.wait(MACHINE_END_SECONDS)

    def run(self) -> int:
        """Run everything; return the exit status."""
        path = f'{self._results}/{kept.JOURNAL}'
        status = 1
        with open(path, 'a') as journal:
            runner = steps.Runner(journal, say)
            runner.run([steps.Step('packages', self.packages),
                        steps.Step('environment', self.environment),
                        steps.Step('database', self.database)])
        start = time.monotonic()
        if not runner.failed:
            say('booting the test machine ...')
            status = self._run_machine()
        with open(path) as journal:
            outcomes = steps.read_journal(journal)
        self._report(outcomes, status, time.monotonic() - start)
        return status

    def _report(self, outcomes: Sequence[steps.Outcome], status: int,
                seconds: float) -> None:
        failed = [found for found in outcomes if found.state == steps.FAILED]
        if status:
            print('\n' + logs.excerpt(f'{self._results}/{kept.LOG}'))
        print(f'\n{table.render(outcomes)}', flush=True)
        with contextlib.suppress(FileNotFoundError):
            with open(f'{self._results}/{kept.STATUS}') as file:
                print('cinder-lvm status, before the volumes were detached:'
                      f'\n\n{file.read()}', flush=True)
        if failed:
            say(f'FAILED at "{failed[0].name}": {failed[0].detail}')
        elif status:
            say(f'FAILED: the test machine exited with status {status}')
        else:
            say(f'passed; {seconds:.0f} s in the test machine')
        say(f'logs: {self._results}')


def kept_clouds(parent: str) -> dict[str, int]:
    """Return the stop port of each kept cloud, by folder."""
    found = {}
    for folder in filter(cache.is_in_use, kept.folders(parent)):
        with contextlib.suppress(FileNotFoundError):
            wanted = settings.Settings.read(f'{folder}/{kept.SETTINGS}')
            if wanted.keep:
                found[folder] = wanted.stop_port
    return found


def stop(parent: str) -> int:
    """Stop all kept clouds; return the exit status."""
    clouds = kept_clouds(parent)
    if not clouds:
        say('no cloud is running')
        return 0
    for folder in clouds:
        say(f'stopping the cloud of {folder} ...')
    waiting.until('the clouds to stop', lambda: _stopped(parent),
                  STOP_SECONDS, ASK_SECONDS)
    say('stopped')
    return 0


def _stopped(parent: str) -> bool:
    """Ask the kept clouds to stop; return whether none is left.

    Ask again each time: QEMU accepts a connection and drops its data until
    the guest listens, which it does after the user's steps.
    """
    clouds = kept_clouds(parent)
    for port in clouds.values():
        with contextlib.suppress(OSError):
            kept.ask_to_stop(port)
    return not clouds


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    chosen = options.parse(argv)
    return programs.run('demo', lambda: _run(chosen))


def _run(chosen: argparse.Namespace) -> int:
    parent = os.path.join(programs.setup('cache'), 'demo')
    if chosen.stop:
        return stop(parent)
    results = kept.new_folder(parent)
    with cache.in_use(results):
        return Launch(chosen, results).run()
