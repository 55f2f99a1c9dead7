# SPDX-License-Identifier: Apache-2.0
"""The verbs of tools/openstack, on this machine."""

import argparse
from collections.abc import Iterator, Sequence
import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import time

from cloud_lib import errors
from cloud_lib import preparing
from openstack_lib import access
from openstack_lib import control
from openstack_lib import facts
from openstack_lib import guest
from openstack_lib import node
from openstack_lib import options
from openstack_lib import passwords
from openstack_lib import results
from openstack_lib import services
from openstack_lib import settings
from openstack_lib import tempest

# All other files of the test machine are this machine's.
_OWN_IN_THE_MACHINE = ('/dev/', '/proc/', '/run/', '/sys/')


class Progress:
    """Tells the person how far it is, and since when."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def __call__(self, text: str) -> None:
        print(f'openstack: {time.monotonic() - self._start:4.0f} s  {text}',
              flush=True)


class Launch:
    """One call of tools/openstack."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        self._chosen = chosen
        self._say = Progress()
        folder = chosen.folder or os.path.join(preparing.setup('cache'),
                                               'openstack')
        self._places = settings.Places(os.path.realpath(folder))
        self._services = services.Services(self._places)

    def run(self) -> int:
        """Do what the verb says; return the exit status."""
        verb = getattr(self, self._chosen.verb)
        return int(verb() or 0)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the scratch folder's lock: one verb at a time changes it.

        :raises errors.CloudError: another verb holds it, or the folder is
            somebody else's
        """
        root, lock = self._places.root, self._places.path('lock')
        if root.startswith(_OWN_IN_THE_MACHINE):
            raise errors.CloudError(
                f'the test machine does not see {root}: choose a --folder '
                f'outside {", ".join(_OWN_IN_THE_MACHINE)}')
        try:
            os.makedirs(root, mode=0o700, exist_ok=True)
        except OSError as error:
            raise errors.CloudError(
                f'{root} cannot be the --folder: {error.strerror}') from error
        if os.listdir(root) and not os.path.isfile(lock):
            raise errors.CloudError(
                f'{root} holds files of something else: choose an empty '
                '--folder, or one that is not there yet')
        with open(lock, 'w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise errors.CloudError(
                    f'another tools/openstack works on {root}') from None
            yield

    def _settings(self) -> settings.Settings:
        """Return what the cloud was made with."""
        try:
            with open(self._places.settings) as file:
                text = file.read()
        except FileNotFoundError:
            raise errors.CloudError(
                'there is no cloud; "tools/openstack up" makes one'
            ) from None
        try:
            return settings.Settings.from_json(text)
        except errors.CloudError as error:
            raise errors.CloudError(
                f'the cloud in {self._places.root}: {error}; "tools/openstack '
                'down --wipe" removes it') from error

    def _venv(self, name: str) -> str:
        return self._made(self._places.environments, name)

    def _made(self, path: str, name: str) -> str:
        """Return what ``up`` has written down in a file under a name."""
        try:
            with open(path) as file:
                return str(json.load(file)[name])
        except (FileNotFoundError, KeyError, ValueError):
            raise errors.CloudError(
                'the cloud was not made to its end; "tools/openstack up" '
                'does the rest') from None

    def up(self) -> None:
        """Start what does not run."""
        with self._alone():
            wanted = self._wanted()
            preparing.setup('packages')
            preparing.setup('packages', 'openstack')
            release = [wanted.cinder] if wanted.cinder else []
            made = {'services': preparing.setup('openstack', *release),
                    'tempest': preparing.setup('tempest')}
            control.concurrency(wanted, made['services'])
            settings.write_private(self._places.environments,
                                   json.dumps(made))
            settings.write_private(self._places.settings, wanted.to_json())
            self._say('packages are installed')
            plane = control.Control(wanted, self._places, made['services'],
                                    self._say)
            plane.configure()
            plane.up()
            storage = self._storage()
            storage.up()
            storage.wait()

    def _storage(self) -> node.Storage:
        return node.Storage(self._settings(), self._places,
                            self._venv('services'), self._say)

    def _wanted(self) -> settings.Settings:
        """Return what is to be started.

        :raises errors.CloudError: the data is that of another cloud, or a
            new one has not all its ports
        """
        if not os.path.exists(self._places.settings):
            wanted = options.wanted(self._chosen, settings.Settings())
            taken = [str(port) for port in wanted.ports.row
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
                f'the cloud in {self._places.root} was made with other '
                f'settings ({"; ".join(found)}); "tools/openstack up" '
                'without them starts it, "tools/openstack down --wipe" '
                'removes it')
        return known

    def down(self) -> None:
        """Stop everything."""
        with self._alone():
            if os.path.exists(self._places.settings):
                self._stop_node()
            for name in self._services.names():
                self._services.stop(name)
                self._say(f'{name} is stopped')
            if self._chosen.wipe:
                self._wipe()

    def _stop_node(self) -> None:
        """End the test machine, which has a disk to write out."""
        try:
            storage = self._storage()
        except errors.CloudError as error:
            # Like all services, it is stopped by its process id afterwards.
            self._say(f'the test machine cannot be asked to end: {error}')
        else:
            storage.stop()

    def _wipe(self) -> None:
        # Last the lock, which tells that the folder is ours.
        for entry in sorted(os.scandir(self._places.root),
                            key=lambda each: each.name == 'lock'):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        self._say('all data is removed')

    def status(self) -> int:
        """Tell what runs."""
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
                print(name, state)
                missing += state != guest.RUNS
        except errors.CloudError as error:
            missing += 1
            print(error)
        return 1 if missing else 0

    def reboot(self) -> None:
        """Stop the test machine and start it again."""
        with self._alone():
            storage = self._storage()
            storage.stop()
            self._say('the test machine is stopped')
            storage.up()
            storage.wait()

    def restart(self) -> None:
        """Restart one service, on this machine or on the storage node."""
        name = self._chosen.service
        with self._alone():
            if name in guest.SERVICES:
                print(self._storage().restart(name), end='')
            else:
                control.Control(
                    self._settings(), self._places, self._venv('services'),
                    self._say).restart(name)

    def node(self) -> int:
        """Run a command in the test machine."""
        return self._storage().agent.run(self._chosen.command, _write)

    def attach(self) -> int:
        """Work volumes from the storage node as a compute node would."""
        return self._on_node('attach')

    def _on_node(self, module: str, *words: str) -> int:
        """Run a module of ours in the test machine, as root."""
        return self._storage().agent.run(
            [f'{self._venv("services")}/bin/python', '-m',
             f'openstack_lib.{module}', self._places.root, *words], _write)

    def survive(self) -> int:
        """Restart cinder-volume, then its host, with volumes attached."""
        def part(name: str) -> bool:
            return self._on_node('survive', name) == 0

        if not part('begin'):
            return 1
        storage = self._storage()
        with self._alone():
            print(storage.restart('cinder-volume'), end='')
            storage.up()
            storage.wait()
        if not part('check'):
            return 1
        self.reboot()
        return 0 if part('connect') and part('end') else 1

    def tempest(self) -> int:
        """Run tests, compare them with the record, write them down."""
        chosen, wanted = self._chosen, self._settings()
        regex = tempest.SMOKE if chosen.smoke else chosen.regex or tempest.ALL
        venv = self._venv('tempest')
        # Without them each test would fail as if it were the driver's fault.
        self._storage().require_services()
        access.token(wanted.ports, passwords.ensure(self._places.passwords))
        work = tempest.Tempest(wanted, self._places, venv)
        work.configure(self._made(self._places.path('resources.json'),
                                  'image'))
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
              what: str) -> None:
        """Write the results down."""
        head = facts.gather(
            self._settings(), found, what, seconds, {
                'tree': facts.tree(),
                'services': facts.versions(
                    tempest.site(self._venv('services')), facts.SERVICES),
                'tests with': facts.versions(
                    tempest.site(self._venv('tempest')), facts.TESTS),
                'storage node': facts.machine(self._storage().agent)})
        with open(self._chosen.save, 'w') as file:
            file.write(results.write(found, head))
        print(f'written to {self._chosen.save}')

    def shell(self) -> None:
        """Become a shell that the clients work in."""
        wanted = self._settings()
        environment = access.without_credentials(os.environ)
        environment.update(access.variables(
            wanted.ports, passwords.ensure(self._places.passwords),
            self._places.clouds, self._chosen.user))
        # Who has a proxy does not reach this machine through it.
        environment['no_proxy'] = ','.join(filter(None, (
            settings.LOOPBACK, environment.get('no_proxy')
            or environment.get('NO_PROXY'))))
        environment['PATH'] = (f'{self._venv("services")}/bin:'
                               f'{environment.get("PATH", os.defpath)}')
        command = self._chosen.command or [
            environment.get('SHELL') or '/bin/bash']
        sys.stdout.flush()
        # Python ignores it, and so would each program of the shell: one of
        # those before a "head" would go on, and complain.
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if os.geteuid():
            raise errors.CloudError(
                'not root, as whom the services and the test machine run')
        return Launch(chosen).run()
    except errors.CloudError as error:
        print(f'openstack: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('openstack: interrupted', file=sys.stderr)
        return 130
