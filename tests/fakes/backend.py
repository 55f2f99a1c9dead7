# SPDX-License-Identifier: Apache-2.0
"""A back end of the driver on a fake host, for the tests of its verbs."""

import itertools
from unittest import mock
import uuid

from cinder import context
from cinder import objects
from cinder.objects import fields
from cinder.volume import configuration
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import lvm as in_tree
import fixtures

from cinder_lvm_driver import driver
from cinder_lvm_driver import options
from cinder_lvm_driver import targets
from tests import base
from tests.fakes import machine
from tests.fakes import target

GIB = 2 ** 30
MIB = 2 ** 20
_numbers = itertools.count()


class BackendTestCase(base.TestCase):
    """A test on a host with a VG of 100 GiB.

    :ivar machine: the host
    :ivar lvm: its fake LVM
    :cvar settings: options of the back end
    """

    settings = {'lvm_type': 'thin'}

    def setUp(self):
        super().setUp()
        self.context = context.get_admin_context()
        self.config.config(
            state_path=self.useFixture(fixtures.TempDir()).path)
        self.machine = self.useFixture(
            machine.FakeMachine(size_bytes=100 * GIB))
        self.lvm = self.machine.lvm
        patcher = mock.patch.dict(
            targets.MAPPING, lioadm='tests.fakes.target.RecordingTarget')
        patcher.start()
        self.addCleanup(patcher.stop)

    def configure(self, **settings):
        """Return the configuration of a back end."""
        group = 'backend-%d' % next(_numbers)
        config = configuration.Configuration(
            [*cinder_driver.volume_opts, *in_tree.volume_opts,
             *options.OWN_OPTIONS], config_group=group)
        self.config.config(group=group, **{
            'volume_group': self.lvm.vg_name, 'target_helper': 'lioadm',
            'volume_backend_name': 'backend', 'lvm_conf_file': 'none',
            **self.settings, **settings})
        return config

    def construct(self, *arguments, **settings):
        """Return a driver that has not been set up."""
        return driver.LVMVolumeDriver(
            *arguments, configuration=self.configure(**settings),
            execute=self.machine.execute, host='host@backend')

    def make_driver(self, **settings):
        """Return a driver that has been set up."""
        made = self.construct(**settings)
        made.do_setup(self.context)
        made.check_for_setup_error()
        self.machine.as_root.clear()
        self.machine.one_by_one.clear()
        if isinstance(made.target_driver, target.RecordingTarget):
            made.target_driver.calls.clear()
        return made

    # Cinder's objects, stored nowhere -------------------------------------

    def volume(self, size=1, **values):
        """Return a volume."""
        values = {'id': str(uuid.uuid4()), 'size': size,
                  'status': 'available', 'multiattach': False,
                  '_name_id': None, **values}
        volume = objects.Volume(self.context, **values)
        volume.volume_attachment = objects.VolumeAttachmentList(objects=[])
        volume.obj_reset_changes()
        return volume

    def snapshot(self, volume):
        """Return a snapshot of a volume."""
        snapshot = objects.Snapshot(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            volume_size=volume.size, volume=volume, provider_location=None,
            provider_auth=None, encryption_key_id=None)
        snapshot.obj_reset_changes()
        return snapshot

    def attach(self, volume, connector, **told):
        """Add an attachment to a volume.

        :param told: what Cinder has stored of how the host connects
        """
        volume.volume_attachment.objects.append(objects.VolumeAttachment(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            connector=connector, connection_info=told,
            attach_status=fields.VolumeAttachStatus.ATTACHED))
        volume.status = 'in-use'

    # And the LVs behind them ----------------------------------------------

    def lv(self, thing):
        """Return the fake LV of a volume or snapshot."""
        name = thing.name
        return self.lvm.volumes['_' * name.startswith('snapshot') + name]

    def add_lv(self, volume, **facts):
        """Put the LV of a volume into the VG, without the driver."""
        return self.lvm.add(volume.name, volume.size * GIB, **facts)


class DriverTestCase(BackendTestCase):
    """A test of a driver that has been set up.

    :ivar driver: the driver
    """

    def setUp(self):
        super().setUp()
        self.driver = self.make_driver()

    def create(self, size=1, **facts):
        """Create a volume with the driver."""
        volume = self.volume(size)
        self.driver.create_volume(volume)
        vars(self.lv(volume)).update(content='data', **facts)
        return volume

    def create_snapshot(self, volume, **facts):
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        vars(self.lv(snapshot)).update(facts)
        return snapshot

    def assert_wiped(self, *names):
        """Fail unless all of these LVs were wiped and removed, no others."""
        self.assertEqual([(name, 0, self.lvm.removed[name].size)
                          for name in self.lvm.removed], self.machine.wiped)
        for name, removed in zip(names, self.lvm.removed, strict=True):
            self.assertRegex(removed,
                             f'^cinder-wipe-{name[-12:]}-[0-9a-f]{{8}}$')
            self.assertEqual('', self.lvm.removed[removed].content)


THIN = {'segtype': 'thin', 'pool': 'vg-pool'}
