# SPDX-License-Identifier: Apache-2.0
"""The base classes of all errors of this package."""

from collections.abc import Callable
import logging

LOG = logging.getLogger(__name__)


class DriverError(Exception):
    """Base of our own errors; never raised itself.

    A subclass names a state (an LV is in use), not the verb that failed
    because of it. ``translate`` turns these errors into Cinder's exceptions.
    """


class ConfigurationError(DriverError):
    """The driver cannot work with an option, a file or a program.

    The message names it, and says what to do.
    """


def attempt(complaint: str, step: Callable[..., object],
            *arguments: object) -> None:
    """Take a step; log its error instead of raising it.

    For a step whose failure must not stop others, or must not hide the error
    that is being handled.

    :param complaint: the message if the step fails: what is wrong, and what
        to do
    """
    try:
        step(*arguments)
    except DriverError as exc:
        LOG.error('%s: %s', complaint, exc)


def insist(step: Callable[..., object], *arguments: object) -> None:
    """Take a step, and once more if it fails: nobody repeats it later."""
    try:
        step(*arguments)
    except DriverError as exc:
        LOG.warning('Trying once more after a failure: %s', exc)
        step(*arguments)
