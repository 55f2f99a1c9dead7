# SPDX-License-Identifier: Apache-2.0
"""The agent of the storage node and its client.

Each connection carries one request: a line of JSON with the password. The
agent answers with lines of JSON: pieces of output, and finally a status, which
is that of the command, or 0 or 1. A client is root in a machine that can read
all files of this one: the port is on the loopback and needs a password.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import hmac
import json
import socket
import socketserver
import subprocess
import threading
from typing import Any

from cloud_lib import errors
from openstack_lib import settings

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 3600.0
REQUEST_BYTES = 1 << 20


class NodeAway(errors.CloudError):
    """The storage node does not answer."""


class Agent(socketserver.ThreadingTCPServer):
    """The server on the storage node.

    :param actions: functions by name, offered besides ``run``; they take the
        arguments of the request and return the output
    :param environment: of commands
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, password: str,
                 actions: dict[str, Callable[..., str]],
                 environment: dict[str, str],
                 address: str = '0.0.0.0') -> None:
        self.password = password
        self.actions = actions
        self.environment = environment
        super().__init__((address, port), _Handler)

    def start(self) -> None:
        """Serve in threads of this process."""
        threading.Thread(target=self.serve_forever, daemon=True,
                         name='agent').start()


class _Handler(socketserver.StreamRequestHandler):

    server: Agent

    def _say(self, **words: Any) -> None:
        self.wfile.write(json.dumps(words).encode() + b'\n')

    def handle(self) -> None:
        """Answer one request."""
        try:
            request = json.loads(self.rfile.readline(REQUEST_BYTES))
            password = str(request['password']).encode()
            action = str(request['action'])
            arguments = list(request['arguments'])
        except (ValueError, KeyError, TypeError):
            return
        if not hmac.compare_digest(password, self.server.password.encode()):
            self._say(output='the password is wrong\n', status=1)
            return
        if action == 'run':
            self._run(arguments)
            return
        try:
            text = self.server.actions[action](*arguments)
        except errors.CloudError as error:
            self._say(output=f'{error}\n', status=1)
        else:
            self._say(output=text, status=0)

    def _run(self, command: list[str]) -> None:
        """Run a command; send its output line by line."""
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=self.server.environment,
                text=True, errors='replace')
        except OSError as error:
            self._say(output=f'{command[0]}: {error.strerror}\n', status=127)
            return
        threading.Thread(target=self._stop_with_client, args=[process],
                         daemon=True).start()
        with process:
            for line in process.stdout or ():
                # The client may be gone while the command cleans up.
                with contextlib.suppress(ConnectionError):
                    self._say(output=line)
        with contextlib.suppress(ConnectionError):
            self._say(status=process.returncode)

    def _stop_with_client(self, process: subprocess.Popen[str]) -> None:
        """Terminate a command when the client disconnects."""
        # The client sends nothing after its request.
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        process.terminate()


class Node:
    """The client on this machine."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password

    def _answers(self, action: str, arguments: Sequence[str],
                 seconds: float) -> Iterator[dict[str, Any]]:
        try:
            with socket.create_connection(
                    (settings.LOOPBACK, self._port),
                    CONNECT_SECONDS) as connection:
                connection.settimeout(seconds)
                request = {'password': self._password, 'action': action,
                           'arguments': list(arguments)}
                connection.sendall(json.dumps(request).encode() + b'\n')
                with connection.makefile('rb') as lines:
                    for line in lines:
                        yield json.loads(line)
        except (OSError, ValueError) as error:
            raise NodeAway(
                f'the storage node does not answer: {error}') from error

    def run(self, command: Sequence[str],
            tell: Callable[[str], object]) -> int:
        """Run a command on the node; return its exit status.

        :param tell: called with each piece of output
        :raises NodeAway: the connection failed
        """
        for answer in self._answers('run', command, ANSWER_SECONDS):
            tell(answer.get('output', ''))
            if 'status' in answer:
                return int(answer['status'])
        raise NodeAway('the storage node disconnected while a command ran')

    def ask(self, action: str, *arguments: str,
            seconds: float = 60.0) -> str:
        """Run an action of the agent; return its output.

        :raises errors.CloudError: with the message of the agent
        """
        for answer in self._answers(action, arguments, seconds):
            if answer['status']:
                raise errors.CloudError(answer['output'].rstrip())
            return str(answer['output'])
        raise NodeAway('the storage node does not answer yet')
