# SPDX-License-Identifier: Apache-2.0
"""The control plane on this machine, from nothing to a scheduler."""

from collections.abc import Callable, Mapping
import glob
import os
import pathlib
import subprocess
import time

from cloud_lib import errors
from cloud_lib import logs
from cloud_lib import preparing
from openstack_lib import access
from openstack_lib import bus
from openstack_lib import configuration
from openstack_lib import database
from openstack_lib import passwords
from openstack_lib import services
from openstack_lib import settings

# Folders of the scratch folder; none of them is for other users.
FOLDERS = ('log', 'run', 'etc/keystone', 'etc/glance', 'etc/cinder', 'keys',
           'keys/fernet', 'keys/credential', 'glance/images',
           'glance/staging', 'glance/tasks', 'cinder/lock', 'done',
           'tempest', 'rabbitmq')
# A process of keystone forbids what is asked while it reads its policy, which
# it does at the first question. "up" has put that to one process.
WEB_WORKERS = 1
WEB_THREADS = 8
# An API call may wait for the storage node.
WEB_SECONDS = 600
LINES = 15
# What tells Cinder 29 and later to do without eventlet.
NATIVE_THREADS = 'OS_CINDER_DISABLE_EVENTLET_PATCHING'


def concurrency(wanted: settings.Settings, venv: str) -> dict[str, str]:
    """Return the variable that chooses what Cinder's services run in.

    :raises errors.CloudError: when this release has no choice
    """
    if wanted.concurrency == 'eventlet':
        return {}
    found = glob.glob(f'{venv}/lib/python*/site-packages/cinder/'
                      'monkey_patch.py')
    known = [path for path in found
             if NATIVE_THREADS in pathlib.Path(path).read_text()]
    if not known:
        raise errors.CloudError(
            'this release of Cinder runs with eventlet only')
    return {NATIVE_THREADS: 'true'}


class Control:
    """The services of the control plane.

    :param say: tells the person how far it is
    """

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 venv: str, say: Callable[[str], None]) -> None:
        self._wanted = wanted
        self._places = places
        self._venv = venv
        self._say = say
        self._services = services.Services(places)
        self._ports = wanted.ports
        for folder in FOLDERS:
            os.makedirs(places.path(folder), mode=0o700, exist_ok=True)
        self._secret = passwords.ensure(places.passwords)
        self._database = database.Database(places, self._ports.database)
        self._bus = bus.Bus(places, self._ports, self._secret.bus)

    def configure(self) -> None:
        """Write all configuration files."""
        made = configuration.Configuration(self._wanted, self._places,
                                           self._secret)
        etc = f'{self._venv}/etc'
        for name, text in (
                ('keystone/keystone.conf', made.keystone()),
                ('glance/glance-api.conf',
                 made.glance(f'{etc}/glance/glance-api-paste.ini')),
                ('cinder/cinder.conf', made.cinder(f'{etc}/cinder')),
                ('node.conf', made.node())):
            settings.write_private(os.path.join(self._places.etc, name), text)
        settings.write_private(
            self._places.clouds, access.clouds(self._ports, self._secret))
        self._bus.create()

    def up(self) -> None:
        """Start what does not run."""
        queue = self._bus.services()
        self._once('mariadb', self._database.create)
        for service in (self._database.service(), *queue[:1]):
            self._start(service)
        # RabbitMQ takes its time; keystone does not need it.
        self._services.launch(queue[1])
        self._once('accounts', lambda: self._database.make_accounts(
            self._secret.database))
        self._once('keystone', self._make_keystone)
        self._start(self._web('keystone', self._ports.keystone))
        self._once('identities', lambda: self.register('identities'))
        self._once('schemas', self._make_schemas)
        self._services.wait(queue[1])
        self._say('rabbitmq is up')
        for service in (self._web('glance', self._ports.glance),
                        self._web('cinder-api', self._ports.cinder),
                        self._scheduler()):
            self._services.launch(service)
        for service in (self._web('glance', self._ports.glance),
                        self._web('cinder-api', self._ports.cinder)):
            self._services.wait(service)
        self._say('glance, cinder-api and cinder-scheduler are up')
        self._once('resources', lambda: self.register('resources'))

    def restart(self, name: str) -> None:
        """Restart one service of the control plane."""
        known = {service.name: service for service in (
            self._database.service(), *self._bus.services(),
            self._web('keystone', self._ports.keystone),
            self._web('glance', self._ports.glance),
            self._web('cinder-api', self._ports.cinder), self._scheduler())}
        if name not in known:
            raise errors.CloudError(
                f'there is no {name} here; there are {", ".join(known)}')
        self._services.stop(name)
        self._start(known[name])

    def _start(self, service: services.Service) -> None:
        if self._services.launch(service):
            self._services.wait(service)
            self._say(f'{service.name} is up')

    def _once(self, name: str, work: Callable[[], object]) -> None:
        """Do what is done once in the life of a scratch folder."""
        path = self._places.path('done', name)
        if not os.path.exists(path):
            start = time.monotonic()
            work()
            with open(path, 'w'):
                pass
            self._say(f'{name} made ({time.monotonic() - start:.0f} s)')

    def _environment(self, **more: str) -> dict[str, str]:
        return {'PATH': f'{self._venv}/bin:{database.PATH}',
                'PYTHONPATH': preparing.TOOLS, 'LC_ALL': 'C.UTF-8',
                'HOME': self._places.root, 'PYTHONWARNINGS': 'ignore',
                'OPENSTACK_ETC': self._places.etc, **more}

    def _web(self, name: str, port: int) -> services.Service:
        function = name.removesuffix('-api')
        return services.Service(
            name,
            [f'{self._venv}/bin/gunicorn', '--bind',
             f'{settings.LOOPBACK}:{port}', '--workers',
             str(WEB_WORKERS), '--worker-class', 'gthread',
             '--threads', str(WEB_THREADS), '--timeout', str(WEB_SECONDS),
             '--graceful-timeout', '10', '--no-control-socket',
             f'openstack_lib.apis:{function}()'],
            self._environment(), port,
            lambda: services.answers(f'http://{settings.LOOPBACK}:{port}/'))

    def _scheduler(self) -> services.Service:
        return services.Service(
            'cinder-scheduler',
            [f'{self._venv}/bin/cinder-scheduler', '--config-file',
             f'{self._places.etc}/cinder/cinder.conf'],
            self._environment(**concurrency(self._wanted, self._venv)),
            0, lambda: True)

    def _run(self, title: str, *command: str,
             more: Mapping[str, str] | None = None) -> None:
        """Run a program of the virtual environment, with a log."""
        path = self._services.log(title)
        with open(path, 'ab') as log:
            done = subprocess.run(
                [f'{self._venv}/bin/{command[0]}', *command[1:]],
                env=self._environment(**(more or {})), stdout=log,
                stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        if done.returncode:
            raise errors.CloudError(
                f'{command[0]} ended with {done.returncode}; the end of '
                f'{path}:\n' + '\n'.join(logs.tail(path, LINES)))

    def _make_keystone(self) -> None:
        config = f'--config-file={self._places.etc}/keystone/keystone.conf'
        user = ('--keystone-user', 'root', '--keystone-group', 'root')
        url = access.auth_url(self._ports)
        self._database.make_empty('keystone')
        for words in (
                ('db_sync',), ('fernet_setup', *user),
                ('credential_setup', *user),
                ('bootstrap', '--bootstrap-region-id', settings.REGION,
                 *(f'--bootstrap-{kind}-url={url}'
                   for kind in ('admin', 'internal', 'public')))):
            self._run('keystone-manage', 'keystone-manage', config, *words,
                      more={'OS_BOOTSTRAP_PASSWORD': self._secret.admin})

    def _make_schemas(self) -> None:
        for name in 'glance', 'cinder':
            self._database.make_empty(name)
        self._run('glance-manage', 'glance-manage', '--config-file',
                  f'{self._places.etc}/glance/glance-api.conf', 'db_sync')
        self._run('cinder-manage', 'cinder-manage', '--config-file',
                  f'{self._places.etc}/cinder/cinder.conf', 'db', 'sync')

    def register(self, what: str) -> None:
        """Make a part of what an operator makes in a new cloud."""
        self._run(f'register-{what}', 'python', '-m',
                  'openstack_lib.register', what, self._places.root,
                  more={'OS_CLIENT_CONFIG_FILE': self._places.clouds})
