# SPDX-License-Identifier: Apache-2.0
"""Failures of what a driver depends on, one at a time."""

from collections.abc import Callable
import dataclasses
import errno
import os

from oslo_concurrency import processutils

_CONFIGFS_STEPS = ('mkdir', 'rmdir', 'symlink', 'unlink', 'write', 'chmod')
_NO_SPACE = ('  Volume group "torture" has insufficient free space '
             '(10 extents): 256 required.')
_NO_REASON = '  Failed to suspend logical volume torture/pool.'


@dataclasses.dataclass(frozen=True)
class Fault:
    """One failure.

    :ivar happen: raises what the driver's own code would see
    """

    name: str
    happen: Callable[[str], None]

    def __call__(self, effect):
        self.happen(effect)


def _command(exit_code, stderr=''):
    def happen(effect):
        raise processutils.ProcessExecutionError(
            stderr=stderr, exit_code=exit_code, cmd=effect)
    return happen


def _os(number):
    def happen(effect):
        raise OSError(number, os.strerror(number))
    return happen


_OF_LVM = (Fault('exit 5, no space', _command(5, _NO_SPACE)),
           Fault('exit 5', _command(5, _NO_REASON)),
           Fault('exit 139', _command(139)))
_OF_COMMANDS = (Fault('exit 1', _command(1, 'Input/output error')),)
_OF_CONFIGFS = (Fault('ENOSPC', _os(errno.ENOSPC)),
                Fault('EBUSY', _os(errno.EBUSY)))
_OF_TGTD = (Fault('tgtd hangs up', _os(errno.ECONNRESET)),)


def of(names):
    """Yield the number, the name and the faults of each effect."""
    for number, name in enumerate(names):
        program = name.partition(' ')[0]
        if program.startswith(('lv', 'vg')):
            faults = _OF_LVM
        elif program == 'tgtd':
            faults = _OF_TGTD
        elif program in (*_CONFIGFS_STEPS, 'create', 'rename'):
            faults = _OF_CONFIGFS
        else:
            faults = _OF_COMMANDS
        for fault in faults:
            yield number, name, fault
