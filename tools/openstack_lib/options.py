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
Run a real OpenStack around the driver: keystone, glance, cinder-api and
cinder-scheduler on the loopback of this machine, cinder-volume and
cinder-backup in the test machine on loopback-backed volume groups, and
tempest to test it.
"""
_LAST_PORT = 65536 - len(settings.Ports._fields)
_RELEASE = re.compile(r'[0-9]+(\.[0-9]+)+')


def _release(text: str) -> str:
    return arguments.matching(_RELEASE, text,
                              'is not a release such as 29.0.0')


def _port_base(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a port from 1 to {_LAST_PORT}')
    return int(text)


def _file(text: str) -> str:
    """Return the path of a file that can be written after a long run."""
    if (os.path.isdir(text)
            or not os.path.isdir(os.path.dirname(os.path.abspath(text)))):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a file in an existing folder')
    return text


def _add_up(
        add: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    new = settings.Settings()
    option = add.add_parser(
        'up', help='start everything that does not run',
        description='Start everything that does not run. Options are kept '
        'from the first "up" of the cloud; the help shows the defaults of a '
        'new one.', argument_default=argparse.SUPPRESS,
        allow_abbrev=False).add_argument
    option('--lvm-type', choices=settings.LVM_TYPES,
           help=f'lvm_type of the back ends (default: {new.lvm_type})')
    option('--target-helper', choices=list(settings.PROTOCOLS),
           help='target_helper of the back ends '
           f'(default: {new.target_helper})')
    option('--backends', type=int, choices=(1, 2),
           help='the number of back ends, each with its own volume group '
           f'(default: {new.backends})')
    option('--second-lvm-type', choices=settings.LVM_TYPES,
           help='lvm_type of the second back end (default: as the first)')
    option('--driver', type=arguments.driver, metavar='CLASS',
           help=f'the volume driver (default: {new.driver})')
    option('--set', dest='extra', action='append', metavar='NAME=VALUE',
           type=arguments.backend_option,
           help='add an option to the sections of the back ends in '
           'cinder.conf; repeatable')
    option('--cinder', metavar='VERSION', type=_release,
           help='the release of Cinder (default: see '
           'tools/openstack_lib/requirements)')
    option('--backup', action=argparse.BooleanOptionalAction,
           help='run cinder-backup (default: yes)')
    option('--concurrency-of-cinder', dest='concurrency',
           choices=settings.CONCURRENCIES,
           help='the concurrency model of Cinder\'s services; threading needs '
           f'Cinder 29 (default: {new.concurrency})')
    option('--debug', action=argparse.BooleanOptionalAction,
           help='set debug in cinder.conf (default: yes)')
    option('--kernel', metavar='SERIES',
           help='the kernel of the test machine, see tools/testvm')
    option('--memory', metavar='MIB', type=int,
           help=f'the memory of the test machine (default: {new.memory})')
    option('--cpus', metavar='N', type=int,
           help=f'the processors of the test machine (default: {new.cpus})')
    option('--port-base', metavar='PORT', type=_port_base,
           help=f'the first of {len(new.ports)} ports on the loopback '
           f'(default: {new.port_base})')


def _add_tempest(
        add: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    option = add.add_parser(
        'tempest', help='run tempest and compare with upstream\'s driver',
        allow_abbrev=False).add_argument
    option('regex', nargs='?', default='', metavar='REGEX',
           help='run only tests whose name matches (default: all of '
           'tempest.api.volume and cinder_tempest_plugin)')
    option('--smoke', action='store_true',
           help='run some tests of each feature, for CI')
    option('--exclude', metavar='REGEX', default='',
           help='leave out tests whose name matches')
    option('--concurrency', metavar='N', type=int, default=3,
           help='the number of workers (default: %(default)s)')
    option('--save', metavar='FILE', default='', type=_file,
           help='write results, versions and settings to a file')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='tools/openstack', description=_DESCRIPTION, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--folder', metavar='DIR', default='',
        help='the folder of all data (default: openstack in the cache '
        'folder)')
    add = parser.add_subparsers(dest='action', required=True,
                                metavar='COMMAND')
    _add_up(add)
    _add_tempest(add)
    for name, text in (
            ('attach', 'use attached volumes in the test machine, through '
             'the attachments API and os-brick; tempest without Nova does '
             'not'),
            ('groups', 'create a consistent group, its snapshot and groups '
             'from both with the clients openstack and cinder, and compare '
             'the data; needs thin back ends'),
            ('survive', 'restart cinder-volume, then the test machine, while '
             'ten volumes are attached'),
            ('status', 'show what runs'),
            ('reboot', 'stop the test machine and start it again; its disk '
             'is kept')):
        add.add_parser(name, allow_abbrev=False, help=text)
    restart = add.add_parser('restart', allow_abbrev=False,
                             help='restart one service in either machine')
    restart.add_argument('service', metavar='SERVICE')
    down = add.add_parser('down', help='stop everything and keep the data',
                          allow_abbrev=False)
    down.add_argument('--wipe', action='store_true',
                      help='remove all data too')
    shell = add.add_parser(
        'shell', allow_abbrev=False,
        help='open a shell, or run a command, with credentials for the '
        'clients openstack and cinder',
        usage='tools/openstack shell [--user NAME] [-- CMD...]')
    shell.add_argument('--user', choices=('admin', 'demo'), default='admin',
                       help='the administrator or an ordinary user '
                       '(default: %(default)s)')
    shell.add_argument('command', nargs='*', metavar='CMD')
    node = add.add_parser(
        'node', allow_abbrev=False,
        help='run a command in the test machine as root',
        usage='tools/openstack node -- CMD...')
    node.add_argument('command', nargs='+', metavar='CMD')
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = build_parser()
    chosen = parser.parse_args(argv)
    if chosen.action == 'tempest' and chosen.smoke and chosen.regex:
        parser.error('--smoke selects the tests: omit REGEX')
    return chosen


def wanted(chosen: argparse.Namespace,
           known: settings.Settings) -> settings.Settings:
    """Return the settings that the options of ``up`` ask for.

    :param known: the values of omitted options
    :raises errors.CloudError: the options contradict each other
    """
    found = dataclasses.replace(known, **{
        field.name: getattr(chosen, field.name)
        for field in dataclasses.fields(known)
        if hasattr(chosen, field.name)})
    found = dataclasses.replace(found, extra=tuple(found.extra))
    if found.second_lvm_type and found.backends != 2:
        raise errors.CloudError('--second-lvm-type needs --backends 2')
    if found.is_in_tree and found.target_helper == 'nvmet':
        raise errors.CloudError(
            f'with nvmet, {found.driver} needs a Python module nvmet that '
            'neither PyPI nor Debian offers; choose another --target-helper')
    return found
