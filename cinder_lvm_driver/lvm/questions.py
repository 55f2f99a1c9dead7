# SPDX-License-Identifier: Apache-2.0
"""Questions about one VG: each of them is one report, or two."""

import dataclasses
import decimal
import threading
import time

from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import members
from cinder_lvm_driver.lvm import names
from cinder_lvm_driver.lvm import pools
from cinder_lvm_driver.lvm import record
from cinder_lvm_driver.lvm import report
from cinder_lvm_driver.lvm import space
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import openers
from cinder_lvm_driver import process

CLOSING_SECONDS = 10.0
_POLL_SECONDS = 0.5


class Questions:
    """Asks LVM about one VG; remembers nothing about its LVs.

    :ivar space: in the thin pools of the VG
    """

    def __init__(self, vg_name: str, runner: process.Runner, *,
                 version: tuple[int, ...],
                 system_dir: str = '/etc/lvm',
                 report_timeout: float = 120,
                 rules: members.DeviceRules = members.NO_DEVICE_RULES,
                 kept: record.Record | None = None,
                 pool_limits: space.Limits = space.NO_LIMITS) -> None:
        """Run no command yet.

        :param version: that of the installed LVM, see
            :func:`command.installed_version`
        :param system_dir: the directory of lvm.conf
        :param report_timeout: seconds to wait for a report
        :param rules: which devices lvm.conf lets LVM use, see
            :func:`command.device_rules`
        :param kept: which VG it was before this service was started
        """
        self.vg_name = vg_name
        self._commands = command.Commands(vg_name, runner, version,
                                          system_dir, report_timeout,
                                          rules, kept)
        self._pools = pools.ThinPools(vg_name, self.find_volume)
        self.space = space.Space(pool_limits, self._pools.usage,
                                 self.get_volumes)

    @property
    def has_lost_disks(self) -> bool:
        """Whether active LVs are on devices that no longer exist."""
        return self._commands.has_lost_disks

    def get_volume(self, name: str) -> types.LogicalVolume:
        """Return an LV that can be a volume or a snapshot and answers I/O.

        :raises errors.LogicalVolumeNotFound: the VG has no such LV
        :raises errors.LogicalVolumeOfWrongKind: it is a pool
        :raises errors.LogicalVolumeSuspended: I/O to it waits
        """
        return self._find(name).usable(name)

    def get_pool_or_volume(self, name: str) -> types.LogicalVolume:
        """Return an LV of any kind that answers I/O.

        :raises errors.LogicalVolumeNotFound: the VG has no such LV
        :raises errors.LogicalVolumeSuspended: I/O to it waits
        """
        lv = self._find(name)[name]
        types.check_answering(lv)
        return lv

    def find_volume(self, name: str) -> types.LogicalVolume | None:
        """Return the LV of exactly this name, or None."""
        return self._find(name).get(name)

    def _find(self, name: str) -> types.LogicalVolumes:
        if not names.is_valid(name):
            return types.LogicalVolumes(self.vg_name, {})
        return self._report_volumes(name)

    def get_volumes(self) -> types.LogicalVolumes:
        """Return all visible LVs by name."""
        return self._report_volumes()

    def _report_volumes(self, name: str | None = None) -> \
            types.LogicalVolumes:
        answer = self._commands.ask(report.volumes_command(self.vg_name,
                                                           name))
        return types.LogicalVolumes(self.vg_name,
                                    report.parse_volumes(answer))

    def get_halted(self, lvs: types.LogicalVolumes) -> \
            list[types.LogicalVolume]:
        """Return the LVs of volumes and snapshots that answer no I/O.

        LVM answers when no command is changing the VG. So a killed command
        has left them so, or an administrator has suspended them.

        :param lvs: all LVs of the VG
        """
        halted = kernel.without_table(self.vg_name, lvs)
        return [lv for lv in lvs.values()
                if (lv.is_suspended or lv.name in halted)
                and not lv.is_private]

    def check_changeable(self, lv: types.LogicalVolume) -> None:
        """Check that LVM can change an LV without leaving half of it.

        :param lv: any LV, as LVM has just reported it
        :raises errors.KernelSilent: the kernel cannot be asked
        :raises errors.LogicalVolumeMoving: pvmove is moving it or its pool
        :raises errors.LogicalVolumeSuspended: I/O to what it consists of
            waits
        :raises errors.ThinPoolOutOfStep: LVM and the kernel disagree about
            the pool
        """
        pool = lv.name if lv.is_thin_pool else lv.pool
        if pool is not None and (lv.is_thin or lv.is_thin_pool):
            self._pools.check(pool, lv.transaction_id)
            return
        self._check_device(lv, lv.name)
        if lv.is_cow_snapshot and lv.origin is not None:
            # LVM suspends and resumes the origin, which is not below it.
            self._check_device(lv, lv.origin)

    def _check_device(self, lv: types.LogicalVolume, name: str) -> None:
        """Check one of the devices that LVM handles to change an LV."""
        device = kernel_thin.device(self.vg_name, name)
        if device.is_moving:
            raise errors.LogicalVolumeMoving(
                f'LV {lv.full_name} is being moved by pvmove: wait until '
                f'that ends')
        if not device.suspended:
            return
        # Another command may be changing it at the moment: the VG's lock makes
        # LVM answer when that has ended.
        self.find_volume(lv.name)
        now = kernel_thin.device(self.vg_name, name)
        if now.suspended and now.suspended == device.suspended:
            raise errors.LogicalVolumeSuspended.of(f'LV {lv.full_name}',
                                                   now.suspended)

    def wait_until_closed(self, lv: types.LogicalVolume) -> \
            types.LogicalVolume:
        """Wait up to 10 seconds until an LV is closed.

        tgtd closes a device some time after the deletion of its target, and
        udev opens every device that was written to (LP#1270192).

        :param lv: asked for again only if it was open
        :returns: the LV as it is then, which may still be open
        :raises errors.LogicalVolumeNotFound: the LV was removed meanwhile
        """
        deadline = time.monotonic() + CLOSING_SECONDS
        while lv.is_open and time.monotonic() < deadline:
            threading.Event().wait(_POLL_SECONDS)
            lv = self.get_volume(lv.name)
        return lv

    def require_closed(self, lv: types.LogicalVolume,
                       remedy: str = 'end that on this node') -> \
            types.LogicalVolume:
        """Wait up to 10 seconds until an LV is closed, and require that.

        :param lv: asked for again only if it was open
        :param remedy: what the operator can do, for the error message
        :returns: the LV as it is then
        :raises errors.LogicalVolumeInUse: the LV is still open
        :raises errors.LogicalVolumeNotFound: the LV was removed meanwhile
        """
        lv = self.wait_until_closed(lv)
        if lv.is_open:
            raise errors.LogicalVolumeInUse(
                f'LV {lv.name} is {openers.describe(lv.path)}: {remedy}')
        return lv

    def thin_ids(self) -> dict[str, int]:
        """Return the ids of all thin LVs in their pools, by name."""
        return report.parse_thin_ids(self._commands.ask(
            report.thin_ids_command(self.vg_name)))

    def lock_file(self) -> str:
        """Return the path of the file with which LVM locks the VG.

        :raises errors.ReportError: LVM does not tell its directory
        """
        return f'{self._commands.locking_dir()}/V_{self.vg_name}'

    def get_vg(self) -> types.VolumeGroup:
        """Return the facts about the VG itself.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        done = self._commands.report(report.vg_command(self.vg_name))
        return dataclasses.replace(
            report.parse_vg(done.stdout, errors.duplicates(done.stderr)),
            read_only_pvs=self._commands.read_only_devices,
            shrunk_pvs=errors.shrunk_devices(done.stderr))

    def get_extents(self, name: str) -> list[types.Extents]:
        """Return the extents of an LV whose segments are on PVs."""
        return report.parse_extents(self._commands.ask(
            report.extents_command(self.vg_name, name)))

    def get_physical_volumes(self) -> list[types.PhysicalVolume]:
        """Return the PVs of the VG.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        return report.parse_physical_volumes(self._commands.ask(
            report.physical_volumes_command(self.vg_name)))

    def has_spare_metadata(self) -> bool:
        """Return whether the VG has a spare LV to repair pool metadata.

        That is the hidden LV ``lvol0_pmspare`` (lvmthin(7), "Spare metadata
        LV").
        """
        return report.parse_spare(
            self._commands.ask(report.spare_command(self.vg_name)))

    def get_picture(self) -> types.Picture:
        """Return the VG with all its LVs; two reports for any number."""
        return types.Picture(vg=self.get_vg(), lvs=self.get_volumes())

    def get_synchronization(self) -> dict[str, decimal.Decimal]:
        """Return how far the copies of LVs are equal, in percent, by name.

        Those of an inactive LV are not known.
        """
        return report.parse_synchronization(
            self._commands.ask(report.synchronization_command(self.vg_name)))

    def count_copies(self, name: str) -> int:
        """Return how many copies of its data a mirrored LV has."""
        return report.parse_copies(self._commands.ask(
            report.copies_command(self.vg_name, name)))
