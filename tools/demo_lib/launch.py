# SPDX-License-Identifier: Apache-2.0
"""What happens on the machine that the demo is started on."""

import argparse
from collections.abc import Sequence
import contextlib
import os
import signal
import subprocess
import sys
import time

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import preparing
from cloud_lib import steps
from cloud_lib import table
from cloud_lib import waiting
from demo_lib import kept
from demo_lib import options
from demo_lib import settings
from testvm_lib import processes

TOOLS = preparing.TOOLS
TREE = preparing.TREE
LOG_LINES = 20
ERROR_LINES = 10
# All of the user's steps, emulated, and the end.
STOP_SECONDS = 600.0
ASK_SECONDS = 2.0
MACHINE_END_SECONDS = 30.0
# What was changed, thick, in the machine's memory would not fit.
THICK_DISK = '20G'
_API_PORT = 8776


def say(text: str) -> None:
    """Tell the person how far it is."""
    print(f'demo: {text}', flush=True)


def testvm_command(chosen: argparse.Namespace,
                   wanted: settings.Settings) -> list[str]:
    """Return the command that runs the machine's part of the demo."""
    command = [f'{TOOLS}/testvm', '--memory', str(chosen.memory),
               '--timeout', str(chosen.timeout), '--share', wanted.results,
               '--env', f'PYTHONPATH={TOOLS}', '--env', 'LC_ALL=C.UTF-8',
               '--env', 'PYTHONWARNINGS=ignore']
    if chosen.kernel:
        command += ['--kernel', chosen.kernel]
    if not wanted.thin:
        command += ['--disk', THICK_DISK]
    if wanted.keep:
        command += ['--forward', f'{wanted.api_port}:{settings.API_PORT}',
                    '--forward', f'{wanted.stop_port}:{settings.STOP_PORT}']
    return [*command, '--', wanted.python, '-m', 'demo_lib.guest',
            os.path.join(wanted.results, kept.SETTINGS)]


class Launch:
    """One run of the demo.

    :param results: the folder that the machine shares
    """

    def __init__(self, chosen: argparse.Namespace, results: str) -> None:
        self._chosen = chosen
        self._results = results
        self._venv = ''
        self._status = 1

    def packages(self) -> str:
        """Install Debian's packages."""
        preparing.setup('packages')
        return 'Debian packages are installed'

    def environment(self) -> str:
        """Make the virtual environment."""
        self._venv = preparing.setup('venv')
        return f'Cinder and the clients are in {self._venv}'

    def settings(self) -> settings.Settings:
        """Return what the machine is told."""
        chosen = self._chosen
        wanted = settings.Settings(
            venv=self._venv, results=self._results, driver=chosen.driver,
            lvm_type=chosen.lvm_type, extra=tuple(chosen.extra),
            keep=chosen.keep, debug=chosen.debug)
        if wanted.keep:
            wanted = wanted.with_ports(kept.free_port(_API_PORT),
                                       kept.free_port(0))
        return wanted

    def database(self) -> str:
        """Make Cinder's database here, where it takes a tenth of the time."""
        path = self.settings().empty_database
        config = f'{path}.conf'
        with open(config, 'w') as file:
            file.write(f'[database]\nconnection = sqlite:///{path}\n')
        done = subprocess.run(
            [f'{self._venv}/bin/cinder-manage', '--config-file', config,
             'db', 'sync'], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(f'cinder-manage db sync ended with '
                                   f'{done.returncode}: {done.stdout}')
        return 'made by "cinder-manage db sync"'

    def machine(self) -> None:
        """Boot the test machine and run the guest's part in it."""
        wanted = self.settings()
        with open(f'{self._results}/{kept.SETTINGS}', 'w') as file:
            file.write(wanted.to_json())
        machine = subprocess.Popen(
            testvm_command(self._chosen, wanted), cwd=TREE,
            stdin=subprocess.DEVNULL,
            # Killed, nobody would be left to end a cloud that is kept.
            preexec_fn=processes.ending_with_us(signal.SIGTERM))
        try:
            self._status = machine.wait()
        finally:
            # Told to end: not killed, it has an emulator to end itself.
            if machine.poll() is None:
                machine.terminate()
                machine.wait(MACHINE_END_SECONDS)

    def run(self) -> int:
        """Run everything; return the exit status."""
        path = f'{self._results}/{kept.JOURNAL}'
        with open(path, 'a') as journal:
            runner = steps.Runner(journal, say)
            runner.run([steps.Step('packages', self.packages),
                        steps.Step('environment', self.environment),
                        steps.Step('database', self.database)])
        start = time.monotonic()
        if not runner.failed:
            say('booting the test machine ...')
            self.machine()
        with open(path) as journal:
            outcomes = steps.read_journal(journal)
        self._report(outcomes, time.monotonic() - start)
        return self._status

    def _report(self, outcomes: Sequence[steps.Outcome],
                seconds: float) -> None:
        failed = [found for found in outcomes if found.state == steps.FAILED]
        if self._status:
            self._show_log()
        print(f'\n{table.render(outcomes)}', flush=True)
        if failed:
            say(f'FAILED at "{failed[0].name}": {failed[0].detail}')
        elif self._status:
            say(f'FAILED: the test machine ended with {self._status}')
        else:
            say(f'passed; {seconds:.0f} s in the test machine')
        say(f'logs: {self._results}')

    def _show_log(self) -> None:
        path = f'{self._results}/{kept.LOG}'
        for title, lines in (
                ('the first errors in', logs.reasons(path)[:ERROR_LINES]),
                ('the end of', logs.tail(path, LOG_LINES))):
            if lines:
                print(f'\n--- {title} {path}')
                print('\n'.join(lines), flush=True)


def kept_clouds(parent: str) -> dict[str, int]:
    """Return where to ask for the end of each kept cloud, by folder."""
    found = {}
    for folder in filter(kept.is_running, kept.folders(parent)):
        try:
            with open(f'{folder}/{kept.SETTINGS}') as file:
                wanted = settings.Settings.from_json(file.read())
        except FileNotFoundError:
            continue
        if wanted.keep:
            found[folder] = wanted.stop_port
    return found


def stop(parent: str) -> int:
    """End all clouds that were kept; return the exit status."""
    clouds = kept_clouds(parent)
    if not clouds:
        say('no cloud is running')
        return 0
    for folder in clouds:
        say(f'stopping the cloud of {folder} ...')
    waiting.until('the clouds to end', lambda: _asked_to_end(parent),
                  STOP_SECONDS, ASK_SECONDS)
    say('stopped')
    return 0


def _asked_to_end(parent: str) -> bool:
    """Ask the kept clouds for their end; return whether none is left.

    The emulator takes the word and loses it as long as nobody in the machine
    listens, which is from the last of the user's steps on.
    """
    clouds = kept_clouds(parent)
    for port in clouds.values():
        with contextlib.suppress(OSError):
            kept.ask_to_stop(port)
    return not clouds


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    chosen = options.parse(argv)
    # Ended as by Ctrl-C, so that the test machine ends too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if os.geteuid():
            raise errors.CloudError('not root, as whom the test machine runs')
        parent = os.path.join(preparing.setup('cache'), 'demo')
        if chosen.stop:
            return stop(parent)
        results = kept.new_folder(parent)
        kept.mark_running(results)
        try:
            return Launch(chosen, results).run()
        finally:
            kept.mark_ended(results)
    except errors.CloudError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say('interrupted')
        return 130


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
