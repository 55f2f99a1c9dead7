# SPDX-License-Identifier: Apache-2.0
"""The storage node as this machine sees it: a process with an emulator."""

from collections.abc import Callable
import contextlib
import datetime
import os
from typing import Any

from cloud_lib import errors
from cloud_lib import preparing
from cloud_lib import rest
from cloud_lib import waiting
from openstack_lib import access
from openstack_lib import configuration
from openstack_lib import disk
from openstack_lib import guest
from openstack_lib import passwords
from openstack_lib import remote
from openstack_lib import services
from openstack_lib import settings

NAME = 'machine'
# A week: it ends when somebody says so.
TIMEOUT = 7 * 24 * 3600
BOOT_SECONDS = 600.0
DRIVER_SECONDS = 900.0
END_SECONDS = 240.0
# Ending politely and starting anew.
RESTART_SECONDS = 200.0
LOOK_SECONDS = 2.0
_POOLS = '/v3/scheduler-stats/get_pools?detail=true'


class Storage:
    """Starts, watches and stops the storage node.

    :param venv: the virtual environment with cinder
    """

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 venv: str, say: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._places = places
        self._venv = venv
        self._say = say
        self._services = services.Services(places)
        self._secret = passwords.ensure(places.passwords)
        self._told = 0
        self._since: datetime.datetime | None = None
        self.agent = remote.Node(wanted.ports.node, self._secret.agent)

    def command(self) -> list[str]:
        """Return the command that boots the test machine."""
        size = '' if os.path.exists(self._places.disk) else (
            f':{disk.DISK_SIZE}')
        command = [
            f'{preparing.TOOLS}/testvm', '--memory',
            str(self._wanted.memory), '--cpus', str(self._wanted.cpus),
            '--timeout', str(TIMEOUT),
            '--disk-file', f'{self._places.disk}{size}',
            '--share', self._places.log,
            '--forward', f'{self._wanted.ports.node}:{guest.AGENT_PORT}',
            '--env', f'PYTHONPATH={preparing.TOOLS}',
            '--env', 'PYTHONWARNINGS=ignore', '--env', 'LC_ALL=C.UTF-8']
        if self._wanted.kernel:
            command += ['--kernel', self._wanted.kernel]
        return [*command, '--', f'{self._venv}/bin/python', '-m',
                'openstack_lib.guest', self._places.root]

    def service(self) -> services.Service:
        """Return the process of the test machine."""
        return services.Service(NAME, self.command(), os.environ,
                                self._wanted.ports.node, self._answers,
                                BOOT_SECONDS)

    def states(self) -> list[tuple[str, str]]:
        """Return the services in the machine, and how each is."""
        lines = (line.partition(' ')
                 for line in self.agent.ask('states').splitlines())
        return [(name, state) for name, _, state in lines]

    def _answers(self) -> bool:
        try:
            return bool(self.states())
        except remote.NodeAway:
            return False

    def up(self) -> None:
        """Boot the machine unless it runs; start what has ended in it."""
        if self._services.launch(self.service()):
            return
        # What it said at its start is known.
        self._told = os.path.getsize(self._services.log(NAME))
        # Away is one that still boots: it will start all of them.
        with contextlib.suppress(remote.NodeAway):
            for name, state in self._troubles():
                self._say(f'{name} {state}: it is started again')
                self.restart(name)

    def restart(self, name: str) -> str:
        """Restart a service in the machine; return what is told of it."""
        self._since = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        return self.agent.ask('restart', name, seconds=RESTART_SECONDS)

    def wait(self) -> None:
        """Wait for cinder-volume, telling what the machine says meanwhile.

        :raises services.ServiceFailed: naming what failed, with its log
        """
        start = self._since or self._started()

        def ready() -> bool:
            self._tell()
            self._services.require_alive(NAME)
            return self._answers()

        try:
            waiting.until('the test machine', ready, BOOT_SECONDS,
                          LOOK_SECONDS)
            self._wait_for_cinder(start)
        except services.ServiceFailed:
            raise
        except errors.CloudError as error:
            raise self._services.failure(NAME, f'failed: {error}') from error

    def _tell(self) -> None:
        """Pass on what the node said of its own start since the last call."""
        with open(self._services.log(NAME), 'rb') as file:
            file.seek(self._told)
            data = file.read()
        whole = data[:data.rfind(b'\n') + 1]
        self._told += len(whole)
        for line in whole.decode(errors='replace').splitlines():
            if line.startswith('node: '):
                self._say(line.removeprefix('node: '))

    def _wait_for_cinder(self, start: datetime.datetime) -> None:
        ports = self._wanted.ports
        api = rest.Api(ports.cinder, access.token(ports, self._secret))
        wanted = {f'{configuration.NODE_HOST}@{backend.name}'
                  for backend in self._wanted.back_ends()}
        if self._wanted.backup:
            wanted.add(configuration.NODE_HOST)

        def ready() -> bool:
            self._services.require_alive(NAME)
            self.require_services()
            listed = api.send('GET', '/v3/os-services')['services']
            pools = api.send('GET', _POOLS)['pools']
            return wanted <= running(listed, start) | serving(pools, start)

        name = 'cinder-volume'
        try:
            waiting.until(name, ready, DRIVER_SECONDS, LOOK_SECONDS)
        except services.ServiceFailed:
            raise
        except errors.CloudError as error:
            raise self._services.failure(name, str(error)) from error
        self._say('the storage node is up: ' + ', '.join(sorted(wanted)))

    def require_services(self) -> None:
        """Raise an error when a service of the node ended or never will."""
        for name, state in self._troubles():
            raise self._services.failure(name, state)

    def _troubles(self) -> list[tuple[str, str]]:
        """Return the services that do not run, and how they are."""
        return [(name, state) for name, state in self.states()
                if state != guest.RUNS]

    def _started(self) -> datetime.datetime:
        """Return when the machine was started."""
        mark = self._places.path('run', f'{NAME}.pid')
        return datetime.datetime.fromtimestamp(
            os.stat(mark).st_mtime, datetime.UTC).replace(tzinfo=None)

    def stop(self) -> None:
        """End the machine, so that its disk can be used again."""
        if self._services.process(NAME) is None:
            return
        try:
            self.agent.ask('stop')
            waiting.until('the test machine to end',
                          lambda: self._services.process(NAME) is None,
                          END_SECONDS)
        except errors.CloudError as error:
            self._say(f'{error}; the test machine is ended all the same')
        self._services.stop(NAME)


def _since(moment: str | None, start: datetime.datetime) -> bool:
    return bool(moment) and datetime.datetime.fromisoformat(
        str(moment)) > start


def running(listed: list[dict[str, Any]],
            start: datetime.datetime) -> set[str]:
    """Return the hosts whose cinder-backup reported since a time, in UTC."""
    return {one['host'] for one in listed
            if one['binary'] == 'cinder-backup' and one['state'] == 'up'
            and _since(one['updated_at'], start)}


def serving(pools: list[dict[str, Any]],
            start: datetime.datetime) -> set[str]:
    """Return the back ends whose driver told the scheduler since a time.

    That a cinder-volume is up says nothing of its driver.
    """
    return {pool['name'].partition('#')[0] for pool in pools
            if _since(pool['capabilities'].get('timestamp'), start)}
