# SPDX-License-Identifier: Apache-2.0
"""What an OpenStack of tools/openstack is made of, and where it lives."""

import dataclasses
import os
from typing import Any, ClassVar

from cloud_lib import arguments
from cloud_lib import stored

LVM_TYPES = ('thin', 'default')
CONCURRENCIES = ('eventlet', 'threading')
REGION = 'RegionOne'
# What each helper speaks; the test machine's settings follow from it.
PROTOCOLS = {'lioadm': 'iscsi', 'tgtadm': 'iscsi', 'nvmet': 'nvmet_tcp'}

LOOPBACK = '127.0.0.1'
# QEMU's user network: this machine's loopback, and the test machine.
GATEWAY = '10.0.2.2'
GUEST = '10.0.2.15'


@dataclasses.dataclass(frozen=True)
class Ports:
    """Ports of this machine's loopback: a row that begins at ``base``."""

    base: int = 18700
    COUNT: ClassVar[int] = 8

    @property
    def row(self) -> range:
        """All of them."""
        return range(self.base, self.base + self.COUNT)

    @property
    def keystone(self) -> int:
        """The identity service."""
        return self.base

    @property
    def glance(self) -> int:
        """The image service."""
        return self.base + 1

    @property
    def cinder(self) -> int:
        """The volume service."""
        return self.base + 2

    @property
    def database(self) -> int:
        """MariaDB."""
        return self.base + 3

    @property
    def bus(self) -> int:
        """RabbitMQ."""
        return self.base + 4

    @property
    def names(self) -> int:
        """Where Erlang's nodes find each other (epmd)."""
        return self.base + 5

    @property
    def distribution(self) -> int:
        """Where RabbitMQ's own tools would reach it."""
        return self.base + 6

    @property
    def node(self) -> int:
        """Leads to the storage node's agent in the test machine."""
        return self.base + 7


@dataclasses.dataclass(frozen=True)
class Backend:
    """One back end of cinder-volume."""

    name: str
    group: str
    lvm_type: str


@dataclasses.dataclass(frozen=True)
class Settings(stored.Stored):
    """What ``up`` was asked for.

    :ivar backends: how many, each with a volume group of its own
    :ivar second_lvm_type: the second back end's lvm_type
    :ivar cinder: the release, empty for the one the requirements name
    :ivar backup: whether cinder-backup runs
    :ivar concurrency: what Cinder's services run their work in
    :ivar extra: lines ``option = value`` for the back ends' sections
    :ivar kernel: the test machine's, empty for its default
    :ivar memory: the test machine's, in MiB
    :ivar cpus: the test machine's processors
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
    port_base: int = Ports.base

    @property
    def ports(self) -> Ports:
        """Where everything listens."""
        return Ports(self.port_base)

    @property
    def protocol(self) -> str:
        """The back ends' target_protocol."""
        return PROTOCOLS[self.target_helper]

    def back_ends(self) -> list[Backend]:
        """Return the back ends, the default one first."""
        types = (self.lvm_type, self.second_lvm_type or self.lvm_type)
        return [Backend(f'lvm-{number}', f'cinder-volumes-{number}', kind)
                for number, kind in enumerate(types[:self.backends], 1)]

    def extra_options(self) -> dict[str, str]:
        """Return the values of ``extra`` by option."""
        split = (line.partition('=') for line in self.extra)
        return {name.strip(): value.strip() for name, _, value in split}

    def differences(self, other: 'Settings') -> list[str]:
        """Return what differs, as ``name: ours, not theirs``."""
        theirs: dict[str, Any] = dataclasses.asdict(other)
        return [f'{name}: {value!r}, not {theirs[name]!r}'
                for name, value in dataclasses.asdict(self).items()
                if value != theirs[name]]


@dataclasses.dataclass(frozen=True)
class Places:
    """The scratch folder that all data is in."""

    root: str

    def path(self, *parts: str) -> str:
        """Return a path below the folder."""
        return os.path.join(self.root, *parts)

    @property
    def log(self) -> str:
        """The folder of the services' logs."""
        return self.path('log')

    @property
    def run(self) -> str:
        """The folder of process ids and sockets."""
        return self.path('run')

    @property
    def etc(self) -> str:
        """The folder of configuration files."""
        return self.path('etc')

    @property
    def settings(self) -> str:
        """What the cloud was made with."""
        return self.path('settings.json')

    @property
    def environments(self) -> str:
        """The paths of the virtual environments."""
        return self.path('environments.json')

    @property
    def passwords(self) -> str:
        """The passwords, for root's eyes only."""
        return self.path('passwords.json')

    @property
    def clouds(self) -> str:
        """What the clients are told, in the format of clouds.yaml."""
        return self.path('clouds.yaml')

    @property
    def disk(self) -> str:
        """The storage node's disk."""
        return self.path('disk.raw')

    @property
    def tempest(self) -> str:
        """Tempest's own folder."""
        return self.path('tempest')


def write_private(path: str, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    descriptor = os.open(f'{path}.new', os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
                         0o600)
    with os.fdopen(descriptor, 'w') as file:
        file.write(text)
    os.rename(f'{path}.new', path)
