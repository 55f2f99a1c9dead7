# SPDX-License-Identifier: Apache-2.0
"""The interface of the two modes of nvmet, and their common part.

A volume has a subsystem of its own (``nvmet_per_volume``), or is one of the
namespaces in a subsystem for each host (``nvmet_per_host``). A mode takes the
lock that nvmet shares with Cinder's in-tree driver.
"""

import abc
from collections.abc import Iterable
import contextlib
import dataclasses
import logging

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import nvmet_settings

LOG = logging.getLogger(__name__)

AttachedHost = tuple[base.Connector, nvmet.Host]


@dataclasses.dataclass(frozen=True)
class Connection:
    """The address of a namespace for a host that is allowed to use it.

    :ivar discard: whether the host can discard blocks
    """

    subsystem_nqn: str
    portals: tuple[listening.Portal, ...]
    nsid: int
    discard: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(abc.ABC):
    """A device to serve, and the hosts to allow.

    :ivar hosts: with their keys
    :ivar portals: in the kernel's spelling
    """

    volume_id: str
    subsystem_nqn: str
    device: str
    uuid: str
    nsid: int
    hosts: tuple[nvmet.Host, ...]
    portals: tuple[listening.Portal, ...]
    first_port_id: int

    @property
    def is_free_to_move(self) -> bool:
        """Tell whether the namespace may have another id than ``nsid``."""
        return False

    @abc.abstractmethod
    def serve(self, portals: Iterable[listening.Portal]) -> nvmet.Served:
        """Serve the device to the hosts, or complete what serves it.

        :param portals: all of these, or none if they are to come later
        """

    @abc.abstractmethod
    def namespaces(self, listed: nvmet_report.ListedSubsystem,
                   ) -> list[nvmet_report.ListedNamespace]:
        """Return the namespaces that may serve the device."""

    def is_served(self, listed: nvmet_report.ListedSubsystem) -> bool:
        """Tell whether a subsystem lacks nothing except portals."""
        return (listed.closed
                and {host.nqn for host in self.hosts} <= set(listed.hosts)
                and any(namespace.device == self.device
                        or validation.device_number(namespace.device)
                        == validation.device_number(self.device)
                        for namespace in self.namespaces(listed)))


class Mode(abc.ABC):
    """How nvmet serves a volume."""

    # The in-tree driver tells hosts the port as text or as a number.
    port_type: type[str] | type[int]

    def __init__(self, settings: nvmet_settings.Settings,
                 key_file: dhchap.KeyFile) -> None:
        self.settings = settings
        self.key_file = key_file

    @abc.abstractmethod
    def create_export(self, volume: base.Volume, device: str) -> str:
        """Create the export of a volume; return its provider_location."""

    @abc.abstractmethod
    def remove_export(self, volume: base.Volume, device: str | None) -> None:
        """Stop serving a volume; see ``base.Target.remove_export``."""

    @abc.abstractmethod
    def allow(self, volume: base.Volume,
              connector: base.Connector) -> Connection:
        """Allow a host."""

    @abc.abstractmethod
    def deny(self, volume: base.Volume,
             connector: base.Connector | None) -> None:
        """Deny a host, or all hosts if the connector is None."""

    @abc.abstractmethod
    def check_connector(self, connector: base.Connector,
                        volume: base.Volume | None = None) -> None:
        """Check that a host can attach a volume.

        :param volume: None for a volume that the host does not know yet
        :raises InvalidConnector: it cannot
        """

    @abc.abstractmethod
    def subsystems(self, volume: base.Volume) -> Iterable[str]:
        """Return the NQNs of the subsystems that serve a volume."""

    @abc.abstractmethod
    def requests(self, volume: base.Volume, device: str,
                 attached: list[AttachedHost]) -> list[Request]:
        """Return all that is needed to serve a volume to hosts."""

    def usable_connectors(self, volume: base.Volume) -> list[base.Connector]:
        """Return the connectors of the hosts that a volume is attached to.

        Invalid ones are left out: another target helper has stored them, and
        nvmet cannot allow such hosts.
        """
        found = []
        for connector in base.connectors(volume):
            with contextlib.suppress(errors.InvalidConnector):
                self.check_connector(connector, volume)
                found.append(connector)
        return found

    def attached_hosts(self, volume: base.Volume,
                       ) -> tuple[list[AttachedHost], errors.NoHostKey | None]:
        """Return the hosts that a volume is attached to, with their keys.

        :returns: the hosts to allow, and the error of one that has no key
        """
        keys = self.key_file.read()
        attached, problem = [], None
        for connector in self.usable_connectors(volume):
            try:
                attached.append((connector, host_with_key(connector, keys)))
            except errors.NoHostKey as exc:
                problem = exc
                LOG.warning('A host that has volume %s is not allowed: %s',
                            volume.id, problem)
        return attached, problem


def host_nqn(connector: base.Connector) -> str:
    """Return the NQN of a host.

    :raises InvalidConnector: the host sent none
    """
    try:
        return validation.nqn('host', base.text_of(connector, 'nqn'))
    except errors.InvalidArgument as exc:
        raise errors.InvalidConnector('nqn') from exc


def are_same_host(one: base.Connector, other: base.Connector) -> bool:
    """Compare host NQNs, whose case matters."""
    name = base.text_of(one, 'nqn')
    return bool(name) and name == base.text_of(other, 'nqn')


def host_with_key(connector: base.Connector,
                  keys: dhchap.Keys) -> nvmet.Host:
    """Return a host and its key, if it has one.

    :raises InvalidConnector: the host sent no NQN
    :raises NoHostKey: the host has no key, but keys are required
    """
    name = host_nqn(connector)
    return nvmet.Host(name, keys.find(name))


def canonical(portals: Iterable[listening.Portal],
              ) -> tuple[listening.Portal, ...]:
    """Return portals in the kernel's spelling, each once."""
    return listening.unique(portal.validated() for portal in portals)
