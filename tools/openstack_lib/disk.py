# SPDX-License-Identifier: Apache-2.0
"""The storage node's disk: what is still there after a reboot.

It holds a file for each volume group, Cinder's state and the backups. All
else in the test machine lasts as long as the machine.
"""

import os
import shutil
import subprocess

from cloud_lib import storage
from openstack_lib import configuration
from openstack_lib import settings

DEVICE = '/dev/vda'
FOLDER = '/srv/openstack'
# Each group's: so many volumes of a GiB are there at a time, and more.
GROUP_BYTES = 48 << 30
# The file is sparse, here and on the machine that the node runs on.
DISK_SIZE = '128G'
# What other programs look for where it always is, by its name on the disk.
_BOUND = {'state': configuration.NODE_STATE, 'nvme': '/etc/nvme'}


def mount() -> None:
    """Mount the disk, which gets a file system when it has none."""
    os.makedirs(FOLDER, exist_ok=True)
    known = subprocess.run(['blkid', '--probe', DEVICE],
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    if known.returncode:
        storage.run('mkfs.ext4', '-q', '-m', '0', '-E',
                    'lazy_itable_init=1,lazy_journal_init=1', DEVICE)
    storage.run('mount', '-o', 'discard', DEVICE, FOLDER)
    for name, path in _BOUND.items():
        kept = os.path.join(FOLDER, name)
        os.makedirs(path, exist_ok=True)
        if not os.path.isdir(kept):
            shutil.copytree(path, kept, symlinks=True)
        storage.run('mount', '--bind', kept, path)


def make_cinders() -> None:
    """Give Cinder's folders to its user, whose number may be new."""
    os.makedirs(configuration.BACKUPS, exist_ok=True)
    storage.run('chown', '-R', 'cinder:cinder', configuration.NODE_STATE,
                configuration.BACKUPS)


def open_group(backend: settings.Backend) -> str:
    """Make a back end's volume group, or bring back the one of before."""
    path = os.path.join(FOLDER, f'{backend.group}.img')
    if not os.path.exists(path):
        device = storage.make_group(backend.group, f'{path}.new', GROUP_BYTES)
        # No crash leaves a file by the final name without a group in it.
        storage.run('sync')
        os.rename(f'{path}.new', path)
    else:
        device = storage.run('losetup', '--find', '--show', path).strip()
        # The boot of a storage node does this through udev and systemd.
        storage.run('vgchange', '--quiet', '--activate', 'y', backend.group)
    return f'volume group {backend.group} on {device}'


def close(backends: list[settings.Backend]) -> None:
    """Leave the disk so that the next boot finds everything.

    As at the end of any storage node: who is attached is cut off, what can
    be deactivated is, and the rest is written out.
    """
    for command in (
            ['iscsiadm', '--mode', 'node', '--logoutall', 'all'],
            ['nvme', 'disconnect-all'],
            *(['vgchange', '--quiet', '--activate', 'n', backend.group]
              for backend in backends)):
        subprocess.run(command, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    storage.run('sync')
