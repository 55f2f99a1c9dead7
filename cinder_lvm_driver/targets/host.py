# SPDX-License-Identifier: Apache-2.0
"""What target helpers need of this host, and how they ask for it."""

from collections.abc import Iterator
import contextlib
import socket
from typing import Any

from oslo_concurrency import lockutils
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types


def lock(name: str) -> contextlib.AbstractContextManager[Any]:
    """Keep the other back ends on this host out of a target."""
    held: contextlib.AbstractContextManager[Any] = lockutils.lock(
        name, lock_file_prefix='cinder-', external=True)
    return held


@contextlib.contextmanager
def privileged_daemon() -> Iterator[None]:
    """Say what is wrong if the daemon that runs as root cannot be started.

    :raises TargetConfigurationError: it cannot
    """
    try:
        yield
    except (daemon.FailedToDropPrivileges, OSError) as exc:
        raise errors.TargetConfigurationError(
            'the privileged daemon of this driver cannot be started: '
            f'{exc}. See that the filter file of cinder-lvm-driver is '
            'in a directory named by filters_path in rootwrap.conf') from exc


def check_target_prefix(prefix: str) -> None:
    """Look that names of volumes make names of targets with a prefix.

    :raises TargetConfigurationError: they do not
    """
    try:
        validation.iscsi_name('target_prefix', f'{prefix}volume-00000000')
    except errors.InvalidArgument as exc:
        raise errors.TargetConfigurationError(
            f"target_prefix '{prefix}' does not begin an iSCSI name in lower "
            'case such as iqn.2010-10.org.openstack:') from exc


def is_local(portal: types.Portal) -> bool:
    """Tell whether this host has the address of a portal now."""
    address, _ = portal.canonical
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
