# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with its name and a deadline."""

from collections.abc import Callable
import time
from typing import TypeVar

from cloud_lib import errors

Value = TypeVar('Value')


def until(what: str, condition: Callable[[], Value | None], seconds: float,
          interval: float = 0.3) -> Value:
    """Return the condition's first value that is true.

    :param what: what is waited for, as in "waited 60 s for ..."
    :raises errors.CloudError: when the deadline has passed
    """
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise errors.CloudError(f'waited {seconds:.0f} s for {what}')
        time.sleep(interval)
