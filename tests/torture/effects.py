# SPDX-License-Identifier: Apache-2.0
"""Counts what a driver does outside of its process, and ends it there.

An *effect* is a command that changes something, a step in configfs, a message
to tgtd or to device-mapper, or a step in a file of the driver. A *question* is
a report of LVM. The n-th effect of an operation is always the same one, so
that a number names a point of it.
"""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
from unittest import mock

from oslo_concurrency import processutils

from cinder_lvm_driver.lvm import record
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.targets import tgt_persist
from tests.unit.privileged import fake_configfs
from tests.unit.privileged import fake_tgtd

EFFECT, QUESTION = 'effect', 'question'
_REPORTS = ('lvs', 'vgs', 'pvs', 'lvdisplay')
# What else the drivers only ask.
_SILENT = ('stat', 'fuser', 'blockdev', 'ss')
# Questions with the same answer all the time, and what changes it only once.
_CONSTANT = ('lvm', 'lvmconfig', 'modprobe')
_ASKING = {'tgtadm': '--op show', 'cinder-rtstool': 'get-targets'}
_CHANGES_DEVICES = dm_control.Command.SUSPEND, dm_control.Command.MESSAGE
_ask_kernel = dm_control.ask
_ask_tgtd = tgtd._exchange


def _run(*argv, timeout=None, check_exit_code=(0,), **_how):
    """Run a command as ``processutils.execute`` does for root.

    That forks this large process, which takes the emulated machine long.
    """
    words = list(map(str, argv))
    done = subprocess.run(words, capture_output=True, text=True,
                          timeout=timeout)
    expected = (check_exit_code if isinstance(check_exit_code, (list, tuple))
                else (0,) if check_exit_code is True else (check_exit_code,))
    if check_exit_code is not False and done.returncode not in expected:
        raise processutils.ProcessExecutionError(
            done.stdout, done.stderr, done.returncode, ' '.join(words))
    return done.stdout, done.stderr


class Effects:
    """What an operation does, in this process and in those that it forks."""

    def __init__(self):
        self._log = tempfile.TemporaryFile(buffering=0)

    def names(self, kind=EFFECT):
        """Return what has begun so far."""
        text = os.pread(self._log.fileno(), 2 ** 24, 0).decode()
        return [line.partition(' ')[2] for line in text.splitlines()
                if line.startswith(kind)]

    def happen(self, kind, name, act):
        """Do something, and return its result."""
        self._log.write(f'{kind} {name}\n'.encode())
        return act()

    def command(self, kind, argv, run):
        """Run a command."""
        return self.happen(kind, ' '.join(_words(argv)), lambda: run(argv))


class Killed(Effects):
    """The process is killed before its n-th effect, counted from 0.

    :param change: not before, but within that command, before this change
    """

    def __init__(self, number, change=None):
        super().__init__()
        self._number = number
        self._change = change

    def _is_here(self, kind):
        return kind == EFFECT and len(self.names()) == self._number

    def happen(self, kind, name, act):
        if self._is_here(kind) and self._change is None:
            _die()
        return super().happen(kind, name, act)

    def command(self, kind, argv, run):
        if self._change is not None and self._is_here(kind):
            with contextlib.suppress(processutils.ProcessExecutionError):
                run(_with(argv, f'TORTURE_KILL={self._change}'))
            _die()
        return super().command(kind, argv, run)


class Traced(Effects):
    """The n-th effect is a command, whose changes are written down.

    :ivar changes: what it changed
    """

    def __init__(self, number):
        super().__init__()
        self._number = number
        self._trace = tempfile.NamedTemporaryFile()

    @property
    def changes(self):
        with open(self._trace.name) as file:
            return file.read().splitlines()

    def command(self, kind, argv, run):
        if kind == EFFECT and len(self.names()) == self._number:
            argv = _with(argv, f'TORTURE_LOG={self._trace.name}')
        return super().command(kind, argv, run)


class Faulty(Effects):
    """The n-th effect or question fails, and nothing else does."""

    def __init__(self, kind, number, fault):
        super().__init__()
        self._kind = kind
        self._number = number
        self._fault = fault

    def happen(self, kind, name, act):
        number = len(self.names(kind))
        if (kind, number) != (self._kind, self._number):
            return super().happen(kind, name, act)
        return super().happen(kind, name,
                              lambda: self._fault.happen(name, act))


def _die():
    """Kill this process and those that it has forked, as systemd does."""
    os.killpg(0, signal.SIGKILL)


@functools.cache
def shim():
    """Return the library that kills LVM; None without a compiler."""
    if not shutil.which('gcc'):
        return None
    path = os.path.join(tempfile.mkdtemp(), 'inside.so')
    subprocess.run(
        ['gcc', '-shared', '-fPIC', '-o', path,
         os.path.join(os.path.dirname(__file__), 'inside.c')], check=True)
    return path


def _with(argv, setting):
    """Return a command of LVM, with the library and a setting of it."""
    words = _words(argv)
    start = len(argv) - len(words)
    return (*(argv[:start] or ('env',)), f'LD_PRELOAD={shim()}', setting,
            *words)


class _Os(fake_configfs.KillingOs):
    """``os`` of a module, whose changes are effects."""

    def __init__(self, effects):
        super().__init__()
        self._effects = effects

    def step(self, *step):
        self._effects.happen(EFFECT, ' '.join(map(str, step[:2])),
                             lambda: None)

    def open(self, path, flags, *mode):
        if flags & os.O_CREAT:
            self.step('create', path)
        self._path = path
        return os.open(path, flags, *mode)

    def rename(self, source, target):
        self.step('rename', source)
        os.rename(source, target)

    replace = rename


@contextlib.contextmanager
def watched(effects):
    """Take down what this process and those that it forks do."""
    def execute(*argv, **options):
        kind = _kind(argv)
        if _words(argv)[0] in _CONSTANT:
            return _constant(*argv)
        if kind is None:
            return _run(*argv, **options)
        return effects.command(
            kind, argv, lambda argv: _run(*argv, **options))

    def exchange(packet, timeout):
        question = fake_tgtd.Question.unpack(packet)
        if question.op == fake_tgtd.Op.SHOW:
            return _ask_tgtd(packet, timeout)
        return effects.happen(
            EFFECT, f'tgtd {question.op.name} {question.mode.name}'.lower(),
            lambda: _ask_tgtd(packet, timeout))

    def ask(control, command, **request):
        if command not in _CHANGES_DEVICES:
            return _ask_kernel(control, command, **request)
        what = request.get('data', b'')[8:].rstrip(b'\0').decode()
        return effects.happen(
            EFFECT, f'device-mapper {command.name} {what}'.strip().lower(),
            lambda: _ask_kernel(control, command, **request))

    with contextlib.ExitStack() as patches:
        for module, name, new in (
                (processutils, 'execute', execute), (tgtd, '_exchange',
                                                     exchange),
                (dm_control, 'ask', ask), (configfs, 'os', _Os(effects)),
                (tgt_persist, 'os', _Os(effects)),
                (record, 'os', _Os(effects))):
            patches.enter_context(mock.patch.object(module, name, new))
        yield


@functools.cache
def _constant(*argv):
    """Ask once what a process, and those that it forks, always get."""
    return _run(*argv)


def _words(argv):
    """Return a command without ``env NAME=VALUE ...``."""
    words = list(map(str, argv))
    while words and (words[0] == 'env' or '=' in words[0]):
        del words[0]
    return words


def _kind(argv):
    """Return what a command is; None if it is neither."""
    words = _words(argv)
    if words[0] in _REPORTS:
        return QUESTION
    asking = _ASKING.get(words[0])
    if ('--version' in words or words[0] in _SILENT
            or asking is not None and asking in ' '.join(words)):
        return None
    return EFFECT
