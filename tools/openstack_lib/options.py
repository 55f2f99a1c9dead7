# SPDX-License-Identifier: Apache-2.0
"""The command line of tools/openstack."""

import argparse
from collections.abc import Sequence
import dataclasses
import os
import re

from cloud_lib import arguments
from cloud_lib import errors
from openstack_lib import settings

_DESCRIPTION = """\
A real OpenStack around the driver: keystone, glance, cinder-api and
cinder-scheduler on this machine's loopback, cinder-volume and cinder-backup
in the test machine on loopback-backed volume groups, and tempest to test it.
"""
_LAST_PORT = 65535
_IN_TREE = 'cinder.'
_RELEASE = re.compile(r'[0-9]+(\.[0-9]+)+')


def _release(text: str) -> str:
    return arguments.matching(_RELEASE, text,
                              'is no release; write for example 29.0.0')


def _port_base(text: str) -> int:
    last = _LAST_PORT - settings.Ports.COUNT + 1
    if not text.isdecimal() or not 1 <= int(text) <= last:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no port from 1 to {last}')
    return int(text)


def _file(text: str) -> str:
    """Return the path of a file that can be there at the end of a run."""
    if (os.path.isdir(text)
            or not os.path.isdir(os.path.dirname(os.path.abspath(text)))):
        raise argparse.ArgumentTypeError(
            f'{text!r} is no file in a folder that is there')
    return text


def _add_up(
        add: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    new = settings.Settings()
    option = add.add_parser(
        'up', help='start everything that does not run yet',
        description='Start everything that does not run yet. What is not '
        'said stays as it was said first, or is that of a new cloud.',
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False).add_argument
    option('--lvm-type', choices=settings.LVM_TYPES,
           help=f'the back ends\' lvm_type (new: {new.lvm_type})')
    option('--target-helper', choices=list(settings.PROTOCOLS),
           help=f'the back ends\' target_helper (new: {new.target_helper})')
    option('--backends', type=int, choices=(1, 2),
           help=f'how many, each with a volume group (new: {new.backends})')
    option('--second-lvm-type', choices=settings.LVM_TYPES,
           help='the lvm_type of the second back end, if it differs')
    option('--driver', type=arguments.driver, metavar='CLASS',
           help=f'the volume driver (new: {new.driver})')
    option('--set', dest='extra', action='append', metavar='NAME=VALUE',
           type=arguments.backend_option,
           help='another line for the back ends\' sections of cinder.conf; '
           'repeatable')
    option('--cinder', metavar='VERSION', type=_release,
           help='the release of Cinder (new: the one that '
           'tools/openstack_lib/requirements names)')
    option('--backup', action=argparse.BooleanOptionalAction,
           help='whether cinder-backup runs (new: it does)')
    option('--concurrency-of-cinder', dest='concurrency',
           choices=settings.CONCURRENCIES,
           help='what Cinder\'s services run in; threading needs Cinder 29 '
           f'(new: {new.concurrency})')
    option('--debug', action=argparse.BooleanOptionalAction,
           help='whether Cinder\'s logs are verbose (new: they are)')
    option('--kernel', metavar='SERIES',
           help='the kernel of the test machine, as tools/testvm takes it')
    option('--memory', metavar='MIB', type=int,
           help=f'the memory of the test machine (new: {new.memory})')
    option('--cpus', metavar='N', type=int,
           help=f'the processors of the test machine (new: {new.cpus})')
    option('--port-base', metavar='PORT', type=_port_base,
           help=f'the first of the {settings.Ports.COUNT} ports of the '
           f'loopback that are used (new: {new.port_base})')


def _add_tempest(
        add: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    option = add.add_parser(
        'tempest', help='run tempest and compare with upstream\'s driver',
        allow_abbrev=False).add_argument
    option('regex', nargs='?', default='', metavar='REGEX',
           help='only the tests whose name it is found in (default: all of '
           'tempest.api.volume and of cinder_tempest_plugin)')
    option('--smoke', action='store_true',
           help='some tests of each kind, meant for CI')
    option('--exclude', metavar='REGEX', default='',
           help='leave these tests out')
    option('--concurrency', metavar='N', type=int, default=3,
           help='how many tests at a time (default: %(default)s)')
    option('--save', metavar='FILE', default='', type=_file,
           help='write the results, with versions and settings, to a file')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='tools/openstack', description=_DESCRIPTION, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--folder', metavar='DIR', default='',
        help='where all data is (default: openstack in the cache folder)')
    add = parser.add_subparsers(dest='verb', required=True, metavar='VERB')
    _add_up(add)
    _add_tempest(add)
    add.add_parser(
        'attach', allow_abbrev=False,
        help='work volumes through the attachments API and os-brick in the '
        'test machine, which tempest without nova cannot do')
    add.add_parser(
        'survive', allow_abbrev=False,
        help='restart cinder-volume, then the test machine, with ten volumes '
        'attached')
    add.add_parser('status', help='tell what runs', allow_abbrev=False)
    add.add_parser(
        'reboot', allow_abbrev=False,
        help='stop the test machine and start it again with its disk kept')
    restart = add.add_parser(
        'restart', allow_abbrev=False,
        help='restart one service, wherever it runs')
    restart.add_argument('service', metavar='SERVICE')
    down = add.add_parser('down', help='stop everything; data is kept',
                          allow_abbrev=False)
    down.add_argument('--wipe', action='store_true',
                      help='remove all data, too')
    shell = add.add_parser(
        'shell', allow_abbrev=False,
        help='open a shell that the openstack and cinder clients work in, or '
        'run a command as if in it',
        usage='tools/openstack shell [--user NAME] [-- CMD...]')
    shell.add_argument('--user', choices=('admin', 'demo'), default='admin',
                       help='who the clients are: the administrator or an '
                       'ordinary user (default: %(default)s)')
    node = add.add_parser(
        'node', allow_abbrev=False,
        help='run a command in the test machine, as root',
        usage='tools/openstack node -- CMD...')
    for one in shell, node:
        one.set_defaults(command=[])
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    argv = list(argv)
    command: list[str] = []
    if '--' in argv:
        split = argv.index('--')
        argv, command = argv[:split], argv[split + 1:]
    parser = build_parser()
    chosen = parser.parse_args(argv)
    if command and not hasattr(chosen, 'command'):
        parser.error(f'{chosen.verb} takes no command')
    if chosen.verb == 'node' and not command:
        parser.error('write the command after --')
    if chosen.verb in ('shell', 'node'):
        chosen.command = command
    if chosen.verb == 'tempest' and chosen.smoke and chosen.regex:
        parser.error('--smoke is a selection of its own: no REGEX')
    return chosen


def wanted(chosen: argparse.Namespace,
           known: settings.Settings) -> settings.Settings:
    """Return the settings that the options of ``up`` stand for.

    :param known: holds for what was not said
    :raises errors.CloudError: when they do not fit each other
    """
    found = dataclasses.replace(known, **{
        field.name: getattr(chosen, field.name)
        for field in dataclasses.fields(known)
        if hasattr(chosen, field.name)})
    found = dataclasses.replace(found, extra=tuple(found.extra))
    if found.second_lvm_type and found.backends != 2:
        raise errors.CloudError('--second-lvm-type is for --backends 2')
    if (found.driver.startswith(_IN_TREE)
            and found.target_helper == 'nvmet'):
        raise errors.CloudError(
            f'{found.driver} needs the Python module nvmet for nvmet, which '
            'is neither on PyPI nor in Debian: choose another '
            '--target-helper')
    return found
