# SPDX-License-Identifier: Apache-2.0
"""Kills a driver at every effect of every operation; see ``run``."""

import argparse
import collections
import json
import os
import platform
import subprocess
import sys
import time
from unittest import mock

from cinder import privsep
from cinder import version as cinder_version
from cinder.volume import volume_utils
import os_brick.privileged
from oslo_utils import units

from tests.functional import root

_GIB = 64 * units.Mi
COLUMNS = ('points', 'kills', 'faults', 'inconsistencies', 'bytes lost',
           'leaks')


class Here(root.Root):
    """Does what root's agent does, in this process, which is root itself."""

    def __init__(self):
        self._agent = root.Agent(None)

    def ask(self, verb, **request):
        try:
            return getattr(self._agent, f'do_{verb}')(**request)
        except OSError as exc:
            return {'error': str(exc)}


def parse(arguments):
    parser = argparse.ArgumentParser(prog='tests/torture/run VENV RESULTS')
    parser.add_argument('--minutes', type=float, default=10 ** 6,
                        help='end after this time, which all share')
    parser.add_argument('--in-tree', action='store_true',
                        help="torture Cinder's own driver")
    parser.add_argument('--inside', action='store_true',
                        help='kill LVM within its commands, too')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='only one of N points')
    parser.add_argument('regex', nargs='?', default='',
                        help='only what matches, such as "thin LIO: clone"')
    return parser.parse_args(arguments)


def table(rows):
    """Return the results as text."""
    form = '{:36}' + ' {:>7}' * len(COLUMNS)
    lines = [form.format('', *COLUMNS)]
    total = collections.Counter()
    for name, counts in rows.items():
        lines.append(form.format(name, *(counts[each] for each in COLUMNS)))
        total.update(counts)
    lines.append(form.format('total', *(total[each] for each in COLUMNS)))
    return '\n'.join(lines)


def versions():
    lvm = subprocess.run(['lvm', 'version'], check=True, text=True,
                         capture_output=True).stdout
    return {'kernel': platform.release(), 'lvm': lvm.split()[2],
            'cinder': cinder_version.version_string(),
            'date': time.strftime('%Y-%m-%d')}


def prepare(results, *paths):
    """Make this process, which is root, what cinder-volume is."""
    # What is a GiB for the drivers: copies take the emulated machine long.
    units.Gi = _GIB
    from tests.functional import base
    agent = Here()
    base.use(agent, results, *paths)
    # As cinderlib does: this process is root, and runs everything itself.
    for context in (privsep.sys_admin_pctxt, os_brick.privileged.default):
        context.set_client_mode(False)
    mock.patch.object(volume_utils, 'is_group_a_cg_snapshot_type',
                      return_value=True).start()
    return agent


def main(results, *arguments):
    options = parse(arguments)
    agent = prepare(results, f'{results}/state', f'{results}/used.conf')
    from tests.torture import matrix
    began = time.monotonic()
    rows, findings = matrix.run(agent, options)
    print(table(rows), flush=True)
    with open(os.path.join(results, 'torture.json'), 'w') as file:
        json.dump({'rows': rows, 'findings': findings,
                   'seconds': round(time.monotonic() - began),
                   'versions': versions()}, file, indent=1)
    return 1 if findings else 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
