# SPDX-License-Identifier: Apache-2.0
"""The errors of the target helpers, those of the kernel's trees included."""

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


# Makes a new export, whatever was stored of the one before.
ATTACH_AGAIN = 'to use the volume, detach it and attach it again'


class TargetConfigurationError(TargetError, errors.ConfigurationError):
    """An option of the target helper, or the kernel, is not as it should."""


class InvalidConnector(TargetError):
    """The connector of a host lacks what the target helper needs."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing

    def __str__(self) -> str:
        return ("the connector has no valid '%s': see that os-brick finds it "
                "on the host that attaches the volume" % self.missing)


class InvalidExport(TargetError):
    """provider_location or provider_auth is not one of this helper.

    The text of provider_auth is a secret and never part of the message.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return '%s %s' % (self.field, self.reason)


def foreign_location(provider_location: str | None,
                     form: str) -> InvalidExport:
    """Return what is wrong with one that is not of this helper's form."""
    what = (f"is not of the form '{form}': {provider_location!r}"
            if (provider_location or '').strip() else 'is empty')
    return InvalidExport('provider_location', f'{what}; {ATTACH_AGAIN}')


class NoHostKey(InvalidConnector):
    """Authentication is required, and a host has no key."""

    def __init__(self, host_nqn: str) -> None:
        super().__init__(host_nqn)
        self.host_nqn = host_nqn
        self.missing = str(self)

    def __str__(self) -> str:
        return ('host %s has no DH-HMAC-CHAP key in the file that '
                'lvm_nvme_key_file names, and lvm_nvme_require_keys is set'
                % self.host_nqn)


class TargetFileNotUsable(TargetError):
    """The file that describes a target to tgt-admin is out of reach."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return 'file %s cannot be read or written: %s' % (
            self.path, self.reason)
