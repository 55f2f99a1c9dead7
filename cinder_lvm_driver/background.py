# SPDX-License-Identifier: Apache-2.0
"""Work that continues after a verb has returned to Cinder."""

from collections.abc import Callable
import threading


def start(name: str, work: Callable[[], None]) -> None:
    """Do some work in a daemon thread.

    The work may end at any point: the process does not wait for it.

    :param name: the name of the thread
    """
    threading.Thread(target=work, name=name, daemon=True).start()
