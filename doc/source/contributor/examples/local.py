# SPDX-License-Identifier: Apache-2.0
"""An example of a target helper: devices for hosts on this node itself."""

from collections.abc import Iterable
from typing import Any

from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors


class LocalTarget(base.Target):
    """Hands the path of an LV to os-brick's connector LOCAL."""

    storage_protocol = 'local'
    SERVES_SNAPSHOTS = False

    def check_for_setup_error(self) -> None:
        """Need nothing."""

    def create_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        """Store the path."""
        return {'location': volume_path, 'auth': ''}

    def ensure_exports(self, context: base.Context,
                       volumes: Iterable[tuple[base.Volume, str]],
                       ) -> dict[str, Exception]:
        """Need nothing: the LVs are active."""
        return {}

    def remove_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str | None = None) -> None:
        """Need nothing."""

    def initialize_connection(self, volume: base.Volume,
                              connector: base.Connector) -> dict[str, Any]:
        """Tell the path."""
        if not volume.provider_location:
            raise errors.TargetNotFound(volume.name)
        return {'driver_volume_type': 'local',
                'data': {'path': volume.provider_location}}

    def terminate_connection(self, volume: base.Volume,
                             connector: base.Connector | None,
                             **kwargs: Any) -> None:
        """Need nothing."""

    def validate_connector(self, connector: base.Connector) -> bool:
        """Take every host."""
        return True

    def are_same_connector(self, one: base.Connector,
                           other: base.Connector) -> bool:
        """Compare the names of hosts."""
        return bool(one.get('host') == other.get('host'))
