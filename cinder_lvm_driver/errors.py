# SPDX-License-Identifier: Apache-2.0
"""The root of every error that this package raises."""


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
