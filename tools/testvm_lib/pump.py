# SPDX-License-Identifier: Apache-2.0
"""Takes in what QEMU and virtiofsd send, and passes on CMD's output."""

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
# Bytes of output that may wait for a slow reader; more stays in the guest.
PENDING = 1 << 18
# What a pipe that is ready for writing takes without blocking.
WRITE = 4096
READ = 1 << 16

# What a terminal would act on rather than show.
_CONTROL = re.compile(r'\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]')


class Tail:
    """Keeps the end of a text.

    :param size: bytes
    """

    def __init__(self, size: int = 1 << 16) -> None:
        self._size = size
        self._data = b''

    def add(self, data: bytes) -> None:
        """Append bytes."""
        self._data = (self._data + data)[-self._size:]

    def lines(self, count: int = TAIL_LINES) -> list[str]:
        """Return the last lines, without what a terminal would act on."""
        text = _CONTROL.sub('', self._data.decode('utf-8', 'replace'))
        lines = [line.rstrip() for line in text.split('\n')]
        return [line for line in lines if line][-count:]


def diagnosis(tails: dict[str, Tail]) -> str:
    """Return the last lines of everything that may tell why."""
    parts = []
    for title, tail in tails.items():
        lines = tail.lines()
        if lines:
            parts.append(f'--- the last lines of {title}:')
            parts.extend(lines)
    return '\n'.join(parts)


class Pump:
    """Watches all that a machine sends.

    :ivar closed: the titles of what has closed its socket
    :param reader: takes the guest's bytes apart
    :param target: the descriptor that CMD's output goes to
    :param on_console: called with each piece of the console
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
        """Return a socket to give away; what comes in there is taken in."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._sockets[title] = ours
        return theirs

    def close(self) -> None:
        """Stop watching."""
        while self._sockets:
            self._sockets.popitem()[1].close()

    def step(self, seconds: float) -> None:
        """Wait until something can be done, and do it.

        :param seconds: how long to wait at most
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
        """Take in what is still there without waiting for more."""
        for title in list(self._sockets):
            while self._read(title):
                pass
        self._pending += self._reader.rest()

    def flush(self) -> None:
        """Write all output, however slow its reader is."""
        while self._pending:
            self.step(60.0)

    def _write(self) -> None:
        """Write some of what is pending."""
        written = os.write(self._target, self._pending[:WRITE])
        self._pending = self._pending[written:]

    def _read(self, title: str) -> bool:
        """Take in what came; return False if nothing did or will."""
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
