# SPDX-License-Identifier: Apache-2.0
"""Making volumes larger; what a thick one gains reads as zeroes.

As long as that is not so, a tag on the LV says where it ended before. The next
start after a crash takes the extension back. An LV that is in use, or has COW
snapshots, keeps its size, and its end is zeroed.
"""

from collections.abc import Callable, Iterable
import contextlib
import dataclasses
import functools
import logging
import re
from typing import Self

from oslo_utils import excutils
from oslo_utils import units

from cinder_lvm_driver import background
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

_SIZES = re.compile('([0-9]+)-([0-9]+)')
# VG and name of LVs in use whose ends are zeroed in the background.
_being_zeroed: set[tuple[str, str]] = set()

# Overwrites a device with zeroes, from an offset in bytes to its end.
ZeroFrom = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Extension:
    """One that has begun and not ended."""

    old_bytes: int
    # As asked for; LVM rounds up.
    new_bytes: int

    @classmethod
    def of(cls, volume: lvm.LogicalVolume) -> Self | None:
        """Return the extension that an LV's tags tell of."""
        for tag in volume.tags:
            match = _SIZES.fullmatch(tag.removeprefix(naming.EXTEND_TAG))
            if match and tag.startswith(naming.EXTEND_TAG):
                return cls(*map(int, match.groups()))
        return None

    @property
    def tag(self) -> str:
        return f'{naming.EXTEND_TAG}{self.old_bytes}-{self.new_bytes}'

    def gave(self, volume: lvm.LogicalVolume) -> bool:
        """Tell whether the size of an LV comes from it.

        The in-tree driver, which does not heed tags, may have been at it
        since. Volumes of Cinder's are whole GiB.
        """
        end: int = self.new_bytes + units.Gi
        return self.old_bytes < self.new_bytes <= volume.size_bytes < end


def extend(vg: lvm.LVM, volume: lvm.LogicalVolume, size_bytes: int,
           zero_from: ZeroFrom | None) -> None:
    """Extend an LV to at least a size; never shrinks it.

    The origin of COW snapshots can only be extended while inactive
    (lvextend(8)), so it is taken down for a moment, unless it is in use.

    :param zero_from: for what is added to a thick LV; None to leave there
        what others left
    :raises lvm.InsufficientSpace: it does not fit
    :raises lvm.LogicalVolumeInUse: it is in use and has COW snapshots, or
        an interrupted extension is still being completed
    :raises lvm.LogicalVolumeOfWrongKind: it is a COW snapshot
    """
    if volume.is_cow_snapshot:
        # LVM would extend the store of changes, which no reader sees.
        raise lvm.LogicalVolumeOfWrongKind(
            f'LV {volume.vg_name}/{volume.name} is a COW snapshot of '
            f'{volume.origin} and has the size of that: copy it to a new '
            f'volume, which can be larger')
    if (vg.vg_name, volume.name) in _being_zeroed:
        raise lvm.LogicalVolumeInUse(
            f'LV {volume.name} is still being zeroed to its end, as an '
            f'extension was interrupted; extend it when that is done')
    interrupted = _Extension.of(volume)
    if interrupted is not None:
        if zero_from is not None and interrupted.gave(volume):
            _clear_end(vg, volume, interrupted, zero_from)
        vg.delete_tag(volume.name, interrupted.tag)
    if volume.size_bytes >= size_bytes:
        return
    if volume.is_thin or zero_from is None:
        _extend(vg, volume, size_bytes)
        return
    extension = _Extension(volume.size_bytes, size_bytes)
    vg.add_tag(volume.name, extension.tag)
    try:
        _extend(vg, volume, size_bytes)
        _clear_end(vg, volume, extension, zero_from)
    except errors.DriverError:
        with excutils.save_and_reraise_exception():
            _attempt(volume, _take_back, vg, volume, extension)
    vg.delete_tag(volume.name, extension.tag)


def recover(vg: lvm.LVM, volumes: Iterable[lvm.LogicalVolume],
            zero_from: ZeroFrom | None) -> None:
    """Take back what a crash has left half done.

    Cinder was never told of it.

    :param volumes: of the VG
    :param zero_from: as for :func:`extend`
    """
    for volume in volumes:
        extension = _Extension.of(volume)
        if extension is not None:
            _attempt(volume, _recover, vg, volume, extension, zero_from)


def _recover(vg: lvm.LVM, volume: lvm.LogicalVolume, extension: _Extension,
             zero_from: ZeroFrom | None) -> None:
    if (vg.vg_name, volume.name) in _being_zeroed:
        # Since an attempt of Cinder's to start this back end that failed
        # later (reinit_driver_count). Whoever is done first lets the volume
        # be extended, and the other would zero what is written to it.
        return
    gained = extension.gave(volume)
    if gained and not volume.is_open and not volume.is_cow_origin:
        LOG.warning('Taking back an interrupted extension of LV %s',
                    volume.name)
        vg.reduce_volume(volume.name, extension.old_bytes)
    elif gained and zero_from is not None:
        LOG.warning('Zeroing what LV %s has gained by an interrupted '
                    'extension: it is in use or has snapshots, and keeps its '
                    'size', volume.name)
        complete = functools.partial(_complete, vg, volume, extension,
                                     zero_from)
        if volume.is_open:
            _being_zeroed.add((vg.vg_name, volume.name))
            background.start('lvm-extend', functools.partial(
                _attempt, volume, complete))
        else:
            complete()
        return
    vg.delete_tag(volume.name, extension.tag)


def _complete(vg: lvm.LVM, volume: lvm.LogicalVolume, extension: _Extension,
              zero_from: ZeroFrom) -> None:
    try:
        _clear_end(vg, volume, extension, zero_from)
        vg.delete_tag(volume.name, extension.tag)
    finally:
        _being_zeroed.discard((vg.vg_name, volume.name))


def _extend(vg: lvm.LVM, volume: lvm.LogicalVolume, size_bytes: int) -> None:
    with contextlib.ExitStack() as taken_down:
        if volume.is_cow_origin and volume.active:
            if vg.wait_until_closed(volume).is_open:
                raise lvm.LogicalVolumeInUse(
                    f'LV {volume.name} is in use and has COW snapshots; LVM '
                    f'cannot extend it now. Detach the volume or delete its '
                    f'snapshots first')
            vg.deactivate_lv(volume.name)
            taken_down.callback(vg.activate_lv, volume.name)
        try:
            vg.extend_volume(volume.name, size_bytes)
        except lvm.LogicalVolumeLargeEnough:
            # A command that was repeated had been effective.
            if vg.get_volume(volume.name).size_bytes < size_bytes:
                raise


def _clear_end(vg: lvm.LVM, volume: lvm.LogicalVolume, extension: _Extension,
               zero_from: ZeroFrom) -> None:
    """Overwrite what others left in the extents an LV was given."""
    with contextlib.ExitStack() as brought_up:
        if not volume.active:
            vg.activate_lv(volume.name)
            brought_up.callback(vg.deactivate_lv, volume.name)
        zero_from(volume.path, extension.old_bytes)


def _take_back(vg: lvm.LVM, volume: lvm.LogicalVolume,
               extension: _Extension) -> None:
    """Give an LV its old size after a failure.

    LVM refuses if it has COW snapshots: then the tag stays, so that the end
    is zeroed when the volume is extended again.
    """
    now = vg.find_volume(volume.name)
    if now is not None and now.size_bytes > extension.old_bytes:
        vg.reduce_volume(volume.name, extension.old_bytes)
    vg.delete_tag(volume.name, extension.tag)


def _complaint(volume: lvm.LogicalVolume) -> str:
    return (f'LV {volume.name} was not extended to its end and is larger than '
            f'its volume; that is put right when the volume is extended '
            f'again, or at the next start')


def _attempt(volume: lvm.LogicalVolume, step: Callable[..., None],
             *arguments: object) -> None:
    errors.attempt(_complaint(volume), step, *arguments)
