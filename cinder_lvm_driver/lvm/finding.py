# SPDX-License-Identifier: Apache-2.0
"""Finds the devices of a VG by UUIDs, not by names.

The metadata on each PV of a VG lists the UUIDs of all its PVs, and udev knows
which device has which UUID. So LVM need not scan other devices, such as those
that hang or that guests write to. LVM is given every device that has the UUID
of a PV, so that it refuses to change a VG whose PVs are on two devices.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
import logging
import threading
import time

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import members as lvm_members
from cinder_lvm_driver.lvm import record
from cinder_lvm_driver.lvm import udev
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)

# How long udev may take to examine a disk that has just become a PV.
_UDEV_SECONDS = 5.0
_POLL_SECONDS = 0.1
# Takes the paths of the devices to scan; none for all that LVM may scan.
ListPVs = Callable[[Collection[str]], lvm_members.Listing]
_Members = list[lvm_members.Member]


class Finder:
    """Finds the devices of one VG, and remembers which VG that is."""

    def __init__(self, vg_name: str, list_pvs: ListPVs,
                 rules: lvm_members.DeviceRules,
                 kept: record.Record | None) -> None:
        """Run no command yet.

        :param list_pvs: has LVM list the PVs of devices
        :param rules: which devices lvm.conf lets LVM use
        :param kept: which VG it was before this service was started
        """
        self._vg_name = vg_name
        self._list_pvs = list_pvs
        self._rules = rules
        self._record = kept
        self._udev = udev.Database()
        self._lock = threading.Lock()
        self._identity: record.Identity | None = None
        # Paths of PVs that udev does not know.
        self._other_paths: frozenset[str] = frozenset()
        # UUIDs of PVs that a scan of all devices did not find.
        self._lost: set[str] = set()
        # Why a scan of all devices did not find the VG.
        self._absence: str | None = None
        # UUIDs of other VGs of the same name that the log has.
        self._logged: set[str] = set()

    def paths(self) -> tuple[str, ...]:
        """Return the paths of the VG's devices.

        Runs a command only while the VG has not been found.

        :raises errors.PhysicalVolumeDuplicate: a PV is on two devices
        :raises errors.VolumeGroupNotFound: no device holds the VG
        """
        with self._lock:
            return self._current() or self._look()

    def look_again(self, used: tuple[str, ...]) -> tuple[str, ...]:
        """Find the VG again, unless another thread has done so meanwhile.

        :param used: the paths that are out of date
        :raises errors.PhysicalVolumeDuplicate: a PV is on two devices
        :raises errors.VolumeGroupNotFound: no device holds the VG
        """
        with self._lock:
            current = self._current()
            if current in ((), used):
                current = self._look()
        if current != used:
            LOG.info('The PVs of VG %s are now on %s', self._vg_name,
                     ', '.join(current))
        return current

    @property
    def has_lost_disks(self) -> bool:
        """Whether active LVs are on devices that no longer exist."""
        return (self._identity is not None
                and kernel.has_lost_disks(self._identity.vg_uuid))

    def _devices(self) -> list[udev.Device]:
        """Return the PVs that udev knows, if LVM may use all of them."""
        return [] if self._rules.hide_devices else self._udev.devices()

    def _current(self) -> tuple[str, ...]:
        if self._identity is None:
            return ()
        return tuple(sorted(self._other_paths.union(
            device.path for device in self._devices()
            if device.pv_uuid in self._identity.disks)))

    # Finding the VG -------------------------------------------------------

    def _look(self) -> tuple[str, ...]:
        """Find the VG, remember it, and return the paths of its devices."""
        identity = self._identity
        if identity is None and self._record is not None:
            identity = self._record.read()
        devices = self._devices()
        own = {device.path for device in devices
               if identity and device.pv_uuid in identity.disks}
        if self._absence and devices and not own:
            raise errors.VolumeGroupNotFound(self._absence)
        for paths in self._places(own, {device.path for device in devices}):
            members = self._ours(self._list_pvs(paths), identity)
            if members:
                members = self._complete(members, paths)
                return self._adopt(members, identity)
        listing = self._list_pvs(())
        members = (self._ours(listing, identity)
                   or self._made_anew(listing, identity))
        if not members:
            message = self._why_not_found(listing, identity)
            if identity:
                self._absence = message
            raise errors.VolumeGroupNotFound(message)
        return self._adopt(members, identity)

    @staticmethod
    def _places(own: set[str], everything: set[str]) -> Iterator[set[str]]:
        """Yield the devices to scan: those of the VG, then all PVs."""
        if own:
            yield own
        others = everything - own
        if others:
            answering = everything.difference(kernel.hanging(others))
            if answering:
                yield answering

    def _ours(self, listing: lvm_members.Listing,
              identity: record.Identity | None) -> _Members:
        """Return the PVs of the VG that are in a listing.

        :param identity: None if only the name of the VG is known
        """
        vg_uuid = identity.vg_uuid if identity else None
        named = _by_uuid(member for member in listing.members
                         if member.vg_name == self._vg_name)
        if vg_uuid is None:
            if len(named) > 1:
                raise errors.VolumeGroupAmbiguous(
                    f'There are several VGs {self._vg_name}: '
                    + '; '.join(map(_describe, named.values()))
                    + '. Rename all but one with vgrename UUID NEW_NAME')
            vg_uuid = next(iter(named), None)
        self._log_others({uuid: _paths(members)
                          for uuid, members in named.items()
                          if uuid != vg_uuid})
        ours = [member for member in listing.members
                if member.vg_uuid == vg_uuid]
        for member in ours:
            if member.vg_name != self._vg_name:
                raise errors.VolumeGroupNotFound(
                    f'VG {self._vg_name} was renamed to {member.vg_name}: '
                    f'rename it back with vgrename, or set option '
                    f'volume_group to the new name')
            if member.pv_uuid in listing.duplicates:
                raise errors.PhysicalVolumeDuplicate.of(
                    self._vg_name, member.pv_uuid,
                    listing.duplicates[member.pv_uuid])
        return ours

    def _complete(self, members: _Members,
                  scanned: Collection[str]) -> _Members:
        """Return the PVs of the VG, with paths of all that this node has.

        :param scanned: the devices on which some of them were found
        """
        identity = _identity(members)
        seen = set(scanned)
        deadline = time.monotonic() + _UDEV_SECONDS
        while True:
            pv_uuids = {member.pv_uuid for member in members}
            more = {device.path for device in self._devices()
                    if device.pv_uuid in pv_uuids} - seen
            lost = _without_device(members)
            if more:
                seen |= more
                members = self._ours(self._list_pvs(seen), identity)
            elif not lost or lost == self._lost:
                return members
            elif time.monotonic() < deadline:
                threading.Event().wait(_POLL_SECONDS)
            else:
                return self._search_everywhere(identity) or members

    def _search_everywhere(self, identity: record.Identity) -> _Members:
        """Return the PVs of the VG after a scan of all devices."""
        try:
            return self._ours(self._list_pvs(()), identity)
        except (errors.DeviceHangs, process.CommandTimedOut) as exc:
            LOG.warning('VG %s lacks PVs, and LVM cannot scan all devices '
                        'for them: %s', self._vg_name, exc)
            return []

    def _adopt(self, members: _Members,
               before: record.Identity | None) -> tuple[str, ...]:
        """Remember the VG, and return the paths of its devices."""
        disks = {device.pv_uuid: list(device.disk_names)
                 for device in self._devices()}
        self._absence = None
        self._lost = _without_device(members)
        self._other_paths = frozenset(
            member.path for member in members
            if member.path and member.pv_uuid not in disks)
        if before is not None:
            disks = {**before.disks, **disks}
        self._identity = _identity(members, disks)
        if self._record is not None:
            self._record.write(self._identity)
        current = self._current()
        if not current:
            # Without any path, LVM would scan all devices.
            raise errors.VolumeGroupNotFound(
                f'The devices of VG {self._vg_name} disappeared just now: '
                f'bring them back')
        return current

    def _made_anew(self, listing: lvm_members.Listing,
                   identity: record.Identity | None) -> _Members:
        """Return a VG of the same name that has the disks of the VG."""
        named = _by_uuid(member for member in listing.members
                         if member.vg_name == self._vg_name)
        if identity is None or len(named) != 1:
            return []
        (vg_uuid, members), = named.items()
        disks = {name for names in identity.disks.values() for name in names}
        on_disks = {device.path for device in self._udev.devices()
                    if disks.intersection(device.disk_names)}
        if any(member.path not in on_disks for member in members):
            return []
        LOG.warning('VG %s was created anew on the same disks; its UUID is '
                    'now %s', self._vg_name, vg_uuid)
        return members

    # What the operator reads ----------------------------------------------

    def _log_others(self, others: dict[str, str]) -> None:
        for uuid, paths in others.items():
            if uuid not in self._logged:
                LOG.warning('Ignoring another VG %s with UUID %s on %s',
                            self._vg_name, uuid, paths)
                self._logged.add(uuid)

    def _why_not_found(self, listing: lvm_members.Listing,
                       identity: record.Identity | None) -> str:
        hidden = {device.path for device in self._udev.devices()}
        if self._rules.hide_devices and hidden:
            members = self._ours(self._list_pvs(hidden), identity)
            if members:
                return (f'VG {self._vg_name} is on {_paths(members)}, which '
                        f'{self._rules.advice}')
        if identity is None:
            return (f'VG {self._vg_name} was not found: create it with '
                    f'vgcreate, or set option volume_group to an existing VG')
        message = (f'VG {self._vg_name} with UUID {identity.vg_uuid} was not '
                   f'found: bring its devices back')
        others = _by_uuid(member for member in listing.members
                          if member.vg_name == self._vg_name)
        if others:
            message += ('. Another VG has the same name: '
                        + '; '.join(map(_describe, others.values())))
            if self._record is not None:
                message += (f'. To use that one instead, remove '
                            f'{self._record.path}')
        return message


def _identity(members: _Members,
              disks: Mapping[str, list[str]] | None = None) -> \
        record.Identity:
    """Return the identity of a VG.

    :param disks: names of the disks of PVs of any VG, by UUID
    """
    disks = disks or {}
    return record.Identity(
        vg_uuid=members[0].vg_uuid,
        disks={member.pv_uuid: disks.get(
            member.pv_uuid, [member.path] if member.path else [])
            for member in members})


def _by_uuid(members: Iterable[lvm_members.Member]) -> dict[str, _Members]:
    found: dict[str, _Members] = {}
    for member in members:
        found.setdefault(member.vg_uuid, []).append(member)
    return found


def _without_device(members: _Members) -> set[str]:
    return {member.pv_uuid for member in members if member.path is None}


def _paths(members: _Members) -> str:
    return ', '.join(sorted(member.path or 'a missing device'
                            for member in members))


def _describe(members: _Members) -> str:
    return f'UUID {members[0].vg_uuid} on {_paths(members)}'
