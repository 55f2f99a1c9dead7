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

    @staticmethod
    def printed(function, *arguments, **named):
        """Return what a function returns, and the lines that it prints."""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            result = function(*arguments, **named)
        return result, out.getvalue().splitlines()
