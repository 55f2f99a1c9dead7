# SPDX-License-Identifier: Apache-2.0
"""A stand-in for the library of nvmetcli, which is not on PyPI.

Cinder's class for nvmet cannot be imported without it. Only the texts that
class makes and reads are of interest here, so it does nothing.
"""

import importlib
import sys
import types
from unittest import mock


def in_tree_class():
    """Return Cinder's class for target_helper nvmet."""
    stub = types.ModuleType('nvmet')
    for name in ('Root', 'Subsystem', 'Namespace', 'Port', 'Host', 'Referral',
                 'ANAGroup'):
        setattr(stub, name, type(name, (), {}))
    stub.nvme = types.SimpleNamespace(CFSNotFound=type(
        'CFSNotFound', (Exception,), {}))
    with mock.patch.dict(sys.modules, {'nvmet': stub}):
        module = importlib.import_module('cinder.volume.targets.nvmet')
    return module.NVMET
