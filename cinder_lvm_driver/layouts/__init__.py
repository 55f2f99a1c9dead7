# SPDX-License-Identifier: Apache-2.0
"""How volumes are laid out on a VG: thick, mirrored, thin.

A new kind of LV is one file here and one line in the registry.
"""

from oslo_utils import importutils

from cinder_lvm_driver import errors
from cinder_lvm_driver.layouts import base
from cinder_lvm_driver import lvm

REGISTRY = {
    'default': 'cinder_lvm_driver.layouts.thick.Thick',
    'thin': 'cinder_lvm_driver.layouts.thin.Thin',
}
_MIRROR = 'cinder_lvm_driver.layouts.mirror.Mirror'
AUTO = 'auto'


def load(lvm_type: str, vg: lvm.LVM, writer: base.DeviceWriter,
         remove: base.RemoveVolume, mirrors: int = 0) -> base.Layout:
    """Return the layout for values of ``lvm_type``, ``lvm_mirrors``.

    ``auto`` means thin where the VG is empty or has the thin pool already,
    and thick where it holds other LVs, or where mirrors are wanted.

    :param writer: writes to devices
    :param remove: removes an LV that was needed for a moment
    :param mirrors: copies of each volume beside the first one
    :raises errors.ConfigurationError: there is no such type, or it cannot
        be mirrored
    """
    if lvm_type == AUTO and mirrors:
        lvm_type = 'default'
    if lvm_type == AUTO:
        volumes = vg.get_volumes()
        is_ours = not volumes or base.thin_pool_name(vg) in volumes
        lvm_type = 'thin' if is_ours else 'default'
    if lvm_type not in REGISTRY:
        raise errors.ConfigurationError(
            'Option lvm_type is %r; it must be one of %s' % (
                lvm_type, ', '.join([AUTO, *REGISTRY])))
    layout: base.Layout
    if not mirrors:
        layout = importutils.import_object(
            REGISTRY[lvm_type], vg, writer, remove)
    elif lvm_type == 'default':
        layout = importutils.import_object(
            _MIRROR, vg, writer, remove, mirrors)
    else:
        raise errors.ConfigurationError(
            f'Option lvm_mirrors is {mirrors} and lvm_type is {lvm_type}, '
            f'but only thick volumes can be mirrored: set lvm_type to '
            f'default, or lvm_mirrors to 0')
    return layout
