# SPDX-License-Identifier: Apache-2.0
"""What the driver asks of a target helper.

The verbs carry the signatures of ``cinder.volume.targets.driver.Target``.
"""

import abc
from collections.abc import Iterable, Iterator, Mapping
import contextlib
from typing import Any

from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors

# Cinder's types, of which it has no annotations.
Context = Any
Volume = Any
Connector = Mapping[str, Any]


class Target(abc.ABC):
    """Serves devices to the hosts that attach volumes."""

    storage_protocol: str
    SHARED_TARGET_SUPPORT = False
    SECONDARY_IP_SUPPORT = True
    SERVES_SNAPSHOTS = True
    # Whether the target itself can keep hosts from writing to a device.
    SERVES_READ_ONLY = False

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        self.configuration = configuration
        self.runner = runner

    @property
    def protocol(self) -> str:
        return self.storage_protocol

    @abc.abstractmethod
    def check_for_setup_error(self) -> None:
        """Prove that volumes can be served.

        :raises TargetConfigurationError: they cannot; the message says why
        """

    @abc.abstractmethod
    def create_export(self, context: Context, volume: Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        """Serve a volume, to no host yet.

        :param read_only: have the target refuse writes; only where
            ``SERVES_READ_ONLY`` says that it can
        :returns: ``location`` and ``auth``, for provider_location and
            provider_auth of the volume
        """

    @abc.abstractmethod
    def ensure_exports(self, context: Context,
                       volumes: Iterable[tuple[Volume, str]],
                       ) -> dict[str, Exception]:
        """Bring back what the kernel has lost of the exports of volumes.

        What is whole is not touched, so that sessions live on. One volume
        that cannot be served does not keep the others from it.

        :param volumes: pairs of a volume and the path of its device
        :returns: what went wrong, by volume id
        """

    def ensure_export(self, context: Context, volume: Volume,
                      volume_path: str) -> None:
        """Bring back the export of one volume."""
        for error in self.ensure_exports(
                context, [(volume, volume_path)]).values():
            raise error

    @abc.abstractmethod
    def remove_export(self, context: Context, volume: Volume,
                      volume_path: str | None = None) -> None:
        """Stop serving a volume; nothing happens if it is not served.

        What a migration leaves behind has the name of the volume that went
        on to another back end of this node, and is served there.

        :param volume_path: a target that serves any other device stays; None
            removes it whatever it serves
        """

    @abc.abstractmethod
    def initialize_connection(self, volume: Volume,
                              connector: Connector) -> dict[str, Any]:
        """Let a host in, and tell it how to connect."""

    @abc.abstractmethod
    def terminate_connection(self, volume: Volume,
                             connector: Connector | None,
                             **kwargs: Any) -> None:
        """Lock a host out, or without a connector every host."""

    @abc.abstractmethod
    def validate_connector(self, connector: Connector) -> bool:
        """Return True for a host that can be let in.

        :raises InvalidConnector: for any other
        """

    @abc.abstractmethod
    def are_same_connector(self, one: Connector, other: Connector) -> bool:
        """Tell whether two connectors are those of one host."""

    def extend_target(self, volume: Volume) -> None:  # noqa: B027
        """Let hosts see the new size of a volume; a rescan does for most."""


def connectors(volume: Volume) -> list[Connector]:
    """Return the connectors of the hosts that a volume is attached to."""
    return [attachment.connector for attachment in volume.volume_attachment
            if attachment.connector
            and attachment.attach_status != 'detached']


def said(connector: object, key: str) -> str | None:
    """Return a text that a host gave, and None for whatever else it sent."""
    value = connector.get(key) if isinstance(connector, Mapping) else None
    return value if isinstance(value, str) else None


@contextlib.contextmanager
def about(volume: Volume) -> Iterator[None]:
    """Name the volume in an error about what Cinder stores for it."""
    try:
        yield
    except errors.InvalidExport as exc:
        raise errors.InvalidExport(
            f'{exc.field} of volume {volume.id}', exc.reason) from None


def check_own(volume: Volume, target_name: str, *endings: str) -> None:
    """Look that the target that is stored for a volume is its own.

    Cinder copies provider_location with the rest of a volume when it clones
    one for an image, and when it migrates one through an attachment
    (cinder/volume/manager.py, ``_VOLUME_CLONE_SKIP_PROPERTIES``). The copy
    has it until it is exported itself.

    :param endings: what the names of the volume's own targets end in
    :raises InvalidExport: it is that of another volume
    """
    if not target_name.endswith(endings):
        raise errors.InvalidExport(
            f'provider_location of volume {volume.id}',
            f"names another volume's target {target_name}; "
            f'{errors.ATTACH_AGAIN}')
