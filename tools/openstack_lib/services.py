# SPDX-License-Identifier: Apache-2.0
"""Starts, watches and stops the processes on this machine.

A process ID may be reused: the start time of the process is recorded with it.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import rest
from cloud_lib import waiting
from openstack_lib import settings

STOP_SECONDS = 60.0
LOOK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Service:
    """One process.

    :ivar port: on the loopback, 0 if it listens to none
    :ivar ready: returns whether the service can be used
    :ivar seconds: the time limit for that
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    ready: Callable[[], bool]
    seconds: float = 120.0


class ServiceFailed(errors.CloudError):
    """A service did not start, or ended."""


def started_at(process: int) -> str | None:
    """Return the start time of a process in clock ticks, see proc(5).

    :returns: None if the process does not exist or is a zombie
    """
    try:
        with open(f'/proc/{process}/stat') as file:
            # The name, in parentheses, may contain anything.
            fields = file.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ('Z', 'X') else fields[19]


def listens(port: int) -> bool:
    """Return whether something listens to a port of the loopback."""
    with socket.socket() as trial:
        trial.settimeout(5.0)
        return trial.connect_ex((settings.LOOPBACK, port)) == 0


def answers(port: int) -> bool:
    """Return whether a web server answers without a server error."""
    try:
        response, _ = rest.send(settings.LOOPBACK, port, 'GET', '/')
    except errors.CloudError:
        return False
    return response.status < 500


class Services:
    """The processes of one cloud."""

    def __init__(self, places: settings.Places) -> None:
        self._places = places

    def log(self, name: str) -> str:
        """Return the path of a service's log."""
        return os.path.join(self._places.log, f'{name}.log')

    def mark(self, name: str) -> str:
        """Return the path of the file with the process ID."""
        return os.path.join(self._places.run, f'{name}.pid')

    def process(self, name: str) -> int | None:
        """Return the ID of a service's process, None if it does not run."""
        try:
            with open(self.mark(name)) as file:
                process, start = file.read().split()
        except (FileNotFoundError, ValueError):
            return None
        return int(process) if started_at(int(process)) == start else None

    def names(self) -> list[str]:
        """Return the services that were started, the latest first."""
        with contextlib.suppress(FileNotFoundError):
            marks = [entry for entry in os.scandir(self._places.run)
                     if entry.name.endswith('.pid')]
            marks.sort(key=lambda entry: entry.stat().st_mtime_ns,
                       reverse=True)
            return [entry.name.removesuffix('.pid') for entry in marks]
        return []

    def launch(self, service: Service) -> bool:
        """Start a service; return False if it runs already.

        :raises ServiceFailed: its port is taken
        """
        if self.process(service.name) is not None:
            return False
        if service.port and listens(service.port):
            raise ServiceFailed(
                f'{service.name}: something else listens to port '
                f'{service.port} of {settings.LOOPBACK}; stop it, or remove '
                'this cloud ("tools/openstack down --wipe") and choose '
                'another --port-base')
        with logs.begin(self.log(service.name)) as log:
            process = subprocess.Popen(
                service.command, env=dict(service.environment),
                cwd=self._places.root, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        settings.write_private(
            self.mark(service.name),
            f'{process.pid} {started_at(process.pid)}\n')
        return True

    def require_alive(self, name: str) -> None:
        """Raise an error with an excerpt of its log if a service ended."""
        if self.process(name) is None:
            raise self.failure(name, 'ended unexpectedly')

    def failure(self, name: str, reason: str) -> ServiceFailed:
        """Return an error with an excerpt of a service's log."""
        return ServiceFailed(
            f'{name} {reason}\n{logs.excerpt(self.log(name))}')

    def wait(self, service: Service) -> None:
        """Wait until a service can be used.

        :raises ServiceFailed: it ended, or the time is up
        """
        def ready() -> bool:
            self.require_alive(service.name)
            return service.ready()

        self.wait_until(service.name, ready, service.seconds, LOOK_SECONDS)

    def wait_until(self, name: str, ready: Callable[[], bool],
                   seconds: float, interval: float) -> None:
        """Wait for a condition.

        :param name: the service whose log tells why it is not met
        :raises ServiceFailed: the time is up
        """
        try:
            waiting.until(name, ready, seconds, interval)
        except waiting.DeadlinePassed:
            raise self.failure(
                name, f'was not ready within {seconds:.0f} s') from None

    def stop(self, name: str) -> None:
        """Stop a service with SIGTERM, then its process group with SIGKILL."""
        process = self.process(name)
        if process is not None:
            # It may end at any moment for another reason.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            with contextlib.suppress(waiting.DeadlinePassed):
                waiting.until(f'{name} to end',
                              lambda: self.process(name) is None,
                              STOP_SECONDS, 0.1)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.mark(name))
