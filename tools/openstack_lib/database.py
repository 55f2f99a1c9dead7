# SPDX-License-Identifier: Apache-2.0
"""MariaDB, as root of this machine runs it for itself."""

import os
import shutil
import subprocess

from cloud_lib import errors
from openstack_lib import services
from openstack_lib import settings

NAME = 'mariadb'
# As DevStack makes them. Everybody comes from the loopback: the test
# machine's connections, too, are opened by its emulator.
_ACCOUNTS = """\
CREATE USER IF NOT EXISTS openstack@'{host}' IDENTIFIED BY '{password}';
GRANT ALL ON *.* TO openstack@'{host}';
"""
# What a path of a Unix socket may be long, with its end.
_SOCKET_BYTES = 108
PATH = '/usr/sbin:/usr/bin:/sbin:/bin'


class Database:
    """The database server of one scratch folder."""

    def __init__(self, places: settings.Places, port: int) -> None:
        self._places = places
        self._port = port
        self._socket = os.path.join(places.run, 'mariadb.sock')
        if len(os.fsencode(self._socket)) >= _SOCKET_BYTES:
            raise errors.CloudError(
                f'{self._socket} is too long a path for a socket; choose '
                'another --folder')

    def create(self) -> None:
        """Lay out the data folder, over what was left half-made."""
        shutil.rmtree(self._data, ignore_errors=True)
        with open(os.path.join(self._places.log, 'mariadb-install.log'),
                  'wb') as log:
            done = subprocess.run(
                ['mariadb-install-db', '--no-defaults', '--user=root',
                 f'--datadir={self._data}', '--skip-test-db',
                 '--auth-root-authentication-method=socket'],
                env={'PATH': PATH}, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(
                f'mariadb-install-db ended with {done.returncode}; see '
                f'{log.name}')

    @property
    def _data(self) -> str:
        return self._places.path('mariadb')

    def service(self) -> services.Service:
        """Return the server."""
        return services.Service(
            NAME,
            ['mariadbd', '--no-defaults', '--user=root',
             f'--datadir={self._data}', f'--socket={self._socket}',
             f'--bind-address={settings.LOOPBACK}', f'--port={self._port}',
             '--skip-name-resolve', '--max-connections=400',
             # What a crash of this machine would lose is not worth a wait.
             '--innodb-flush-log-at-trx-commit=0',
             '--innodb-buffer-pool-size=256M',
             '--character-set-server=utf8mb3'],
            {'PATH': PATH, 'LC_ALL': 'C.UTF-8'}, self._port,
            lambda: services.listens(self._port))

    def make_accounts(self, password: str) -> None:
        """Make the account of the services."""
        self.ask(_ACCOUNTS.format(host=settings.LOOPBACK, password=password))

    def make_empty(self, name: str) -> None:
        """Make a service's database.

        One that an interrupted migration left cannot be migrated again.
        """
        self.ask(f'DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name};')

    def ask(self, statements: str) -> str:
        """Return what the server says to SQL, which may hold secrets."""
        done = subprocess.run(
            ['mariadb', '--no-defaults', f'--socket={self._socket}',
             '--user=root', '--batch', '--skip-column-names'],
            env={'PATH': PATH}, input=statements, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode:
            raise errors.CloudError(
                f'MariaDB refused a statement: {done.stderr.strip()}')
        return done.stdout
