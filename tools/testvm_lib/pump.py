# SPDX-License-Identifier: Apache-2.0
"""Reads from QEMU and virtiofsd and writes the output of the command."""

from collections.abc import Callable
import os
import re
import selectors
import socket

from testvm_lib import stream

OUTPUT = 'the output'
CONSOLE = 'the console'
QEMU = 'QEMU'
VIRTIOFSD = 'virtiofsd'

TAIL_LINES = 25
# Bytes of output that may wait for a slow reader; the rest stays in the guest.
PENDING = 1 << 18
# A pipe ready for writing takes this without blocking: PIPE_BUF in pipe(7).
WRITE = 4096
READ = 1 << 16

# Control characters and escape sequences of terminals.
_CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]')


class Tail:
    """Keeps the end of a text.

    :param size: in bytes
    """

    def __init__(self, size: int = 1 << 16) -> None:
        self._size = size
        self._data = b''

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._data = (self._data + data)[-self._size:]

    def lines(self, count: int = TAIL_LINES) -> list[str]:
        """Return the last lines without control characters."""
        text = _CONTROL.sub('', self._data.decode('utf-8', 'replace'))
        lines = [line.rstrip() for line in text.split('\n')]
        return [line for line in lines if line][-count:]


def diagnosis(tails: dict[str, Tail]) -> str:
    """Return the last lines of each text, with titles."""
    parts = []
    for title, tail in tails.items():
        lines = tail.lines()
        if lines:
            parts.append(f'--- the last lines of {title}:')
            parts.extend(lines)
    return '\n'.join(parts)


class Pump:
    """Handles all data that a machine sends.

    :ivar tails: the last output of each source, by title
    :ivar closed: the titles of closed sockets
    :param reader: decodes the data of the guest
    :param target: the descriptor for the output of the command
    :param on_console: called with each piece of console output
    """

    def __init__(self, reader: stream.Reader, target: int,
                 on_console: Callable[[bytes], None]) -> None:
        self.tails = {title: Tail() for title in (CONSOLE, QEMU, VIRTIOFSD)}
        self.closed: set[str] = set()
        self._reader = reader
        self._target = target
        self._on_console = on_console
        self._sockets: dict[str, socket.socket] = {}
        self._pending = b''

    def watch(self, title: str) -> socket.socket:
        """Return the peer of a new socket to read from."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._sockets[title] = ours
        return theirs

    def close(self) -> None:
        """Close all sockets."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def step(self, seconds: float) -> None:
        """Wait until data can be read or written, and do so.

        :param seconds: the time limit
        """
        with selectors.PollSelector() as selector:
            if self._pending:
                selector.register(self._target, selectors.EVENT_WRITE)
            for title, one in self._sockets.items():
                if title != OUTPUT or len(self._pending) < PENDING:
                    selector.register(one, selectors.EVENT_READ, title)
            ready = [key.data for key, _ in selector.select(seconds)]
        for title in ready:
            if title is None:
                self._write()
            else:
                self._read(title)

    def drain(self) -> None:
        """Read what is available."""
        for title in list(self._sockets):
            while self._read(title):
                pass
        self._pending += self._reader.rest()

    def flush(self) -> None:
        """Write all pending output; wait for a slow reader."""
        while self._pending:
            self.step(60.0)

    def _write(self) -> None:
        """Write some of the pending output."""
        written = os.write(self._target, self._pending[:WRITE])
        self._pending = self._pending[written:]

    def _read(self, title: str) -> bool:
        """Read some data; return False if there is none."""
        one = self._sockets[title]
        try:
            data = one.recv(READ)
        except BlockingIOError:
            return False
        except ConnectionError:
            data = b''
        if not data:
            self._sockets.pop(title).close()
            self.closed.add(title)
            return False
        if title == OUTPUT:
            self._pending += self._reader.feed(data)
        else:
            self.tails[title].add(data)
            if title == CONSOLE:
                self._on_console(data)
        return True
