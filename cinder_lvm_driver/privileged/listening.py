# SPDX-License-Identifier: Apache-2.0
"""Addresses and ports as targets spell them, and why one cannot be bound."""

from collections.abc import Iterable
import contextlib
import socket

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation

Portal = tuple[str, int]


def spell(portal: Portal) -> str:
    address, port = portal
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'


def parse(text: str) -> Portal:
    address, _, port = text.rpartition(':')
    return validation.portal((address.strip('[]'), int(port)))


def parse_ours(texts: Iterable[str]) -> dict[Portal, str]:
    """Return portals with their spellings, without those that others made.

    Ours are addresses; the kernel takes more, such as ``fe80::1%eth0``.
    """
    found = {}
    for text in texts:
        with contextlib.suppress(errors.InvalidArgument, ValueError):
            found[parse(text)] = text
    return found


def why_not_bound(portal: Portal) -> str | None:
    """Find out why nobody can listen on a portal; None if one could.

    LIO and tgtd keep the reason to themselves. A kernel without IPv6 has no
    socket for it either.
    """
    address, port = portal
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, port))
    except OSError as exc:
        return exc.strerror or str(exc)
    return None
