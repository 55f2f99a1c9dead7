# SPDX-License-Identifier: Apache-2.0
"""What one VG is asked: each question is a report, or two."""

import threading
import time

from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import names
from cinder_lvm_driver.lvm import report
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import process

CLOSING_SECONDS = 10.0
_POLL_SECONDS = 0.5


class Questions:
    """One VG; nothing about its LVs is remembered between calls."""

    def __init__(self, vg_name: str, runner: process.Runner, *,
                 version: tuple[int, ...],
                 system_dir: str = '/etc/lvm',
                 report_timeout: float = 120) -> None:
        """Take a VG in hand; runs no command.

        :param version: the installed LVM's, see
            :func:`command.installed_version`
        :param system_dir: the folder of the lvm.conf to use
        :param report_timeout: seconds to wait for a report
        """
        self.vg_name = vg_name
        self._commands = command.Commands(vg_name, runner, version,
                                          system_dir, report_timeout)

    def get_volume(self, name: str) -> types.LogicalVolume:
        """Return an LV that can be a volume, and answers if it is active.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        :raises errors.LogicalVolumeOfWrongKind: it is a pool
        :raises errors.LogicalVolumeSuspended: it holds back all I/O
        """
        volume = self.get_pool_or_volume(name)
        types.check_kind(volume)
        return volume

    def get_pool_or_volume(self, name: str) -> types.LogicalVolume:
        """Return an LV of whatever kind, which answers if it is active.

        :raises errors.LogicalVolumeNotFound: there is none of that name
        :raises errors.LogicalVolumeSuspended: it holds back all I/O
        """
        volume = self.find_volume(name)
        if volume is None:
            raise errors.LogicalVolumeNotFound(
                f'LV {name} was not found in VG {self.vg_name}')
        types.check_answering(volume)
        return volume

    def find_volume(self, name: str) -> types.LogicalVolume | None:
        """Return an LV, or None where there is none of exactly that name."""
        if not names.is_valid(name):
            return None
        answer = self._commands.ask(
            report.volumes_command(self.vg_name, name))
        return report.parse_volumes(answer).get(name)

    def wait_until_closed(self,
                          volume: types.LogicalVolume) -> types.LogicalVolume:
        """Return what an LV is once nobody has it open, or 10 s later.

        tgtd closes a device some time after its target was deleted, and udev
        opens each that was written to (LP#1270192).

        :param volume: the LV as it was; asked for again only if it was open
        :raises errors.LogicalVolumeNotFound: it went meanwhile
        """
        deadline = time.monotonic() + CLOSING_SECONDS
        while volume.is_open and time.monotonic() < deadline:
            threading.Event().wait(_POLL_SECONDS)
            volume = self.get_volume(volume.name)
        return volume

    def require_closed(self,
                       volume: types.LogicalVolume) -> types.LogicalVolume:
        """Return what an LV is once nobody has it open.

        :param volume: as for :meth:`wait_until_closed`
        :raises errors.LogicalVolumeInUse: somebody still has
        :raises errors.LogicalVolumeNotFound: it went meanwhile
        """
        volume = self.wait_until_closed(volume)
        if volume.is_open:
            raise errors.LogicalVolumeInUse(
                f'LV {volume.name} is in use: end what has its device open '
                f'on this host')
        return volume

    def get_volumes(self) -> dict[str, types.LogicalVolume]:
        """Return all visible LVs by name."""
        answer = self._commands.ask(report.volumes_command(self.vg_name))
        return report.parse_volumes(answer)

    def get_vg(self) -> types.VolumeGroup:
        """Return the VG's own facts.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        return report.parse_group(
            self._commands.ask(report.group_command(self.vg_name)))

    def get_physical_volumes(self) -> list[types.PhysicalVolume]:
        """Return the PVs of the VG.

        :raises errors.VolumeGroupNotFound: the VG is gone
        """
        return report.parse_physical_volumes(self._commands.ask(
            report.physical_volumes_command(self.vg_name)))

    def has_spare_metadata(self) -> bool:
        """Tell whether the VG keeps room to repair a pool's metadata.

        That is the hidden LV ``lvol0_pmspare`` (lvmthin(7), "Spare metadata
        LV").
        """
        return report.parse_spare(
            self._commands.ask(report.spare_command(self.vg_name)))

    def get_picture(self) -> types.Picture:
        """Return the VG with all its LVs; two commands however many LVs."""
        return types.Picture(vg=self.get_vg(),
                             lvs=self.get_volumes())

    def count_copies(self, name: str) -> int:
        """Return how many copies of its data a mirrored LV has."""
        return report.parse_copies(self._commands.ask(
            report.copies_command(self.vg_name, name)))
