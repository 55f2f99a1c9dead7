# SPDX-License-Identifier: Apache-2.0
"""The disk of the storage node, which survives a reboot.

It holds a file for each VG, the state of Cinder and the backups. All other
files of the test machine are lost when it stops.
"""

import os
import shutil
import subprocess

from cloud_lib import deployment
from cloud_lib import storage
from openstack_lib import configuration
from openstack_lib import settings

DEVICE = '/dev/vda'
FOLDER = '/srv/openstack'
# Of each VG: more than the tests need, mostly in volumes of 1 GiB.
VG_BYTES = 48 << 30
# The file of the disk is sparse, and so are the files on it.
DISK_SIZE = '128G'
# Folders at fixed paths, by their name on the disk.
_BOUND = {'state': deployment.STATE, 'nvme': '/etc/nvme'}


def mount() -> None:
    """Mount the disk and the folders on it."""
    storage.mount_disk(DEVICE, FOLDER)
    for name, path in _BOUND.items():
        kept = os.path.join(FOLDER, name)
        os.makedirs(path, exist_ok=True)
        if not os.path.isdir(kept):
            shutil.copytree(path, kept, symlinks=True)
        storage.run('mount', '--bind', kept, path)


def give_to_cinder() -> None:
    """Give Cinder's folders to user cinder, whose ID may have changed."""
    os.makedirs(configuration.BACKUPS, exist_ok=True)
    storage.run('chown', '-R', 'cinder:cinder', deployment.STATE,
                configuration.BACKUPS)


def open_vg(backend: settings.Backend) -> str:
    """Create the VG of a back end, or activate it after a reboot."""
    path = os.path.join(FOLDER, f'{backend.vg}.img')
    if not os.path.exists(path):
        device = storage.create_vg(backend.vg, f'{path}.new', VG_BYTES)
        # After a crash, a file with the final name holds a complete VG.
        storage.run('sync')
        os.rename(f'{path}.new', path)
    else:
        device = storage.run('losetup', '--find', '--show', path).strip()
        # On a real storage node udev and systemd activate it at boot.
        storage.run('vgchange', '--quiet', '--activate', 'y', backend.vg)
    return f'VG {backend.vg} on {device}'


def close(backends: list[settings.Backend]) -> None:
    """Prepare the disk for the next boot.

    As a shutdown does: disconnect the initiators, deactivate what is unused
    and write out the rest.
    """
    for command in (
            ['iscsiadm', '--mode', 'node', '--logoutall', 'all'],
            ['nvme', 'disconnect-all'],
            *(['vgchange', '--quiet', '--activate', 'n', backend.vg]
              for backend in backends)):
        subprocess.run(command, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    storage.run('sync')
