# SPDX-License-Identifier: Apache-2.0
"""The command line of tools/demo."""

import argparse
from collections.abc import Sequence

from cloud_lib import arguments
from demo_lib import settings

MEMORY_MIB = 4096
TIMEOUT = 2400
KEEP_TIMEOUT = 7 * 24 * 3600

_DESCRIPTION = """\
Show the driver at work: sets this machine up, boots the test machine, starts
a real Cinder in it on a loopback-backed volume group, and works it over REST
and os-brick as a user would. Ends with a table and with status 0 when
everything was as it should be.
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser."""
    parser = argparse.ArgumentParser(
        prog='tools/demo', description=_DESCRIPTION, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--keep', action='store_true',
        help='leave the cloud running after the steps, until '
        '"tools/demo --stop" or Ctrl-C, and tell how to reach it')
    add('--stop', action='store_true',
        help='end the clouds that --keep left running, and do nothing else')
    add('--driver', type=arguments.driver, default=arguments.DEFAULT_DRIVER,
        metavar='CLASS', help='the volume driver (default: %(default)s)')
    add('--lvm-type', choices=settings.LVM_TYPES, default='thin',
        help='the back end\'s lvm_type (default: %(default)s)')
    add('--set', dest='extra', action='append', default=[],
        metavar='NAME=VALUE', type=arguments.backend_option,
        help='another line for the back end\'s section of cinder.conf; '
        'repeatable')
    add('--debug', action='store_true', help='a verbose log of Cinder')
    add('--kernel', metavar='SERIES',
        help='the kernel of the test machine, as tools/testvm takes it')
    add('--memory', metavar='MIB', type=int, default=MEMORY_MIB,
        help='the memory of the test machine (default: %(default)s)')
    add('--timeout', metavar='SECONDS', type=int, default=None,
        help=f'end the test machine after this time (default: {TIMEOUT}, or '
        'a week with --keep)')
    return parser


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    chosen = build_parser().parse_args(argv)
    if chosen.timeout is None:
        chosen.timeout = KEEP_TIMEOUT if chosen.keep else TIMEOUT
    return chosen
