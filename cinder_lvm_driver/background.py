# SPDX-License-Identifier: Apache-2.0
"""Work that goes on after Cinder was answered."""

from collections.abc import Callable
import threading


def start(name: str, work: Callable[[], None]) -> None:
    """Have work done beside everything else, as long as the process lives.

    It must be able to stop anywhere: the process does not wait for it.

    :param name: of the thread
    """
    threading.Thread(target=work, name=name, daemon=True).start()
