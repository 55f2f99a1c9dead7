# SPDX-License-Identifier: Apache-2.0
"""What the guest sends: how far it is, CMD's output, CMD's exit status.

All of it comes through one virtio serial port, so that nothing overtakes
anything.  The guest's own words stand on lines that begin with a token of
this run; before ``TOKEN run`` there is nothing else, between that and
``TOKEN exit STATUS`` all is CMD's output, byte for byte.
"""

from collections.abc import Callable
import dataclasses

# The first stage of the boot, in which nothing of ours runs.
KERNEL = 'the kernel'


@dataclasses.dataclass
class Progress:
    """How far the guest has come.

    :ivar stage: the last stage of the boot that began
    :ivar running: CMD was started
    :ivar status: CMD's exit status, 128 and the number for a signal
    :ivar failure: the sentence that the guest gave up with
    """

    stage: str = KERNEL
    running: bool = False
    status: int | None = None
    failure: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.status is not None or self.failure is not None


class Reader:
    """Takes the guest's bytes apart.

    :param token: what the guest's own lines begin with
    :param on_stage: called with the name of a stage and the guest's uptime
        in seconds
    :param on_note: called with a sentence that is worth telling
    """

    def __init__(self, token: str, on_stage: Callable[[str, str], None],
                 on_note: Callable[[str], None]) -> None:
        self.progress = Progress()
        self._token = token.encode()
        self._on_stage = on_stage
        self._on_note = on_note
        self._pending = b''

    def feed(self, data: bytes) -> bytes:
        """Take bytes and return those of them that are CMD's output."""
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
        """Return what was held back; call it when nothing more will come."""
        if not self.progress.running or self.progress.ended:
            return b''
        data, self._pending = self._pending, b''
        return data

    def _partial(self) -> int:
        """Return how many of the last bytes may begin the token."""
        for length in range(min(len(self._token) - 1, len(self._pending)),
                            0, -1):
            if self._pending.endswith(self._token[:length]):
                return length
        return 0

    def _take(self, line: str) -> None:
        """Act on one line of the guest's own."""
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
