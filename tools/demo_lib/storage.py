# SPDX-License-Identifier: Apache-2.0
"""The volume group, and what may be left behind in the machine."""

import glob
import json
import os
import sqlite3
import subprocess

from demo_lib import errors
from demo_lib import settings

TARGETS = '/sys/kernel/config/target'
# What a target's core folder has besides backstores.
_CORE_FILES = ('hba_info', 'hba_mode')
# iscsiadm: "no records/targets/sessions/portals found to execute on".
_NO_OBJECTS = 21
_TABLES = ('volumes', 'snapshots', 'volume_attachment', 'backups', 'groups')


def run(*command: str) -> str:
    """Return the output of a command of this machine."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        raise errors.DemoError(
            f'{" ".join(command)} ended with {done.returncode}: '
            f'{done.stderr.strip() or "no message"}')
    return done.stdout


def mount_disk(device: str, folder: str) -> None:
    """Make a file system on an empty disk and mount it."""
    os.makedirs(folder, exist_ok=True)
    run('mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal', device)
    run('mount', '-o', 'discard', device, folder)


def make_group(name: str, path: str, size: int) -> str:
    """Make a volume group on a loop device; return the device.

    :param path: the file below it, which is made, sparse
    """
    with open(path, 'wb') as file:
        file.truncate(size)
    device = run('losetup', '--find', '--show', path).strip()
    run('vgcreate', '--quiet', name, device)
    return device


def volumes(group: str) -> dict[str, dict[str, str]]:
    """Return the logical volumes of a group, by name."""
    report = json.loads(run(
        'lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix',
        '-o', 'lv_name,lv_size,segtype,origin,data_percent', group))
    return {found['lv_name']: found for found in report['report'][0]['lv']}


def pool_used(group: str) -> float:
    """Return how full the thin pool is, in percent."""
    return float(volumes(group)[f'{group}-pool']['data_percent'])


def exports() -> list[str]:
    """Return the names of what LIO has: targets and backstores."""
    found = [os.path.basename(path)
             for path in glob.glob(f'{TARGETS}/iscsi/iqn.*')]
    for hba in glob.glob(f'{TARGETS}/core/*_*'):
        found += [f'{os.path.basename(hba)}/{name}'
                  for name in os.listdir(hba) if name not in _CORE_FILES]
    return sorted(found)


def initiator_records() -> list[str]:
    """Return the initiator's sessions and the nodes it remembers."""
    found = []
    for mode in ('session', 'node'):
        done = subprocess.run(['iscsiadm', '-m', mode], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, _NO_OBJECTS):
            raise errors.DemoError(
                f'iscsiadm -m {mode} ended with {done.returncode}: '
                f'{done.stderr.strip()}')
        found += [f'{mode} {line}' for line in done.stdout.splitlines()]
    return found


def database_rows(path: str) -> list[str]:
    """Return what Cinder's database still counts as there."""
    found = []
    connection = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    try:
        for table in _TABLES:
            for identity, in connection.execute(
                    f'SELECT id FROM {table} WHERE NOT deleted'):
                found.append(f'{table} {identity}')
        for resource, used, reserved in connection.execute(
                'SELECT resource, in_use, reserved FROM quota_usages '
                'WHERE in_use != 0 OR reserved != 0'):
            found.append(f'quota of {resource}: {used} in use, '
                         f'{reserved} reserved')
    finally:
        connection.close()
    return found


def temporary_files(state: str) -> list[str]:
    """Return the files that Cinder left in its scratch folders."""
    return sorted(glob.glob(f'{state}/tmp/*')
                  + glob.glob(f'{state}/conversion/*'))


def leftovers(group: str) -> dict[str, list[str]]:
    """Return what is left where nothing should be, by place."""
    places = {
        'logical volumes': [name for name in volumes(group)
                            if name != f'{group}-pool'],
        'LIO': exports(),
        'initiator': initiator_records(),
        'database': database_rows(settings.DATABASE),
        'files': temporary_files(settings.STATE),
    }
    return {place: found for place, found in places.items() if found}
