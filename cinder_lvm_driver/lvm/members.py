# SPDX-License-Identifier: Apache-2.0
"""The PVs of all VGs, and which devices LVM may find them on."""

from collections.abc import Mapping
import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One PV of any VG, identified by its UUID."""

    vg_name: str
    vg_uuid: str
    pv_uuid: str
    # None if LVM does not find the device.
    path: str | None


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The PVs of all VGs on some devices."""

    members: tuple[Member, ...]
    # Paths of the devices of PVs that are on several, by UUID.
    duplicates: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class DeviceRules:
    """Which devices lvm.conf(5) lets LVM use."""

    has_filter: bool = False
    # The path of the devices file (lvmdevices(8)), if there is one.
    devices_file: str | None = None

    @property
    def hide_devices(self) -> bool:
        """Whether LVM may ignore devices that hold PVs."""
        return self.has_filter or self.devices_file is not None

    @property
    def advice(self) -> str:
        """Why LVM ignores a device, and what to do about it."""
        if self.devices_file is not None:
            return (f'the devices file {self.devices_file} does not list: '
                    f'add it with lvmdevices --adddev')
        return 'a filter in lvm.conf rejects: accept it there'


NO_DEVICE_RULES = DeviceRules()
