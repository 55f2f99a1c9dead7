# SPDX-License-Identifier: Apache-2.0
"""The root of every error that this package raises."""

from collections.abc import Callable
import logging

LOG = logging.getLogger(__name__)


class DriverError(Exception):
    """Base of our own errors; never raised itself.

    Below it an error names a state of the world (an LV that is in use),
    not the verb that met it. ``translate`` turns these into the exceptions
    of Cinder's contract.
    """


class ConfigurationError(DriverError):
    """An option, a file or a program the driver needs is not as it should.

    The message names the option or file and what to do about it.
    """


def attempt(complaint: str, step: Callable[..., object],
            *arguments: object) -> None:
    """Take a step, and log its failure instead of raising it.

    For what others must not suffer from, or what is done while another
    failure, which is the one to be told, is on its way up.

    :param complaint: what is wrong if the step fails, and what to do
    """
    try:
        step(*arguments)
    except DriverError as exc:
        LOG.error('%s: %s', complaint, exc)
