# SPDX-License-Identifier: Apache-2.0
"""Errors of the target helpers, including those of the privileged verbs."""

import dataclasses

from cinder_lvm_driver import errors
from cinder_lvm_driver.privileged.errors import ConfigfsError
from cinder_lvm_driver.privileged.errors import ConfigfsNotThere
from cinder_lvm_driver.privileged.errors import DeviceNotUsable
from cinder_lvm_driver.privileged.errors import InvalidArgument
from cinder_lvm_driver.privileged.errors import NamespaceInUse
from cinder_lvm_driver.privileged.errors import NamespaceTaken
from cinder_lvm_driver.privileged.errors import PortalNotAvailable
from cinder_lvm_driver.privileged.errors import SubsystemFull
from cinder_lvm_driver.privileged.errors import SubsystemOfAnotherHost
from cinder_lvm_driver.privileged.errors import TargetBusy
from cinder_lvm_driver.privileged.errors import TargetDaemonFailure
from cinder_lvm_driver.privileged.errors import TargetDaemonNotRunning
from cinder_lvm_driver.privileged.errors import TargetDaemonRefused
from cinder_lvm_driver.privileged.errors import TargetDaemonSilent
from cinder_lvm_driver.privileged.errors import TargetDaemonUnknown
from cinder_lvm_driver.privileged.errors import TargetError
from cinder_lvm_driver.privileged.errors import TargetInUse
from cinder_lvm_driver.privileged.errors import TargetNotFound

__all__ = (
    'ConfigfsError',
    'ConfigfsNotThere',
    'DeviceNotUsable',
    'InvalidArgument',
    'InvalidConnector',
    'InvalidExport',
    'NamespaceInUse',
    'NamespaceTaken',
    'NoHostKey',
    'PortalNotAvailable',
    'SubsystemFull',
    'SubsystemOfAnotherHost',
    'TargetBusy',
    'TargetConfigurationError',
    'TargetDaemonFailure',
    'TargetDaemonNotRunning',
    'TargetDaemonRefused',
    'TargetDaemonSilent',
    'TargetDaemonUnknown',
    'TargetError',
    'TargetFileNotUsable',
    'TargetInUse',
    'TargetNotFound',
)


# A new attachment makes a new export, whatever is stored of the last one.
ATTACH_AGAIN = 'to use the volume, detach it and attach it again'


class TargetConfigurationError(TargetError, errors.ConfigurationError):
    """An option of the target helper or the node's setup is wrong."""

    reason: str


class InvalidConnector(TargetError):
    """The connector of a host lacks a field that the target helper needs."""

    template = ("the connector has no valid '{missing}': check that os-brick "
                'finds it on the host that attaches the volume')
    missing: str


class InvalidExport(TargetError):
    """provider_location or provider_auth is not one of this target helper.

    The text of provider_auth is a secret and never part of the message.
    """

    template = '{field} {reason}'
    field: str
    reason: str


def foreign_location(provider_location: str | None,
                     form: str) -> InvalidExport:
    """Return the error for a provider_location that has another form."""
    problem = (f"is not of the form '{form}': {provider_location!r}"
               if (provider_location or '').strip() else 'is empty')
    return InvalidExport('provider_location', f'{problem}; {ATTACH_AGAIN}')


class NoHostKey(InvalidConnector):
    """Authentication is required, and a host has no key."""

    template = ('host {host_nqn} has no DH-HMAC-CHAP key, but '
                'lvm_nvme_require_keys is set: add its key to the file in '
                'lvm_nvme_key_file')
    missing: str = dataclasses.field(init=False)
    host_nqn: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self.missing = str(self)


class TargetFileNotUsable(TargetError):
    """A definition file of tgt-admin cannot be read or written."""

    template = 'file {path} cannot be read or written: {reason}'
    path: str
    reason: str
