# SPDX-License-Identifier: Apache-2.0
"""A node with back ends in cinder.conf, for the tests of subcommands."""

import contextlib
import functools
import io

from cinder import utils
from cinder.volume import manager
import fixtures

from cinder_lvm_driver import driver
from cinder_lvm_driver.privileged import device_mapper
from tests.fakes import backend

OURS = 'cinder_lvm_driver.driver.LVMVolumeDriver'
IN_TREE = 'cinder.volume.drivers.lvm.LVMVolumeDriver'
GIB = backend.GIB
VOLUME = 'volume-1f2e3d4c-0000-4000-8000-0123456789ab'


class CommandTestCase(backend.BackendTestCase):
    """A test of a subcommand on a fake host."""

    def setUp(self):
        super().setUp()
        for module, name, fake in (
                (device_mapper, 'stack', lambda name: []),
                (utils, 'execute', self.machine.execute),
                (driver, 'LVMVolumeDriver', functools.partial(
                    driver.LVMVolumeDriver, execute=self.machine.execute))):
            self.useFixture(fixtures.MockPatchObject(module, name, fake))

    def enable(self, volume_driver=OURS, **settings):
        """Add an enabled back end, and return its name."""
        config = self.configure(**settings)
        config.append_config_values(manager.volume_backend_opts)
        name = config.config_group
        self.config.config(group=name, volume_driver=volume_driver)
        self.config.config(enabled_backends=[
            *(self.config.conf.enabled_backends or ()), name])
        return name

    def add_thin_volume(self):
        """Add VOLUME of 10 GiB, in a thin pool of 80 GiB, 51 % full."""
        self.lvm.add('vg-pool', 80 * GIB, segtype='thin-pool', reported={
            'data_percent': '51.00', 'metadata_percent': '4.00'})
        self.lvm.add(VOLUME, 10 * GIB, segtype='thin', pool='vg-pool')

    @staticmethod
    def printed(function, *arguments, **named):
        """Return what a function returns, and the lines that it prints."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            result = function(*arguments, **named)
        return result, out.getvalue().splitlines()
