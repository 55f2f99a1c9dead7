# SPDX-License-Identifier: Apache-2.0
"""Checks and preparations of the storage node for the target helpers."""

from collections.abc import Callable, Iterable, Iterator
import contextlib
import glob
import logging
import os

from oslo_concurrency import lockutils
from oslo_config import cfg
from oslo_privsep import daemon

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors

# A privileged verb raises these if its daemon does not start, or ends while
# the verb runs; the next verb starts the daemon again.
DAEMON_FAILURES = (daemon.FailedToDropPrivileges, OSError)

LOG = logging.getLogger(__name__)

_LOADED = '/sys/module'
_RDMA_DEVICES = '/sys/class/infiniband/*'
_RDMA_PROTOCOLS = ('iser', 'nvmet_rdma')
_SOME_ID = '00000000-0000-0000-0000-000000000000'


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Lock a target against the other back ends on this node.

    :raises TargetConfigurationError: lock files cannot be written
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lockutils.lock(
                name, lock_file_prefix='cinder-', external=True))
        except (cfg.RequiredOptError, OSError) as exc:
            raise errors.TargetConfigurationError(
                f'the back ends on this node cannot lock a target: {exc}. '
                'Set lock_path in section [oslo_concurrency] to a directory '
                'that cinder-volume can write to') from exc
        yield


@contextlib.contextmanager
def privileged_daemon() -> Iterator[None]:
    """Explain why the privileged daemon does not start.

    :raises TargetConfigurationError: it does not start
    """
    try:
        yield
    except DAEMON_FAILURES as exc:
        raise errors.TargetConfigurationError(
            'the privileged daemon of this driver cannot be started: '
            f'{exc}. Copy the filter file of cinder-lvm-driver to a '
            'directory in filters_path of rootwrap.conf') from exc


def check_target_names(prefix: str,
                       check: Callable[[str, str], object]) -> None:
    """Check that the names of volumes and snapshots give valid target names.

    :param check: takes an option and a target name, and raises
        InvalidArgument if the name is not valid
    :raises TargetConfigurationError: those of volumes do not
    """
    try:
        check('target_prefix', f'{prefix}volume-{_SOME_ID}')
    except errors.InvalidArgument as exc:
        raise errors.TargetConfigurationError(
            f"target_prefix '{prefix}' gives no valid target name: "
            f'{exc.reason}. Set it to a prefix such as '
            'iqn.2010-10.org.openstack:') from exc
    complaint = _complaint('volume_name_template', prefix, check)
    if complaint is not None:
        raise errors.TargetConfigurationError(complaint)
    complaint = _complaint('snapshot_name_template', prefix, check)
    if complaint is not None:
        LOG.warning('Backups cannot attach snapshots: %s', complaint)


def _complaint(option: str, prefix: str,
               check: Callable[[str, str], object]) -> str | None:
    """Return the problem of a name template, None without one."""
    cfg.CONF.import_opt(option, 'cinder.db.api')
    template = cfg.CONF[option]
    try:
        check(option, prefix + template % _SOME_ID)
    except errors.InvalidArgument as exc:
        return (f"{option} '{template}' gives no valid target name: "
                f'{exc.reason}. Use another target_helper, such as nvmet, or '
                'another template if no volume or snapshot exists yet')
    return None


def load_modules(modules: Iterable[str], helper: str,
                 runner: process.Runner) -> None:
    """Load kernel modules that are not loaded yet.

    :raises TargetConfigurationError: a module cannot be loaded
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


def check_tree(name: str, runner: process.Runner) -> None:
    """Check that a kernel module has its directory in configfs.

    Mounts configfs if it is not, as in containers.

    :raises TargetConfigurationError: it has not
    """
    if not os.path.ismount(configfs.MOUNT):
        LOG.info('Mounting configfs on %s', configfs.MOUNT)
        try:
            runner.run('mount', '-t', 'configfs', 'configfs', configfs.MOUNT)
        except (process.CommandFailed, process.CommandTimedOut) as exc:
            raise errors.TargetConfigurationError(
                f'configfs cannot be mounted on {configfs.MOUNT}: '
                f'{exc}') from exc
    complaint = tree_fault(name)
    if complaint is not None:
        raise errors.TargetConfigurationError(complaint)


def tree_fault(name: str) -> str | None:
    """Return that configfs lacks the directory of a kernel module."""
    if configfs.tree(name).exists():
        return None
    return (f'{configfs.tree(name).path} does not exist: configfs was '
            'unmounted or a kernel module was removed. Restart cinder-volume, '
            'which mounts configfs and loads the module')


def rdma_fault(protocol: str) -> str | None:
    """Return that a protocol needs RDMA, and that this node has none."""
    if protocol not in _RDMA_PROTOCOLS or glob.glob(_RDMA_DEVICES):
        return None
    return (f"target_protocol is '{protocol}', but this node has no RDMA "
            'device: install one with its kernel module, or set another '
            'target_protocol')


def check_rdma(protocol: str) -> None:
    """Check that the node has RDMA if a protocol needs it.

    The kernel opens a port for RDMA even without an RDMA device.

    :raises TargetConfigurationError: it has not
    """
    complaint = rdma_fault(protocol)
    if complaint is not None:
        raise errors.TargetConfigurationError(complaint)


def check_addresses(portals: Iterable[listening.Portal], helper: str) -> None:
    """Check that portals have IP addresses and not names.

    :raises TargetConfigurationError: one has a name
    """
    for portal in portals:
        try:
            portal.validated()
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(
                f"'{portal.address}' is not an IP address, which "
                f'target_helper {helper} needs: set target_ip_address and '
                'target_secondary_ip_addresses to IP addresses') from exc
