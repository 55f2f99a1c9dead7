# SPDX-License-Identifier: Apache-2.0
"""The folders of results, and the clouds left running by --keep.

Each run has a folder in the cache, which the test machine writes to.
"""

from collections.abc import Callable
import contextlib
import os
import socket
import time

from testvm_lib import cache

LOG = 'cinder.log'
COMPUTE_LOG = 'os-brick.log'
JOURNAL = 'steps.jsonl'
SETTINGS = 'settings.json'
MONITORING_LOG = 'monitoring.log'
STATUS = 'status.txt'
METRICS = 'prometheus'
KEEP_FOLDERS = 5
STOP_WORD = b'stop\n'


def new_folder(parent: str) -> str:
    """Create a folder for results and return it; remove the oldest ones."""
    os.makedirs(parent, mode=0o755, exist_ok=True)
    for path in folders(parent)[:-(KEEP_FOLDERS - 1)]:
        cache.remove_unused(path)
    stamp = time.strftime('%Y%m%d-%H%M%S')
    path = os.path.join(parent, f'{stamp}-{os.getpid()}')
    os.mkdir(path, 0o755)
    return path


def folders(parent: str) -> list[str]:
    """Return the folders of results, the oldest first."""
    try:
        return sorted(entry.path for entry in os.scandir(parent)
                      if entry.is_dir())
    except FileNotFoundError:
        return []


def instructions(venv: str, api_port: int, token: str,
                 project: str) -> str:
    """Return how to use a kept cloud.

    :param api_port: on 127.0.0.1 of the machine that runs tools/demo
    :param token: the token of auth_strategy = noauth, USER:PROJECT
    """
    user = token.partition(':')[0]
    url = f'http://127.0.0.1:{api_port}/v3'
    return f"""\
The cloud is running. From another terminal:

  export PATH={venv}/bin:$PATH no_proxy=127.0.0.1,$no_proxy

  export OS_AUTH_TYPE=noauth CINDER_ENDPOINT={url}
  export OS_USER_ID={user} OS_PROJECT_ID={project}
  export OS_VOLUME_API_VERSION=3.70
  cinder create 1 --name mine
  cinder list

or

  export OS_AUTH_TYPE=admin_token OS_TOKEN={token}
  export OS_ENDPOINT={url}
  openstack volume create --size 1 mine
  openstack volume list

Without Keystone, openstack warns that it "cannot determine endpoint data";
the commands work nevertheless.

To stop the cloud: tools/demo --stop
"""


def wait_for_stop(port: int, check: Callable[[], None]) -> None:
    """Wait until ``tools/demo --stop`` connects.

    :param check: called about once a second; its exceptions propagate
    """
    with socket.create_server(('0.0.0.0', port)) as server:
        server.settimeout(1.0)
        while True:
            check()
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5.0)
                with contextlib.suppress(OSError):
                    if connection.recv(len(STOP_WORD)) == STOP_WORD:
                        return


def ask_to_stop(port: int) -> None:
    """Ask a kept cloud to stop, through a port of 127.0.0.1.

    :raises OSError: nothing listens
    """
    with socket.create_connection(('127.0.0.1', port), 5.0) as connection:
        connection.sendall(STOP_WORD)


def free_port(wanted: int) -> int:
    """Return a free port of 127.0.0.1: the wanted one, or else any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', wanted))
        except OSError:
            probe.bind(('127.0.0.1', 0))
        return int(probe.getsockname()[1])
