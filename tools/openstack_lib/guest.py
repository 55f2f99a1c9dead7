# SPDX-License-Identifier: Apache-2.0
"""The storage node: what happens in the test machine, as root.

``python -m openstack_lib.guest FOLDER``, with the scratch folder of the
machine that it was started on. Runs until somebody asks for its end.
"""

from collections.abc import Sequence
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import preparing
from cloud_lib import storage
from cloud_lib import waiting
from openstack_lib import configuration
from openstack_lib import control
from openstack_lib import disk
from openstack_lib import passwords
from openstack_lib import remote
from openstack_lib import settings

AGENT_PORT = 8777
SERVICES = ('cinder-volume', 'cinder-backup')
CONFIG = '/etc/cinder/cinder.conf'
SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
STOP_SECONDS = 90.0
TGTD_SECONDS = 60.0
RUNS = 'runs'
# cinder-volume goes on without its driver, and without a word to the API.
NO_DRIVER = 'Failed to initialize driver'
# Backups are made of checksums. OpenSSL's code for any 64-bit processor makes
# them twice as fast, emulated, as that for what QEMU has (OPENSSL_ia32cap(3)).
_PLAIN_SHA = {'OPENSSL_ia32cap': '0:0'}
TGT_CONFIG = '/etc/tgt/conf.d/cinder.conf'


def say(text: str) -> None:
    """Tell how far it is; ``up`` passes it on."""
    print(f'node: {text}', flush=True)


class Programs:
    """Cinder's processes on this node, as its user runs them.

    :param logs: the folder of their logs, shared with the other machine
    """

    def __init__(self, wanted: settings.Settings, venv: str,
                 logs: str) -> None:
        self._venv = venv
        self._logs = logs
        choice = control.concurrency(wanted, venv)
        self._environment = {
            'PATH': f'{venv}/bin:{SYSTEM_PATH}', 'LC_ALL': 'C.UTF-8',
            'HOME': configuration.NODE_STATE, 'USER': 'cinder',
            'PYTHONPATH': preparing.TOOLS, 'PYTHONWARNINGS': 'ignore',
            **_PLAIN_SHA, **choice}
        volume = ([f'{venv}/bin/cinder-volume'] if choice else
                  [f'{venv}/bin/python', '-m', 'openstack_lib.volume'])
        self._commands = {'cinder-volume': volume}
        if wanted.backup:
            self._commands['cinder-backup'] = [f'{venv}/bin/cinder-backup']
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    def _log(self, name: str) -> str:
        return f'{self._logs}/{name}.log'

    def start(self, name: str) -> str:
        """Start a service."""
        if name not in self._commands:
            raise errors.CloudError(
                f'there is no {name} on the storage node; there is '
                f'{", ".join(self._commands)}')
        with logs.begin(self._log(name)) as log:
            self._processes[name] = subprocess.Popen(
                [*self._commands[name], '--config-file', CONFIG],
                user='cinder', group='cinder', extra_groups=[], cwd='/',
                env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True)
        return f'{name} started\n'

    def start_all(self) -> None:
        """Start all services of this node."""
        for name in self._commands:
            self.start(name)

    def stop(self, name: str) -> None:
        """End a service as its unit file would, with all its children."""
        process = self._processes.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            say(f'{name} did not end within {STOP_SECONDS:.0f} s')
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_all(self) -> None:
        """End all services."""
        for name in list(self._processes):
            self.stop(name)

    def restart(self, name: str) -> str:
        """Stop a service and start it again."""
        with self._lock:
            self.stop(name)
            return self.start(name)

    def states(self) -> str:
        """Return a line for each service: its name and how it is."""
        return ''.join(f'{name} {self._state(name)}\n'
                       for name in self._commands)

    def _state(self, name: str) -> str:
        process = self._processes.get(name)
        if process is None:
            return 'is stopped'
        status = process.poll()
        if status is not None:
            return f'ended with status {status}'
        if any(NO_DRIVER in line for line in logs.complaints(
                self._log(name))):
            return 'did not initialise its driver'
        return RUNS


def start_tgtd(log: str) -> None:
    """Start the daemon that serves volumes with tgtadm, as Debian does."""
    os.makedirs(os.path.dirname(TGT_CONFIG), exist_ok=True)
    with open(TGT_CONFIG, 'w') as file:
        file.write(f'include {configuration.NODE_STATE}/volumes/*\n')
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
    """The storage node from its boot to its end."""

    def __init__(self, folder: str, venv: str) -> None:
        self._places = settings.Places(folder)
        with open(self._places.settings) as file:
            self._wanted = settings.Settings.from_json(file.read())
        self._venv = venv
        self._programs = Programs(self._wanted, venv, self._places.log)
        self._ended = threading.Event()

    def prepare(self) -> None:
        """Make the machine a storage node."""
        disk.mount()
        storage.run(f'{preparing.TOOLS}/deploy', self._venv)
        disk.make_cinders()
        say('user cinder, sudo and rootwrap are in place')
        for backend in self._wanted.back_ends():
            say(disk.open_group(backend))
        if self._wanted.target_helper == 'tgtadm':
            start_tgtd(f'{self._places.log}/tgtd.log')
        with open(os.open(CONFIG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                          0o640), 'w') as file:
            with open(f'{self._places.etc}/node.conf') as source:
                file.write(source.read())
        shutil.chown(CONFIG, group='cinder')

    def run(self) -> None:
        """Start Cinder's services and serve until the end is asked for."""
        self._programs.start_all()
        secret = passwords.ensure(self._places.passwords)
        agent = remote.Agent(
            AGENT_PORT, secret.agent,
            {'restart': self._programs.restart, 'stop': self._stop,
             'states': self._programs.states},
            {'PATH': f'{self._venv}/bin:/usr/local/sbin:/usr/local/bin:'
             f'{SYSTEM_PATH}', 'HOME': '/root', 'LC_ALL': 'C.UTF-8',
             'PYTHONPATH': preparing.TOOLS, 'PYTHONWARNINGS': 'ignore'})
        agent.start()
        say('cinder-volume is starting')
        self._ended.wait()
        self._programs.stop_all()
        disk.close(self._wanted.back_ends())
        say('stopped')

    def _stop(self) -> str:
        self._ended.set()
        return 'stopping\n'


def main(argv: Sequence[str]) -> int:
    """Be the storage node."""
    try:
        node = Node(argv[1], sys.prefix)
        node.prepare()
        node.run()
    except errors.CloudError as error:
        say(f'failed: {error}')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv))
