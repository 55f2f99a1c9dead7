# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ and the name service of Erlang (epmd).

Debian's wrapper in /usr/sbin would change the user. Erlang would start epmd
itself, on all addresses, and leave it running: here both are processes like
the others.
"""

import glob
import os

from cloud_lib import errors
from cloud_lib import programs
from openstack_lib import services
from openstack_lib import settings

NAME = 'rabbitmq'
NAMES = 'epmd'
_SCRIPTS = '/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin'
_CONF = """\
# Written by tools/openstack.
listeners.tcp.1 = {host}:{port}
default_user = openstack
default_pass = {password}
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
loopback_users = none
log.console = true
log.file = false
# A node blocked by a nearly full disk looks as if it hangs.
disk_free_limit.absolute = 50MB
"""


def _scripts() -> str:
    found = glob.glob(_SCRIPTS)
    if len(found) != 1:
        raise errors.CloudError(
            f'{len(found)} folders match {_SCRIPTS}, not one; install the '
            'package rabbitmq-server')
    return found[0]


class Bus:
    """The message bus of one cloud."""

    def __init__(self, places: settings.Places, ports: settings.Ports,
                 password: str) -> None:
        self._places = places
        self._ports = ports
        self._password = password

    def create(self) -> None:
        """Write the configuration files."""
        folder = self._places.path('rabbitmq')
        os.makedirs(folder, mode=0o700, exist_ok=True)
        settings.write_private(f'{folder}/rabbitmq.conf', _CONF.format(
            host=settings.LOOPBACK, port=self._ports.bus,
            password=self._password))
        settings.write_private(f'{folder}/plugins', '[].\n')
        settings.write_private(f'{folder}/env.conf', '')

    def _environment(self) -> dict[str, str]:
        folder = self._places.path('rabbitmq')
        return {
            'PATH': programs.SYSTEM_PATH, 'HOME': folder, 'LC_ALL': 'C.UTF-8',
            'ERL_EPMD_PORT': str(self._ports.names),
            'ERL_EPMD_ADDRESS': settings.LOOPBACK,
            'RABBITMQ_NODENAME': f'openstack{self._ports.keystone}@localhost',
            'RABBITMQ_DIST_PORT': str(self._ports.distribution),
            'RABBITMQ_MNESIA_BASE': f'{folder}/mnesia',
            'RABBITMQ_LOG_BASE': f'{folder}/log',
            'RABBITMQ_PID_FILE': f'{folder}/pid',
            'RABBITMQ_ENABLED_PLUGINS_FILE': f'{folder}/plugins',
            'RABBITMQ_CONFIG_FILE': f'{folder}/rabbitmq.conf',
            'RABBITMQ_CONF_ENV_FILE': f'{folder}/env.conf',
            # One scheduler without busy waiting, see erl(1).
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS':
                '-kernel inet_dist_use_interface {127,0,0,1} '
                '+S 1:1 +sbwt none',
            # The script then replaces itself by the server.
            'RUNNING_UNDER_SYSTEMD': 'true',
        }

    def services(self) -> list[services.Service]:
        """Return epmd and the server, in the order of their start."""
        environment = self._environment()
        return [
            services.Service(
                NAMES, ['epmd'], environment, self._ports.names,
                lambda: services.listens(self._ports.names)),
            services.Service(
                NAME, [f'{_scripts()}/rabbitmq-server'], environment,
                self._ports.bus,
                lambda: services.listens(self._ports.bus)),
        ]
