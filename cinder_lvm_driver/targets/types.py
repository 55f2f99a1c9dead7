# SPDX-License-Identifier: Apache-2.0
"""The values that targets are described with, and the texts Cinder stores.

``provider_location`` and ``provider_auth`` of a volume have the form that
the in-tree driver gives them, so that a deployment can go either way with
its volumes attached.
"""

from collections.abc import Iterable
import dataclasses
import ipaddress
import re

from cinder_lvm_driver.targets import errors

_ISCSI_NAME = re.compile(r'(iqn|eui|naa)\.\S+', re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Portal:
    """An address and a port; the address may be a host name for tgt."""

    address: str
    port: int

    @classmethod
    def at(cls, address: str, port: int) -> 'Portal':
        """Return the portal of an address, also of one in brackets."""
        return cls(address.removeprefix('[').removesuffix(']'), port)

    @classmethod
    def parse(cls, text: str) -> 'Portal':
        """Read ``10.0.0.1:3260``, ``[2001:db8::1]:3260`` or ``host:3260``.

        :raises ValueError: it is none of them
        """
        address, _, port = text.rpartition(':')
        if not address or not port.isdecimal():
            raise ValueError(f'{text!r} is not a portal')
        return cls.at(address, int(port))

    def __str__(self) -> str:
        return (f'[{self.address}]:{self.port}' if ':' in self.address
                else f'{self.address}:{self.port}')

    @property
    def canonical(self) -> tuple[str, int]:
        """What the kernel is told.

        :raises InvalidExport: the address is a host name
        """
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError:
            raise errors.InvalidExport(
                'provider_location', f'names portal {self}, which is no IP '
                f'address; {errors.ATTACH_AGAIN}') from None
        return str(address), self.port


@dataclasses.dataclass(frozen=True)
class Chap:
    """The name and secret with which initiators log in."""

    username: str
    secret: str = dataclasses.field(repr=False)

    @classmethod
    def parse(cls, provider_auth: str | None) -> 'Chap':
        """Read ``CHAP name secret``.

        :raises InvalidExport: it has another form
        """
        words = (provider_auth or '').split()
        if not words:
            raise errors.InvalidExport(
                'provider_auth', f'is empty; {errors.ATTACH_AGAIN}')
        if len(words) != 3 or words[0] != 'CHAP':
            raise errors.InvalidExport(
                'provider_auth', "is not of the form 'CHAP name secret'")
        return cls(words[1], words[2])

    def format(self) -> str:
        return f'CHAP {self.username} {self.secret}'


@dataclasses.dataclass(frozen=True)
class IscsiExport:
    """Where initiators find a volume.

    :param target: the word after the portals: the number that tgt gives to
        a target, or for LIO the IQN once more
    """

    portals: tuple[Portal, ...]
    target: str
    target_iqn: str
    lun: int

    @classmethod
    def parse(cls, provider_location: str | None) -> 'IscsiExport':
        """Read ``portal[;portal],target iqn lun``.

        :raises InvalidExport: it has another form
        """
        foreign = errors.foreign_location(
            provider_location, 'portal[;portal],target iqn lun')
        words = (provider_location or '').split()
        if len(words) not in (2, 3) or not _ISCSI_NAME.fullmatch(words[1]):
            raise foreign
        portals, _, target = words[0].partition(',')
        try:
            return cls(tuple(map(Portal.parse, portals.split(';'))), target,
                       words[1], int(words[2]) if len(words) == 3 else 0)
        except ValueError:
            raise foreign from None

    def format(self) -> str:
        portals = ';'.join(map(str, self.portals))
        return f'{portals},{self.target} {self.target_iqn} {self.lun}'


@dataclasses.dataclass(frozen=True)
class ExportRequest:
    """A device that is to be served, and the initiators that may use it.

    :ivar serial: what initiators know the disk by: the volume's ``name_id``.
        After a volume was migrated while it was in use, its ``id`` is that
        of another disk; for all others both are equal
    """

    volume_id: str
    serial: str
    target_iqn: str
    device: str
    portals: tuple[Portal, ...]
    chap: Chap
    initiators: tuple[str, ...] = ()
    read_only: bool = False


def unique_portals(*groups: Iterable[Portal]) -> tuple[Portal, ...]:
    """Return the portals of all groups in order, each once."""
    return tuple(dict.fromkeys(
        portal for group in groups for portal in group))
