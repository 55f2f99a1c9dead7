# SPDX-License-Identifier: Apache-2.0
"""The storage node as this machine sees it: a process with an emulator."""

import contextlib
import datetime
import os
import time
from typing import Any

from cloud_lib import errors
from cloud_lib import programs
from cloud_lib import rest
from cloud_lib import waiting
from openstack_lib import access
from openstack_lib import cloud as clouds
from openstack_lib import configuration
from openstack_lib import disk
from openstack_lib import guest
from openstack_lib import remote
from openstack_lib import services

NAME = 'machine'
# A week: ``down`` stops it.
TIMEOUT = 7 * 24 * 3600
BOOT_SECONDS = 600.0
DRIVER_SECONDS = 900.0
END_SECONDS = 240.0
# For the stop and the start of a service.
RESTART_SECONDS = 200.0
LOOK_SECONDS = 2.0


def _utc(timestamp: float) -> datetime.datetime:
    """Return a time as Cinder reports it: in UTC, without a time zone."""
    return datetime.datetime.fromtimestamp(
        timestamp, datetime.UTC).replace(tzinfo=None)


class Storage:
    """Starts, watches and stops the storage node.

    :ivar agent: runs commands on the node
    """

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._services = cloud.services
        self._shown = 0
        self._since: datetime.datetime | None = None
        self.agent = remote.Node(cloud.settings.ports.node,
                                 cloud.passwords.agent)

    def command(self) -> list[str]:
        """Return the command that boots the test machine."""
        wanted, places = self._cloud.settings, self._cloud.places
        size = '' if os.path.exists(places.disk) else f':{disk.DISK_SIZE}'
        return programs.testvm(
            self._cloud.venv, 'openstack_lib.guest', places.root,
            '--cpus', str(wanted.cpus), '--disk-file', f'{places.disk}{size}',
            '--forward', f'{wanted.ports.node}:{guest.AGENT_PORT}',
            memory=wanted.memory, timeout=TIMEOUT, share=places.log,
            kernel=wanted.kernel)

    def states(self) -> list[tuple[str, str]]:
        """Return the name and the state of each service on the node."""
        lines = (line.partition(' ')
                 for line in self.agent.ask('states').splitlines())
        return [(name, state) for name, _, state in lines]

    def _answers(self) -> bool:
        try:
            return bool(self.states())
        except remote.NodeAway:
            return False

    def up(self) -> None:
        """Boot the machine, or restart the services that failed on it."""
        if self._services.launch(services.Service(
                NAME, self.command(), os.environ,
                self._cloud.settings.ports.node, self._answers)):
            return
        # Show only new lines.
        self._shown = os.path.getsize(self._services.log(NAME))
        # A machine that still boots will start all services.
        with contextlib.suppress(remote.NodeAway):
            for name, state in self._failed():
                self._cloud.say(f'{name} {state}: restarting it')
                self.restart(name)

    def restart(self, name: str) -> str:
        """Restart a service on the node; return the agent's message."""
        self._since = _utc(time.time())
        return self.agent.ask('restart', name, seconds=RESTART_SECONDS)

    def wait(self) -> None:
        """Wait for Cinder; show the node's progress meanwhile.

        :raises services.ServiceFailed: with an excerpt of the log
        """
        start = self._since or self._started()

        def ready() -> bool:
            self._show_progress()
            self._services.require_alive(NAME)
            return self._answers()

        self._services.wait_until(NAME, ready, BOOT_SECONDS, LOOK_SECONDS)
        self._wait_for_cinder(start)

    def _show_progress(self) -> None:
        """Show what the node printed since the last call."""
        with open(self._services.log(NAME), 'rb') as file:
            file.seek(self._shown)
            data = file.read()
        whole = data[:data.rfind(b'\n') + 1]
        self._shown += len(whole)
        for line in whole.decode(errors='replace').splitlines():
            if line.startswith('node: '):
                self._cloud.say(line.removeprefix('node: '))

    def _wait_for_cinder(self, start: datetime.datetime) -> None:
        ports = self._cloud.settings.ports
        token = access.token(ports, self._cloud.passwords)
        cinder = rest.Cinder(rest.Api(ports.cinder, token),
                             rest.Api(ports.glance, token))
        wanted = {f'{configuration.NODE_HOST}@{backend.name}'
                  for backend in self._cloud.settings.back_ends()}
        if self._cloud.settings.backup:
            wanted.add(configuration.NODE_HOST)

        def ready() -> bool:
            self._services.require_alive(NAME)
            self.require_services()
            listed = cinder.request('GET', '/os-services')['services']
            return wanted <= (running(listed, start)
                              | serving(cinder.pools(), start))

        self._services.wait_until('cinder-volume', ready, DRIVER_SECONDS,
                                  LOOK_SECONDS)
        self._cloud.say('the storage node is up: '
                        + ', '.join(sorted(wanted)))

    def require_services(self) -> None:
        """Raise an error if a service on the node failed."""
        for name, state in self._failed():
            raise self._services.failure(name, state)

    def _failed(self) -> list[tuple[str, str]]:
        return [(name, state) for name, state in self.states()
                if state != guest.RUNS]

    def _started(self) -> datetime.datetime:
        """Return the start time of the machine."""
        return _utc(os.stat(self._services.mark(NAME)).st_mtime)

    def stop(self) -> None:
        """Stop the machine after it has written out its disk."""
        if self._services.process(NAME) is None:
            return
        try:
            self.agent.ask('stop')
            waiting.until('the test machine to end',
                          lambda: self._services.process(NAME) is None,
                          END_SECONDS)
        except errors.CloudError as error:
            self._cloud.say(f'{error}; stopping the test machine anyway')
        self._services.stop(NAME)


def _is_after(moment: str | None, start: datetime.datetime) -> bool:
    return bool(moment) and datetime.datetime.fromisoformat(
        str(moment)) > start


def running(listed: list[dict[str, Any]],
            start: datetime.datetime) -> set[str]:
    """Return the hosts whose cinder-backup reported after a time, in UTC."""
    return {one['host'] for one in listed
            if one['binary'] == 'cinder-backup' and one['state'] == 'up'
            and _is_after(one['updated_at'], start)}


def serving(pools: list[dict[str, Any]],
            start: datetime.datetime) -> set[str]:
    """Return the back ends whose driver reported stats after a time, in UTC.

    cinder-volume counts as up even if its driver failed.
    """
    return {pool['name'].partition('#')[0] for pool in pools
            if _is_after(pool['capabilities'].get('timestamp'), start)}
