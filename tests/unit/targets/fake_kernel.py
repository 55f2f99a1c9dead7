# SPDX-License-Identifier: Apache-2.0
"""What targets/kernel.py and targets/host.py find out about a host."""

import os
import shutil

import fixtures

from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import kernel


class FakeKernel(fixtures.Fixture):
    """Has one tree in configfs, the address 10.0.0.1 and no modules."""

    def __init__(self, tree):
        self._tree = tree

    def _setUp(self):
        self.configfs = self.useFixture(fixtures.TempDir()).path
        self.loaded = self.useFixture(fixtures.TempDir()).path
        os.mkdir(f'{self.configfs}/{self._tree}')
        for module, name, value in (
                (kernel, '_CONFIGFS', self.configfs),
                (kernel, '_LOADED', self.loaded),
                (host, 'is_local',
                 lambda portal: portal.address == '10.0.0.1')):
            self.useFixture(fixtures.MockPatchObject(module, name, value))

    def unmount(self):
        shutil.rmtree(self.configfs)

    def load(self, module):
        os.mkdir(f'{self.loaded}/{module}')
