# SPDX-License-Identifier: Apache-2.0
"""A layout on a fake LVM, for the tests of each layout."""

import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver import process
from tests import base
from tests.fakes import lvm as fake_lvm

MIB = 2 ** 20
LVM_FAILED = process.CommandFailed(('lvs',), 5, '', 'Broken by the test.')
DD_FAILED = process.CommandFailed(('dd',), 1, '', 'I/O error')


class Killed(BaseException):
    """The end of the service."""


class LayoutTestCase(base.TestCase):
    """A test of one layout.

    The test itself is what writes to devices.

    :ivar copies: source, destination, bytes and sparseness of each copy
    :ivar zeroed: the device and the first byte of each end that was zeroed
    :ivar fill_error: what the next copies and wipes fail with
    :ivar wipes: whether the back end does
    :ivar commands_left: so many more LVM commands are run before the service
        ends; None for any number
    :ivar repeated_after: so many LVM commands are run before one that is run
        twice, because nobody knows what became of it; None for none
    :cvar layout_class: its class
    :cvar pool_limits: of the thin pools
    """

    layout_class = None
    pool_limits = lvm.PoolLimits()

    def setUp(self):
        super().setUp()
        self.useFixture(fake_lvm.never_waiting())
        self.lvm = fake_lvm.FakeLVM('vg')
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', self.lvm.stack))
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16),
                          pool_limits=self.pool_limits)
        self.copies = []
        self.zeroed = []
        self.fill_error = None
        self.wipes = True
        self.commands_left = None
        self.repeated_after = None
        run, self.lvm.run = self.lvm.run, self.run_unless_killed
        self.run_really = run
        self.lvm.run_long = self.lvm.run
        self.layout = self.layout_class(
            self.vg, self, lambda lv: self.vg.delete(lv.name))

    def run_unless_killed(self, *argv, timeout=None):
        if self.commands_left is not None:
            if not self.commands_left:
                raise Killed
            self.commands_left -= 1
        if self.repeated_after is not None:
            self.repeated_after -= 1
            if self.repeated_after == -1:
                self.run_really(*argv, timeout=timeout)
        return self.run_really(*argv, timeout=timeout)

    def copy(self, source, destination, size_bytes, *, sparse):
        self.copies.append((source, destination, size_bytes, sparse))
        names = [path.removeprefix('/dev/vg/')
                 for path in (source, destination)]
        source, destination = (self.lvm.volumes[name] for name in names)
        self.assertTrue(source.active and destination.active)
        destination.content = source.content
        self._fail()

    def zero_from(self, device, offset_bytes):
        name = device.removeprefix('/dev/vg/')
        self.assertTrue(self.lvm.volumes[name].active)
        self.zeroed.append((name, offset_bytes))
        self._fail()

    def _fail(self):
        if isinstance(self.fill_error, Killed):
            self.commands_left = 0
        if self.fill_error:
            raise self.fill_error

    def add_thin_pool(self, **facts):
        self.lvm.add('vg-pool', 400 * MIB, segtype='thin-pool', **facts)

    def add_thin(self, name, size_mib=8, **facts):
        return self.lvm.add(name, size_mib * MIB, segtype='thin',
                            pool='vg-pool', **facts)

    def add_cow(self, name, origin, size_mib=12, **facts):
        return self.lvm.add(name, size_mib * MIB, origin=origin, **facts)

    def tags(self):
        return [tag for volume in self.lvm.volumes.values()
                for tag in volume.tags]

    def names(self):
        return set(self.lvm.volumes)
