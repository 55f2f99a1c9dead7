# SPDX-License-Identifier: Apache-2.0
"""Errors of the kernel, its targets, and tgtd.

oslo.privsep builds an error of the daemon again in the service, from its
class and ``args`` (``oslo_privsep.daemon``). So the fields are plain strings
and integers, and never a CHAP secret or key.
"""

import dataclasses
import os
from typing import Any, ClassVar, dataclass_transform

from cinder_lvm_driver import errors


@dataclass_transform(eq_default=False, field_specifiers=(dataclasses.field,))
class TargetError(errors.DriverError):
    """Base of the errors of targets; never raised itself.

    Its subclasses are dataclasses.

    :cvar template: the message, with the fields in braces
    """

    template: ClassVar[str] = ''

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(eq=False, repr=False)(cls)

    def __post_init__(self) -> None:
        self.args = tuple(
            getattr(self, field.name)
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
            if field.init)

    def __str__(self) -> str:
        return (self.template.format(**vars(self)) if self.template
                else super().__str__())


class InvalidArgument(TargetError):
    """A privileged verb refuses an argument; it changed nothing."""

    template = '{argument} {reason}'
    argument: str
    reason: str


class DeviceNotUsable(TargetError):
    """The device of a volume cannot be exported."""

    template = 'device {device} {reason}'
    device: str
    reason: str


class TargetNotFound(TargetError):
    """The target does not exist, or has no LUN or namespace yet."""

    template = (
        'target {target} is not exported on this node: restart '
        'cinder-volume, which restores the exports of attached volumes, or '
        'detach the volume and attach it again')
    target: str


class TargetInUse(TargetError):
    """The target serves another device, to an initiator that is logged in."""

    template = (
        'target {target} serves {served} to an initiator that is logged in, '
        'so it cannot serve {wanted}: log the initiator out first')
    target: str
    served: str
    wanted: str


class NamespaceInUse(TargetError):
    """The namespace serves another device, and hosts may be using it."""

    template = (
        'subsystem {subsystem} serves {served} to its allowed hosts, so it '
        'cannot serve {wanted}: detach the hosts first')
    subsystem: str
    served: str
    wanted: str


class SubsystemOfAnotherHost(TargetError):
    """The subsystem of one host serves volumes to another host."""

    template = (
        'subsystem {subsystem} serves volumes to {host}, so it cannot allow '
        'another host: two hosts have the same name, or a host has a new '
        'NQN. Give each host its own name, or detach the volumes that were '
        'attached under the old NQN')
    subsystem: str
    host: str


class NamespaceTaken(TargetError):
    """Another device has the namespace id that the host knows this one by."""

    template = (
        'subsystem {subsystem} serves {device} with UUID {uuid} as namespace '
        '{nsid}, the id under which its host knows this volume: detach this '
        'volume from the host and attach it again, which gives it a new id')
    subsystem: str
    nsid: int
    device: str
    uuid: str


class SubsystemFull(TargetError):
    """The subsystem has no free namespace id."""

    template = ('subsystem {subsystem} has no free namespace id: detach a '
                'volume from its host first')
    subsystem: str


class PortalNotAvailable(TargetError):
    """The kernel does not listen on a portal."""

    template = 'the kernel cannot listen on portal {portal}: {reason}'
    portal: str
    reason: str


class ConfigfsError(TargetError):
    """The kernel refused a step in configfs."""

    action: str
    path: str
    errno: int

    def __str__(self) -> str:
        return f'cannot {self.action} {self.path}: {os.strerror(self.errno)}'


class ConfigfsNotThere(ConfigfsError):
    """A kernel module's directory in configfs does not exist."""

    REMEDY = ('configfs is not mounted on this node: run mount -t configfs '
              'configfs /sys/kernel/config')

    def __str__(self) -> str:
        return (f'{super().__str__()}. Perhaps {self.REMEDY}. Otherwise a '
                'kernel module was removed: restart cinder-volume, which '
                'loads it')


class TargetBusy(TargetError):
    """I/O in flight keeps a target from being changed."""

    template = ('target {target} still has I/O in flight after {seconds} '
                'seconds: stop the I/O of its hosts, then try again')
    target: str
    seconds: int


class VolumeGroupLocked(TargetError):
    """LVM is at work in a VG and does not come to an end."""

    template = ('LVM commands have held {lock_file} for {seconds} seconds: '
                'wait until they end')
    lock_file: str
    seconds: int


class SnapshotSetFailed(TargetError):
    """The kernel did not take the snapshots of a set."""

    template = ('snapshots of one moment could not be taken: {reason}. '
                'Repair that, then take the group snapshot again')
    reason: str


class SnapshotSetTooSlow(TargetError):
    """The snapshots of a set were not complete at the limit."""

    template = (
        'the snapshots were not complete after {limit_ms} ms, for which '
        'writes to the volumes may be held back: take the group snapshot '
        'when there is less I/O, or raise lvm_group_snapshot_limit')
    limit_ms: int


class TargetDaemonFailure(TargetError):
    """Base of the failures to talk to tgtd; never raised itself."""

    path: str
    reason: str


class TargetDaemonNotRunning(TargetDaemonFailure):
    """tgtd is not running, so none of its targets is served."""

    template = (
        'tgtd does not answer at {path} ({reason}): install the package tgt '
        'and start the daemon (systemctl start tgt)')


class TargetDaemonSilent(TargetDaemonFailure):
    """tgtd sent no answer; it may have done what it was asked to do."""

    template = (
        'tgtd sent no answer at {path} ({reason}), but may have done what it '
        'was asked to do: read its log, and if it hangs, restart it '
        '(systemctl restart tgt)')


class TargetDaemonUnknown(TargetDaemonFailure):
    """The answer is not one of the tgtd that this driver supports."""

    template = ('the answer at {path} is not one of a supported tgtd: '
                '{reason}')


class TargetDaemonRefused(TargetError):
    """tgtd refused a request."""

    _REASONS: ClassVar[dict[int, str]] = {
        1: 'unknown error', 2: 'out of memory', 3: 'no such transport',
        4: 'no such target', 5: 'no such logical unit', 6: 'no such session',
        7: 'no such connection', 9: 'the target exists already',
        10: 'the logical unit exists already', 12: 'it is allowed already',
        13: 'it was not allowed', 14: 'the account exists already',
        15: 'no such account', 17: 'invalid request',
        19: 'the target has sessions', 20: 'the logical unit has I/O in '
        'flight', 22: 'unsupported operation', 23: 'unknown parameter'}

    action: str
    tid: int
    code: int

    def __str__(self) -> str:
        reason = self._REASONS.get(self.code, f'error {self.code}')
        about = '' if self.tid < 0 else f' of target {self.tid}'
        return f"tgtd refuses '{self.action}'{about}: {reason}"
