# SPDX-License-Identifier: Apache-2.0
"""What a cloud of tools/openstack consists of, its folder and its ports."""

import dataclasses
import os
from typing import Any, NamedTuple, Self

from cloud_lib import arguments
from cloud_lib import stored

LVM_TYPES = ('thin', 'default')
CONCURRENCIES = ('eventlet', 'threading')
REGION = 'RegionOne'
_IN_TREE = 'cinder.'
# The target_protocol of each target_helper.
PROTOCOLS = {'lioadm': 'iscsi', 'tgtadm': 'iscsi', 'nvmet': 'nvmet_tcp'}

LOOPBACK = '127.0.0.1'
# In QEMU's user network: the loopback of this machine, and the test machine.
GATEWAY = '10.0.2.2'
GUEST = '10.0.2.15'


class Ports(NamedTuple):
    """Consecutive TCP ports on the loopback of this machine.

    :ivar names: the name service of Erlang (epmd)
    :ivar distribution: the command line tools of RabbitMQ
    :ivar node: leads to the agent of the storage node
    """

    keystone: int
    glance: int
    cinder: int
    database: int
    bus: int
    names: int
    distribution: int
    node: int

    @classmethod
    def starting_at(cls, base: int) -> Self:
        """Return the ports from a number on."""
        return cls(*range(base, base + len(cls._fields)))


@dataclasses.dataclass(frozen=True)
class Backend:
    """One back end of cinder-volume."""

    name: str
    vg: str
    lvm_type: str


@dataclasses.dataclass(frozen=True)
class Settings(stored.Stored):
    """The options of ``up``.

    :ivar backends: the number of back ends, each with its own VG
    :ivar second_lvm_type: lvm_type of the second back end
    :ivar cinder: the release, empty for the one in the requirements
    :ivar backup: whether cinder-backup runs
    :ivar concurrency: the concurrency model of Cinder's services
    :ivar extra: lines ``option = value`` for the sections of the back ends
    :ivar kernel: of the test machine, empty for its default
    :ivar memory: of the test machine, in MiB
    :ivar cpus: of the test machine
    """

    driver: str = arguments.DEFAULT_DRIVER
    lvm_type: str = 'thin'
    target_helper: str = 'lioadm'
    backends: int = 1
    second_lvm_type: str = ''
    cinder: str = ''
    backup: bool = True
    concurrency: str = 'eventlet'
    extra: tuple[str, ...] = ()
    debug: bool = True
    kernel: str = ''
    memory: int = 4096
    cpus: int = 2
    port_base: int = 18700

    @property
    def ports(self) -> Ports:
        """The ports of all services."""
        return Ports.starting_at(self.port_base)

    @property
    def is_in_tree(self) -> bool:
        """Whether the driver is one of Cinder's own."""
        return self.driver.startswith(_IN_TREE)

    @property
    def protocol(self) -> str:
        """The target_protocol of the back ends."""
        return PROTOCOLS[self.target_helper]

    def back_ends(self) -> list[Backend]:
        """Return the back ends, the default one first."""
        types = (self.lvm_type, self.second_lvm_type or self.lvm_type)
        return [Backend(f'lvm-{number}', f'cinder-volumes-{number}', lvm_type)
                for number, lvm_type in enumerate(types[:self.backends], 1)]

    def extra_options(self) -> dict[str, str]:
        """Return the values of ``extra`` by option."""
        split = (line.partition('=') for line in self.extra)
        return {name.strip(): value.strip() for name, _, value in split}

    def differences(self, other: 'Settings') -> list[str]:
        """Return the differences as ``name: ours, not theirs``."""
        theirs: dict[str, Any] = dataclasses.asdict(other)
        return [f'{name}: {value!r}, not {theirs[name]!r}'
                for name, value in dataclasses.asdict(self).items()
                if value != theirs[name]]


class Places:
    """The paths in the folder of a cloud.

    :ivar log: the folder of the services' logs
    :ivar run: the folder of process IDs and sockets
    :ivar etc: the folder of configuration files
    :ivar tempest: the working folder of tempest
    :ivar environments: the paths of the virtual environments
    :ivar clouds: clouds.yaml
    :ivar disk: the disk of the storage node
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.log = self.path('log')
        self.run = self.path('run')
        self.etc = self.path('etc')
        self.tempest = self.path('tempest')
        self.settings = self.path('settings.json')
        self.environments = self.path('environments.json')
        self.passwords = self.path('passwords.json')
        self.resources = self.path('resources.json')
        self.clouds = self.path('clouds.yaml')
        self.disk = self.path('disk.raw')

    def path(self, *parts: str) -> str:
        """Return a path in the folder."""
        return os.path.join(self.root, *parts)


def write_private(path: str, text: str) -> None:
    """Write a file that only its owner can read; replace it atomically."""
    descriptor = os.open(f'{path}.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                         0o600)
    with os.fdopen(descriptor, 'w') as file:
        file.write(text)
    os.rename(f'{path}.new', path)
