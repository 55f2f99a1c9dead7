# SPDX-License-Identifier: Apache-2.0
"""Failures of what a driver depends on, one at a time."""

from collections.abc import Callable
import dataclasses
import errno
import os
import subprocess
from typing import Any

from oslo_concurrency import processutils

from tests.torture import effects

_CONFIGFS_STEPS = ('mkdir', 'rmdir', 'symlink', 'unlink', 'write', 'chmod')
_NO_SPACE = ('  Volume group "torture" has insufficient free space '
             '(10 extents): 256 required.')
_NO_REASON = '  Failed to suspend logical volume torture/pool.'


@dataclasses.dataclass(frozen=True)
class Fault:
    """One failure.

    :ivar happen: called with the name of what fails, and a function that does
        it; raises what the driver's own code would see, or returns what is
        wrong
    """

    name: str
    happen: Callable[[str, Callable[[], Any]], Any]


def _command(name, exit_code, stderr=''):
    def happen(effect, act):
        raise processutils.ProcessExecutionError(
            stdout='', stderr=stderr, exit_code=exit_code, cmd=effect)
    return Fault(name, happen)


def _os(name, number, is_done=False):
    def happen(effect, act):
        if is_done:
            act()
        raise OSError(number, os.strerror(number))
    return Fault(name, happen)


def _time_out(effect, act):
    raise subprocess.TimeoutExpired(effect, 60)


def _cut(effect, act):
    stdout, stderr = act()
    return stdout[:len(stdout) // 2], stderr


_OF_REPORTS = (Fault('time-out', _time_out), Fault('cut report', _cut),
               _command('exit 5', 5, _NO_REASON))
_OF_LVM = (_command('exit 5, no space', 5, _NO_SPACE),
           _command('exit 5', 5, _NO_REASON), _command('exit 139', 139))
_OF_COMMANDS = (_command('exit 1', 1, 'Input/output error'),)
_OF_KERNEL = (_os('ENOSPC', errno.ENOSPC), _os('EBUSY', errno.EBUSY))
_OF_TGTD = (_os('tgtd hangs up', errno.ECONNRESET),
            _os('tgtd hangs up when done', errno.ECONNRESET, is_done=True))


def of(watched):
    """Yield the kind, number, name and fault of all that can fail."""
    for number, name in enumerate(watched.names(effects.QUESTION)):
        for fault in _OF_REPORTS:
            yield effects.QUESTION, number, name, fault
    for number, name in enumerate(watched.names()):
        program = name.partition(' ')[0]
        if program.startswith(('lv', 'vg')):
            faults = _OF_LVM
        elif program == 'tgtd':
            faults = _OF_TGTD
        elif program in (*_CONFIGFS_STEPS, 'create', 'rename',
                         'device-mapper'):
            faults = _OF_KERNEL
        else:
            faults = _OF_COMMANDS
        for fault in faults:
            yield effects.EFFECT, number, name, fault
