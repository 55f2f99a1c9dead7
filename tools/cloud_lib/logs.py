# SPDX-License-Identifier: Apache-2.0
"""Errors and last lines of a log."""

import contextlib
import os
import re
from typing import BinaryIO

# The lines that an error message repeats.
REASONS = 5
TAIL = 15
# A line of oslo.log: date, time, process id, level.
_ERROR = re.compile(r'^\S+ \S+ \d+ (ERROR|CRITICAL) |^Traceback ')
# The lines of a traceback between its first and its last, after the name of
# the logger.
_FRAME = re.compile(r'(ERROR|CRITICAL) \S+( \[[^]]*\])?'
                    r'(\s*$| (\s|Traceback|During handling|The above))')


def tail(path: str, count: int) -> list[str]:
    """Return the last lines of a file, none if there is no such file."""
    try:
        with open(path, errors='replace') as file:
            return file.read().splitlines()[-count:]
    except FileNotFoundError:
        return []


def complaints(path: str) -> list[str]:
    """Return the lines of a log that report an error."""
    with open(path, errors='replace') as file:
        return [line.rstrip('\n') for line in file if _ERROR.search(line)]


def reasons(path: str) -> list[str]:
    """Return the errors in a log without the frames of tracebacks."""
    try:
        found = complaints(path)
    except FileNotFoundError:
        return []
    return [line for line in found if not _FRAME.search(line)]


def excerpt(path: str) -> str:
    """Return the first errors and the last lines of a log, with titles."""
    text = []
    for title, lines in (('first errors in', reasons(path)[:REASONS]),
                         ('end of', tail(path, TAIL))):
        if lines:
            text += [f'--- {title} {path}', *lines]
    return '\n'.join(text)


def begin(path: str) -> BinaryIO:
    """Return a new log that only its owner can read.

    The previous log becomes ``PATH.1``.
    """
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, f'{path}.1')
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                'ab')
