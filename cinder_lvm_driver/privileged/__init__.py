# SPDX-License-Identifier: Apache-2.0
"""What runs as root: a few narrow verbs on the kernel's target trees.

cinder-volume starts one daemon for this package, through
``cinder-rootwrap`` and ``privsep-helper``. To keep its start short and the
code that runs as root easy to read, nothing here imports cinder, nor any
other part of the driver than the root of its errors.
"""

from oslo_privsep import capabilities
from oslo_privsep import priv_context

context = priv_context.PrivContext(
    __name__,
    cfg_section='cinder_lvm_driver_privileged',
    pypath=f'{__name__}.context',
    capabilities=[
        # The kernel asks for it at CHAP names and secrets
        # (drivers/target/iscsi/iscsi_target_configfs.c).
        capabilities.CAP_SYS_ADMIN,
        # A portal on a port below 1024, such as iSCSI's own 860.
        capabilities.CAP_NET_BIND_SERVICE,
    ])
