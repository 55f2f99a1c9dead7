# SPDX-License-Identifier: Apache-2.0
"""A user with volumes, and the host that attaches them."""

from collections.abc import Iterator
import itertools
from typing import Any

from cloud_lib import compute
from cloud_lib import errors
from cloud_lib import rest
from cloud_lib import storage


def require(condition: bool, otherwise: str) -> None:
    """Raise an error with a text unless a condition holds."""
    if not condition:
        raise errors.CloudError(otherwise)


def require_data(path: str, size: int, expected: str) -> None:
    """Raise an error unless a device starts with the expected data.

    :param size: in bytes
    :param expected: the checksum
    """
    require(compute.checksum(path, 0, size) == expected,
            f'the first {size} bytes of {path} are not the data expected')


class User:
    """Keeps track of attachments and resources, to remove them.

    :param vg: the name of the back end's VG
    :cvar resources: what the user creates, in the order of deletion
    """

    resources: tuple[str, ...] = ('snapshot', 'volume')

    def __init__(self, cinder: rest.Cinder, host: compute.Host,
                 vg: str) -> None:
        self._cinder = cinder
        self._host = host
        self._vg = vg
        self._devices: dict[str, compute.Device] = {}
        self._properties: dict[str, Any] = {}
        self._foreign = {resource: frozenset[str]()
                         for resource in (*self.resources, 'attachment')}
        self._records = frozenset[str]()

    def remember(self) -> None:
        """Record the resources of others, which this user leaves alone."""
        self._foreign = {resource: frozenset(self._cinder.ids(resource))
                         for resource in self._foreign}
        self._records = frozenset(storage.initiator_records())

    def _create_attachment(self, volume: str) -> compute.Device:
        """Return a volume that this host may connect to."""
        if not self._properties:
            self._properties = self._host.properties()
        attachment, connection = self._cinder.create_attachment(
            volume, self._properties)
        return compute.Device(volume, attachment, connection, {})

    def _attach(self, volume: str) -> compute.Device:
        device = self._create_attachment(volume)
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

    def detach_all(self) -> None:
        """Detach everything; no session or node record may remain."""
        for device in list(self._devices.values()):
            self._detach(device)
        found = [record for record in storage.initiator_records()
                 if record not in self._records]
        require(not found, f'the initiator still has {found}')
        require(not self._own('attachment'),
                'the API still lists attachments')

    def _own(self, resource: str) -> list[str]:
        """Return the IDs that :meth:`remember` did not find."""
        return [identity for identity in self._cinder.ids(resource)
                if identity not in self._foreign[resource]]

    def _deletions(self) -> Iterator[tuple[Any, ...]]:
        """Yield a function and its arguments for each thing to delete."""
        for resource in self.resources:
            for identity in self._own(resource):
                yield self._cinder.delete, resource, identity

    def clean(self) -> str:
        """Detach and delete everything after a failure.

        Each deletion is tried even if others fail.
        """
        problems: list[str] = []
        work = [(self._detach, device) for device in self._devices.values()]
        for function, *arguments in itertools.chain(work, self._deletions()):
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001
                problems.append(str(error))
        require(not problems, '; '.join(problems))
        return 'detached and deleted'
