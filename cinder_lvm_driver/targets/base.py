# SPDX-License-Identifier: Apache-2.0
"""The interface of target helpers.

The verbs have the signatures of ``cinder.volume.targets.driver.Target``.
"""

import abc
from collections.abc import Iterable, Iterator, Mapping
import contextlib
import dataclasses
from typing import Any

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors

# Cinder has no annotations for these.
Context = Any
Volume = Any
Connector = Mapping[str, Any]
Attachment = Any

# The connection of a host that opens the device itself, without a target.
LOCAL = 'local'


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A device that a target serves now.

    :ivar name: the IQN or NQN
    :ivar device: its number; None without a device
    :ivar hosts: how many hosts are allowed
    :ivar sessions: how many hosts are connected; None if the kernel does
        not tell
    """

    name: str
    device: str | None
    hosts: int
    sessions: int | None


class Target(abc.ABC):
    """A target helper: serves devices to the hosts that attach volumes."""

    storage_protocol: str
    SHARED_TARGET_SUPPORT = False
    SECONDARY_IP_SUPPORT = True
    SERVES_SNAPSHOTS = True
    # Whether the target itself can refuse writes of hosts.
    SERVES_READ_ONLY = False
    portals: tuple[listening.Portal, ...] = ()

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        self.configuration = configuration
        self.runner = runner

    @property
    def protocol(self) -> str:
        return self.storage_protocol

    @abc.abstractmethod
    def check_for_setup_error(self) -> None:
        """Check that volumes can be served.

        :raises TargetConfigurationError: they cannot
        """

    def fault(self) -> str | None:
        """Return why no volume can be attached now, None if one can.

        Asked for with each stats, so it starts no process as long as nothing
        is wrong.
        """
        return None

    @abc.abstractmethod
    def create_export(self, context: Context, volume: Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        """Create the export of a volume; it allows no new host.

        :param read_only: make the target refuse writes; only if
            ``SERVES_READ_ONLY`` is True
        :returns: ``location`` and ``auth``, for provider_location and
            provider_auth of the volume
        """

    @abc.abstractmethod
    def ensure_exports(self, context: Context,
                       volumes: Iterable[tuple[Volume, str]],
                       ) -> dict[str, Exception]:
        """Restore exports that are missing or incomplete, as after a reboot.

        Complete exports are left alone, with their sessions. A volume that
        cannot be served does not affect the others.

        :param volumes: pairs of a volume and the path of its device
        :returns: the failures, by volume id
        """

    def ensure_export(self, context: Context, volume: Volume,
                      volume_path: str) -> None:
        """Restore the export of one volume."""
        for error in self.ensure_exports(
                context, [(volume, volume_path)]).values():
            raise error

    def find_unused(self, volumes: Iterable[Volume]) -> set[str]:
        """Return the ids of volumes that are served, but to no host.

        A service that was killed has left such exports, or parts of them.
        Cinder may not know of them.
        """
        volume_ids = {self._new_name(volume): volume.id for volume in volumes}
        return {volume_ids[name]
                for name in self._find_unused(list(volume_ids))}

    def _new_name(self, volume: Volume) -> str:
        """Return the name of the target of a volume that has none."""
        return str(volume.id)

    def _find_unused(self, names: list[str]) -> Iterable[str]:
        """Return the targets that no host may use, and rests of targets."""
        return ()

    def stored_devices(self) -> dict[str, str]:
        """Return the paths of the devices in files of exports, by target.

        :raises TargetError: the files cannot be read
        """
        return {}

    def remove_stored(self, name: str) -> None:  # noqa: B027
        """Stop serving a target that has a file, and remove the file.

        :param name: one of ``stored_devices``
        :raises TargetError: it cannot be removed
        """

    @abc.abstractmethod
    def remove_export(self, context: Context, volume: Volume,
                      volume_path: str | None = None) -> None:
        """Stop serving a volume, if it is served.

        After a migration between back ends of this node, the source volume
        has the name of the migrated volume, which the other back end serves.

        :param volume_path: keep a target that serves another device; None
            removes the target whatever it serves
        """

    @abc.abstractmethod
    def initialize_connection(self, volume: Volume,
                              connector: Connector) -> dict[str, Any]:
        """Allow a host, and return how it connects."""

    @abc.abstractmethod
    def terminate_connection(self, volume: Volume,
                             connector: Connector | None,
                             **kwargs: Any) -> None:
        """Deny a host, or all hosts if the connector is None."""

    @abc.abstractmethod
    def validate_connector(self, connector: Connector) -> bool:
        """Return True if the host can attach volumes.

        :raises InvalidConnector: it cannot
        """

    @abc.abstractmethod
    def are_same_connector(self, one: Connector, other: Connector) -> bool:
        """Tell whether two connectors are from the same host."""

    def list_served(self) -> list[Served] | None:
        """Return what all back ends of this node serve with this helper.

        :returns: None if the helper does not tell
        :raises TargetError: it does not answer
        """
        return None

    def extend_target(self, volume: Volume) -> None:  # noqa: B027
        """Show hosts the new size of a volume, if a rescan is not enough."""


def attachments(volume: Volume) -> list[Attachment]:
    """Return the attachments of a volume that have a host."""
    return [attachment for attachment in volume.volume_attachment
            if attachment.connector
            and attachment.attach_status != 'detached']


def is_local(attachment: Attachment) -> bool:
    """Tell whether an attachment needs no target."""
    info = attachment.connection_info or {}
    return bool(info.get('driver_volume_type') == LOCAL)


def connectors(volume: Volume) -> list[Connector]:
    """Return the connectors of the hosts that use the target of a volume."""
    return [attachment.connector for attachment in attachments(volume)
            if not is_local(attachment)]


def text_of(connector: object, key: str) -> str | None:
    """Return a text field of a connector, None if it has no such text."""
    value = connector.get(key) if isinstance(connector, Mapping) else None
    return value if isinstance(value, str) else None


@contextlib.contextmanager
def about(volume: Volume) -> Iterator[None]:
    """Name the volume in an error about its provider fields."""
    try:
        yield
    except errors.InvalidExport as exc:
        raise errors.InvalidExport(
            f'{exc.field} of volume {volume.id}', exc.reason) from None


def check_own(volume: Volume, target_name: str, *endings: str) -> None:
    """Check that the stored target of a volume is not another volume's.

    Cinder copies provider_location when it clones a volume for an image, and
    when it migrates one through an attachment (cinder/volume/manager.py,
    ``_VOLUME_CLONE_SKIP_PROPERTIES``). The copy keeps it until it has an
    export of its own.

    :param endings: possible endings of the volume's own target names
    :raises InvalidExport: the target is another volume's
    """
    if not target_name.endswith(endings):
        raise errors.InvalidExport(
            f'provider_location of volume {volume.id}',
            f"names another volume's target {target_name}; "
            f'{errors.ATTACH_AGAIN}')
