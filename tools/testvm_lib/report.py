# SPDX-License-Identifier: Apache-2.0
"""Messages of testvm on standard error."""

import sys
import time


class Reporter:
    """Writes lines that start with ``testvm: ``.

    :param verbose: whether to write details
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
            # The reader is gone; the exit status remains.
            pass

    def detail(self, text: str) -> None:
        """If verbose, write one line with the seconds since the start."""
        if self.verbose:
            self.say(f'[{time.monotonic() - self._start:6.2f} s] {text}')
