# SPDX-License-Identifier: Apache-2.0
"""List where the node and Cinder's database disagree.

Without --clean, nothing is changed. The exit status is 0 if they agree, 1 if
they do not, and 2 if the node or the database does not answer.
"""

import argparse
import threading

from oslo_upgradecheck import upgradecheck

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import orphans

_POLL_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add whether to change anything."""
    parser.add_argument(
        '--clean', action='store_true',
        help='remove temporary LVs of the driver, and exports that no host '
             'may use; LVs that can have data of users stay')


def run(arguments: argparse.Namespace) -> int:
    """List the disagreements; return the exit status."""
    try:
        sections = backends.sections(arguments.backend)
    except backends.NoBackend as exc:
        print(exc)
        return int(upgradecheck.Code.FAILURE)
    return int(max(_report(section, is_cleaning=arguments.clean)
                   for section in sections))


def _report(section: backends.Section, *,
            is_cleaning: bool) -> upgradecheck.Code:
    """List the disagreements about one back end."""
    try:
        pools = backends.open_pools(section.make_driver())
        found = list(orphans.find(pools, section))
    except backends.FAILURES as exc:
        print(f'{section.name}: {exc}', flush=True)
        return upgradecheck.Code.FAILURE
    result = (upgradecheck.Code.WARNING if found
              else upgradecheck.Code.SUCCESS)
    for orphan in found:
        print(f'{section.name}: {orphan.text}', flush=True)
        if is_cleaning and orphan.remove is not None:
            try:
                orphan.remove()
                print('  Cleaned up', flush=True)
            except backends.FAILURES as exc:
                print(f'  Not cleaned up: {exc}', flush=True)
                result = upgradecheck.Code.FAILURE
    for pool in pools.one_per_vg():
        # Thick LVs are wiped first.
        while pool.remover.is_working:
            threading.Event().wait(_POLL_SECONDS)
    return result
