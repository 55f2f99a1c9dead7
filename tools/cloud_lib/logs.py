# SPDX-License-Identifier: Apache-2.0
"""What a log of Cinder ends with, and what it complains about."""

import contextlib
import os
import re
from typing import BinaryIO

# A line of oslo.log: date, time, process, level.
_COMPLAINT = re.compile(r'^\S+ \S+ \d+ (ERROR|CRITICAL) |^Traceback ')
# What a traceback adds between its first and its last line, behind the
# logger's name.
_FRAME = re.compile(r'(ERROR|CRITICAL) \S+( \[[^]]*\])?'
                    r'(\s*$| (\s|Traceback|During handling|The above))')


def tail(path: str, count: int) -> list[str]:
    """Return the last lines of a file, none if it is not there."""
    try:
        with open(path, errors='replace') as file:
            return file.read().splitlines()[-count:]
    except FileNotFoundError:
        return []


def complaints(path: str) -> list[str]:
    """Return the lines of a log that tell of an error."""
    with open(path, errors='replace') as file:
        return [line.rstrip('\n') for line in file
                if _COMPLAINT.search(line)]


def reasons(path: str) -> list[str]:
    """Return the complaints of a log without the frames of tracebacks."""
    try:
        found = complaints(path)
    except FileNotFoundError:
        return []
    return [line for line in found if not _FRAME.search(line)]


def begin(path: str) -> BinaryIO:
    """Return a new log for its owner's eyes; one of before becomes PATH.1."""
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, f'{path}.1')
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                'ab')
