# SPDX-License-Identifier: Apache-2.0
"""What the helpers for the targets of the Linux kernel have in common."""

from collections.abc import Callable, Iterable
import contextlib
import os
import socket
from typing import Any

from oslo_concurrency import lockutils
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types

_CONFIGFS = '/sys/kernel/config'
_LOADED = '/sys/module'


def host_lock(name: str) -> contextlib.AbstractContextManager[Any]:
    """Keep others out of a tree, an in-tree back end on this host included.

    :param name: that of the lock of Cinder's class for the same tree
    """
    lock: contextlib.AbstractContextManager[Any] = lockutils.lock(
        name, lock_file_prefix='cinder-', external=True)
    return lock


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
    if not os.path.isdir(f'{_CONFIGFS}/{name}'):
        raise errors.TargetConfigurationError(
            'configfs is not mounted on this host: mount -t configfs '
            f'configfs {_CONFIGFS}')


def check_daemon(probe: Callable[[], object]) -> None:
    """Have the privileged daemon answer once.

    :raises TargetConfigurationError: it cannot be started
    """
    try:
        probe()
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        raise errors.TargetConfigurationError(
            'the privileged daemon of this driver cannot be started: '
            f'{exc}. See that the filter file of cinder-lvm-driver is '
            'in a directory named by filters_path in rootwrap.conf'
        ) from exc


def check_addresses(portals: Iterable[types.Portal], helper: str) -> None:
    """Look that the portals have addresses and not names.

    :raises TargetConfigurationError: one has none
    """
    for portal in portals:
        try:
            validation.portal(portal.canonical)
        except (ValueError, errors.InvalidArgument) as exc:
            raise errors.TargetConfigurationError(
                f"'{portal.address}' is no IP address, which target_helper "
                f'{helper} needs in target_ip_address and '
                'target_secondary_ip_addresses') from exc


def is_local(portal: types.Portal) -> bool:
    """Tell whether the address of a portal is one of this host."""
    address, _ = portal.canonical
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
