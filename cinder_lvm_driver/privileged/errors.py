# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with a target in the kernel.

An error that is raised in the privileged daemon is built again in the
service from its class and its positional arguments
(``oslo_privsep.daemon``), so these are plain strings and integers, and never
a CHAP secret or key.
"""

import os

from cinder_lvm_driver import errors


class TargetError(errors.DriverError):
    """Base of the errors of targets; never raised itself."""


class InvalidArgument(TargetError):
    """The privileged room refuses an argument; nothing was touched."""

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(argument, reason)
        self.argument = argument
        self.reason = reason

    def __str__(self) -> str:
        return '%s %s' % (self.argument, self.reason)


class DeviceNotUsable(TargetError):
    """The device of a volume cannot be exported."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(device, reason)
        self.device = device
        self.reason = reason

    def __str__(self) -> str:
        return 'device %s %s' % (self.device, self.reason)


class TargetNotFound(TargetError):
    """The target is not there, or has no LUN or namespace yet."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        return ('target %s is not exported on this host: restart '
                'cinder-volume, which brings back the exports of attached '
                'volumes, or detach the volume and attach it again'
                % self.target)


class TargetInUse(TargetError):
    """The target serves another device, to an initiator that is logged in."""

    def __init__(self, target: str, served: str, wanted: str) -> None:
        super().__init__(target, served, wanted)
        self.target = target
        self.served = served
        self.wanted = wanted

    def __str__(self) -> str:
        return ('target %s serves %s to an initiator that is logged in, so '
                'it is not moved to %s: log the initiator out first'
                % (self.target, self.served, self.wanted))


class NamespaceInUse(TargetError):
    """The namespace serves another device, and hosts may be using it."""

    def __init__(self, subsystem: str, served: str, wanted: str) -> None:
        super().__init__(subsystem, served, wanted)
        self.subsystem = subsystem
        self.served = served
        self.wanted = wanted

    def __str__(self) -> str:
        return ('subsystem %s serves %s to hosts that are allowed in, so it '
                'is not moved to %s: detach the hosts first'
                % (self.subsystem, self.served, self.wanted))


class SubsystemOfAnotherHost(TargetError):
    """The subsystem of one host serves volumes to another one."""

    def __init__(self, subsystem: str, host: str) -> None:
        super().__init__(subsystem, host)
        self.subsystem = subsystem
        self.host = host

    def __str__(self) -> str:
        return ('subsystem %s serves volumes to %s, so no other host gets '
                'in: two hosts have one name, or a host has a new NQN and '
                'its old attachments have to go first'
                % (self.subsystem, self.host))


class NamespaceTaken(TargetError):
    """The id that a host has for a device is another device's now."""

    def __init__(self, subsystem: str, nsid: int, device: str,
                 uuid: str) -> None:
        super().__init__(subsystem, nsid, device, uuid)
        self.subsystem = subsystem
        self.nsid = nsid
        self.device = device
        self.uuid = uuid

    def __str__(self) -> str:
        return ('subsystem %s serves %s with UUID %s as namespace %d, which '
                'is the id that its host has for this volume: detach this '
                'volume from the host, which gives it another id when it is '
                'attached again'
                % (self.subsystem, self.device, self.uuid, self.nsid))


class SubsystemFull(TargetError):
    """There is no namespace id left in a subsystem."""

    def __init__(self, subsystem: str) -> None:
        super().__init__(subsystem)
        self.subsystem = subsystem

    def __str__(self) -> str:
        return 'subsystem %s has no free namespace id' % self.subsystem


class PortalNotAvailable(TargetError):
    """The kernel does not listen on a portal."""

    def __init__(self, portal: str, reason: str) -> None:
        super().__init__(portal, reason)
        self.portal = portal
        self.reason = reason

    def __str__(self) -> str:
        return 'the kernel cannot serve the portal %s: %s' % (
            self.portal, self.reason)


class ConfigfsError(TargetError):
    """The kernel refused a step in configfs that it should have taken."""

    def __init__(self, action: str, path: str, errno: int) -> None:
        super().__init__(action, path, errno)
        self.action = action
        self.path = path
        self.errno = errno

    def __str__(self) -> str:
        return 'cannot %s %s: %s' % (
            self.action, self.path, os.strerror(self.errno))


class ConfigfsNotThere(ConfigfsError):
    """What a module of the kernel shows in configfs is not there at all."""

    REMEDY = ('configfs is not mounted on this host: mount -t configfs '
              'configfs /sys/kernel/config')

    def __str__(self) -> str:
        return ('%s. Perhaps %s. Otherwise a kernel module was removed: '
                'restart cinder-volume, which loads it'
                % (super().__str__(), self.REMEDY))


class TargetBusy(TargetError):
    """I/O that is in flight keeps a target from being changed."""

    def __init__(self, target: str, seconds: int) -> None:
        super().__init__(target, seconds)
        self.target = target
        self.seconds = seconds

    def __str__(self) -> str:
        return ('target %s still has I/O in flight after %d seconds'
                % (self.target, self.seconds))


class TargetDaemonFailure(TargetError):
    """Base of what may come of asking tgtd; never raised itself."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason


class TargetDaemonNotRunning(TargetDaemonFailure):
    """There is no tgtd, and so none of its targets."""

    def __str__(self) -> str:
        return ('tgtd does not answer at %s (%s): see that the package tgt '
                'is installed and start the daemon (systemctl start tgt)'
                % (self.path, self.reason))


class TargetDaemonSilent(TargetDaemonFailure):
    """tgtd gives no answer, and may have done what it was asked for."""

    def __str__(self) -> str:
        return ('tgtd gave no answer at %s (%s), and may have done what it '
                'was asked for: see its log, and if it hangs, restart it '
                '(systemctl restart tgt)' % (self.path, self.reason))


class TargetDaemonUnknown(TargetDaemonFailure):
    """What answers is not the tgtd that this driver knows."""

    def __str__(self) -> str:
        return ('what answers at %s is no tgtd that this driver knows: %s'
                % (self.path, self.reason))


class TargetDaemonRefused(TargetError):
    """tgtd said no."""

    _REASONS = {
        1: 'unknown error', 2: 'out of memory', 3: 'no such transport',
        4: 'no such target', 5: 'no such logical unit', 6: 'no such session',
        7: 'no such connection', 9: 'the target exists already',
        10: 'the logical unit exists already', 12: 'it is allowed already',
        13: 'it was not allowed', 14: 'the account exists already',
        15: 'no such account', 17: 'invalid request',
        19: 'the target has sessions', 20: 'the logical unit has I/O in '
        'flight', 22: 'unsupported operation', 23: 'unknown parameter'}

    def __init__(self, action: str, tid: int, code: int) -> None:
        super().__init__(action, tid, code)
        self.action = action
        self.tid = tid
        self.code = code

    def __str__(self) -> str:
        reason = self._REASONS.get(self.code, 'error %d' % self.code)
        about = '' if self.tid < 0 else ' of target %d' % self.tid
        return "tgtd refuses '%s'%s: %s" % (self.action, about, reason)
