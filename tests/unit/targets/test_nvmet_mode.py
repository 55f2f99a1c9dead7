# SPDX-License-Identifier: Apache-2.0
import dataclasses

import ddt

from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import nvmet_per_host
from cinder_lvm_driver.targets import nvmet_per_volume
from tests import base
from tests.unit.targets import fake_volume

NQN = 'nqn.iqn.2010-10.org.openstack:-volume-1'
UUID = fake_volume.UUID % 1
LISTED = nvmet_report.ListedSubsystem(
    closed=True, hosts=('nqn.a', 'nqn.b'), namespaces={
        10: nvmet_report.ListedNamespace('/dev/vg/volume-1', UUID),
        11: nvmet_report.ListedNamespace('/dev/vg/volume-2', 'other')})
VALUES = {'volume_id': UUID, 'subsystem_nqn': NQN, 'uuid': UUID,
          'device': '/dev/vg/volume-1', 'nsid': 10, 'portals': (),
          'hosts': (nvmet.Host('nqn.a'),), 'first_port_id': 1}


def per_volume(**values):
    return nvmet_per_volume.Request(**{**VALUES, **values})


def per_host(**values):
    return nvmet_per_host.Request(**{
        **VALUES, 'lowest_nsid': 10, 'highest_nsid': 10, **values})


@ddt.ddt
class TestIsServed(base.TestCase):

    def test_whole(self):
        self.assertTrue(per_volume().is_served(LISTED))
        self.assertTrue(per_host(nsid=12).is_served(LISTED))
        self.assertTrue(per_volume(
            uuid='the identity of its first export').is_served(LISTED))

    @ddt.data(per_volume(hosts=(nvmet.Host('nqn.c'),)), per_volume(nsid=9),
              per_host(uuid='x'))
    def test_not_whole(self, request):
        self.assertFalse(request.is_served(LISTED))

    @ddt.data(dataclasses.replace(LISTED, closed=False),
              nvmet_report.ListedSubsystem())
    def test_not_listed_as_whole(self, listed):
        for request in per_volume(), per_host():
            self.assertFalse(request.is_served(listed))

    def test_another_device(self):
        self.assertRaises(errors.DeviceNotUsable,
                          per_volume(nsid=11).is_served, LISTED)

    def test_no_key_is_shown(self):
        request = per_volume(hosts=(nvmet.Host('nqn.a', 's3cret'),))
        self.assertNotIn('s3cret', repr(request))
