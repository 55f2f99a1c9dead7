# SPDX-License-Identifier: Apache-2.0
"""Target helpers, which serve devices to hosts: one module for each."""

from collections.abc import Callable
import importlib
import logging
from typing import Any, TYPE_CHECKING

from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors

if TYPE_CHECKING:
    from cinder_lvm_driver.targets import base

LOG = logging.getLogger(__name__)

# target_helper of cinder.conf -> class, which is imported on use.
MAPPING = {
    'lioadm': 'cinder_lvm_driver.targets.lio.LioTarget',
    'nvmet': 'cinder_lvm_driver.targets.nvmet.NvmetTarget',
    'tgtadm': 'cinder_lvm_driver.targets.tgt.TgtTarget',
}
IN_TREE_MAPPING = {
    'scstadmin': 'cinder.volume.targets.scst.SCSTAdm',
    'iscsictl': 'cinder.volume.targets.cxt.CxtAdm',
    'spdk-nvmeof': 'cinder.volume.targets.spdknvmf.SpdkNvmf',
    'fake': 'cinder.volume.targets.fake.FakeTarget',
}


def load(helper: str, configuration: Any, executor: Callable[..., Any],
         runner: process.Runner) -> 'base.Target':
    """Return the target helper that cinder.conf names.

    :param executor: Cinder's ``_execute``, for Cinder's own classes
    :raises TargetConfigurationError: there is no such helper
    """
    if helper in IN_TREE_MAPPING:
        from cinder_lvm_driver.targets import intree
        class_path = IN_TREE_MAPPING[helper]
        LOG.info("target_helper '%s' is served by Cinder's own class %s",
                 helper, class_path)
        return intree.InTreeTarget(
            class_path, configuration, executor, runner)
    if helper not in MAPPING:
        raise errors.TargetConfigurationError(
            f"target_helper is '{helper}', which is none of: "
            + ', '.join(sorted(MAPPING | IN_TREE_MAPPING)))
    module, _, name = MAPPING[helper].rpartition('.')
    target: base.Target = getattr(importlib.import_module(module), name)(
        configuration, runner)
    return target
