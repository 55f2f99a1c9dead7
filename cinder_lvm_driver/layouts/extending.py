# SPDX-License-Identifier: Apache-2.0
"""Extends LVs, and overwrites with zeroes what a thick one gains.

Until then a tag of the LV holds its old and new size, so that the next start
after a crash can undo the extension. An LV that is open or has COW snapshots
cannot be reduced: it keeps its new size, and its end is zeroed.
"""

from collections.abc import Callable, Iterable
import contextlib
import dataclasses
import functools
import logging
import re
from typing import Self

from oslo_utils import units

from cinder_lvm_driver import background
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

_SIZES = re.compile('([0-9]+)-([0-9]+)')
# Full names of open LVs whose ends are zeroed in the background. It outlives
# the objects of a back end, which Cinder may set up again after a failed
# attempt (reinit_driver_count): a second thread would zero data that was
# written since the first one has ended.
_being_zeroed: set[str] = set()

# Overwrites a device with zeroes, from an offset in bytes to its end.
ZeroFrom = Callable[[str, int], None]


@dataclasses.dataclass(frozen=True, slots=True)
class _Extension:
    """An extension that has begun."""

    old_bytes: int
    # Before LVM rounds it up.
    new_bytes: int

    @classmethod
    def of(cls, lv: lvm.LogicalVolume) -> Self | None:
        """Return the extension that the tags of an LV describe, if any."""
        for tag in lv.tags:
            match = _SIZES.fullmatch(tag.removeprefix(naming.EXTEND_TAG))
            if match and tag.startswith(naming.EXTEND_TAG):
                return cls(*map(int, match.groups()))
        return None

    @property
    def tag(self) -> str:
        return f'{naming.EXTEND_TAG}{self.old_bytes}-{self.new_bytes}'

    def gave(self, lv: lvm.LogicalVolume) -> bool:
        """Return whether the size of an LV is the result of this extension.

        The in-tree driver, which ignores tags, may have extended it since,
        and then by 1 GiB or more.
        """
        end: int = self.new_bytes + units.Gi
        return self.old_bytes < self.new_bytes <= lv.size_bytes < end


def extend(vg: lvm.LVM, lv: lvm.LogicalVolume, size_bytes: int,
           zero_from: ZeroFrom | None) -> None:
    """Extend an LV to at least a size; never reduce it.

    LVM extends the origin of COW snapshots only while it is inactive
    (lvextend(8)), so it is deactivated for a moment if it is closed.

    :param zero_from: zeroes what a thick LV gains; None to leave the data of
        deleted LVs there
    :raises lvm.InsufficientSpace: the VG or thin pool is too full
    :raises lvm.LogicalVolumeInUse: it is open and has COW snapshots, or an
        interrupted extension is still being completed
    :raises lvm.LogicalVolumeOfWrongKind: it is a COW snapshot
    """
    if lv.is_cow_snapshot:
        # LVM would extend the COW store, and not what readers see.
        raise lvm.LogicalVolumeOfWrongKind(
            f'LV {lv.full_name} is a COW snapshot of {lv.origin} and keeps '
            f'the size of that: create a larger volume from it')
    if lv.full_name in _being_zeroed:
        raise lvm.LogicalVolumeInUse(
            f'LV {lv.name} is still being zeroed after an interrupted '
            f'extension: wait and extend it again')
    interrupted = _Extension.of(lv)
    if interrupted is not None:
        if zero_from is not None and interrupted.gave(lv):
            _zero_end(vg, lv, interrupted, zero_from)
        vg.delete_tag(lv.name, interrupted.tag)
    if lv.size_bytes >= size_bytes:
        return
    vg.check_changeable(lv)
    if lv.is_thin or zero_from is None:
        _extend(vg, lv, size_bytes)
        return
    extension = _Extension(lv.size_bytes, size_bytes)
    vg.add_tag(lv.name, extension.tag)
    with rollback.Undo(_complaint(lv)) as undo:
        undo.later(_take_back, vg, lv, extension)
        _extend(vg, lv, size_bytes)
        _zero_end(vg, lv, extension, zero_from)
        vg.delete_tag(lv.name, extension.tag)
        undo.keep()


def recover(vg: lvm.LVM, lvs: Iterable[lvm.LogicalVolume],
            zero_from: ZeroFrom | None) -> None:
    """Undo or complete the extensions that a crash has interrupted.

    :param zero_from: as for :func:`extend`
    """
    for lv in lvs:
        extension = _Extension.of(lv)
        if extension is not None and lv.full_name not in _being_zeroed:
            errors.attempt(_complaint(lv), _recover, vg, lv, extension,
                           zero_from)


def _recover(vg: lvm.LVM, lv: lvm.LogicalVolume, extension: _Extension,
             zero_from: ZeroFrom | None) -> None:
    gained = extension.gave(lv)
    if gained and not lv.is_open and not lv.is_cow_origin:
        LOG.warning('Undoing an interrupted extension of LV %s', lv.name)
        vg.reduce_volume(lv.name, extension.old_bytes)
    elif gained and zero_from is not None:
        LOG.warning('Zeroing what LV %s has gained by an interrupted '
                    'extension; it is in use or has snapshots, and keeps its '
                    'new size', lv.name)
        complete = functools.partial(_complete, vg, lv, extension, zero_from)
        if lv.is_open:
            _being_zeroed.add(lv.full_name)
            background.start('lvm-extend', functools.partial(
                errors.attempt, _complaint(lv), complete))
        else:
            complete()
        return
    vg.delete_tag(lv.name, extension.tag)


def _complete(vg: lvm.LVM, lv: lvm.LogicalVolume, extension: _Extension,
              zero_from: ZeroFrom) -> None:
    try:
        _zero_end(vg, lv, extension, zero_from)
        vg.delete_tag(lv.name, extension.tag)
    finally:
        _being_zeroed.discard(lv.full_name)


def _extend(vg: lvm.LVM, lv: lvm.LogicalVolume, size_bytes: int) -> None:
    with contextlib.ExitStack() as deactivated:
        if lv.is_cow_origin and lv.active:
            vg.require_closed(lv, 'detach the volume or delete its snapshots '
                                  'first, because LVM cannot extend an LV '
                                  'that is open and has COW snapshots')
            vg.deactivate_lv(lv.name)
            deactivated.callback(vg.activate_lv, lv.name)
        try:
            vg.extend_volume(lv.name, size_bytes)
        except lvm.LogicalVolumeLargeEnough:
            # The command was repeated after it had taken effect.
            if vg.get_volume(lv.name).size_bytes < size_bytes:
                raise


def _zero_end(vg: lvm.LVM, lv: lvm.LogicalVolume, extension: _Extension,
              zero_from: ZeroFrom) -> None:
    """Overwrite the extents that an LV has gained with zeroes."""
    with contextlib.ExitStack() as activated:
        if not lv.active:
            vg.activate_lv(lv.name)
            activated.callback(vg.deactivate_lv, lv.name)
        else:
            vg.ensure_nodes(lv.name)
        zero_from(lv.path, extension.old_bytes)


def _take_back(vg: lvm.LVM, lv: lvm.LogicalVolume,
               extension: _Extension) -> None:
    """Reduce an LV to its old size.

    LVM refuses that for an LV with COW snapshots. Its tag then stays, so
    that the next extension zeroes its end.
    """
    now = vg.find_volume(lv.name)
    if now is not None and now.size_bytes > extension.old_bytes:
        vg.reduce_volume(lv.name, extension.old_bytes)
    vg.delete_tag(lv.name, extension.tag)


def _complaint(lv: lvm.LogicalVolume) -> str:
    return (f'The extension of LV {lv.name} failed and is not undone; the '
            f'next extension of the volume or start of cinder-volume undoes '
            f'or completes it')
