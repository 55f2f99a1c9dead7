# SPDX-License-Identifier: Apache-2.0
"""Cinder's own target classes, for all other values of target_helper."""

from collections.abc import Callable, Iterable
import logging
import os
import shutil
from typing import Any

from oslo_utils import importutils

from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors

LOG = logging.getLogger(__name__)

# target_helper and program -> what has it.
_PROGRAMS = {'scstadmin': 'SCST', 'iscsictl': 'the Chelsio iSCSI target'}


class InTreeTarget(base.Target):
    """Delegates each verb to a target class of Cinder.

    That class raises Cinder's exceptions.
    """

    SERVES_SNAPSHOTS = False

    def __init__(self, class_path: str, configuration: Any,
                 executor: Callable[..., Any],
                 runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.target = importutils.import_object(
            class_path, configuration=configuration, executor=executor)
        self.storage_protocol = (
            self.target.storage_protocol or self.target.protocol)
        self.SHARED_TARGET_SUPPORT = self.target.SHARED_TARGET_SUPPORT
        self.SECONDARY_IP_SUPPORT = self.target.SECONDARY_IP_SUPPORT

    def check_for_setup_error(self) -> None:
        """Check what the class itself does not look at."""
        complaint = self.fault()
        if complaint is not None:
            raise errors.TargetConfigurationError(complaint)

    def fault(self) -> str | None:
        helper = self.configuration.target_helper
        if helper not in _PROGRAMS or shutil.which(
                helper, path=f'{os.environ.get("PATH")}:/usr/local/sbin:'
                             '/usr/sbin:/sbin'):
            return None
        return (f"target_helper is '{helper}', but the program {helper} is "
                f'not installed: install {_PROGRAMS[helper]}, or set another '
                f'target_helper')

    def create_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        export: dict[str, str] = self.target.create_export(
            context, volume, volume_path)
        return export

    def ensure_exports(self, context: base.Context,
                       volumes: Iterable[tuple[base.Volume, str]],
                       ) -> dict[str, Exception]:
        failures: dict[str, Exception] = {}
        for volume, volume_path in volumes:
            try:
                self.target.ensure_export(context, volume, volume_path)
            except Exception as exc:  # noqa: BLE001  foreign code
                LOG.error('Cannot restore the export of volume %s: %s',
                          volume.id, exc)
                failures[volume.id] = exc
        return failures

    def remove_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str | None = None) -> None:
        self.target.remove_export(context, volume)

    def initialize_connection(self, volume: base.Volume,
                              connector: base.Connector) -> dict[str, Any]:
        info: dict[str, Any] = self.target.initialize_connection(
            volume, connector)
        return info

    def terminate_connection(self, volume: base.Volume,
                             connector: base.Connector | None,
                             **kwargs: Any) -> None:
        self.target.terminate_connection(volume, connector, **kwargs)

    def validate_connector(self, connector: base.Connector) -> bool:
        return bool(self.target.validate_connector(connector))

    def are_same_connector(self, one: base.Connector,
                           other: base.Connector) -> bool:
        return bool(self.target.are_same_connector(one, other))

    def extend_target(self, volume: base.Volume) -> None:
        self.target.extend_target(volume)
