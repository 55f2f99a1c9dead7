# SPDX-License-Identifier: Apache-2.0
"""Portals, and why a target cannot listen on one."""

from collections.abc import Iterable
import contextlib
import dataclasses
import socket

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs


@verbs.value
class Portal:
    """An address and a port that a target listens on.

    :ivar address: an IP address; a host name where only tgt sees it
    :ivar transport: the transport of NVMe, which iSCSI ignores
    """

    address: str
    port: int
    transport: str = 'tcp'

    @classmethod
    def at(cls, address: str, port: int, transport: str = 'tcp') -> 'Portal':
        """Return the portal of an address, which may be in brackets."""
        return cls(address.removeprefix('[').removesuffix(']'), port,
                   transport)

    @classmethod
    def parse(cls, text: str) -> 'Portal':
        """Read ``10.0.0.1:3260``, ``[2001:db8::1]:3260`` or ``name:3260``.

        :raises ValueError: the text has another form
        """
        address, _, port = text.rpartition(':')
        if not address or not port.isdecimal():
            raise ValueError(f'{text!r} is not a portal')
        return cls.at(address, int(port))

    def __str__(self) -> str:
        return (f'[{self.address}]:{self.port}' if self.is_ipv6
                else f'{self.address}:{self.port}')

    @property
    def is_ipv6(self) -> bool:
        return ':' in self.address

    def validated(self) -> 'Portal':
        """Return the portal in the kernel's spelling.

        :raises InvalidArgument: it is not an IP address and a port
        """
        return Portal(validation.address(self.address),
                      validation.port(self.port),
                      validation.nvme_transport(self.transport))


@verbs.value
class Refused:
    """A portal that a target cannot listen on, as text, and the reason."""

    portal: str
    reason: str


def unique(portals: Iterable[Portal]) -> tuple[Portal, ...]:
    """Return portals in order, each once."""
    return tuple(dict.fromkeys(portals))


def parse_ours(texts: Iterable[str]) -> dict[Portal, str]:
    """Return portals with their spellings, but only those of IP addresses.

    The kernel accepts more from other tools, such as ``fe80::1%eth0``.
    """
    found = {}
    for text in texts:
        with contextlib.suppress(errors.InvalidArgument, ValueError):
            found[Portal.parse(text).validated()] = text
    return found


def bind_error(portal: Portal) -> OSError | None:
    """Return the error of binding a socket to a portal, None without one.

    LIO and tgtd do not tell the reason. A kernel without IPv6 cannot make
    the socket either.
    """
    family = socket.AF_INET6 if portal.is_ipv6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As targets do it: only a socket that listens is in the way, so
            # this one is never in theirs.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((portal.address, portal.port))
    except OSError as exc:
        return exc
    return None


def why_not_bound(portal: Portal) -> str | None:
    """Return why a socket cannot be bound to a portal, None if it can."""
    error = bind_error(portal)
    return None if error is None else error.strerror or str(error)


def is_local(portal: Portal) -> bool:
    """Tell whether this node has the address of a portal now."""
    return why_not_bound(dataclasses.replace(portal, port=0)) is None
