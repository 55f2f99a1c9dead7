# SPDX-License-Identifier: Apache-2.0
"""Volume groups, and the state of the targets and initiators."""

import glob
import json
import os
import subprocess

from cloud_lib import errors

TARGETS = '/sys/kernel/config/target'
# A core folder of LIO holds these beside its backstores.
_CORE_FILES = ('hba_info', 'hba_mode')
# iscsiadm(8): "no records/targets/sessions/portals found to execute on".
_NO_OBJECTS = 21
NVME_CONTROLLERS = '/sys/class/nvme'


def run(*command: str) -> str:
    """Run a command and return its output.

    :raises errors.CloudError: with the message of the command
    """
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode:
        raise errors.CloudError(
            f'{" ".join(command)} exited with status {done.returncode}: '
            f'{done.stderr.strip() or "no message"}')
    return done.stdout


def mount_disk(device: str, folder: str) -> None:
    """Mount a disk; create a file system on an empty one."""
    os.makedirs(folder, exist_ok=True)
    probe = subprocess.run(['blkid', '--probe', device],
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    if probe.returncode:
        run('mkfs.ext4', '-q', '-m', '0', '-E',
            'lazy_itable_init=1,lazy_journal_init=1', device)
    run('mount', '-o', 'discard', device, folder)


def create_vg(name: str, path: str, size: int) -> str:
    """Create a VG on a loop device; return the device.

    :param path: the sparse file to create for the loop device
    :param size: in bytes
    """
    with open(path, 'wb') as file:
        file.truncate(size)
    device = run('losetup', '--find', '--show', path).strip()
    run('vgcreate', '--quiet', name, device)
    return device


def lvs(vg: str) -> dict[str, dict[str, str]]:
    """Return the report of each LV of a VG, by name."""
    report = json.loads(run(
        'lvs', '--reportformat', 'json', '--units', 'b', '--nosuffix',
        '-o', 'lv_name,lv_size,segtype,origin,data_percent', vg))
    return {found['lv_name']: found for found in report['report'][0]['lv']}


def pool_used(vg: str) -> float:
    """Return the used part of the thin pool's data, in percent."""
    return float(lvs(vg)[f'{vg}-pool']['data_percent'])


def exports() -> list[str]:
    """Return the names of the targets and backstores of LIO."""
    found = [os.path.basename(path)
             for path in glob.glob(f'{TARGETS}/iscsi/iqn.*')]
    for hba in glob.glob(f'{TARGETS}/core/*_*'):
        found += [f'{os.path.basename(hba)}/{name}'
                  for name in os.listdir(hba) if name not in _CORE_FILES]
    return sorted(found)


def initiator_records() -> list[str]:
    """Return the iSCSI sessions and node records, and NVMe controllers."""
    found = []
    for path in glob.glob(f'{NVME_CONTROLLERS}/*/subsysnqn'):
        with open(path) as file:
            found.append(f'controller {file.read().strip()}')
    for mode in ('session', 'node'):
        done = subprocess.run(['iscsiadm', '-m', mode], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode not in (0, _NO_OBJECTS):
            raise errors.CloudError(
                f'iscsiadm -m {mode} exited with status {done.returncode}: '
                f'{done.stderr.strip()}')
        found += [f'{mode} {line}' for line in done.stdout.splitlines()]
    return found
