# SPDX-License-Identifier: Apache-2.0
"""The commands of tools/openstack, on the machine that runs it."""

import argparse
from collections.abc import Iterator, Sequence
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from cloud_lib import errors
from cloud_lib import programs
from cloud_lib import rest
from openstack_lib import access
from openstack_lib import cloud as clouds
from openstack_lib import control
from openstack_lib import facts
from openstack_lib import groups
from openstack_lib import guest
from openstack_lib import node
from openstack_lib import options
from openstack_lib import results
from openstack_lib import services
from openstack_lib import settings
from openstack_lib import tempest

# The test machine shares all files of this machine but these.
_NOT_SHARED = ('/dev/', '/proc/', '/run/', '/sys/')


class Launch:
    """One run of tools/openstack: each public method is a command."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._start = time.monotonic()
        folder = chosen.folder or os.path.join(programs.setup('cache'),
                                               'openstack')
        self._places = settings.Places(os.path.realpath(folder))
        self._services = services.Services(self._places)

    def _say(self, text: str) -> None:
        """Print a line of progress with the seconds since the start."""
        print(f'openstack: {time.monotonic() - self._start:4.0f} s  {text}',
              flush=True)

    def run(self) -> int:
        """Run the chosen command; return the exit status."""
        action = getattr(self, self._chosen.action)
        return int(action() or 0)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Hold the lock of the folder.

        :raises errors.CloudError: another run holds it, or the folder cannot
            be used
        """
        root, lock = self._places.root, self._places.path('lock')
        if root.startswith(_NOT_SHARED):
            raise errors.CloudError(
                f'the test machine cannot see {root}; choose a --folder '
                f'outside {", ".join(_NOT_SHARED)}')
        try:
            os.makedirs(root, mode=0o700, exist_ok=True)
        except OSError as error:
            raise errors.CloudError(
                f'{root} cannot be the --folder: {error.strerror}') from error
        if os.listdir(root) and not os.path.isfile(lock):
            raise errors.CloudError(
                f'{root} contains other files; choose an empty or a new '
                '--folder')
        with open(lock, 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise errors.CloudError(
                    f'another tools/openstack uses {root}; wait for its end'
                ) from None
            yield

    def _settings(self) -> settings.Settings:
        """Return the settings of the cloud."""
        try:
            return settings.Settings.read(self._places.settings)
        except FileNotFoundError:
            raise errors.CloudError(
                'there is no cloud; create one with "tools/openstack up"'
            ) from None
        except errors.CloudError as error:
            raise errors.CloudError(
                f'the cloud in {self._places.root}: {error}; remove it with '
                '"tools/openstack down --wipe"') from error

    def _venv(self, name: str) -> str:
        return self._created(self._places.environments, name)

    @staticmethod
    def _created(path: str, name: str) -> str:
        """Return a value from a file that ``up`` writes."""
        try:
            with open(path) as file:
                return str(json.load(file)[name])
        except (FileNotFoundError, KeyError, ValueError):
            raise errors.CloudError(
                'the cloud is incomplete; complete it with "tools/openstack '
                'up"') from None

    def _cloud(self) -> clouds.Cloud:
        return clouds.Cloud(self._settings(), self._places,
                            self._venv('services'), self._say)

    def _storage(self) -> node.Storage:
        return node.Storage(self._cloud())

    def up(self) -> None:
        """Start everything that does not run."""
        with self._lock():
            wanted = self._wanted()
            programs.setup('packages', 'openstack')
            release = [wanted.cinder] if wanted.cinder else []
            venvs = {'services': programs.setup('openstack', *release),
                     'tempest': programs.setup('tempest')}
            clouds.concurrency(wanted, venvs['services'])
            settings.write_private(self._places.environments,
                                   json.dumps(venvs))
            settings.write_private(self._places.settings, wanted.to_json())
            self._say('packages are installed')
            cloud = self._cloud()
            plane = control.Control(cloud)
            plane.configure()
            plane.up()
            storage = node.Storage(cloud)
            storage.up()
            storage.wait()

    def _wanted(self) -> settings.Settings:
        """Return the settings of the cloud to start.

        :raises errors.CloudError: the existing cloud has other settings, or a
            port of a new one is taken
        """
        if not os.path.exists(self._places.settings):
            wanted = options.wanted(self._chosen, settings.Settings())
            taken = [str(port) for port in wanted.ports
                     if services.listens(port)]
            if taken:
                raise errors.CloudError(
                    'something else, perhaps another cloud, listens to port '
                    f'{", ".join(taken)} of {settings.LOOPBACK}; choose '
                    'another --port-base')
            return wanted
        known = self._settings()
        found = known.differences(options.wanted(self._chosen, known))
        if found:
            raise errors.CloudError(
                f'the cloud in {self._places.root} has other settings '
                f'({"; ".join(found)}); omit the options to start it, or '
                'remove it with "tools/openstack down --wipe"')
        return known

    def down(self) -> None:
        """Stop everything."""
        with self._lock():
            if os.path.exists(self._places.settings):
                self._stop_node()
            for name in self._services.names():
                self._services.stop(name)
                self._say(f'{name} is stopped')
            if self._chosen.wipe:
                self._wipe()

    def _stop_node(self) -> None:
        """Shut the test machine down, so that it writes out its disk."""
        try:
            storage = self._storage()
        except errors.CloudError as error:
            # Its process is stopped with those of the services.
            self._say(f'the test machine cannot be shut down: {error}')
        else:
            storage.stop()

    def _wipe(self) -> None:
        # The lock last: it marks the folder as ours.
        for entry in sorted(os.scandir(self._places.root),
                            key=lambda each: each.name == 'lock'):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self._say('all data is removed')

    def status(self) -> int:
        """Show what runs; return 1 if anything does not."""
        self._settings()
        missing = 0
        for name in reversed(self._services.names()):
            process = self._services.process(name)
            missing += process is None
            state = f'runs, process {process}' if process else 'has ended'
            print(f'{name:20} {state}')
        if self._services.process(node.NAME) is None:
            print(f'{node.NAME:20} does not run')
            return 1
        try:
            for name, state in self._storage().states():
                print(f'{name:20} {state}')
                missing += state != guest.RUNS
        except errors.CloudError as error:
            missing += 1
            print(error)
        return 1 if missing else 0

    def reboot(self) -> None:
        """Stop the test machine and start it again."""
        with self._lock():
            storage = self._storage()
            storage.stop()
            self._say('the test machine is stopped')
            storage.up()
            storage.wait()

    def restart(self) -> None:
        """Restart one service in either machine."""
        name = self._chosen.service
        with self._lock():
            if name in guest.SERVICES:
                print(self._storage().restart(name), end='')
            else:
                control.Control(self._cloud()).restart(name)

    def node(self) -> int:
        """Run a command in the test machine."""
        return self._storage().agent.run(self._chosen.command, _write)

    def attach(self) -> int:
        """Run the steps that need attached volumes."""
        return self._on_node('attach')

    def _on_node(self, module: str, *words: str) -> int:
        """Run a module of this package in the test machine, as root."""
        return self._storage().agent.run(
            [f'{self._venv("services")}/bin/python', '-m',
             f'openstack_lib.{module}', self._places.root, *words], _write)

    def groups(self) -> None:
        """Create, copy and delete a consistent group with the clients."""
        cloud = self._cloud()
        environment = self._client_environment(cloud, 'admin')

        def client(*command: str) -> str:
            done = subprocess.run(command, env=environment, text=True,
                                  stdin=subprocess.DEVNULL,
                                  capture_output=True)
            if done.returncode:
                raise errors.CloudError(
                    f'{" ".join(command)}: {done.stderr.strip()}')
            return done.stdout

        ports = cloud.settings.ports
        token = access.token(ports, cloud.passwords)
        groups.Groups(
            rest.Cinder(rest.Api(ports.cinder, token),
                        rest.Api(ports.glance, token)),
            cloud.settings.back_ends()[0], client,
            lambda command: self._storage().agent.run(command, _write),
            self._say).run()

    def survive(self) -> int:
        """Restart cinder-volume, then its host, with volumes attached."""
        def part(name: str) -> bool:
            return self._on_node('survive', name) == 0

        if not part('begin'):
            return 1
        storage = self._storage()
        with self._lock():
            print(storage.restart('cinder-volume'), end='')
            storage.up()
            storage.wait()
        if not part('check'):
            return 1
        self.reboot()
        return 0 if part('connect') and part('end') else 1

    def tempest(self) -> int:
        """Run tests and compare them with the record."""
        chosen, cloud = self._chosen, self._cloud()
        regex = tempest.SMOKE if chosen.smoke else chosen.regex or tempest.ALL
        # If these fail, so would all tests, for a reason not the driver's.
        self._storage().require_services()
        access.token(cloud.settings.ports, cloud.passwords)
        work = tempest.Tempest(cloud.settings, self._places,
                               self._venv('tempest'))
        work.configure(self._created(self._places.resources, 'image'))
        start = time.monotonic()
        found = work.run(
            work.command(regex, chosen.exclude, chosen.concurrency),
            lambda result: print(result.line(), flush=True))
        seconds = time.monotonic() - start
        comparison = results.compare(
            found, tempest.record(),
            whole=regex == tempest.ALL and not chosen.exclude)
        print('\n' + '\n'.join(comparison.lines()))
        print(f'\n{results.totals(found)}, {seconds:.0f} s')
        if chosen.save:
            self._save(found, seconds, f'{regex}, {chosen.concurrency} at a '
                       'time' + (f', without {chosen.exclude}'
                                 if chosen.exclude else ''))
        return 0 if comparison.good else 1

    def _save(self, found: Sequence[results.Result], seconds: float,
              selection: str) -> None:
        """Write the results to the file of --save."""
        head = facts.gather(
            self._settings(), found, selection, seconds, {
                'tree': facts.tree(),
                'services': facts.versions(programs.site_packages(
                    self._venv('services')), facts.SERVICES),
                'tests with': facts.versions(programs.site_packages(
                    self._venv('tempest')), facts.TESTS),
                'storage node': facts.machine(self._storage().agent)})
        with open(self._chosen.save, 'w') as file:
            file.write(results.write(found, head))
        print(f'written to {self._chosen.save}')

    def _client_environment(self, cloud: clouds.Cloud,
                            name: str) -> dict[str, str]:
        """Return the environment of the clients of a user."""
        environment = access.without_credentials(os.environ)
        environment.update(access.variables(
            cloud.settings.ports, cloud.passwords, self._places.clouds, name))
        # A proxy cannot reach the loopback of this machine.
        environment['no_proxy'] = ','.join(filter(None, (
            settings.LOOPBACK, environment.get('no_proxy')
            or environment.get('NO_PROXY'))))
        environment['PATH'] = (f'{cloud.venv}/bin:'
                               f'{environment.get("PATH", os.defpath)}')
        return environment

    def shell(self) -> None:
        """Replace this process by a shell or a command with credentials."""
        environment = self._client_environment(self._cloud(),
                                               self._chosen.user)
        command = self._chosen.command or [
            environment.get('SHELL') or '/bin/bash']
        sys.stdout.flush()
        # Python ignores SIGPIPE, and so would all programs of the shell.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        try:
            os.execvpe(command[0], command, environment)
        except OSError as error:
            raise errors.CloudError(
                f'{command[0]}: {error.strerror}') from error


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def main(argv: Sequence[str]) -> int:
    """Run the command line; return the exit status."""
    chosen = options.parse(argv)
    return programs.run('openstack', lambda: Launch(chosen).run())
