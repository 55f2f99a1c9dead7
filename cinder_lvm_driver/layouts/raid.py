# SPDX-License-Identifier: Apache-2.0
"""Volumes over several PVs: striped and raid LVs with COW snapshots."""

from collections.abc import Iterator

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver import lvm


class Shaped(thick.Thick):
    """LVs with each image on PVs of its own; see lvmraid(7)."""

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume, shape: lvm.Shape) -> None:
        super().__init__(vg, writer, remove)
        self._shape = shape
        self.segtype = shape.segtype
        if shape.image_metadata_extents:
            self.device_suffix = f'_rimage_{shape.images - 1}'

    def __str__(self) -> str:
        return f'{self.lvm_type} on {self._shape.images} PVs'

    def advice(self, autoextension: lvm.Autoextension | None) -> \
            Iterator[str]:
        """Check that there are enough PVs.

        The service starts nevertheless, because redundant volumes work
        without one of their PVs.
        """
        pvs = self._vg.get_physical_volumes()
        usable = _usable(pvs)
        if len(usable) < self._shape.images:
            yield (f'VG {self._vg.vg_name} has {len(pvs)} PVs, '
                   f'{sum(pv.missing for pv in pvs)} missing and '
                   f'{len(usable)} can take volumes: no '
                   f'{self._shape.segtype} volume, which needs '
                   f'{self._shape.images} PVs, can be created until PVs are '
                   f'added or repaired')

    def create_volume(self, name: str, size_bytes: int) -> None:
        """Create an LV, if possible on the PVs with most free space.

        By default LVM fills the first PVs before it takes others (2.03.16).
        The rest of the others is then useless, because no two images may be
        on one PV: a third of the space of three equal PVs for two copies.
        """
        pvs = _usable(self._vg.get_physical_volumes())
        images = self._shape.images
        emptiest = []
        if len(pvs) > images:
            # One extent for the metadata, and one for rounding up.
            needed = (-(-size_bytes // self._shape.stripes)
                      + 2 * self._vg.get_vg().extent_size_bytes)
            emptiest = [pv.path for pv in pvs[:images]
                        if pv.free_bytes >= needed]
        self._vg.create_shaped_volume(
            name, size_bytes, self._shape,
            emptiest if len(emptiest) == images else [])

    def convert(self, lv: lvm.LogicalVolume) -> bool:
        """Leave an LV of this type as it is; others have to be copied."""
        return lv.segtype.partition('_')[0] == self._shape.segtype

    def capacity(self, picture: lvm.Picture) -> base.Capacity:
        """Count the space for volumes with all their images.

        The total is that of many small volumes; the free space is the size
        of the largest volume that can be created now. They differ if there
        are more PVs than images: three empty PVs of 100 GiB have space for
        two copies of 150 GiB, but for no volume larger than 100 GiB.
        """
        shape, extent = self._shape, picture.vg.extent_size_bytes
        pvs = self._vg.get_physical_volumes()
        total = shape.stripes * _fitting([pv.size_bytes for pv in pvs],
                                         shape.images)
        largest = (_largest([pv.free_bytes for pv in _usable(pvs)],
                            shape.images)
                   - shape.image_metadata_extents * extent)
        return base.Capacity(
            total_bytes=total // extent * extent,
            free_bytes=shape.stripes * max(0, largest),
            provisioned_bytes=sum(lv.size_bytes
                                  for lv in picture.lvs.values()))


class _Striping(Shaped):
    """LVs whose data is spread over a number of PVs.

    :cvar least_stripes: that LVM takes
    """

    least_stripes = 2
    mirrors = 0
    parity = 0

    def __init__(self, vg: lvm.LVM, writer: base.DeviceWriter,
                 remove: base.RemoveVolume, stripes: int = 0) -> None:
        """Run no command yet.

        :param stripes: 0 for the least number
        :raises errors.ConfigurationError: LVM takes no such number
        """
        if 0 < stripes < self.least_stripes:
            raise errors.ConfigurationError(
                f'Option lvm_stripes is {stripes}, but lvm_type '
                f'{self.lvm_type} needs {self.least_stripes} or more: set it '
                f'to a larger number, or to 0')
        super().__init__(vg, writer, remove, lvm.Shape(
            self.lvm_type, stripes or self.least_stripes, self.mirrors,
            self.parity))


class Striped(_Striping):
    """Striped LVs: any lost PV loses the data."""

    lvm_type = 'striped'


class Raid10(_Striping):
    """Two copies, each spread over several PVs."""

    lvm_type = 'raid10'
    mirrors = 1


class Raid5(_Striping):
    """One PV of parity: any one PV can be lost."""

    lvm_type = 'raid5'
    parity = 1


class Raid6(_Striping):
    """Two PVs of parity: any two PVs can be lost."""

    lvm_type = 'raid6'
    least_stripes = 3
    parity = 2


def _usable(pvs: list[lvm.PhysicalVolume]) -> list[lvm.PhysicalVolume]:
    """Return the PVs that can take new LVs, the emptiest first."""
    if any(pv.missing for pv in pvs):
        return []
    return sorted((pv for pv in pvs if pv.allocatable),
                  key=lambda pv: pv.free_bytes, reverse=True)


def _fitting(sizes: list[int], images: int) -> int:
    """Return the bytes that PVs of some sizes can store with all images.

    A PV cannot hold two images of the same data, so that its size counts
    only up to the result.
    """
    descending = sorted(sizes, reverse=True)
    return min(sum(descending[ahead:]) // (images - ahead)
               for ahead in range(images))


def _largest(sizes: list[int], images: int) -> int:
    """Return the size of the largest image that LVM can create.

    LVM puts the images on the largest free areas first, and continues with
    the rest.
    """
    left = sorted(sizes, reverse=True)
    found = 0
    while len(left) >= images:
        part = left[images - 1]
        found += part
        left = sorted((size for size in (
            *(size - part for size in left[:images]), *left[images:])
            if size), reverse=True)
    return found
