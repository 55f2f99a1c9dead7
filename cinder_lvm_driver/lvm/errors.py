# SPDX-License-Identifier: Apache-2.0
"""Errors of LVM, and the one table that recognizes them in its messages.

LVM ends almost every failure with exit status 5, so that the status does not
distinguish "no space" from "already exists"; the text under ``LC_ALL=C``
does. No other module reads it.
"""

from collections.abc import Iterable, Sequence
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


class VolumeGroupForeign(LVMError):
    """The VG belongs to another node (lvmsystemid(7))."""

    advice = ('if no other node uses the VG, take it over as in '
              'lvmsystemid(7), "Overriding system ID"')


class VolumeGroupNotFound(LVMError):
    """This node has no such VG."""


class VolumeGroupAmbiguous(LVMError):
    """Several VGs have the configured name."""


class LogicalVolumeNotFound(LVMError):
    """The VG has no such LV."""


class LogicalVolumeExists(LVMError):
    """The VG already has an LV of that name."""


class LogicalVolumeInUse(LVMError):
    """The LV is open and cannot be removed, deactivated or merged."""


class LogicalVolumeSuspended(LogicalVolumeInUse):
    """All I/O to the LV waits."""

    @classmethod
    def of(cls, what: str, devices: Sequence[str]) -> 'LogicalVolumeSuspended':
        """Return the error for what has suspended devices.

        :param devices: names of device-mapper, from the top down
        """
        return cls(f'{what} is suspended: unless an administrator is working '
                   f'on it, resume it with dmsetup resume '
                   f'{" ".join(reversed(devices))}')


class LogicalVolumeMoving(LogicalVolumeInUse):
    """pvmove(8) is moving the LV, or what it is made of."""

    advice = 'pvmove is moving the LV: wait until it ends'


class LogicalVolumeInitializing(LVMError):
    """The copies of a mirrored LV are still being synchronized."""


class InsufficientSpace(LVMError):
    """The VG has too few free extents, or the thin pool is full."""


class ThinPoolOutOfStep(LVMError):
    """LVM and the kernel disagree about what is in a thin pool."""

    advice = ('the thin pool has another transaction id in the kernel than '
              'in the metadata of LVM: see "thin pool out of step" in the '
              'manual')


class ThinIdTaken(LVMError):
    """The kernel has a thin device under the id that LVM wants to give."""


class KernelSilent(LVMError):
    """The kernel cannot be asked for its devices."""


class VolumeGroupFull(InsufficientSpace):
    """The VG can have no more LVs, whatever space it has."""


class ArchiveFull(LVMError):
    """LVM cannot keep the metadata of before a change."""

    advice = ("LVM keeps an archive of a VG's metadata before it changes "
              'anything: free space in that file system (backup/archive_dir '
              'in lvm.conf)')


class ThinPoolDamaged(LVMError):
    """The metadata of a thin pool is damaged; LVM does not activate it."""

    advice = ('deactivate the LVs of the pool and repair it with lvconvert '
              '--repair, see lvmthin(7)')


class ThinPoolPartsActive(LVMError):
    """A killed command has left the data or metadata of a pool active."""


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


class PhysicalVolumeDuplicate(LVMError):
    """A PV is on two devices; LVM changes nothing in its VG."""

    advice = ('leave one of the devices: start multipathd if they are paths '
              'to one disk, or remove copies of the disk from this node')

    @classmethod
    def of(cls, vg_name: str, pv_uuid: str,
           paths: Iterable[str]) -> 'PhysicalVolumeDuplicate':
        """Return the error for one PV."""
        return cls(f'PV {pv_uuid} of VG {vg_name} is on several devices, '
                   f'{" and ".join(paths)}, and LVM changes nothing in the '
                   f'VG: {cls.advice}')


class DeviceHangs(LVMError):
    """An LVM command waits for a device that completes no I/O."""


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
    # 2.03.16: Cannot access VG vg with system ID other with unknown local
    # system ID.
    (r'Cannot access VG \S+ with system ID', VolumeGroupForeign),
    # 2.03.16: Cannot update volume group vg with duplicate PV devices.
    # 2.03.16: Cannot activate LVs in VG vg while PVs appear on duplicate
    # devices.
    (r'(with duplicate PV|on duplicate) devices', PhysicalVolumeDuplicate),
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
    # 2.03.16: Can't remove locked logical volume vg/a.
    # 2.03.16: Can't resize locked logical volume vg/a.
    # 2.03.16: Cannot rename locked LV a
    # 2.03.16: Snapshots of locked volumes are not supported.
    # 2.03.16: ... is invalid on LV with properties: lv_is_locked .
    (r'locked (logical volume|LV|volumes)|lv_is_locked', LogicalVolumeMoving),
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
    # 2.03.16: VG vg 31 metadata on /dev/loop1 (522020 bytes) exceeds maximum
    # metadata size (521472 bytes)
    # 2.03.16: Maximum number of logical volumes (2) reached in volume group
    # vg
    (r'exceeds maximum metadata size|Maximum number of logical volumes',
     VolumeGroupFull),
    # 2.03.16: /etc/lvm/archive/.lvm_host_4292_4741: write error failed: No
    # space left on device
    (r'/\.lvm_\S+: .*(No space left on device|quota exceeded)',
     ArchiveFull),
    # 2.03.16: Activation of logical volume vg/pool is prohibited while
    # logical volume vg/pool_tmeta is active.
    (r'is prohibited while logical volume \S+ is active',
     ThinPoolPartsActive),
    # 2.03.16: Check of pool vg/pool failed (status:1). Manual repair
    # required!
    # The same of the cache of a cached LV, vg/fast_cvol, is another state.
    (r'Check of pool \S+(?<!_cvol)(?<!_cpool) failed', ThinPoolDamaged),
    # 2.03.16: WARNING: Thin pool vg/pool is failed. The next line says that
    # the pool is full.
    (r'Thin pool \S+ is failed', ThinPoolDamaged),
    # 2.03.16: Thin pool vg-pool-tpool (253:2) transaction_id is 21, while
    # expected 22.
    # 2.03.16: WARNING: Thin pool vg/pool has unexpected transaction id 3,
    # expecting 4.
    (r'transaction_id is \d+, while expected|unexpected transaction id',
     ThinPoolOutOfStep),
    # 2.03.16: Thin pool vg-pool-tpool (253:2) already contain thin device
    # with device_id 2.
    (r'already contain thin device with device_id', ThinIdTaken),
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


# 2.03.16: WARNING: Not using device /dev/b for PV UUID.
# WARNING: PV UUID prefers device /dev/a because ...
_UNUSED = re.compile(r'Not using device (\S+) for PV ([\w-]+)')
_PREFERRED = re.compile(r'PV ([\w-]+) prefers device (\S+) because')
# 2.03.16: WARNING: Device /dev/a has size of 8 sectors which is smaller than
# corresponding PV size of 16 sectors. Was device resized?
_TOO_SMALL = re.compile(r'Device (\S+) has size of .* smaller than .* PV size')


def duplicates(stderr: str) -> dict[str, tuple[str, ...]]:
    """Return the devices of PVs that are on several, by the PV's UUID."""
    found: dict[str, set[str]] = {}
    for path, pv_uuid in _UNUSED.findall(stderr):
        found.setdefault(pv_uuid, set()).add(path)
    for pv_uuid, path in _PREFERRED.findall(stderr):
        found.setdefault(pv_uuid, set()).add(path)
    return {pv_uuid: tuple(sorted(paths)) for pv_uuid, paths in found.items()}


def shrunk_devices(stderr: str) -> tuple[str, ...]:
    """Return the devices that are smaller than the PVs on them."""
    return tuple(dict.fromkeys(_TOO_SMALL.findall(stderr)))


def lacks_device(stderr: str) -> bool:
    """Tell whether LVM did not find the device of a PV."""
    return "Couldn't find device with uuid" in stderr


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
