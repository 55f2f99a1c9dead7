# SPDX-License-Identifier: Apache-2.0
"""How volumes are laid out on a VG: thick, thin.

A new kind of LV is one file here and one line in the registry.
"""

from oslo_utils import importutils

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver.provisioning import base

REGISTRY = {
    'default': 'cinder_lvm_driver.provisioning.thick.Thick',
    'thin': 'cinder_lvm_driver.provisioning.thin.Thin',
}
AUTO = 'auto'


def load(lvm_type: str, vg: lvm.LVM, filler: base.DeviceFiller,
         remove: base.RemoveVolume) -> base.Provisioning:
    """Return the provisioning for a value of the option ``lvm_type``.

    ``auto`` means thin where the VG is empty or has the thin pool already,
    and thick where it holds other LVs.

    :param filler: writes to devices
    :param remove: removes an LV that was needed for a moment
    :raises errors.ConfigurationError: there is no such type
    """
    if lvm_type == AUTO:
        volumes = vg.get_volumes()
        is_ours = not volumes or base.thin_pool_name(vg) in volumes
        lvm_type = 'thin' if is_ours else 'default'
    if lvm_type not in REGISTRY:
        raise errors.ConfigurationError(
            'Option lvm_type is %r; it must be one of %s' % (
                lvm_type, ', '.join([AUTO, *REGISTRY])))
    provisioning: base.Provisioning = importutils.import_object(
        REGISTRY[lvm_type], vg, filler, remove)
    return provisioning
