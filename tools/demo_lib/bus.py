# SPDX-License-Identifier: Apache-2.0
"""Kombu's in-memory message bus, which waits instead of asking again.

oslo.messaging sets the interval at which the memory bus looks for messages
to nothing ("kludge to speed up tests"), so that every service spins: 40 % of
a processor, and all of an emulated one. Here who waits for a message sleeps
until one is put, and otherwise looks once a second whether it is to end.
"""

from queue import Empty
import threading
import time
from typing import Any

from kombu import transport
from kombu.transport import memory

LOOK_SECONDS = 1.0


class _Arrivals:
    """Counts messages, and wakes those who wait for the next."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def tell(self) -> None:
        """One more message is there."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, count: int, seconds: float) -> None:
        """Return when there were more than ``count``, or time is up."""
        with self._condition:
            self._condition.wait_for(lambda: self.count != count, seconds)


_arrivals = _Arrivals()


class Channel(memory.Channel):
    """Tells of each message that is put."""

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        _arrivals.tell()

    def _put_fanout(self, exchange: str, message: Any, *args: Any,
                    **kwargs: Any) -> None:
        super()._put_fanout(exchange, message, *args, **kwargs)
        _arrivals.tell()


class Transport(memory.Transport):
    """Sleeps while there is no message."""

    Channel = Channel

    def drain_events(self, connection: Any,
                     timeout: float | None = None) -> None:
        """Deliver one message.

        :param timeout: is taken for a second when it is shorter
        :raises TimeoutError: when none came
        """
        deadline = time.monotonic() + max(timeout or 0.0, LOOK_SECONDS)
        while True:
            count = _arrivals.count
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError from None
                _arrivals.wait(count, left)


def install() -> None:
    """Make this what ``kombu+memory://`` stands for."""
    transport.TRANSPORT_ALIASES['memory'] = f'{__name__}:Transport'
