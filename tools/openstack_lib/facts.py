# SPDX-License-Identifier: Apache-2.0
"""The head of a file of results: versions, settings and machine."""

from collections.abc import Mapping, Sequence
import importlib.metadata
import os
import subprocess
import time

from cloud_lib import errors
from cloud_lib import programs
from openstack_lib import remote
from openstack_lib import results
from openstack_lib import settings

SERVICES = ('cinder', 'os-brick', 'keystone', 'glance')
TESTS = ('tempest', 'cinder-tempest-plugin')
# Linux has this clock source on KVM only.
_ASK = '''\
uname -r
lvm version 2>/dev/null | head -n 1
if grep -qw kvm-clock /sys/devices/system/clocksource/*/available_clocksource
then echo KVM
else echo emulated
fi
'''


def versions(site: str, names: Sequence[str]) -> str:
    """Return the versions of packages.

    :param site: the folder of the installed packages
    """
    known = {found.metadata['Name']: found.version
             for found in importlib.metadata.distributions(path=[site])}
    return ', '.join(f'{name} {known.get(name, "not installed")}'
                     for name in names)


def tree() -> str:
    """Return the commit, with ``-dirty`` if files were changed."""
    done = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=12'],
        cwd=programs.TREE, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)
    return done.stdout.strip() or 'unknown'


def machine(agent: remote.Node) -> str:
    """Return the kernel, the LVM and the processor of the storage node."""
    output: list[str] = []
    try:
        agent.run(['sh', '-c', _ASK], output.append)
    except errors.CloudError:
        return 'unknown'
    kernel, lvm, processor = ''.join(output).splitlines()
    return f'Linux {kernel}, LVM {lvm.partition(":")[2].strip()}, {processor}'


def gather(wanted: settings.Settings, found: Sequence[results.Result],
           selection: str, seconds: float,
           details: Mapping[str, str]) -> dict[str, str]:
    """Return the head of a file of results.

    :param selection: the tests that were selected
    :param seconds: the duration of the run
    :param details: versions and machine
    """
    back_ends = '; '.join(
        f'{one.name} lvm_type={one.lvm_type}' for one in wanted.back_ends())
    return {
        'date': time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime()),
        'driver': wanted.driver,
        'settings': f'{back_ends}; target_helper={wanted.target_helper}; '
        f'target_protocol={wanted.protocol}; '
        f'backup={"on" if wanted.backup else "off"}; '
        f'{wanted.concurrency}',
        'more settings': ', '.join(wanted.extra) or 'none',
        **details,
        'processors': f'{os.cpu_count()}, of the storage node '
        f'{wanted.cpus}',
        'tests': selection,
        'total': f'{results.totals(found)}, {seconds:.0f} s',
    }
