# SPDX-License-Identifier: Apache-2.0
"""The devices of LVs: activation, and the nodes and disks below them."""

from collections.abc import Sequence
import logging
import re

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver.lvm import questions
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

# What LVM puts after the name of an LV for a device below it, or a part of it
# (lvm2, lib/activate/dev_manager.c, lib/metadata).
_LAYER = re.compile(r'(-(real|cow|tpool)|_(tdata|tmeta|r(image|meta)_\d+))+$')

# Wait some seconds for udev to close a device (LP#1270192), even if
# lvm.conf(5) disables that.
RETRY = 'activation{retry_deactivation=1}'


class Activation(questions.Questions):
    """Has the kernel serve LVs, or no longer.

    Each method that names an LV raises
    :class:`errors.LogicalVolumeNotFound` if the VG has no such LV.
    """

    def _full_name(self, name: str) -> str:
        return f'{self.vg_name}/{name}'

    def activate_lv(self, *lv_names: str) -> None:
        """Activate LVs, also snapshots, until the next boot.

        :raises errors.DeviceNodeWrong: see :meth:`ensure_nodes`
        """
        self._activate(*lv_names)
        self.ensure_nodes(*lv_names)

    def _activate(self, *lv_names: str) -> None:
        self._commands.change(
            'lvchange', '--yes', '--activate', 'y', '--ignoreactivationskip',
            *map(self._full_name, lv_names))

    def find_unfinished(self, *lv_names: str) -> Sequence[str]:
        """Return the devices of LVs that a killed command was changing.

        LVM loads the new table of a device, suspends it, commits its metadata
        and resumes it.

        :raises errors.KernelSilent: the kernel cannot be asked
        """
        own = {naming.device_mapper_name(self.vg_name, name)
               for name in lv_names}
        names = [name for name in kernel.devices_of(self.vg_name)
                 if name in own or _LAYER.sub('', name) in own]
        return kernel_thin.find_loaded(names) if names else ()

    def discard_unfinished(self, lvs: types.LogicalVolumes) -> None:
        """Discard the tables that killed commands have loaded.

        LVM does not replace them. LVs that are merging are left out: LVM
        completes a merge that is in its metadata.

        :param lvs: all LVs of the VG
        :raises errors.KernelSilent: the kernel cannot be asked
        :raises privileged.errors.TargetError: LVM is at work in the VG
        """
        loaded = self.find_unfinished(
            *(lv.name for lv in lvs.values() if not lv.is_merging))
        if loaded:
            for name in kernel_thin.clear(self.lock_file(), loaded):
                LOG.warning('Discarding a table of device %s, which a killed '
                            'command has loaded', name)

    def resume(self, lv: types.LogicalVolume) -> None:
        """Have an LV answer I/O; see :meth:`get_halted`.

        :raises errors.LogicalVolumeSuspended: I/O to its pool waits as well
        """
        LOG.warning('Resuming LV %s, which answers no I/O: a killed command '
                    'has left it so', lv.full_name)
        if lv.pool is not None:
            self._pools.check_answering(lv.pool)
        self._activate(lv.name)

    def ensure_nodes(self, *lv_names: str) -> None:
        """Have the device paths of active LVs lead to their devices.

        Runs no command unless a node is missing or leads elsewhere.

        :raises errors.DeviceNodeWrong: LVM cannot create the nodes either
        """
        wrong = self._without_nodes(lv_names)
        if not wrong:
            return
        LOG.warning('Creating the device nodes of LV %s again: they are '
                    'missing or lead to other devices', ', '.join(wrong))
        self._commands.change('vgmknodes', *map(self._full_name, wrong))
        wrong = self._without_nodes(wrong)
        if wrong:
            raise errors.DeviceNodeWrong(
                f'{naming.device_path(self.vg_name, wrong[0])} does not lead '
                f'to the device of its LV: check that LVM can write to /dev, '
                f'and that lvm.conf has udev_rules = 0 and udev_sync = 0 if '
                f'no udev runs here')

    def _without_nodes(self, lv_names: Sequence[str]) -> list[str]:
        return [name for name in lv_names
                if not blockdev.has_nodes(self.vg_name, name)]

    def activate_pool(self, name: str) -> None:
        """Activate a thin pool, even after a killed command.

        That leaves the metadata or the data of the pool active, without
        which LVM does not activate the pool. A pool needs no device node.
        """
        try:
            self._activate(name)
        except errors.ThinPoolPartsActive as exc:
            LOG.warning('Deactivating what a killed command has left of thin '
                        'pool %s: %s', self._full_name(name), exc)
            for part in '_tmeta', '_tdata':
                self.deactivate_lv(name + part)
            self._activate(name)

    def refresh(self, name: str) -> None:
        """Have the kernel use the devices of an LV as they are now."""
        self._commands.change('lvchange', '--refresh', self._full_name(name))

    def bring_up(self, name: str) -> types.LogicalVolume:
        """Activate an LV unless it is active and healthy; check its nodes.

        LVM decides whether an LV that lacks a PV can be used.

        :returns: the LV as it was before
        :raises errors.LogicalVolumeOfWrongKind: it is a pool
        :raises errors.LogicalVolumeSuspended: I/O to it waits
        :raises errors.DeviceNodeWrong: see :meth:`ensure_nodes`
        """
        lv = self.get_volume(name)
        if not lv.active and lv.pool is not None:
            self._pools.check_answering(lv.pool)
        if not lv.active or lv.health:
            self.activate_lv(name)
        else:
            self.ensure_nodes(name)
        if kernel.is_on_lost_disk(lv.path):
            self._follow_disks_of(lv)
        return lv

    def _follow_disks_of(self, lv: types.LogicalVolume) -> None:
        try:
            self.follow_disks()
        except errors.LVMError:
            # The failure may concern another LV.
            if kernel.is_on_lost_disk(lv.path):
                raise

    def follow_disks(self) -> None:
        """Have active LVs use the devices that their PVs are on now.

        A disk that disappears and comes back can have another name.

        :raises errors.LVMError: not all of the LVs can
        """
        self._commands.change('lvchange', '--refresh', '--select',
                              'lv_active=active', self.vg_name)
        LOG.warning('LVs of VG %s used devices that no longer exist, and now '
                    'use those of their PVs', self.vg_name)

    def deactivate_lv(self, name: str) -> None:
        """Deactivate an LV.

        :raises errors.LogicalVolumeInUse: the LV is open
        """
        self._commands.change('lvchange', '--activate', 'n',
                              self._full_name(name), settings=[RETRY])
