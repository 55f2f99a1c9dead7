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
import logging
import os
import sys

from oslo_privsep import daemon as privsep_daemon
from oslo_rootwrap import daemon as rootwrap_daemon
from oslo_rootwrap import filters
from oslo_rootwrap import wrapper

from cinder_lvm_driver import naming
from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver.privileged import ownership

_CONFIGURATION = '/etc/cinder/rootwrap.conf'
_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


class Filter(filters.CommandFilter):  # type: ignore[misc]
    """Judges the commands of one program."""

    def match(self, userargs: list[str]) -> bool:
        return bool(super().match(userargs) and commands.is_allowed(
            userargs, ownership.volume_groups()))


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
    rootwrap_daemon.daemon_start(
        config, [Filter(program, 'root') for program in commands.PROGRAMS])


def _serve_verbs(path: str) -> None:
    sys.argv[1:] = ['--privsep_context', privileged.context.pypath,
                    '--privsep_sock_path', path]
    privsep_daemon.helper_main()
