# SPDX-License-Identifier: Apache-2.0
"""Waits for a condition, with a deadline."""

from collections.abc import Callable
import time
from typing import TypeVar

from cloud_lib import errors

Value = TypeVar('Value')


class DeadlinePassed(errors.CloudError):
    """A condition was not met in time."""


def until(name: str, condition: Callable[[], Value | None], seconds: float,
          interval: float = 0.3) -> Value:
    """Return the first true value of a condition.

    :param name: completes the error message "waited 60 s for ..."
    :raises DeadlinePassed: the condition was not met in time
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise DeadlinePassed(f'waited {seconds:.0f} s for {name}')
        time.sleep(interval)
