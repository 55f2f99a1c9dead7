# SPDX-License-Identifier: Apache-2.0
"""The storage node in the test machine; runs as root.

``python -m openstack_lib.guest FOLDER``, with the folder of the cloud. Runs
until it is asked to stop.
"""

from collections.abc import Sequence
import contextlib
import os
import signal
import subprocess
import sys
import threading

from cloud_lib import deployment
from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import programs
from cloud_lib import waiting
from openstack_lib import cloud as clouds
from openstack_lib import disk
from openstack_lib import remote
from openstack_lib import settings

AGENT_PORT = 8777
SERVICES = ('cinder-volume', 'cinder-backup')
STOP_SECONDS = 90.0
TGTD_SECONDS = 60.0
RUNS = 'runs'
# cinder-volume keeps running when its driver fails, and the API does not tell.
NO_DRIVER = 'Failed to initialize driver'
# Backups spend most time on checksums. Emulated, OpenSSL's generic code is
# twice as fast as its code for the processor of QEMU (OPENSSL_ia32cap(3)).
_GENERIC_SHA = {'OPENSSL_ia32cap': '0:0'}
TGT_CONFIG = '/etc/tgt/conf.d/cinder.conf'

say = programs.speaker('node')


class Programs:
    """The processes of Cinder on this node.

    :param log: the folder of their logs, shared by both machines
    """

    def __init__(self, wanted: settings.Settings, venv: str,
                 log: str) -> None:
        self._venv = venv
        self._log_folder = log
        self._concurrency = clouds.concurrency(wanted, venv)
        volume = ([f'{venv}/bin/cinder-volume'] if self._concurrency else
                  [f'{venv}/bin/python', '-m', 'openstack_lib.volume'])
        self._commands = {'cinder-volume': volume}
        if wanted.backup:
            self._commands['cinder-backup'] = [f'{venv}/bin/cinder-backup']
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def _log(self, name: str) -> str:
        return f'{self._log_folder}/{name}.log'

    def start(self, name: str) -> str:
        """Start a service.

        :raises errors.CloudError: there is no such service
        """
        if name not in self._commands:
            raise errors.CloudError(
                f'there is no service {name} on the storage node; choose '
                f'from {", ".join(self._commands)}')
        with logs.begin(self._log(name)) as log:
            self._processes[name] = deployment.start(
                [*self._commands[name], '--config-file',
                 deployment.CONFIG_FILE], self._venv, log, **_GENERIC_SHA,
                **self._concurrency)
        return f'{name} started\n'

    def start_all(self) -> None:
        """Start all services of this node."""
        for name in self._commands:
            self.start(name)

    def stop(self, name: str) -> None:
        """Stop a service as systemd does, with its process group."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            say(f'{name} did not stop within {STOP_SECONDS:.0f} s')
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """Stop all services of this node."""
        for name in list(self._processes):
            self.stop(name)

    def restart(self, name: str) -> str:
        """Stop a service and start it again."""
        with self._lock:
            self.stop(name)
            return self.start(name)

    def states(self) -> str:
        """Return a line for each service: its name and its state."""
        return ''.join(f'{name} {self._state(name)}\n'
                       for name in self._commands)

    def _state(self, name: str) -> str:
        process = self._processes.get(name)
        if process is None:
            return 'is stopped'
        status = process.poll()
        if status is not None:
            return f'exited with status {status}'
        if any(NO_DRIVER in line for line in logs.complaints(
                self._log(name))):
            return 'did not initialize its driver'
        return RUNS


def start_tgtd(log: str) -> None:
    """Start tgtd with Cinder's configuration included, as on Debian."""
    os.makedirs(os.path.dirname(TGT_CONFIG), exist_ok=True)
    with open(TGT_CONFIG, 'w') as file:
        file.write(f'include {deployment.STATE}/volumes/*\n')
    with logs.begin(log) as output:
        subprocess.Popen(['tgtd', '--foreground'], stdin=subprocess.DEVNULL,
                         stdout=output, stderr=subprocess.STDOUT,
                         start_new_session=True)

    def ready() -> bool:
        return not subprocess.run(
            ['tgtadm', '--lld', 'iscsi', '--op', 'show', '--mode', 'sys'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode

    waiting.until('tgtd', ready, TGTD_SECONDS)


class Node:
    """The storage node, from boot to shutdown."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._wanted = cloud.settings
        self._programs = Programs(cloud.settings, cloud.venv,
                                  cloud.places.log)
        self._stopped = threading.Event()

    def prepare(self) -> None:
        """Make the machine a storage node."""
        disk.mount()
        deployment.deploy(self._cloud.venv)
        disk.give_to_cinder()
        say('user cinder, sudo and rootwrap are in place')
        for backend in self._wanted.back_ends():
            say(disk.open_vg(backend))
        if self._wanted.target_helper == 'tgtadm':
            start_tgtd(f'{self._cloud.places.log}/tgtd.log')
        with open(f'{self._cloud.places.etc}/node.conf') as file:
            deployment.write_config(file.read())

    def run(self) -> None:
        """Start Cinder and run until the agent is asked to stop."""
        self._programs.start_all()
        remote.Agent(
            AGENT_PORT, self._cloud.passwords.agent,
            {'restart': self._programs.restart, 'stop': self._stop,
             'states': self._programs.states},
            programs.environment(
                self._cloud.venv, HOME='/root',
                PATH=f'{self._cloud.venv}/bin:/usr/local/sbin:/usr/local/bin:'
                f'{programs.SYSTEM_PATH}')).start()
        say('cinder-volume is starting')
        self._stopped.wait()
        self._programs.stop_all()
        disk.close(self._wanted.back_ends())
        say('stopped')

    def _stop(self) -> str:
        self._stopped.set()
        return 'stopping\n'


def main(argv: Sequence[str]) -> int:
    """Run the storage node; return the exit status."""
    try:
        node = Node(clouds.Cloud.read(argv[1]))
        node.prepare()
        node.run()
    except errors.CloudError as error:
        say(f'failed: {error}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
