# SPDX-License-Identifier: Apache-2.0
"""Errors of LVM, and the one table that recognizes them in its messages.

LVM ends almost every failure with exit status 5, so that the status does not
distinguish "no space" from "already exists"; the text under ``LC_ALL=C``
does. No other module reads it.
"""

import re

from cinder_lvm_driver import errors
from cinder_lvm_driver import process


class LVMError(errors.DriverError):
    """The state of a VG or an LV does not allow a request.

    :cvar advice: what to do, if LVM's own text does not say it
    """

    advice = ''


class VolumeGroupExported(LVMError):
    """The VG was exported with vgexport(8)."""

    advice = 'take the VG back with vgimport'


class VolumeGroupNotFound(LVMError):
    """This host has no such VG."""


class LogicalVolumeNotFound(LVMError):
    """The VG has no such LV."""


class LogicalVolumeExists(LVMError):
    """The VG already has an LV of that name."""


class LogicalVolumeInUse(LVMError):
    """The LV is open and cannot be removed, deactivated or merged."""


class LogicalVolumeSuspended(LogicalVolumeInUse):
    """All I/O to the LV waits."""


class LogicalVolumeInitializing(LVMError):
    """The copies of a mirrored LV are still being synchronized."""


class InsufficientSpace(LVMError):
    """The VG has too few free extents, or the thin pool is full."""


class InvalidRequest(LVMError):
    """LVM does not accept the form of the request."""


class NameTooLong(InvalidRequest):
    """The names of VG and LV are together too long for a device name."""


class ReportError(LVMError):
    """LVM did not print the report that was asked for."""


class DeviceNodeWrong(LVMError):
    """The path of an active LV does not lead to its device."""


class SnapshotOverflowed(LVMError):
    """A COW snapshot ran out of space and lost its data."""


class PhysicalVolumeMissing(LVMError):
    """LVM did not find all PVs of the VG on the devices it was given."""


class LogicalVolumeLargeEnough(LVMError):
    """The LV already has the requested size or is larger."""


class LogicalVolumeOfWrongKind(LVMError):
    """The request is not possible for this type of LV."""


class CommandOfLVMFailed(LVMError):
    """An LVM command failed for a reason that the table does not know."""


# lvm2 lib/commands/errors.h: EINVALID_CMD_LINE
_INVALID_COMMAND_LINE = 3
# (pattern, error), first match wins. Each row quotes the message and the
# version that prints it; tests/samples/lvm has the complete recordings.
_TABLE: tuple[tuple[str, type[LVMError]], ...] = (
    # 2.03.16: Volume group "nope" not found
    (r'Volume group "[^"]*" not found', VolumeGroupNotFound),
    # 2.03.16: Failed to find logical volume "vg0/nope"
    (r'Failed to find logical volume', LogicalVolumeNotFound),
    # 2.03.16: Logical volume nope not found in volume group vg0.
    # 2.03.16, lvrename: Existing logical volume "nope" not found in ...
    (r'[Ll]ogical volume \S+ not found in', LogicalVolumeNotFound),
    # 2.03.16: Snapshot origin LV nope not found in Volume group vg0.
    # 2.03.16, thin pool: Pool nope not found in Volume group vg.
    (r'(LV|Pool) \S+ not found in [Vv]olume group', LogicalVolumeNotFound),
    # 2.03.16: Logical Volume "a" already exists in volume group "vg0"
    # 2.03.16, lvrename: Logical volume "b" already exists in ...
    # 2.03.16, thin pool: Logical volume pool already exists in Volume group
    # vg.
    (r'already exists in [Vv]olume group', LogicalVolumeExists),
    # 2.03.16: Volume group vg is exported
    (r'Volume group \S+ is exported', VolumeGroupExported),
    # 2.03.16: Can't remove merging snapshot logical volume vg/snap.
    # 2.03.16: Snapshots of an origin that has a merging snapshot are not
    # supported.
    # 2.03.16: ... is invalid on LV with properties: lv_is_merging_cow .
    (r'merging snapshot|lv_is_merging', LogicalVolumeInUse),
    # 2.03.16: Logical volume vg0/a in use.
    # 2.03.16: Logical volume vg0/a contains a filesystem in use.
    # 2.03.16, with dm-crypt, kpartx, ... on top: Logical volume vg0/a is used
    # by another device.
    (r'Logical volume \S+ (in use|contains a filesystem in use|is used by)',
     LogicalVolumeInUse),
    # 2.03.16, lvextend: Snapshot origin volumes can be resized only while
    # inactive: try lvchange -an.
    (r'can be resized only while inactive', LogicalVolumeInUse),
    # 2.03.16: Can't add image to RAID LV that is still initializing.
    # 2.03.16, split: Unable to split vg/a while it is not in-sync.
    # 2.03.16, split: Unable to split mirror vg/a that is not in-sync.
    (r'LV that is still initializing|Unable to split .* is not in-sync',
     LogicalVolumeInitializing),
    # 2.03.16, to linear: Unable to remove all primary source devices
    (r'Unable to remove all primary source', LogicalVolumeInitializing),
    # 2.03.16: Unable to remove primary RAID image while array resyncing.
    (r'RAID image while array resyncing', LogicalVolumeInitializing),
    # 2.03.16: New size (2 extents) matches existing size (2 extents).
    # 2.03.16: New size given (1 extents) not larger than existing size ...
    # 2.03.31: No size change.
    (r'(matches|not larger than) existing size|No size change',
     LogicalVolumeLargeEnough),
    # 2.03.16: Snapshots of snapshots are not supported.
    # 2.03.16: Command not permitted on LV vg/a.
    # 2.03.16: Logical volume vg/linear is not a thin pool.
    # 2.03.16, thin snapshot of a linear LV: Please specify either size or
    # extents with snapshots.
    (r'Snapshots of snapshots|Command not permitted on LV|'
     r'is not a thin pool|specify either size or extents with snapshots',
     LogicalVolumeOfWrongKind),
    # 2.03.16: Volume group "vg0" has insufficient free space (10 extents):
    # 256 required.
    # 2.03.16: Insufficient free space: 256 extents needed, but only 10 ...
    # 2.03.16, raid: Insufficient suitable allocatable extents for ...
    (r'[Ii]nsufficient (free space|suitable)', InsufficientSpace),
    # 2.03.16: Cannot create new thin volume, free space in thin pool
    # vg0/pool reached threshold.
    (r'free space in thin pool .* reached threshold', InsufficientSpace),
    # 2.03.16: Cannot change VG vg0 while PVs are missing.
    # 2.03.16: WARNING: Couldn't find device with uuid ...
    (r'while PVs are missing', PhysicalVolumeMissing),
    (r"Couldn't find device with uuid", PhysicalVolumeMissing),
)


def classify(failure: process.CommandFailed) -> LVMError:
    """Return the typed error for a failed LVM command.

    The failure is its cause.
    """
    error: type[LVMError]
    if failure.exit_code == _INVALID_COMMAND_LINE:
        error = InvalidRequest
    else:
        error = next((error for pattern, error in _TABLE
                      if re.search(pattern, failure.stderr)),
                     CommandOfLVMFailed)
    typed = error(f'{failure}: {error.advice}' if error.advice
                  else str(failure))
    typed.__cause__ = failure
    return typed
