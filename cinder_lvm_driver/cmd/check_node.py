# SPDX-License-Identifier: Apache-2.0
"""Checks of what all back ends of a node share."""

import logging
import os
import pwd

from oslo_config import cfg

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver import errors
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver import options
from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.targets import node

LOG = logging.getLogger(__name__)

# systemd-udevd(8) listens there.
_UDEV_SOCKET = '/run/udev/control'
_NO_DEVICE = 'cinder-lvm-check'


def check_readable() -> str:
    """Return the configuration files.

    :raises errors.ConfigurationError: the service cannot read one
    """
    files: list[str] = cfg.CONF.config_file
    for path in files:
        if not os.access(path, os.R_OK):
            user = pwd.getpwuid(os.geteuid()).pw_name
            raise errors.ConfigurationError(
                f'User {user} cannot read {path}: run chgrp {user} {path} '
                f'and chmod g+r {path}')
    return ', '.join(files)


def check_lvm() -> str:
    """Return the version of LVM.

    :raises errors.DriverError: it is not installed, or too old
    """
    version = lvm_command.installed_version(backends.make_runner())
    return '%d.%02d.%d' % version[:3]


def check_root() -> str:
    """Return which command starts root's commands.

    :raises process.CommandFailed: sudo or rootwrap refuses them
    """
    backends.make_runner().start_daemon(
        lvm_command.probe(options.DEFAULT_SYSTEM_DIR))
    return backends.root_helper()


def check_privileged_daemon() -> str:
    """Start the daemon for the kernel's targets.

    :raises errors.DriverError: it does not start
    """
    with node.privileged_daemon():
        device_mapper.stack(_NO_DEVICE)
    return ''


def check_udev() -> str:
    """Warn if udev does not run.

    The driver then has LVM scan all devices.
    """
    if not os.path.exists(_UDEV_SOCKET):
        LOG.warning('udev does not answer on %s, so that LVM scans every '
                    'device of this node: start systemd-udevd, or mount '
                    '/run/udev in the container', _UDEV_SOCKET)
    return ''
