# SPDX-License-Identifier: Apache-2.0
"""Asking the storage node's agent for something, and what it says.

One request a connection, as a line of JSON with the password; the answers
are lines of JSON, too: pieces of output, and at the end a status, which is
a command's own or 0 or 1. Whoever gets in is root in a machine that reads
all of this one's files: the port is the loopback's, and there is a password.
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
    """Nobody answers for the storage node."""


class Agent(socketserver.ThreadingTCPServer):
    """The node's side.

    :param verbs: what is offered besides running commands, by name; a verb
        takes the request's arguments and returns what is to be told
    :param environment: the commands' environment
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, password: str,
                 verbs: dict[str, Callable[..., str]],
                 environment: dict[str, str], host: str = '0.0.0.0') -> None:
        self.password = password
        self.verbs = verbs
        self.environment = environment
        super().__init__((host, port), _Handler)

    def start(self) -> None:
        """Start to answer, in threads of this process."""
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
            verb, words = str(request['verb']), list(request['words'])
        except (ValueError, KeyError, TypeError):
            return
        if not hmac.compare_digest(password, self.server.password.encode()):
            self._say(output='the password is wrong\n', status=1)
            return
        if verb == 'run':
            self._run(words)
            return
        try:
            text = self.server.verbs[verb](*words)
        except errors.CloudError as error:
            self._say(output=f'{error}\n', status=1)
        else:
            self._say(output=text, status=0)

    def _run(self, words: list[str]) -> None:
        """Run a command; its output is passed on as it comes."""
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=self.server.environment,
                text=True, errors='replace')
        except OSError as error:
            self._say(output=f'{words[0]}: {error.strerror}\n', status=127)
            return
        threading.Thread(target=self._end_with_asker, args=[process],
                         daemon=True).start()
        with process:
            for line in process.stdout or ():
                # It may say what it likes while it cleans up.
                with contextlib.suppress(ConnectionError):
                    self._say(output=line)
        with contextlib.suppress(ConnectionError):
            self._say(status=process.returncode)

    def _end_with_asker(self, process: subprocess.Popen[str]) -> None:
        """Let a command clean up, and end, when nobody listens any more."""
        # After its request the asker sends nothing but its end.
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        process.terminate()


class Node:
    """This machine's side."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password

    def _answers(self, verb: str, words: Sequence[str],
                 seconds: float) -> Iterator[dict[str, Any]]:
        try:
            with socket.create_connection(
                    (settings.LOOPBACK, self._port),
                    CONNECT_SECONDS) as connection:
                connection.settimeout(seconds)
                request = {'password': self._password, 'verb': verb,
                           'words': list(words)}
                connection.sendall(json.dumps(request).encode() + b'\n')
                with connection.makefile('rb') as lines:
                    for line in lines:
                        yield json.loads(line)
        except (OSError, ValueError) as error:
            raise NodeAway(
                f'the storage node does not answer: {error}') from error

    def run(self, command: Sequence[str],
            tell: Callable[[str], object]) -> int:
        """Run a command there; return its exit status.

        :param tell: is called with each piece of output
        """
        for answer in self._answers('run', command, ANSWER_SECONDS):
            tell(answer.get('output', ''))
            if 'status' in answer:
                return int(answer['status'])
        raise NodeAway('the storage node went away while a command ran')

    def ask(self, verb: str, *words: str, seconds: float = 60.0) -> str:
        """Return what a verb of the agent tells.

        :raises errors.CloudError: with what it complains about
        """
        for answer in self._answers(verb, words, seconds):
            if answer['status']:
                raise errors.CloudError(answer['output'].rstrip())
            return str(answer['output'])
        raise NodeAway('the storage node does not answer yet')
