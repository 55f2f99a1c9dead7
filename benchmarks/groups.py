# SPDX-License-Identifier: Apache-2.0
"""Measures how long writes wait for snapshots of one moment.

As root in the test machine::

    tools/testvm -- "$(tools/setup venv)/bin/python" -m benchmarks.groups

LVM creates the snapshots once. In each round, the kernel takes them again,
while numbers are written in turn to all volumes. The privileged function runs
in this process.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
from unittest import mock

from cinder_lvm_driver.privileged import snapshot_set
from cinder_lvm_driver.privileged import verbs
from tests.functional import fixtures

MEMBERS = 2, 4, 16
ROUNDS_BETWEEN_LOOKS = 20
LIMIT_MS = 20_000
VG = 'benchmark'
SEQUENCE = sys.executable, '-P', 'tests/functional/sequence.py'


class Root:
    """Runs commands for ``fixtures``."""

    def try_run(self, *argv):
        done = subprocess.run(list(map(str, argv)), capture_output=True,
                              text=True)
        done.code = done.returncode
        return done

    def run(self, *argv):
        done = self.try_run(*argv)
        if done.code:
            raise RuntimeError(f'{argv}: {done.stderr}')
        return done.stdout


ROOT = Root()


@contextlib.contextmanager
def numbers_written(paths):
    """Have numbers written to devices in turn."""
    with tempfile.NamedTemporaryFile() as progress:
        writer = subprocess.Popen([*SEQUENCE, 'write', progress.name, *paths])
        try:
            yield
        finally:
            writer.kill()
            writer.wait()


def create_snapshots(count):
    for number in range(count):
        ROOT.run('lvcreate', '-qq', '--snapshot', '--permission', 'r',
                 '--name', f's{number}', f'{VG}/v{number}')


def find_members(count):
    ids = dict(line.split() for line in ROOT.run(
        'lvs', '--noheadings', '-o', 'lv_name,thin_id', '-S', 'thin_id>0',
        VG).splitlines())
    return [snapshot_set.Member(
        pool=f'{VG}-pool-tpool', origin=f'{VG}-v{number}',
        origin_id=int(ids[f'v{number}']), snapshot_id=int(ids[f's{number}']))
        for number in range(count)]


def count_missing(count):
    """Return how many numbers are missing in the snapshots."""
    names = [f'{VG}/s{number}' for number in range(count)]
    ROOT.run('lvchange', '--activate', 'y', '--ignoreactivationskip', *names)
    _highest, missing = ROOT.run(*SEQUENCE, 'missing', *(
        f'/dev/{name}' for name in names)).split()
    ROOT.run('udevadm', 'settle')
    ROOT.run('lvchange', '--activate', 'n', *names)
    return int(missing)


def measure(count, rounds):
    """Print the waits of writes to a number of volumes."""
    ROOT.run('lvcreate', '-qq', '--type', 'thin-pool', '--size', '3G',
             '--name', 'pool', VG)
    for number in range(count):
        ROOT.run('lvcreate', '-qq', '--thinpool', 'pool', '--virtualsize',
                 '1G', '--name', f'v{number}', VG)
    waits, missing = [], 0
    with numbers_written([f'/dev/{VG}/v{number}' for number in range(count)]):
        create_snapshots(count)
        control = count_missing(count)
        members = find_members(count)
        for done in range(1, rounds + 1):
            waits.append(snapshot_set.retake(f'/run/lock/lvm/V_{VG}',
                                             members, LIMIT_MS))
            if not done % ROUNDS_BETWEEN_LOOKS:
                missing += count_missing(count)
    ROOT.run('lvremove', '-ff', '--yes', VG)
    percentiles = statistics.quantiles(waits, n=100, method='inclusive')
    print(f'{count:2} volumes: p50 {percentiles[49]:.0f} ms, '
          f'p99 {percentiles[98]:.0f} ms, most {max(waits)} ms; numbers '
          f'missing in {rounds // ROUNDS_BETWEEN_LOOKS} looks: {missing}, '
          f'with one lvcreate after the other: {control}', flush=True)


def main(rounds='200'):
    os.makedirs('/var/tmp/cinder-lvm-driver', exist_ok=True)
    with mock.patch.object(verbs.context, 'client_mode', False), \
            fixtures.volume_group(ROOT, VG, (4 * 2 ** 30,)):
        for count in MEMBERS:
            measure(count, int(rounds))
    return 0


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:]))
