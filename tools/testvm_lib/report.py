# SPDX-License-Identifier: Apache-2.0
"""The lines that testvm writes about its own work, on standard error."""

import sys
import time


class Reporter:
    """Writes short lines that start with ``testvm: ``.

    :param verbose: whether details are written too
    """

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """Write one line."""
        try:
            sys.stderr.write(f'testvm: {text}\n')
            sys.stderr.flush()
        except OSError:
            # Nobody is left to read it; the exit status still tells.
            pass

    def detail(self, text: str) -> None:
        """Write one line, with the seconds since the start, if verbose."""
        if self.verbose:
            self.say(f'[{time.monotonic() - self._start:6.2f} s] {text}')
