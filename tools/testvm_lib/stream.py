# SPDX-License-Identifier: Apache-2.0
"""Decodes what the guest sends: stages, the command's output, its status.

Everything comes through one virtio serial port, to keep the order. The
guest's messages are lines that start with the token of the run. Between
``TOKEN run`` and ``TOKEN exit STATUS``, all other data is the output of the
command, byte for byte.
"""

from collections.abc import Callable
import dataclasses

# The first stage, before the initramfs runs.
KERNEL = 'the kernel'


@dataclasses.dataclass
class Progress:
    """The progress of the guest.

    :ivar stage: the current stage of the boot
    :ivar running: whether the command was started
    :ivar status: the exit status of the command, 128 + N for signal N
    :ivar failure: the reason why the boot failed
    """

    stage: str = KERNEL
    running: bool = False
    status: int | None = None
    failure: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the guest has sent its last message."""
        return self.status is not None or self.failure is not None


class Reader:
    """Separates the guest's messages from the output of the command.

    :param token: the start of the guest's messages
    :param on_stage: called with the name of a stage and the guest's uptime
        in seconds
    :param on_note: called with a warning
    """

    def __init__(self, token: str, on_stage: Callable[[str, str], None],
                 on_note: Callable[[str], None]) -> None:
        self.progress = Progress()
        self._token = token.encode()
        self._on_stage = on_stage
        self._on_note = on_note
        self._pending = b''

    def feed(self, data: bytes) -> bytes:
        """Take data and return the part that is output of the command."""
        self._pending += data
        output = []
        while not self.progress.ended:
            if self.progress.running:
                start = self._pending.find(self._token)
                if start < 0:
                    keep = self._partial()
                    cut = len(self._pending) - keep
                    output.append(self._pending[:cut])
                    self._pending = self._pending[cut:]
                    break
                output.append(self._pending[:start])
                self._pending = self._pending[start:]
            line, newline, rest = self._pending.partition(b'\n')
            if not newline:
                break
            self._pending = rest
            self._take(line.decode('utf-8', 'replace'))
        return b''.join(output)

    def rest(self) -> bytes:
        """Return the output held back; call it at the end of the data."""
        if not self.progress.running or self.progress.ended:
            return b''
        data, self._pending = self._pending, b''
        return data

    def _partial(self) -> int:
        """Return how many of the last bytes may start a token."""
        for length in range(min(len(self._token) - 1, len(self._pending)),
                            0, -1):
            if self._pending.endswith(self._token[:length]):
                return length
        return 0

    def _take(self, line: str) -> None:
        """Handle one message of the guest."""
        words = line.split(' ', 2)
        if words[0] != self._token.decode() or len(words) < 2:
            return
        text = words[2] if len(words) > 2 else ''
        if words[1] == 'stage':
            uptime, _, name = text.partition(' ')
            self.progress.stage = name
            self._on_stage(name, uptime)
        elif words[1] == 'note':
            self._on_note(text)
        elif words[1] == 'run':
            self.progress.running = True
        elif words[1] == 'exit':
            self.progress.status = int(text)
        elif words[1] == 'fail':
            self.progress.failure = text
