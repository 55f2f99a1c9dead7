# SPDX-License-Identifier: Apache-2.0
"""The control plane on this machine."""

from collections.abc import Callable
import os
import subprocess
import time

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import programs
from openstack_lib import access
from openstack_lib import bus
from openstack_lib import cloud as clouds
from openstack_lib import configuration
from openstack_lib import database
from openstack_lib import services
from openstack_lib import settings

# In the folder of the cloud, readable by root only.
FOLDERS = ('log', 'run', 'etc/keystone', 'etc/glance', 'etc/cinder', 'keys',
           'keys/fernet', 'keys/credential', 'glance/images',
           'glance/staging', 'glance/tasks', 'cinder/lock', 'done',
           'tempest', 'rabbitmq')
# Keystone refuses requests while a worker loads its policy, which it does at
# its first request. ``up`` sends that request to the only worker.
WEB_WORKERS = 1
WEB_THREADS = 8
# An API call may wait for the storage node.
WEB_SECONDS = 600


class Control:
    """The services of the control plane."""

    def __init__(self, cloud: clouds.Cloud) -> None:
        self._cloud = cloud
        self._places = cloud.places
        self._services = cloud.services
        self._ports = cloud.settings.ports
        self._database = database.Database(cloud.places, self._ports.database)
        self._bus = bus.Bus(cloud.places, self._ports, cloud.passwords.bus)

    def configure(self) -> None:
        """Create the folders and all configuration files."""
        for folder in FOLDERS:
            os.makedirs(self._places.path(folder), mode=0o700, exist_ok=True)
        texts = configuration.Configuration(
            self._cloud.settings, self._places, self._cloud.passwords)
        packaged = f'{self._cloud.venv}/etc'
        for name, text in (
                ('keystone/keystone.conf', texts.keystone()),
                ('glance/glance-api.conf',
                 texts.glance(f'{packaged}/glance/glance-api-paste.ini')),
                ('cinder/cinder.conf', texts.cinder(f'{packaged}/cinder')),
                ('node.conf', texts.node())):
            settings.write_private(os.path.join(self._places.etc, name), text)
        settings.write_private(self._places.clouds, access.clouds(
            self._ports, self._cloud.passwords))
        self._bus.create()

    def up(self) -> None:
        """Start the services that do not run."""
        names, queue = self._bus.services()
        self._once('mariadb', self._database.create)
        self._start(self._database.service())
        self._start(names)
        # RabbitMQ starts slowly, and keystone does not need it.
        self._services.launch(queue)
        self._once('accounts', lambda: self._database.make_accounts(
            self._cloud.passwords.database))
        self._once('keystone', self._make_keystone)
        self._start(self._web('keystone', self._ports.keystone))
        self._once('identities', lambda: self._register('identities'))
        self._once('schemas', self._make_schemas)
        self._services.wait(queue)
        self._cloud.say('rabbitmq is up')
        apis = self._apis()
        for service in (*apis, self._scheduler()):
            self._services.launch(service)
        for service in apis:
            self._services.wait(service)
        self._cloud.say('glance, cinder-api and cinder-scheduler are up')
        self._once('resources', lambda: self._register('resources'))

    def restart(self, name: str) -> None:
        """Restart one service of the control plane.

        :raises errors.CloudError: there is no such service
        """
        known = {service.name: service for service in (
            self._database.service(), *self._bus.services(),
            self._web('keystone', self._ports.keystone), *self._apis(),
            self._scheduler())}
        if name not in known:
            raise errors.CloudError(
                f'there is no service {name}; choose from {", ".join(known)}')
        self._services.stop(name)
        self._start(known[name])

    def _start(self, service: services.Service) -> None:
        if self._services.launch(service):
            self._services.wait(service)
            self._cloud.say(f'{service.name} is up')

    def _once(self, name: str, work: Callable[[], object]) -> None:
        """Do what is done once in the life of a cloud."""
        path = self._places.path('done', name)
        if not os.path.exists(path):
            start = time.monotonic()
            work()
            with open(path, 'w'):
                pass
            self._cloud.say(f'{name} created '
                            f'({time.monotonic() - start:.0f} s)')

    def _environment(self, **more: str) -> dict[str, str]:
        return programs.environment(
            self._cloud.venv, HOME=self._places.root,
            OPENSTACK_ETC=self._places.etc, **more)

    def _web(self, name: str, port: int) -> services.Service:
        function = name.removesuffix('-api')
        return services.Service(
            name,
            [f'{self._cloud.venv}/bin/gunicorn', '--bind',
             f'{settings.LOOPBACK}:{port}', '--workers',
             str(WEB_WORKERS), '--worker-class', 'gthread',
             '--threads', str(WEB_THREADS), '--timeout', str(WEB_SECONDS),
             '--graceful-timeout', '10', '--no-control-socket',
             f'openstack_lib.apis:{function}()'],
            self._environment(), port,
            lambda: services.answers(port))

    def _apis(self) -> list[services.Service]:
        return [self._web('glance', self._ports.glance),
                self._web('cinder-api', self._ports.cinder)]

    def _scheduler(self) -> services.Service:
        return services.Service(
            'cinder-scheduler',
            [f'{self._cloud.venv}/bin/cinder-scheduler', '--config-file',
             f'{self._places.etc}/cinder/cinder.conf'],
            self._environment(**clouds.concurrency(self._cloud.settings,
                                                   self._cloud.venv)),
            0, lambda: True)

    def _run(self, title: str, *command: str, **more: str) -> None:
        """Run a program of the virtual environment and log its output.

        :param title: the name of the log
        :param more: variables
        """
        path = self._services.log(title)
        with open(path, 'ab') as log:
            done = subprocess.run(
                [f'{self._cloud.venv}/bin/{command[0]}', *command[1:]],
                env=self._environment(**more), stdout=log,
                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(
                f'{command[0]} exited with status {done.returncode}\n'
                + logs.excerpt(path))

    def _make_keystone(self) -> None:
        config = f'--config-file={self._places.etc}/keystone/keystone.conf'
        user = ('--keystone-user', 'root', '--keystone-group', 'root')
        url = access.auth_url(self._ports)
        self._database.make_empty('keystone')
        for words in (
                ('db_sync',), ('fernet_setup', *user),
                ('credential_setup', *user),
                ('bootstrap', '--bootstrap-region-id', settings.REGION,
                 *(f'--bootstrap-{interface}-url={url}'
                   for interface in ('admin', 'internal', 'public')))):
            self._run('keystone-manage', 'keystone-manage', config, *words,
                      OS_BOOTSTRAP_PASSWORD=self._cloud.passwords.admin)

    def _make_schemas(self) -> None:
        for name in 'glance', 'cinder':
            self._database.make_empty(name)
        self._run('glance-manage', 'glance-manage', '--config-file',
                  f'{self._places.etc}/glance/glance-api.conf', 'db_sync')
        self._run('cinder-manage', 'cinder-manage', '--config-file',
                  f'{self._places.etc}/cinder/cinder.conf', 'db', 'sync')

    def _register(self, part: str) -> None:
        """Create a part of what an operator creates in a new cloud."""
        self._run(f'register-{part}', 'python', '-m',
                  'openstack_lib.register', part, self._places.root,
                  OS_CLIENT_CONFIG_FILE=self._places.clouds)
