# SPDX-License-Identifier: Apache-2.0
"""The layouts of volumes in a VG: thick, mirrored, thin.

A new layout is one module here and one line of ``REGISTRY``.
"""

import logging

from oslo_utils import importutils

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base
from cinder_lvm_driver import lvm
from cinder_lvm_driver import naming

LOG = logging.getLogger(__name__)

_STRIPING = ('striped', 'raid10', 'raid5', 'raid6')
REGISTRY = {
    'default': 'cinder_lvm_driver.layouts.thick.Thick',
    'thin': 'cinder_lvm_driver.layouts.thin.Thin',
    **{name: f'cinder_lvm_driver.layouts.raid.{name.capitalize()}'
       for name in _STRIPING},
}
_MIRROR = 'cinder_lvm_driver.layouts.mirror.Mirror'
AUTO = 'auto'
# What LVM calls the spare metadata of a thin pool until the pool is there. It
# gives the same name to an LV that an operator creates without a name.
_SPARE = 'lvol0'


def load(lvm_type: str, vg: lvm.LVM, writer: base.DeviceWriter,
         remove: base.RemoveVolume, mirrors: int = 0,
         stripes: int = 0) -> base.Layout:
    """Return the layout for values of the options.

    ``auto`` is thin if the VG is empty, or has the thin pool or what an
    interrupted start has made of it. It is thick if the VG has other LVs, or
    with mirrors.

    :param remove: removes a temporary LV
    :param mirrors: number of copies of each volume beside the first one
    :param stripes: number of PVs to spread the data over; 0 for the least
    :raises errors.ConfigurationError: the type does not exist, or cannot be
        mirrored or striped
    """
    if lvm_type == AUTO:
        lvm_type, reason = _choose(vg, mirrors)
        LOG.info('lvm_type is auto, and volumes in VG %s are %s: %s',
                 vg.vg_name, 'thin' if lvm_type == 'thin' else 'thick',
                 reason)
    if lvm_type not in REGISTRY:
        raise errors.ConfigurationError(
            'Option lvm_type is %r: set it to one of %s' % (
                lvm_type, ', '.join([AUTO, *REGISTRY])))
    layout: base.Layout
    if stripes and lvm_type not in _STRIPING:
        raise errors.ConfigurationError(
            f'Option lvm_stripes is {stripes} and lvm_type is {lvm_type}: set '
            f'lvm_type to one of {", ".join(_STRIPING)}, or lvm_stripes to 0')
    if not mirrors:
        layout = importutils.import_object(
            REGISTRY[lvm_type], vg, writer, remove,
            *([stripes] if stripes else []))
    elif lvm_type == 'default':
        layout = importutils.import_object(
            _MIRROR, vg, writer, remove, mirrors)
    else:
        raise errors.ConfigurationError(
            f'Option lvm_mirrors is {mirrors} and lvm_type is {lvm_type}, '
            f'but only thick volumes can be mirrored: set lvm_type to '
            f'default or lvm_mirrors to 0')
    return layout


def _choose(vg: lvm.LVM, mirrors: int) -> tuple[str, str]:
    """Return the type that ``auto`` stands for, and why it does."""
    if mirrors:
        return 'default', 'lvm_mirrors is set'
    lvs = list(vg.get_volumes())
    pool = base.thin_pool_name(vg)
    if not lvs:
        return 'thin', 'the VG is empty'
    if pool in lvs:
        return 'thin', f'the VG has thin pool {pool}'
    if naming.NEW_POOL in lvs:
        return 'thin', f'the creation of thin pool {pool} was interrupted'
    if lvs == [_SPARE]:
        LOG.warning(
            'The only LV of VG %s is %s, so that volumes become thick. A '
            'killed command leaves such an LV when it creates a thin pool: '
            'unless it is yours, run lvremove %s/%s and restart '
            'cinder-volume to have thin volumes', vg.vg_name, _SPARE,
            vg.vg_name, _SPARE)
    return 'default', (f'the VG has LVs, such as {min(lvs)}, and no thin pool '
                       f'{pool}')
