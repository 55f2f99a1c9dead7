# SPDX-License-Identifier: Apache-2.0
"""What target helpers need of this host, and how they ask for it."""

from collections.abc import Callable, Iterator
import contextlib
import logging

from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types

# What is raised where the daemon that runs as root cannot be started, or ends
# while it is asked something; the next question starts it anew.
DAEMON_FAILURES = (daemon.FailedToDropPrivileges, OSError)

LOG = logging.getLogger(__name__)

_SOME_ID = '00000000-0000-0000-0000-000000000000'


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Keep the other back ends on this host out of a target.

    :raises TargetConfigurationError: there is no place for lock files
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lockutils.lock(
                name, lock_file_prefix='cinder-', external=True))
        except (cfg.RequiredOptError, OSError) as exc:
            raise errors.TargetConfigurationError(
                f'what back ends of one host share cannot be locked: {exc}. '
                'Set lock_path in section [oslo_concurrency] to a directory '
                'that cinder-volume can write to') from exc
        yield


@contextlib.contextmanager
def privileged_daemon() -> Iterator[None]:
    """Say what is wrong if the daemon that runs as root cannot be started.

    :raises TargetConfigurationError: it cannot
    """
    try:
        yield
    except DAEMON_FAILURES as exc:
        raise errors.TargetConfigurationError(
            'the privileged daemon of this driver cannot be started: '
            f'{exc}. See that the filter file of cinder-lvm-driver is '
            'in a directory named by filters_path in rootwrap.conf') from exc


def check_target_names(prefix: str,
                       check: Callable[[str, str], object]) -> None:
    """Look that names of volumes and snapshots make names of targets.

    :param check: raises InvalidArgument for what is no name of a target; it
        gets the option and the name
    :raises TargetConfigurationError: those of volumes do not; it names the
        option
    """
    try:
        check('target_prefix', f'{prefix}volume-{_SOME_ID}')
    except errors.InvalidArgument as exc:
        raise errors.TargetConfigurationError(
            f"target_prefix '{prefix}' does not begin the name of a target "
            f'such as iqn.2010-10.org.openstack:volume-1: {exc.reason}'
        ) from exc
    complaint = _complaint('volume_name_template', prefix, check)
    if complaint is not None:
        raise errors.TargetConfigurationError(complaint)
    complaint = _complaint('snapshot_name_template', prefix, check)
    if complaint is not None:
        LOG.warning('No snapshot can be attached for a backup: %s', complaint)


def _complaint(option: str, prefix: str,
               check: Callable[[str, str], object]) -> str | None:
    """Return what is wrong with a template of names, if anything is."""
    cfg.CONF.import_opt(option, 'cinder.db.api')
    template = cfg.CONF[option]
    try:
        check(option, prefix + template % _SOME_ID)
    except errors.InvalidArgument as exc:
        return (f"{option} '{template}' makes no name of a target: "
                f'{exc.reason}. Take another target_helper, such as nvmet, '
                f'or another template as long as nothing is stored')
    return None


def is_local(portal: types.Portal) -> bool:
    """Tell whether this host has the address of a portal now."""
    address, _ = portal.canonical
    return listening.why_not_bound((address, 0)) is None
