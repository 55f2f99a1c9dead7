# SPDX-License-Identifier: Apache-2.0
"""Kombu's in-memory message bus without busy waiting.

oslo.messaging sets the polling interval of the memory transport to zero, so
that every service spins: 40 % of a processor, all of an emulated one. Here a
consumer sleeps until a message arrives, for at most a second. The transport
``fake://`` is no alternative: it hands over Python objects unserialized, which
Cinder's API cannot process.
"""

from queue import Empty
import threading
import time
from typing import Any

from kombu import transport
from kombu.transport import memory

LOOK_SECONDS = 1.0


class _Arrivals:
    """Counts messages and wakes the consumers."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def add(self) -> None:
        """Count a message and wake all consumers."""
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait(self, count: int, seconds: float) -> None:
        """Wait until the count differs from ``count``, or time is up."""
        with self._condition:
            self._condition.wait_for(lambda: self.count != count, seconds)


_arrivals = _Arrivals()


class Channel(memory.Channel):
    """Wakes the consumers when a message is put."""

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        _arrivals.add()

    def _put_fanout(self, exchange: str, message: Any, *args: Any,
                    **kwargs: Any) -> None:
        super()._put_fanout(exchange, message, *args, **kwargs)
        _arrivals.add()


class Transport(memory.Transport):
    """Sleeps until a message arrives."""

    Channel = Channel

    def drain_events(self, connection: Any,
                     timeout: float | None = None) -> None:
        """Deliver one message.

        :param timeout: in seconds, at least one
        :raises TimeoutError: no message arrived in time
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
    """Make this the transport of ``kombu+memory://``."""
    transport.TRANSPORT_ALIASES['memory'] = f'{__name__}:Transport'
