# SPDX-License-Identifier: Apache-2.0
"""The values that NVMe-oF targets are described with, and what is stored.

``provider_location`` of a volume and what hosts are told have the form that
the in-tree driver gives them, so that a deployment can go either way with
its volumes attached.
"""

from collections.abc import Iterable, Mapping
import dataclasses
from typing import Any

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors

# target_protocol of cinder.conf -> transport of NVMe.
TRANSPORTS = {'nvmet_tcp': 'tcp', 'nvmet_rdma': 'rdma'}
# What os-brick calls RDMA in the second version of the connection info.
_ROCE = 'RoCEv2'

# Transport, address and port, as the privileged verbs take them.
Portal = tuple[str, str, int]
# The NQN of a host, and its DH-HMAC-CHAP key if it has one.
Host = tuple[str, str | None]


@dataclasses.dataclass(frozen=True)
class NvmeExport:
    """Where hosts find a volume that has a subsystem of its own."""

    addresses: tuple[str, ...]
    port: int
    transport: str
    subsystem_nqn: str
    nsid: int

    @classmethod
    def parse(cls, provider_location: str | None) -> 'NvmeExport':
        """Read ``address[,address]:port transport nqn nsid``.

        IPv6 addresses stand there without brackets, as the in-tree driver
        writes them (it cannot read them).

        :raises InvalidExport: it has another form
        """
        foreign = errors.foreign_location(
            provider_location, 'address[,address]:port transport nqn nsid')
        words = (provider_location or '').split()
        if (len(words) != 4 or words[1] not in TRANSPORTS.values()
                or not words[2].startswith('nqn.')):
            raise foreign
        addresses, _, port = words[0].rpartition(':')
        found = tuple(address.removeprefix('[').removesuffix(']')
                      for address in addresses.split(','))
        if (not all(found) or not port.isdecimal()
                or not words[3].isdecimal()):
            raise foreign
        return cls(found, int(port), words[1], words[2], int(words[3]))

    def format(self) -> str:
        addresses = ','.join(self.addresses)
        return (f'{addresses}:{self.port} {self.transport} '
                f'{self.subsystem_nqn} {self.nsid}')

    @property
    def portals(self) -> tuple[Portal, ...]:
        return tuple((self.transport, address, self.port)
                     for address in self.addresses)


def is_shared(provider_location: str | None) -> bool:
    """Tell whether a volume is served in the subsystems of its hosts.

    What is stored for it is the path of its device.
    """
    return (provider_location or '').startswith('/')


@dataclasses.dataclass(frozen=True)
class NamespaceRequest:
    """A device that is to be served, and the hosts that may use it.

    :param lowest_nsid: a free id is looked for between it and
        ``highest_nsid``, where ``nsid`` is taken; where they are the same,
        hosts know the device by it
    :param exclusive: the subsystem serves these hosts alone
    """

    volume_id: str
    subsystem_nqn: str
    device: str
    uuid: str
    nsid: int
    lowest_nsid: int
    highest_nsid: int
    portals: tuple[Portal, ...]
    hosts: tuple[Host, ...] = dataclasses.field(repr=False)
    exclusive: bool = False

    @property
    def is_free_to_move(self) -> bool:
        """Tell whether any free id will do."""
        return self.lowest_nsid != self.highest_nsid

    def is_served(self, listed: Mapping[str, Any]) -> bool:
        """Tell whether a subsystem, as listed, serves all of this.

        The portals are another matter: they are opened last.
        """
        if self.exclusive:
            served = [path for path, uuid in listed['namespaces'].values()
                      if uuid == self.uuid]
        else:
            path, _ = listed['namespaces'].get(self.nsid, (None, None))
            served = [path] if path else []
        return (listed['closed']
                and {host_nqn for host_nqn, _ in self.hosts}
                <= set(listed['hosts'])
                and any(path == self.device or validation.device_number(path)
                        == validation.device_number(self.device)
                        for path in served))


def parse_export(volume: base.Volume) -> NvmeExport:
    """Return where a volume is found, as stored for it.

    :raises InvalidExport: that does not say where
    """
    with base.about(volume):
        return NvmeExport.parse(volume.provider_location)


def own_nqn(volume: base.Volume) -> str:
    """Return a volume's own subsystem, and never that of another one.

    :raises InvalidExport: that is not stored for it
    """
    subsystem_nqn = parse_export(volume).subsystem_nqn
    base.check_own(volume, subsystem_nqn, volume.id, volume.name_id)
    return subsystem_nqn


# A subsystem that is not there, as listed.
NOTHING: Mapping[str, Any] = {
    'closed': False, 'hosts': (), 'namespaces': {}, 'portals': ()}


def canonical(*portals: Portal) -> tuple[Portal, ...]:
    """Return portals as the kernel is told, each once."""
    return tuple(dict.fromkeys(map(validation.nvme_portal, portals)))


def connection_properties(version: int, subsystem_nqn: str,
                          portals: Iterable[tuple[str, str, int | str]],
                          nsid: int, uuid: str) -> dict[str, Any]:
    """Return what os-brick's NVMe-oF connector wants to know.

    The namespace id is text: os-brick 7.1 compares it with text, and does
    not find the number that the in-tree driver gives of a shared target.

    :param version: nvmeof_conn_info_version of cinder.conf
    """
    if version == 2:
        return {
            'target_nqn': subsystem_nqn,
            'vol_uuid': uuid,
            'portals': [
                (address, port, _ROCE if transport == 'rdma' else transport)
                for transport, address, port in portals],
            'ns_id': str(nsid),
        }
    transport, address, port = next(iter(portals))
    return {
        'target_portal': address,
        'target_port': port,
        'nqn': subsystem_nqn,
        'transport_type': transport,
        'ns_id': str(nsid),
    }
