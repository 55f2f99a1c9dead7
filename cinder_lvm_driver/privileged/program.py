# SPDX-License-Identifier: Apache-2.0
"""The only program that the driver starts as root: ``cinder-lvm-root``.

``check``
    Do nothing.
``commands``
    Start a rootwrap daemon that runs the commands of ``commands.py``, and no
    others.
``verbs SOCKET``
    Start the privsep daemon of this package.

It takes nothing from its user that could tell it what to run: no
environment, and no configuration but that of rootwrap, which is root's.
"""

import configparser
import itertools
import logging
import os
import shutil
import sys
import types
from typing import Any

from oslo_rootwrap import daemon as rootwrap_daemon
from oslo_rootwrap import filters
from oslo_rootwrap import subprocess
from oslo_rootwrap import wrapper

from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver.privileged import ownership

_CONFIGURATION = '/etc/cinder/rootwrap.conf'
_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


class Filter(filters.CommandFilter):  # type: ignore[misc]
    """Judges the commands of one program."""

    def match(self, userargs: list[str]) -> bool:
        return bool(super().match(userargs) and commands.is_allowed(
            userargs, ownership.volume_groups()))

    def get_command(self, userargs: list[str],
                    exec_dirs: list[str] | None = None) -> list[str]:
        """Return the command that ``env`` would start, or the command."""
        _variables, (program, *arguments) = _split(userargs)
        path = shutil.which(program, path=':'.join(exec_dirs or []))
        if path is None:
            # env tells that the program is missing.
            return list(super().get_command(userargs, exec_dirs))
        return [path, *arguments]

    def get_environment(self, userargs: list[str]) -> dict[str, str]:
        """Return the variables that ``env`` would set, and our own."""
        variables, _command = _split(userargs)
        return dict(os.environ, **variables)


def _split(argv: list[str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables and the command of ``env NAME=VALUE ...``."""
    if argv[0] != 'env':
        return {}, argv
    variables = list(itertools.takewhile(lambda word: '=' in word, argv[1:]))
    return (dict(word.split('=', 1) for word in variables),
            argv[len(variables) + 1:])


def _start(command: list[str], **settings: Any) -> Any:
    """Start a process without a copy of this one.

    oslo.rootwrap (7.10, ``wrapper.start_subprocess``) has a function run in
    the new process, for which Python copies this one with all its memory. That
    takes longer than many a command. The function does nothing that is not
    done without it: Popen restores SIGPIPE (``restore_signals``), and the user
    is root already.
    """
    return subprocess.Popen(command, **{**settings, 'preexec_fn': None})


# Takes the place of the module subprocess in oslo.rootwrap.
STARTER = types.SimpleNamespace(Popen=_start)


def main() -> None:
    """Run the program with the arguments of its command line."""
    os.environ.clear()
    os.environ['PATH'] = _PATH
    match sys.argv[1:]:
        case ['check']:
            pass
        case ['commands']:
            _serve_commands()
        case ['verbs', path]:
            _serve_verbs(path)
        case _:
            sys.exit(f'usage: {naming.ROOT_PROGRAM} check | commands | '
                     f'verbs SOCKET')


def _serve_commands() -> None:
    raw = configparser.RawConfigParser()
    raw.read(_CONFIGURATION)
    config = wrapper.RootwrapConfig(raw)
    os.environ['PATH'] = ':'.join(config.exec_dirs)
    if config.use_syslog:
        wrapper.setup_syslog(
            naming.ROOT_PROGRAM, config.syslog_log_facility,
            config.syslog_log_level)
    else:
        # The daemon logs what it refuses, and its stderr is closed.
        logging.getLogger().addHandler(logging.NullHandler())
    wrapper.subprocess = STARTER
    rootwrap_daemon.daemon_start(
        config, [Filter(program, 'root') for program in commands.PROGRAMS])


def _serve_verbs(path: str) -> None:
    # They import eventlet, which takes longer than all else here and doubles
    # the memory of this process.
    from oslo_privsep import daemon

    from cinder_lvm_driver.privileged import verbs
    sys.argv[1:] = ['--privsep_context', verbs.context.pypath,
                    '--privsep_sock_path', path]
    daemon.helper_main()
