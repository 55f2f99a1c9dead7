# SPDX-License-Identifier: Apache-2.0
"""The mode of nvmet in which each volume has a subsystem of its own.

``provider_location`` of a volume has the form of the in-tree driver, so that
a deployment can switch between the drivers while volumes are attached.
"""

from collections.abc import Iterable
import contextlib
import dataclasses
import logging
from typing import Literal

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import nvmet_mode
from cinder_lvm_driver.targets.nvmet_settings import LOCK

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class NvmeExport:
    """The address of a volume's subsystem for hosts."""

    portals: tuple[listening.Portal, ...]
    subsystem_nqn: str
    nsid: int

    @classmethod
    def parse(cls, provider_location: str | None) -> 'NvmeExport':
        """Read ``address[,address]:port transport nqn nsid``.

        IPv6 addresses may have no brackets: the in-tree driver writes them
        without, and cannot read them.

        :raises InvalidExport: the text has another form
        """
        foreign = errors.foreign_location(
            provider_location, 'address[,address]:port transport nqn nsid')
        words = (provider_location or '').split()
        if (len(words) != 4 or words[1] not in ('tcp', 'rdma')
                or not words[2].startswith('nqn.')):
            raise foreign
        addresses, _, port = words[0].rpartition(':')
        if not port.isdecimal() or not words[3].isdecimal():
            raise foreign
        portals = tuple(listening.Portal.at(address, int(port), words[1])
                        for address in addresses.split(','))
        if not all(portal.address for portal in portals):
            raise foreign
        return cls(portals, words[2], int(words[3]))

    def format(self) -> str:
        addresses = ','.join(portal.address for portal in self.portals)
        first = self.portals[0]
        return (f'{addresses}:{first.port} {first.transport} '
                f'{self.subsystem_nqn} {self.nsid}')


@dataclasses.dataclass(frozen=True)
class Request(nvmet_mode.Request):
    """A device to serve in a subsystem of its own."""

    def serve(self, portals: Iterable[listening.Portal],
              mode: Literal['create', 'complete'] = 'complete',
              ) -> nvmet.Served:
        with node.lock(LOCK):
            return nvmet.create_subsystem(
                subsystem_nqn=self.subsystem_nqn, device=self.device,
                uuid=self.uuid, nsid=self.nsid, hosts=self.hosts,
                portals=list(portals), first_port_id=self.first_port_id,
                mode=mode)

    def namespaces(self, listed: nvmet_report.ListedSubsystem,
                   ) -> list[nvmet_report.ListedNamespace]:
        found = listed.namespaces.get(self.nsid)
        return [] if found is None else [found]


class PerVolume(nvmet_mode.Mode):
    """A subsystem per volume."""

    port_type = str

    def create_export(self, volume: base.Volume, device: str) -> str:
        export = self._export(volume)
        attached, _problem = self.attached_hosts(volume)
        request = self._request(volume, device, export, attached)
        request.serve(request.portals, 'create')
        return export.format()

    def remove_export(self, volume: base.Volume, device: str | None) -> None:
        try:
            subsystem_nqn = _own_nqn(volume)
        except errors.InvalidExport:
            subsystem_nqn = self.settings.nqn(volume.id)
        with node.lock(LOCK):
            nvmet.delete_subsystem(subsystem_nqn, device)

    def allow(self, volume: base.Volume,
              connector: base.Connector) -> nvmet_mode.Connection:
        host = nvmet_mode.host_with_key(connector, self.key_file.read())
        export = _parse_export(volume)
        with node.lock(LOCK):
            discard = nvmet.allow_host(export.subsystem_nqn, host)
        return nvmet_mode.Connection(
            export.subsystem_nqn, export.portals, export.nsid, discard)

    def deny(self, volume: base.Volume,
             connector: base.Connector | None) -> None:
        try:
            subsystem_nqn = _own_nqn(volume)
        except errors.InvalidExport as exc:
            LOG.info('The volume has no export to deny a host from: %s', exc)
            return
        with node.lock(LOCK):
            if connector is None:
                nvmet.deny_all_hosts(subsystem_nqn)
            else:
                nvmet.deny_host(subsystem_nqn, nvmet_mode.host_nqn(connector))

    def check_connector(self, connector: base.Connector,
                        volume: base.Volume | None = None) -> None:
        nvmet_mode.host_nqn(connector)

    def subsystems(self, volume: base.Volume) -> Iterable[str]:
        with contextlib.suppress(errors.InvalidExport):
            return [_own_nqn(volume)]
        return []

    def requests(self, volume: base.Volume, device: str,
                 attached: list[nvmet_mode.AttachedHost],
                 ) -> list[nvmet_mode.Request]:
        return [self._request(volume, device, _parse_export(volume),
                              attached)]

    def _request(self, volume: base.Volume, device: str, export: NvmeExport,
                 attached: list[nvmet_mode.AttachedHost]) -> Request:
        return Request(
            volume_id=volume.id, device=device, uuid=volume.name_id,
            subsystem_nqn=export.subsystem_nqn, nsid=export.nsid,
            hosts=tuple(dict.fromkeys(host for _, host in attached)),
            portals=nvmet_mode.canonical(
                export.portals + self.settings.portals),
            first_port_id=self.settings.first_port_id)

    def _export(self, volume: base.Volume) -> NvmeExport:
        """Return the export of a volume; it is stable while hosts use it."""
        subsystem_nqn = self.settings.nqn(volume.id)
        nsid = self.settings.nsid
        if base.connectors(volume):
            with contextlib.suppress(errors.InvalidExport):
                known = _parse_export(volume)
                subsystem_nqn, nsid = known.subsystem_nqn, known.nsid
        return NvmeExport(self.settings.portals, subsystem_nqn, nsid)


def _parse_export(volume: base.Volume) -> NvmeExport:
    """Return the stored export of a volume.

    :raises InvalidExport: it is not valid
    """
    with base.about(volume):
        return NvmeExport.parse(volume.provider_location)


def _own_nqn(volume: base.Volume) -> str:
    """Return the stored subsystem of a volume.

    :raises InvalidExport: it is not valid, or another volume's
    """
    subsystem_nqn = _parse_export(volume).subsystem_nqn
    base.check_own(volume, subsystem_nqn, volume.id, volume.name_id)
    return subsystem_nqn
