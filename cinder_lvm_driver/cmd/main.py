# SPDX-License-Identifier: Apache-2.0
"""The command line of ``cinder-lvm``."""

import argparse
import logging
import os
import pwd
import shlex
import signal
import sys
import traceback
from typing import Any

from cinder import objects
# Registers the options of the services.
from cinder import service  # noqa: F401
from oslo_config import cfg
from oslo_privsep import priv_context

objects.register_all()
from cinder_lvm_driver.cmd import backends  # noqa: E402
from cinder_lvm_driver.cmd import check  # noqa: E402
from cinder_lvm_driver.cmd import leftovers  # noqa: E402
from cinder_lvm_driver.cmd import metrics  # noqa: E402
from cinder_lvm_driver.cmd import status  # noqa: E402

_COMMANDS = {'check': check, 'leftovers': leftovers, 'metrics': metrics,
             'status': status}
# No other user can change the files that a command writes.
_UMASK = 0o022
# The service whose configuration files are read.
_SERVICE = 'cinder-volume'
# Exit statuses beside 0, as those of argparse, shells and oslo.upgradecheck.
_CANNOT_RUN = 2
_INTERRUPTED = 128 + signal.SIGINT
_UNEXPECTED = 255


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand, and return the exit status."""
    cfg.CONF.register_cli_opt(cfg.SubCommandOpt(
        'command', title='commands', handler=_add_parsers))
    try:
        cfg.CONF(sys.argv[1:] if argv is None else argv,
                 project='cinder', prog='cinder-lvm',
                 default_config_files=cfg.find_config_files(
                     'cinder', _SERVICE),
                 default_config_dirs=cfg.find_config_dirs(
                     'cinder', _SERVICE))
        command = cfg.CONF.command
        _become(command.user)
        os.umask(_UMASK)
    except (cfg.Error, _CannotRun) as exc:
        print(f'cinder-lvm: {exc}', file=sys.stderr)
        return _CANNOT_RUN
    _log(is_verbose=command.verbose)
    priv_context.init(root_helper=shlex.split(backends.root_helper()))
    try:
        status: int = command.run(command)
    except KeyboardInterrupt:
        return _INTERRUPTED
    # A bug must not pass for a result of a check.
    except Exception:  # noqa: BLE001
        traceback.print_exc()
        return _UNEXPECTED
    return status


def _log(*, is_verbose: bool) -> None:
    """Log to stderr if that is asked for; check reads warnings anyway."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.DEBUG if is_verbose else logging.CRITICAL)
    logging.basicConfig(handlers=[handler], force=True,
                        level=logging.DEBUG if is_verbose
                        else logging.WARNING)


class _CannotRun(Exception):
    """The command line cannot be carried out."""


def _add_parsers(subparsers: Any) -> None:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        '--backend', metavar='NAME',
        help='only this section of cinder.conf; all in enabled_backends '
             'without it')
    shared.add_argument(
        '--user', metavar='NAME', default='cinder',
        help='the user of cinder-volume, which root becomes (default: '
             'cinder)')
    shared.add_argument(
        '--verbose', action='store_true',
        help='log to stderr what the driver does')
    for name, module in _COMMANDS.items():
        summary = (module.__doc__ or '').partition('\n')[0]
        parser = subparsers.add_parser(
            name, parents=[shared], help=summary, description=summary)
        module.add_arguments(parser)
        parser.set_defaults(run=module.run)


def _become(user: str) -> None:
    """Become the user of cinder-volume, unless this user is not root.

    :raises _CannotRun: there is no such user
    """
    if os.geteuid() != 0:
        return
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        raise _CannotRun(
            f'there is no user {user}: name the user of cinder-volume with '
            f'--user') from None
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    os.environ.update(HOME=account.pw_dir, USER=user, LOGNAME=user)
