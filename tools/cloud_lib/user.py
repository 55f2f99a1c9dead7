# SPDX-License-Identifier: Apache-2.0
"""Somebody with volumes, and a host to attach them to."""

from collections.abc import Iterator
import itertools
from typing import Any

from cloud_lib import compute
from cloud_lib import errors
from cloud_lib import rest
from cloud_lib import storage


def require(condition: bool, otherwise: str) -> None:
    """Raise an error with a sentence unless the condition holds."""
    if not condition:
        raise errors.CloudError(otherwise)


class User:
    """What was attached and made, so that it can be undone.

    :param group: the volume group
    :cvar kinds: what is made, and deleted in this order
    """

    kinds: tuple[str, ...] = ('snapshot', 'volume')

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 group: str) -> None:
        self._cinder = cinder
        self._host = host
        self._group = group
        self._devices: dict[str, compute.Device] = {}
        self._properties: dict[str, Any] = {}
        self._there = {kind: frozenset[str]()
                       for kind in (*self.kinds, 'attachment')}
        self._records = frozenset[str]()

    def remember(self) -> None:
        """Keep in mind what is there: it is not this user's."""
        self._there = {kind: frozenset(self._cinder.ids(kind))
                       for kind in self._there}
        self._records = frozenset(storage.initiator_records())

    def _lv(self, volume: str) -> dict[str, str]:
        found = storage.volumes(self._group)
        name = f'volume-{volume}'
        require(name in found, f'there is no logical volume {name}')
        return found[name]

    def _let_in(self, volume: str) -> compute.Device:
        """Return a volume that this host may connect to."""
        if not self._properties:
            self._properties = self._host.properties()
        attachment, connection = self._cinder.create_attachment(
            volume, self._properties)
        return compute.Device(volume, attachment, connection, {})

    def _attach(self, volume: str) -> compute.Device:
        device = self._let_in(volume)
        self._devices[volume] = device
        device.info = self._host.attach(device.connection)
        self._cinder.complete_attachment(device.attachment, volume)
        return device

    def _detach(self, device: compute.Device) -> None:
        del self._devices[device.volume]
        try:
            if device.info:
                self._host.detach(device)
        finally:
            self._cinder.delete_attachment(device.attachment, device.volume)

    def leave(self) -> None:
        """Detach everything; no session and no node record are added."""
        for device in list(self._devices.values()):
            self._detach(device)
        found = [record for record in storage.initiator_records()
                 if record not in self._records]
        require(not found, f'the initiator still has {found}')
        require(not self._ours('attachment'),
                'the API still lists attachments')

    def _ours(self, kind: str) -> list[str]:
        """Return the ids of what was not there at the start."""
        return [identity for identity in self._cinder.ids(kind)
                if identity not in self._there[kind]]

    def _doomed(self) -> Iterator[tuple[Any, ...]]:
        """Yield what deletes each thing that was made."""
        for kind in self.kinds:
            for identity in self._ours(kind):
                yield self._cinder.delete, kind, identity

    def clean(self) -> str:
        """After a failure: end what is still attached, delete the rest.

        Each part is tried, whatever became of the others.
        """
        problems: list[str] = []
        work = [(self._detach, device) for device in self._devices.values()]
        for function, *arguments in itertools.chain(work, self._doomed()):
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001
                problems.append(str(error))
        require(not problems, '; '.join(problems))
        return 'detached and deleted'
