# SPDX-License-Identifier: Apache-2.0
"""What the helpers for the targets of the Linux kernel have in common."""

from collections.abc import Iterable
import os

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types

_LOADED = '/sys/module'


def load_modules(modules: Iterable[str], helper: str,
                 runner: process.Runner) -> None:
    """Load the modules that the kernel has not loaded yet.

    :raises TargetConfigurationError: one cannot be loaded
    """
    for module in modules:
        if os.path.isdir(f'{_LOADED}/{module}'):
            continue
        try:
            runner.run('modprobe', module)
        except (process.CommandFailed, process.CommandTimedOut) as exc:
            raise errors.TargetConfigurationError(
                f'the kernel module {module}, which target_helper {helper} '
                f'needs, cannot be loaded: {exc}') from exc


def check_tree(name: str) -> None:
    """Look that the directory of a target is there.

    :raises TargetConfigurationError: it is not
    """
    if not configfs.tree(name).exists():
        raise errors.TargetConfigurationError(errors.ConfigfsNotThere.REMEDY)


def check_addresses(portals: Iterable[types.Portal], helper: str) -> None:
    """Look that the portals have addresses and not names.

    :raises TargetConfigurationError: one has none
    """
    for portal in portals:
        try:
            validation.portal(portal.canonical)
        except (errors.InvalidExport, errors.InvalidArgument) as exc:
            raise errors.TargetConfigurationError(
                f"'{portal.address}' is no IP address, which target_helper "
                f'{helper} needs in target_ip_address and '
                'target_secondary_ip_addresses') from exc
