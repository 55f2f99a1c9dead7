# SPDX-License-Identifier: Apache-2.0
"""Exports over iSCSI, and the texts that Cinder stores of them.

``provider_location`` and ``provider_auth`` of a volume have the form of the
in-tree driver, so that a deployment can switch between the drivers while
volumes are attached.
"""

import dataclasses
import re

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.targets import errors

_ISCSI_NAME = re.compile(r'(iqn|eui|naa)\.\S+', re.IGNORECASE)


def parse_chap(provider_auth: str | None) -> Chap:
    """Read ``CHAP name secret``.

    :raises InvalidExport: the text has another form
    """
    words = (provider_auth or '').split()
    if not words:
        raise errors.InvalidExport(
            'provider_auth', f'is empty; {errors.ATTACH_AGAIN}')
    if len(words) != 3 or words[0] != 'CHAP':
        raise errors.InvalidExport(
            'provider_auth', "is not of the form 'CHAP name secret'; "
            f'{errors.ATTACH_AGAIN}')
    return Chap(words[1], words[2])


def format_chap(chap: Chap) -> str:
    return f'CHAP {chap.username} {chap.secret}'


@dataclasses.dataclass(frozen=True)
class IscsiExport:
    """The address of an exported volume for initiators.

    :ivar target: the word after the portals: the number of a target of tgt,
        or for LIO the IQN once more
    """

    portals: tuple[Portal, ...]
    target: str
    target_iqn: str
    lun: int

    @classmethod
    def parse(cls, provider_location: str | None) -> 'IscsiExport':
        """Read ``portal[;portal],target iqn lun``.

        :raises InvalidExport: the text has another form
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """A device to serve, and the initiators to allow.

    :ivar serial: identifies the disk to initiators: the volume's
        ``name_id``, which differs from its ``id`` after a migration in use
    """

    volume_id: str
    serial: str
    target_iqn: str
    device: str
    portals: tuple[Portal, ...]
    chap: Chap
    initiators: tuple[str, ...] = ()
    read_only: bool = False
