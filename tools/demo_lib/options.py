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
Show the driver in a real cloud: prepare this machine, boot the test machine,
start Cinder in it on a loopback-backed volume group, and use it through its
REST API and os-brick. Print a table at the end; exit with status 0 if all
steps passed.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line."""
    parser = argparse.ArgumentParser(
        prog='tools/demo', description=_DESCRIPTION, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--keep', action='store_true',
        help='leave the cloud running after the steps, until '
        '"tools/demo --stop" or Ctrl-C, and print how to reach it')
    add('--stop', action='store_true',
        help='only stop the clouds that --keep left running')
    add('--driver', type=arguments.driver, default=arguments.DEFAULT_DRIVER,
        metavar='CLASS', help='the volume driver (default: %(default)s)')
    add('--lvm-type', choices=settings.LVM_TYPES, default='thin',
        help='lvm_type of the back end (default: %(default)s)')
    add('--set', dest='extra', action='append', default=[],
        metavar='NAME=VALUE', type=arguments.backend_option,
        help='add an option to the section of the back end in cinder.conf; '
        'repeatable')
    add('--debug', action='store_true', help='set debug = true in cinder.conf')
    add('--kernel', metavar='SERIES',
        help='the kernel of the test machine, see tools/testvm')
    add('--memory', metavar='MIB', type=int, default=MEMORY_MIB,
        help='the memory of the test machine (default: %(default)s)')
    add('--timeout', metavar='SECONDS', type=int, default=None,
        help=f'stop the test machine after this time (default: {TIMEOUT}, or '
        'a week with --keep)')
    chosen = parser.parse_args(argv)
    if chosen.timeout is None:
        chosen.timeout = KEEP_TIMEOUT if chosen.keep else TIMEOUT
    return chosen
