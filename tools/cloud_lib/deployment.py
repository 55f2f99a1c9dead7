# SPDX-License-Identifier: Apache-2.0
"""Cinder on a storage node: user, configuration and processes.

Runs as root in the test machine.
"""

import os
import shutil
import subprocess
from typing import BinaryIO

from cloud_lib import programs
from cloud_lib import storage

CONFIG_FILE = '/etc/cinder/cinder.conf'
STATE = '/var/lib/cinder'


def deploy(venv: str) -> None:
    """Create user cinder, its sudoers file, /etc/cinder and rootwrap."""
    storage.run(f'{programs.TOOLS}/deploy', venv)


def write_config(text: str) -> None:
    """Write cinder.conf, which only root and user cinder can read."""
    with open(os.open(CONFIG_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                      0o640), 'w') as file:
        file.write(text)
    shutil.chown(CONFIG_FILE, group='cinder')


def start(command: list[str], venv: str, log: BinaryIO,
          **environment: str) -> 'subprocess.Popen[bytes]':
    """Start a program as user cinder, as the leader of a process group."""
    return subprocess.Popen(
        command, user='cinder', group='cinder', extra_groups=[], cwd='/',
        env=programs.environment(venv, HOME=STATE, USER='cinder',
                                 **environment),
        stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        start_new_session=True)
