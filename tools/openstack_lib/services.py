# SPDX-License-Identifier: Apache-2.0
"""The processes on this machine: started, watched and stopped by their id.

A process id alone may have become somebody else's: the time at which its
process was started is kept with it.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import waiting
from openstack_lib import settings

TAIL_LINES = 15
REASON_LINES = 5
STOP_SECONDS = 60.0
LOOK_SECONDS = 0.5


@dataclasses.dataclass(frozen=True)
class Service:
    """One process.

    :ivar port: of the loopback, where nobody else may listen
    :ivar ready: whether it is of use already
    :ivar seconds: how long that may take
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    ready: Callable[[], bool]
    seconds: float = 120.0


class ServiceFailed(errors.CloudError):
    """A service did not start or ended by itself."""


def started_at(process: int) -> str | None:
    """Return when a process was started, in the kernel's words.

    :returns: None when there is none, or only what its parent has not
        looked at yet
    """
    try:
        with open(f'/proc/{process}/stat') as file:
            # The name, in parentheses, may hold anything.
            fields = file.read().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ('Z', 'X') else fields[19]


def listens(port: int) -> bool:
    """Return whether something accepts connections to a port of ours."""
    with socket.socket() as trial:
        trial.settimeout(5.0)
        return trial.connect_ex((settings.LOOPBACK, port)) == 0


def answers(url: str) -> bool:
    """Return whether a web server answers, whatever it says."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=30):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False


class Services:
    """The processes of one scratch folder."""

    def __init__(self, places: settings.Places) -> None:
        self._places = places

    def log(self, name: str) -> str:
        """Return the path of a service's log."""
        return os.path.join(self._places.log, f'{name}.log')

    def _mark(self, name: str) -> str:
        return os.path.join(self._places.run, f'{name}.pid')

    def process(self, name: str) -> int | None:
        """Return the id of a service's process, None if it does not run."""
        try:
            with open(self._mark(name)) as file:
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
        """Start a service; return False if it runs already."""
        if self.process(service.name) is not None:
            return False
        if service.port and listens(service.port):
            raise ServiceFailed(
                f'{service.name}: something else listens to port '
                f'{service.port} of {settings.LOOPBACK}, which this cloud was '
                'made with; end that, or remove the cloud ("tools/openstack '
                'down --wipe") and choose another --port-base')
        with logs.begin(self.log(service.name)) as log:
            process = subprocess.Popen(
                service.command, env=dict(service.environment),
                cwd=self._places.root, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        settings.write_private(
            self._mark(service.name),
            f'{process.pid} {started_at(process.pid)}\n')
        return True

    def require_alive(self, name: str) -> None:
        """Raise an error, with the end of its log, when a service ended."""
        if self.process(name) is None:
            raise self.failure(name, 'ended by itself')

    def failure(self, name: str, what: str) -> ServiceFailed:
        """Return the error that tells what a service did, and its log."""
        path = self.log(name)
        found = logs.reasons(path)[:REASON_LINES]
        text = f'{name} {what}'
        if found:
            text += f'\n--- first errors in {path}\n' + '\n'.join(found)
        text += f'\n--- end of {path}\n' + '\n'.join(
            logs.tail(path, TAIL_LINES))
        return ServiceFailed(text)

    def wait(self, service: Service) -> None:
        """Wait until a service is of use.

        :raises ServiceFailed: when it ended or takes too long
        """
        def ready() -> bool:
            self.require_alive(service.name)
            return service.ready()

        try:
            waiting.until(service.name, ready, service.seconds, LOOK_SECONDS)
        except ServiceFailed:
            raise
        except errors.CloudError:
            raise self.failure(
                service.name, 'was not ready within '
                f'{service.seconds:.0f} s') from None

    def stop(self, name: str) -> None:
        """End a service: politely first, then with all its children."""
        process = self.process(name)
        if process is not None:
            # It may end at any moment, and not because of this.
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
            with contextlib.suppress(errors.CloudError):
                waiting.until(f'{name} to end',
                              lambda: self.process(name) is None,
                              STOP_SECONDS, 0.1)
            # Each was made the leader of a group of its own.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._mark(name))
