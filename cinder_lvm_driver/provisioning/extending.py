# SPDX-License-Identifier: Apache-2.0
"""Making volumes larger; what a thick one gains reads as zeroes.

As long as that is not so, a tag on the LV says where it ended before. The next
start after a crash takes the extension back, unless the LV is in use: then
somebody may have come to use what was gained, and it is zeroed when the
extension is repeated.
"""

from collections.abc import Callable, Iterable
import contextlib
import dataclasses
import logging
import re
from typing import Self

from oslo_utils import excutils
from oslo_utils import units

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

_SIZES = re.compile('([0-9]+)-([0-9]+)(-kept)?')

# Overwrites a device with zeroes, from an offset in bytes to its end.
ZeroFrom = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Extension:
    """One that has begun and not ended."""

    old_bytes: int
    # As asked for; LVM rounds up.
    new_bytes: int
    # Somebody may have used what was gained: it is not to be taken back.
    kept: bool = False

    @classmethod
    def of(cls, volume: lvm.LogicalVolume) -> Self | None:
        """Return the extension that an LV's tags tell of."""
        for tag in volume.tags:
            match = _SIZES.fullmatch(tag.removeprefix(naming.EXTEND_TAG))
            if match and tag.startswith(naming.EXTEND_TAG):
                return cls(int(match[1]), int(match[2]), bool(match[3]))
        return None

    @property
    def tag(self) -> str:
        return (f'{naming.EXTEND_TAG}{self.old_bytes}-{self.new_bytes}'
                + ('-kept' if self.kept else ''))

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
    :raises lvm.LogicalVolumeInUse: it is in use and has COW snapshots
    """
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

    Cinder was never told of it; but who has the LV open may have seen its
    size and use what was gained.

    :param volumes: of the VG
    :param zero_from: as for :func:`extend`
    """
    for volume in volumes:
        extension = _Extension.of(volume)
        if extension is not None and not extension.kept:
            _attempt(volume, _recover, vg, volume, extension, zero_from)


def _recover(vg: lvm.LVM, volume: lvm.LogicalVolume, extension: _Extension,
             zero_from: ZeroFrom | None) -> None:
    may_be_used = extension.gave(volume) and volume.is_open
    if may_be_used:
        LOG.warning('LV %s is larger than its volume, as its extension was '
                    'interrupted, and it is in use: its end, with what others '
                    'left there, is zeroed when the volume is extended again',
                    volume.name)
    elif extension.gave(volume):
        _undo_or_complete(vg, volume, extension, zero_from)
    vg.delete_tag(volume.name, extension.tag)
    if may_be_used:
        vg.add_tag(volume.name, dataclasses.replace(extension, kept=True).tag)


def _undo_or_complete(vg: lvm.LVM, volume: lvm.LogicalVolume,
                      extension: _Extension,
                      zero_from: ZeroFrom | None) -> None:
    if not volume.is_cow_origin:
        LOG.warning('Taking back an interrupted extension of LV %s',
                    volume.name)
        vg.reduce_volume(volume.name, extension.old_bytes)
    elif zero_from is not None:
        LOG.warning('Zeroing what LV %s has gained: it has snapshots and '
                    'cannot be made smaller', volume.name)
        _clear_end(vg, volume, extension, zero_from)


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
