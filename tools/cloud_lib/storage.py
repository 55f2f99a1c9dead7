# SPDX-License-Identifier: Apache-2.0
"""Volume groups, and what targets and initiators of this machine hold."""

import glob
import json
import os
import subprocess

from cloud_lib import errors

TARGETS = '/sys/kernel/config/target'
# What a target's core folder has besides backstores.
_CORE_FILES = ('hba_info', 'hba_mode')
# iscsiadm: "no records/targets/sessions/portals found to execute on".
_NO_OBJECTS = 21
NVME_CONTROLLERS = '/sys/class/nvme'


def run(*command: str) -> str:
    """Return the output of a command of this machine."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        raise errors.CloudError(
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


def _controllers() -> list[str]:
    """Return the NVMe subsystems that this host is connected to."""
    found = []
    for path in glob.glob(f'{NVME_CONTROLLERS}/*/subsysnqn'):
        with open(path) as file:
            found.append(f'controller {file.read().strip()}')
    return found


def initiator_records() -> list[str]:
    """Return the sessions, of both kinds, and the iSCSI nodes remembered."""
    found = _controllers()
    for mode in ('session', 'node'):
        done = subprocess.run(['iscsiadm', '-m', mode], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, _NO_OBJECTS):
            raise errors.CloudError(
                f'iscsiadm -m {mode} ended with {done.returncode}: '
                f'{done.stderr.strip()}')
        found += [f'{mode} {line}' for line in done.stdout.splitlines()]
    return found
