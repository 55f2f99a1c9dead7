# SPDX-License-Identifier: Apache-2.0
"""MariaDB, run by root of this machine."""

import os
import shutil
import subprocess

from cloud_lib import errors
from cloud_lib import programs
from openstack_lib import services
from openstack_lib import settings

NAME = 'mariadb'
# All clients connect from the loopback: QEMU opens the connections of the test
# machine.
_ACCOUNTS = """\
CREATE USER IF NOT EXISTS openstack@'{host}' IDENTIFIED BY '{password}';
GRANT ALL ON *.* TO openstack@'{host}';
"""
# The size of sun_path, see unix(7).
_SOCKET_BYTES = 108


class Database:
    """The database server of one cloud."""

    def __init__(self, places: settings.Places, port: int) -> None:
        self._places = places
        self._port = port
        self._socket = os.path.join(places.run, 'mariadb.sock')
        if len(os.fsencode(self._socket)) >= _SOCKET_BYTES:
            raise errors.CloudError(
                f'the path of the socket {self._socket} is too long; choose a '
                'shorter --folder')

    def create(self) -> None:
        """Create the data folder; replace an incomplete one."""
        shutil.rmtree(self._data, ignore_errors=True)
        with open(os.path.join(self._places.log, 'mariadb-install.log'),
                  'wb') as log:
            done = subprocess.run(
                ['mariadb-install-db', '--no-defaults', '--user=root',
                 f'--datadir={self._data}', '--skip-test-db',
                 '--auth-root-authentication-method=socket'],
                env={'PATH': programs.SYSTEM_PATH}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(
                'mariadb-install-db exited with status '
                f'{done.returncode}; see {log.name}')

    @property
    def _data(self) -> str:
        return self._places.path('mariadb')

    def service(self) -> services.Service:
        """Return the service."""
        return services.Service(
            NAME,
            ['mariadbd', '--no-defaults', '--user=root',
             f'--datadir={self._data}', f'--socket={self._socket}',
             f'--bind-address={settings.LOOPBACK}', f'--port={self._port}',
             '--skip-name-resolve', '--max-connections=400',
             # Do not wait for the disk: the data is only for tests.
             '--innodb-flush-log-at-trx-commit=0',
             '--innodb-buffer-pool-size=256M',
             '--character-set-server=utf8mb3'],
            {'PATH': programs.SYSTEM_PATH, 'LC_ALL': 'C.UTF-8'}, self._port,
            lambda: services.listens(self._port))

    def make_accounts(self, password: str) -> None:
        """Create the account of the services."""
        self.ask(_ACCOUNTS.format(host=settings.LOOPBACK, password=password))

    def make_empty(self, name: str) -> None:
        """Create an empty database; drop the rest of a failed migration."""
        self.ask(f'DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name};')

    def ask(self, statements: str) -> str:
        """Run SQL, which may contain secrets, and return the output."""
        done = subprocess.run(
            ['mariadb', '--no-defaults', f'--socket={self._socket}',
             '--user=root', '--batch', '--skip-column-names'],
            env={'PATH': programs.SYSTEM_PATH}, input=statements, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise errors.CloudError(
                f'MariaDB refused a statement: {done.stderr.strip()}')
        return done.stdout
