# SPDX-License-Identifier: Apache-2.0
"""All commands of the driver run through this module.

Commands run as root in rootwrap daemons of this driver's own program, which
decides what they run (``privileged/commands.py``). ``cinder-rootwrap`` starts
the program, so that sudoers needs no change.
"""

from collections.abc import Callable
import dataclasses
import logging
import os
import pwd
import queue
import re
import resource
import subprocess
import threading
import time
from typing import Any, Protocol
import weakref

from oslo_concurrency import processutils
from oslo_rootwrap import client as rootwrap_client
from oslo_rootwrap import cmd as rootwrap_cmd

from cinder_lvm_driver import errors
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

# Exit codes of rootwrap itself, not of the command (oslo_rootwrap.cmd).
_REFUSED = (rootwrap_cmd.RC_UNAUTHORIZED, rootwrap_cmd.RC_NOCOMMAND)
_NOT_EXECUTABLE = rootwrap_cmd.RC_NOEXECFOUND

# sudo, plugins/sudoers/logging.c and src/sudo.c; all end with status 1.
_OF_SUDO = re.compile(
    r'^(sudo: |Sorry, user )|is not (in the sudoers file|allowed to run sudo)')

FILTER_FILE = 'lvm-driver.filters'
# A daemon runs one command at a time: a copy that takes an hour must not
# delay ``lvs``.
_DAEMONS_FOR_COMMANDS = 2
_DAEMONS_FOR_COPIES = 8
_MOST_FILES = 65536


class _NotAlarming(logging.Filter):
    """Drops a warning of oslo.rootwrap that is wrong.

    Its client finds that the daemon has ended, as it does when nobody asks
    it for a while, and warns of a process that "root should kill".
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith('Leaving behind already')


rootwrap_client.LOG.addFilter(_NotAlarming())

Execute = Callable[..., tuple[str, str]]
_Request = Callable[[rootwrap_client.Client], None]


@dataclasses.dataclass(frozen=True)
class Completed:
    """A command that ended with exit status 0."""

    argv: tuple[str, ...]
    stdout: str
    stderr: str


class CommandFailed(errors.DriverError):
    """A command ended with another exit status than 0."""

    def __init__(self, argv: tuple[str, ...], exit_code: int,
                 stdout: str, stderr: str) -> None:
        super().__init__(argv, exit_code, stdout, stderr)
        self.argv = argv
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self) -> str:
        """Return the reason in one line; the log has the whole command.

        Warnings come last, as they are rarely the reason.
        """
        lines = filter(None, map(str.strip, self.stderr.splitlines()))
        reason = '; '.join(sorted(
            lines, key=lambda line: line.startswith('WARNING')))
        return "%s ('%s' ended with exit status %s)" % (
            reason or 'No reason given', _program(self.argv), self.exit_code)


class CommandNotFound(CommandFailed):
    """A program is not installed, or not in rootwrap's search path."""

    def __str__(self) -> str:
        return ("'%s' was not found: install it, and add its directory to "
                "exec_dirs of rootwrap.conf"
                % _program(self.argv))


class CommandRefused(CommandFailed):
    """Root does not run the command for this driver."""

    def __str__(self) -> str:
        program = _program(self.argv)
        if program == naming.ROOT_PROGRAM:
            return ("rootwrap refused '%s': copy etc/cinder/rootwrap.d/%s of "
                    "cinder-lvm-driver to a directory in filters_path of "
                    "rootwrap.conf (usually /etc/cinder/rootwrap.d)"
                    % (program, FILTER_FILE))
        return ("%s refused '%s': name the VG as volume_group in a file "
                "*.conf below /etc/cinder that only root can change, and see "
                "the page Security of the manual"
                % (naming.ROOT_PROGRAM, program))


class SudoRefused(CommandFailed):
    """sudo does not run rootwrap for this user."""

    def __str__(self) -> str:
        user = pwd.getpwuid(os.geteuid()).pw_name
        # sudo may say first how else it could ask for a password.
        reason = self.stderr.splitlines()[-1].removeprefix('sudo: ')
        return (f"sudo does not run cinder-rootwrap for user {user} "
                f"({reason}): put '{user} ALL=(root) NOPASSWD: "
                f"/usr/bin/cinder-rootwrap /etc/cinder/rootwrap.conf *' into "
                f"a file in /etc/sudoers.d, with the paths of this node")


class CommandTimedOut(errors.DriverError):
    """A command did not end before its timeout."""

    def __init__(self, argv: tuple[str, ...], timeout: float) -> None:
        super().__init__(argv, timeout)
        self.argv = argv
        self.timeout = timeout

    def __str__(self) -> str:
        return "'%s' did not end within %g seconds" % (
            _program(self.argv), self.timeout)


class DaemonFailed(errors.DriverError):
    """The rootwrap daemon has ended and does not start again."""

    def __init__(self, argv: tuple[str, ...], reason: Exception) -> None:
        super().__init__(argv, reason)
        self.argv = argv
        self.reason = reason

    def __str__(self) -> str:
        return "no rootwrap daemon could run '%s': %r" % (
            _program(self.argv), self.reason)


class Runner(Protocol):
    """Runs commands."""

    def run(self, *argv: str, timeout: float | None = None) -> Completed:
        """Run a command as root, and wait for its end.

        :param timeout: in seconds; only for commands that change nothing,
            as the command may continue after it
        :raises CommandFailed: it ended with another status than 0
        :raises CommandRefused: rootwrap does not allow it
        :raises CommandNotFound: there is no such program
        :raises CommandTimedOut: it did not end before the timeout
        :raises DaemonFailed: the rootwrap daemon does not start again
        """

    def run_long(self, *argv: str) -> Completed:
        """Run a command as root that may take hours; delays no other.

        :raises: as :meth:`run`
        """

    def run_unprivileged(self, *argv: str) -> Completed:
        """Run a command as the user of this process.

        :raises: as :meth:`run`
        """


def _program(argv: tuple[str, ...]) -> str:
    """Return the program of a command, without ``env NAME=VALUE ...``."""
    return next(word for word in argv if word != 'env' and '=' not in word)


def _is_root() -> bool:
    return os.geteuid() == 0


def _file_limit() -> tuple[str, ...]:
    """Return what starts a program with a sane limit of open files.

    dmeventd, which LVM starts, closes all descriptors that it could have: in
    containers up to 2^30, for many seconds and with the VG locked.
    """
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= _MOST_FILES:
        return ()
    return 'prlimit', f'--nofile={_MOST_FILES}:'


def _checked(argv: tuple[str, ...], exit_code: int, stdout: str,
             stderr: str) -> Completed:
    if exit_code == 0:
        return Completed(argv, stdout, stderr)
    failure: type[CommandFailed] = CommandFailed
    if exit_code in _REFUSED:
        failure = CommandRefused
    elif exit_code in (_NOT_EXECUTABLE, 127):
        failure = CommandNotFound
    elif _OF_SUDO.search(stderr):
        failure = SudoRefused
    raise failure(argv, exit_code, stdout, stderr)


class _Daemon:
    """A rootwrap daemon, and a thread of its own that asks it.

    A client opens a connection for each thread that calls it, which costs as
    much as a short command, and keeps it as long as that thread lives.

    A client that is garbage opens one more, to ask the daemon to end. In a
    thread that is opening another connection, this is a deadlock
    (``BaseProxy._mutex`` of multiprocessing). So the last reference to a
    client is that of its own thread.
    """

    def __init__(self, start_command: list[str]) -> None:
        """Start the thread; the first command starts the daemon.

        :raises RuntimeError: this host has no more threads
        """
        # Its put() can run in the middle of another one (weakref.finalize).
        asked: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        client = rootwrap_client.Client(start_command)
        threading.Thread(target=_serve, args=[asked, client],
                         daemon=True).start()
        weakref.finalize(self, asked.put, None)
        self.ask = asked.put


def _serve(asked: queue.SimpleQueue[_Request | None],
           client: rootwrap_client.Client) -> None:
    while (request := asked.get()) is not None:
        request(client)
        # The next one may come much later.
        del request


class _Daemons:
    """Rootwrap daemons of one kind, started on demand up to a limit."""

    def __init__(self, start_command: list[str], limit: int) -> None:
        self._start_command = start_command
        self._free = threading.Semaphore(limit)
        self._idle: list[_Daemon] = []
        # Another object after each command.
        self._last_ended = object()

    def run(self, argv: tuple[str, ...],
            timeout: float | None) -> Completed:
        """Run a command in an idle daemon.

        A command that timed out keeps its daemon until it ends, so that no
        more commands hang than there are daemons.
        """
        daemon = self._lease(argv, timeout)
        answer: list[tuple[int, str, str] | BaseException] = []
        ended = threading.Event()

        def ask(client: rootwrap_client.Client) -> None:
            try:
                exit_code, stdout, stderr = client.execute(list(argv))
                answer.append((exit_code, stdout, stderr))
            # The waiting thread raises it again.
            except BaseException as exc:  # noqa: BLE001
                answer.append(exc)
            self._return(daemon)
            ended.set()

        daemon.ask(ask)
        if not ended.wait(timeout):
            raise CommandTimedOut(argv, timeout or 0)
        if isinstance(answer[0], Exception):
            # A bare Exception, EOFError, OSError, RemoteError, or a TypeError
            # because there was no answer.
            raise DaemonFailed(argv, answer[0]) from answer[0]
        if isinstance(answer[0], BaseException):
            raise answer[0]
        return _checked(argv, *answer[0])

    def _lease(self, argv: tuple[str, ...],
               timeout: float | None) -> _Daemon:
        """Wait for an idle daemon, as long as other commands end.

        :raises CommandTimedOut: no command ended before the timeout: all
            hang
        :raises DaemonFailed: there can be no more daemons
        """
        last = self._last_ended
        while not self._free.acquire(timeout=timeout):
            if self._last_ended is last:
                raise CommandTimedOut(argv, timeout or 0)
            last = self._last_ended
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return _Daemon(self._start_command)
        except RuntimeError as exc:
            self._free.release()
            raise DaemonFailed(argv, exc) from exc

    def _return(self, daemon: _Daemon) -> None:
        self._idle.append(daemon)
        self._last_ended = object()
        self._free.release()


class RootwrapRunner:
    """Runs commands as root through oslo.rootwrap."""

    def __init__(self, execute: Execute, root_helper: str) -> None:
        """Store how to become root; starts nothing.

        :param execute: Cinder's ``execute`` (with the signature of
            ``processutils.execute``), for commands without a daemon
        :param root_helper: e.g. ``sudo cinder-rootwrap
            /etc/cinder/rootwrap.conf``
        """
        self._execute = execute
        self._root_helper = root_helper
        self._commands: _Daemons | None = None
        self._copies: _Daemons | None = None

    def start_daemon(self, probe: tuple[str, ...]) -> None:
        """Start a rootwrap daemon, and run commands in it from now on.

        A program that is root, through cinderlib, needs none.

        :param probe: a harmless command that each VG allows
        :raises CommandFailed: the probe cannot run as root, and no other
            command can
        :raises CommandNotFound: the driver's program is not where rootwrap
            looks
        :raises CommandRefused: the filter file is missing
        :raises DaemonFailed: the daemon does not start
        """
        if _is_root():
            # oslo.concurrency runs each command directly then.
            self._without_daemon(probe, run_as_root=True)
            return
        command = [*_file_limit(), *self._root_helper.split(),
                   naming.ROOT_PROGRAM, 'commands']
        daemons = _Daemons(command, _DAEMONS_FOR_COMMANDS)
        try:
            daemons.run(probe, None)
        except DaemonFailed:
            # The daemon's client does not tell why.
            self._without_daemon((naming.ROOT_PROGRAM, 'check'),
                                 run_as_root=True)
            raise
        self._commands = daemons
        self._copies = _Daemons(command, _DAEMONS_FOR_COPIES)

    def run(self, *argv: str, timeout: float | None = None) -> Completed:
        """See :meth:`Runner.run`."""
        return self._timed(self._commands, argv, timeout)

    def run_long(self, *argv: str) -> Completed:
        """See :meth:`Runner.run_long`."""
        return self._timed(self._copies, argv, None)

    def run_unprivileged(self, *argv: str) -> Completed:
        """See :meth:`Runner.run_unprivileged`."""
        return self._without_daemon(argv, run_as_root=False)

    def _timed(self, daemons: _Daemons | None, argv: tuple[str, ...],
               timeout: float | None) -> Completed:
        started = time.monotonic()
        outcome = 'ok'
        try:
            if daemons is None:
                return self._without_daemon(argv, run_as_root=True,
                                            timeout=timeout)
            return daemons.run(argv, timeout)
        except errors.DriverError as exc:
            outcome = str(exc)
            raise
        finally:
            LOG.debug('%s (%.3f s): %s', ' '.join(argv),
                      time.monotonic() - started, outcome)

    def _without_daemon(self, argv: tuple[str, ...], *, run_as_root: bool,
                        timeout: float | None = None) -> Completed:
        kwargs: dict[str, Any] = {}
        if run_as_root:
            kwargs.update(run_as_root=True, root_helper=self._root_helper)
        if timeout is not None:
            kwargs['timeout'] = timeout
        try:
            stdout, stderr = self._execute(*argv, **kwargs)
        except FileNotFoundError:
            raise CommandNotFound(argv, 127, '', '') from None
        except processutils.ProcessExecutionError as exc:
            return _checked(argv, exc.exit_code, exc.stdout, exc.stderr)
        # With eventlet, Popen raises the TimeoutExpired of a copy of the
        # subprocess module: only the name is the same.
        except Exception as exc:
            if type(exc).__name__ != subprocess.TimeoutExpired.__name__:
                raise
            raise CommandTimedOut(argv, timeout or 0) from exc
        return Completed(argv, stdout, stderr)
