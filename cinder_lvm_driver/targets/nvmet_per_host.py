# SPDX-License-Identifier: Apache-2.0
"""The mode of nvmet in which each host has a subsystem (lvm_share_target).

``provider_location`` of a volume is the path of its device. The subsystem and
the namespace id are in the connection_info of each attachment.
"""

from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any
import zlib

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import nvmet_mode
from cinder_lvm_driver.targets.nvmet_settings import LOCK


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(nvmet_mode.Request):
    """A device to serve in the subsystem of a host.

    :ivar lowest_nsid: the namespace gets a free id from this one to
        ``highest_nsid`` if ``nsid`` is not free
    """

    lowest_nsid: int
    highest_nsid: int

    @property
    def is_free_to_move(self) -> bool:
        return self.lowest_nsid != self.highest_nsid

    def serve(self, portals: Iterable[listening.Portal]) -> nvmet.Served:
        host, = self.hosts
        with node.lock(LOCK):
            return nvmet.create_namespace(
                subsystem_nqn=self.subsystem_nqn, device=self.device,
                uuid=self.uuid, nsid=self.nsid, lowest_nsid=self.lowest_nsid,
                highest_nsid=self.highest_nsid, host=host,
                portals=list(portals), first_port_id=self.first_port_id)

    def namespaces(self, listed: nvmet_report.ListedSubsystem,
                   ) -> list[nvmet_report.ListedNamespace]:
        return [namespace for namespace in listed.namespaces.values()
                if namespace.uuid == self.uuid]


class PerHost(nvmet_mode.Mode):
    """A subsystem per host."""

    port_type = int

    def create_export(self, volume: base.Volume, device: str) -> str:
        return device

    def remove_export(self, volume: base.Volume, device: str | None) -> None:
        """Remove the namespaces of a volume that no host is attached to.

        ``deny`` has removed them, unless an attachment ended without it, as
        with ``cinder reset-state --attach-status detached``.
        """
        if not base.connectors(volume):
            self._withdraw(volume, None, device)

    def allow(self, volume: base.Volume,
              connector: base.Connector) -> nvmet_mode.Connection:
        host = nvmet_mode.host_with_key(connector, self.key_file.read())
        request = self._request(volume, volume.provider_location, connector,
                                host)
        served = request.serve(request.portals)
        return nvmet_mode.Connection(
            request.subsystem_nqn, self.settings.portals, served.nsid,
            served.discard)

    def deny(self, volume: base.Volume,
             connector: base.Connector | None) -> None:
        self._withdraw(volume, connector, None)

    def check_connector(self, connector: base.Connector,
                        volume: base.Volume | None = None) -> None:
        nvmet_mode.host_nqn(connector)
        self._subsystem(connector, volume)

    def subsystems(self, volume: base.Volume) -> Iterable[str]:
        return dict.fromkeys(
            self._subsystem(connector, volume)
            for connector in self.usable_connectors(volume))

    def requests(self, volume: base.Volume, device: str,
                 attached: list[nvmet_mode.AttachedHost],
                 ) -> list[nvmet_mode.Request]:
        return [self._request(volume, device, connector, host)
                for connector, host in attached]

    def _request(self, volume: base.Volume, device: str,
                 connector: base.Connector, host: nvmet.Host) -> Request:
        nsid, lowest, highest = self._nsids(volume, connector)
        return Request(
            volume_id=volume.id, device=device, uuid=volume.name_id,
            subsystem_nqn=self._subsystem(connector, volume), nsid=nsid,
            hosts=(host,),
            portals=nvmet_mode.canonical(self.settings.portals),
            first_port_id=self.settings.first_port_id, lowest_nsid=lowest,
            highest_nsid=highest)

    def _withdraw(self, volume: base.Volume,
                  connector: base.Connector | None,
                  device: str | None) -> None:
        """Remove a volume from the subsystem of a host, or of all hosts."""
        with node.lock(LOCK):
            if connector is not None:
                names = [self._subsystem(connector, volume)]
            else:
                listing = nvmet_report.list_subsystems()
                names = [
                    name for name, listed in listing.items()
                    if any(namespace.uuid == volume.name_id
                           for namespace in listed.namespaces.values())]
            for subsystem_nqn in names:
                nvmet.delete_namespace(subsystem_nqn, volume.name_id, device)

    def _nsids(self, volume: base.Volume,
               connector: base.Connector) -> tuple[int, int, int]:
        """Return the preferred id for a volume, and the possible range.

        If the host knows the volume by an id, this is the only possible one:
        under another id it may have the disk of another volume. Otherwise
        the preferred id follows from the volume, so that a freed id rarely
        goes to another volume at once: the host may not have noticed yet.
        """
        known = str(_told(volume, connector).get('ns_id'))
        if known.isdecimal():
            return int(known), int(known), int(known)
        lowest, highest = self.settings.nsid, self.settings.last_nsid
        span = highest - lowest + 1
        nsid = lowest + zlib.crc32(volume.name_id.encode()) % span
        return nsid, lowest, highest

    def _subsystem(self, connector: base.Connector,
                   volume: base.Volume | None) -> str:
        """Return the NQN of a host's subsystem.

        If the host knows a volume by a subsystem, this is the one, whatever
        cinder.conf says now.

        :raises InvalidConnector: the host has no valid name
        """
        told = {} if volume is None else _told(volume, connector)
        known = base.text_of(told, 'target_nqn') or base.text_of(told, 'nqn')
        if known:
            return known
        name = base.text_of(connector, 'host')
        try:
            return validation.nqn('host', self.settings.nqn(name or '/'))
        except errors.InvalidArgument as exc:
            raise errors.InvalidConnector('host') from exc


def _told(volume: base.Volume,
          connector: base.Connector) -> Mapping[str, Any]:
    """Return the connection_info of a host, if Cinder has stored it.

    A host on this node can have attached the volume without a target as well.
    """
    for attachment in volume.volume_attachment:
        if (attachment.connection_info and not base.is_local(attachment)
                and nvmet_mode.are_same_host(attachment.connector or {},
                                             connector)):
            told: Mapping[str, Any] = attachment.connection_info
            return told
    return {}
