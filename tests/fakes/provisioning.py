# SPDX-License-Identifier: Apache-2.0
"""A provisioning on a fake LVM, for the tests of each kind."""

from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from tests import base
from tests.fakes import lvm as fake_lvm

MIB = 2 ** 20
LVM_FAILED = process.CommandFailed(('lvs',), 5, '', 'Broken by the test.')
DD_FAILED = process.CommandFailed(('dd',), 1, '', 'I/O error')


class ProvisioningTestCase(base.TestCase):
    """A test of one kind of provisioning.

    The test itself is what fills devices.

    :ivar copies: source, destination, bytes and sparseness of each copy
    :ivar zeroed: the device and the first byte of each end that was zeroed
    :ivar fill_error: what the next copies and wipes fail with
    :ivar wipes: whether the back end does
    :cvar kind: the class
    """

    kind = None

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.vg = lvm.LVM('vg', self.lvm, version=(2, 3, 16))
        self.copies = []
        self.zeroed = []
        self.fill_error = None
        self.wipes = True
        self.provisioning = self.kind(
            self.vg, self, lambda lv: self.vg.delete(lv.name))

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
        if self.fill_error:
            raise self.fill_error

    def add_thin_pool(self, **facts):
        self.lvm.add('vg-pool', 400 * MIB, segtype='thin-pool', **facts)

    def add_thin(self, name, size_mib=8, **facts):
        return self.lvm.add(name, size_mib * MIB, segtype='thin',
                            pool='vg-pool', **facts)

    def add_cow(self, name, origin, size_mib=12, **facts):
        return self.lvm.add(name, size_mib * MIB, origin=origin, **facts)

    def names(self):
        return set(self.lvm.volumes)
