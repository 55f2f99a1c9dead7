# SPDX-License-Identifier: Apache-2.0
"""Counts what a driver changes outside of its process, and ends it there.

An *effect* is a command that changes something, a step in configfs, a message
to tgtd, or a step in a file of the driver. The n-th effect of an operation is
always the same one, so that a number names a point of it.
"""

import contextlib
import dataclasses
import os
import re
import signal
from unittest import mock

from oslo_concurrency import processutils

from cinder_lvm_driver.lvm import record
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.targets import tgt_persist
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_tgtd

# What the drivers only ask. The in-tree driver has lvdisplay, too.
_QUESTIONS = ('lvs', 'vgs', 'pvs', 'lvm', 'lvmconfig', 'lvdisplay', 'tgtadm',
              'cinder-rtstool', 'stat', 'fuser', 'blockdev')
_CHANGING = {'tgtadm': '--op show', 'cinder-rtstool': 'get-targets'}
_CALLS = 'ioctl,io_submit'
_CHANGES_DEVICES = re.compile(
    r'DM_(DEV_CREATE|TABLE_LOAD|DEV_SUSPEND|TARGET_MSG|DEV_REMOVE|DEV_RENAME|'
    r'TABLE_CLEAR)')


@dataclasses.dataclass(frozen=True)
class Inside:
    """A point within a command: before a certain system call.

    :ivar number: counts the calls of this name, from 1
    :ivar what: what the call would have done
    """

    call: str
    number: int
    what: str


class Effects:
    """The effects of one operation.

    :ivar names: what has happened so far
    """

    def __init__(self):
        self.names = []

    def take(self, name):
        """Note an effect that is about to happen."""
        self.names.append(name)

    def execute(self, real, argv, options):
        """Run a command that is an effect."""
        return real(*argv, **options)


class Killed(Effects):
    """The process is killed before its n-th effect, counted from 0.

    :param inside: not before, but within that command
    """

    def __init__(self, last, inside=None):
        super().__init__()
        self._last = last
        self._inside = inside

    def take(self, name):
        if len(self.names) == self._last and self._inside is None:
            _die()
        super().take(name)

    def execute(self, real, argv, options):
        if self._inside is None or len(self.names) != self._last + 1:
            return super().execute(real, argv, options)
        point = self._inside
        with contextlib.suppress(processutils.ProcessExecutionError):
            real('strace', '-qq', '-o', '/dev/null', '-e',
                 f'trace={point.call}', '-e',
                 f'inject={point.call}:signal=KILL:when={point.number}',
                 *argv, **options)
        return _die()


class Traced(Effects):
    """The n-th effect is a command, whose system calls are written down.

    :param path: of a file
    """

    def __init__(self, number, path):
        super().__init__()
        self._number = number
        self._path = path

    def execute(self, real, argv, options):
        if len(self.names) == self._number + 1:
            argv = ('strace', '-qq', '-o', self._path, '-e',
                    f'trace={_CALLS}', *argv)
        return super().execute(real, argv, options)


def points_inside(path):
    """Return the calls of a traced command that change something."""
    counts, points = {}, []
    with open(path) as trace:
        for line in trace:
            call = line.partition('(')[0]
            if call not in _CALLS.split(','):
                continue
            counts[call] = counts.get(call, 0) + 1
            change = _CHANGES_DEVICES.search(line)
            if change:
                name = re.search(r'name="([^"]*)"', line)
                what = f'{change[0]} {name[1] if name else ""}'
                if 'DM_SUSPEND_FLAG' in line:
                    what = what.replace('DM_DEV_SUSPEND', 'DM_DEV_SUSPEND on')
            elif 'PWRITE' in line:
                what = 'write to a PV'
            else:
                continue
            points.append(Inside(call, counts[call], what.strip()))
    return points


class Faulty(Effects):
    """The n-th effect fails, and nothing else does.

    :param fault: called with the kind and the name of the effect; raises
    """

    def __init__(self, number, fault):
        super().__init__()
        self._number = number
        self._fault = fault

    def take(self, name):
        super().take(name)
        if len(self.names) == self._number + 1:
            self._fault(name)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


class _Os(fake_configfs.KillingOs):
    """``os`` of a module, whose changes are effects."""

    def __init__(self, effects):
        super().__init__()
        self._effects = effects

    def step(self, *step):
        self._effects.take(' '.join(map(str, step[:2])))

    def open(self, path, flags, *mode):
        if flags & os.O_CREAT:
            self.step('create', path)
        self._path = path
        return os.open(path, flags, *mode)

    def rename(self, source, target):
        self.step('rename', source)
        os.rename(source, target)

    def replace(self, source, target):
        self.step('rename', source)
        os.replace(source, target)


class _Door(fake_tgtd.KillingDaemon):
    """The way to tgtd, on which messages that change it are effects."""

    def __init__(self, effects):
        super().__init__(tgtd._exchange)
        self._effects = effects

    def __call__(self, packet, timeout):
        question = fake_tgtd.Question.unpack(packet)
        if question.op != fake_tgtd.Op.SHOW:
            self._effects.take(
                f'tgtd {question.op.name} {question.mode.name}'.lower())
        return self._exchange(packet, timeout)


@contextlib.contextmanager
def watched(effects):
    """Take down the effects of this process."""
    real = processutils.execute

    def execute(*argv, **options):
        if not _changes(argv):
            return real(*argv, **options)
        effects.take(' '.join(_words(argv)))
        return effects.execute(real, argv, options)

    with contextlib.ExitStack() as patches:
        for patch in (
                mock.patch.object(processutils, 'execute', execute),
                mock.patch.object(configfs, 'os', _Os(effects)),
                mock.patch.object(tgt_persist, 'os', _Os(effects)),
                mock.patch.object(record, 'os', _Os(effects)),
                mock.patch.object(tgtd, '_exchange', _Door(effects))):
            patches.enter_context(patch)
        yield


def _words(argv):
    """Return a command without ``env NAME=VALUE ...``."""
    words = list(map(str, argv))
    while words and (words[0] == 'env' or '=' in words[0]):
        del words[0]
    return words


def _changes(argv):
    words = _words(argv)
    if words[0] not in _QUESTIONS:
        return '--version' not in words
    question = _CHANGING.get(words[0])
    return question is not None and question not in ' '.join(words)
