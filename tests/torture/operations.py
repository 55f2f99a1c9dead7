# SPDX-License-Identifier: Apache-2.0
"""The operations that are tortured, one class each.

``prepare`` runs before the operation, and what it changes is in Cinder's
database. ``act`` is the operation itself. If it is killed, Cinder has stored
nothing of its results. ``finish`` does what Cinder or a user does after the
next start, and leaves nothing behind.
"""

HOST = {'host': 'torture', 'ip': '127.0.0.1', 'multipath': False,
        'initiator': 'iqn.1993-08.org.debian:01:torture',
        'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
               '11111111-2222-3333-4444-555555555555'}


class Operation:
    """An operation on objects of Cinder.

    :cvar layouts: those for which there is such an operation
    :cvar is_of_target: whether it depends on the target helper
    :cvar is_undone: whether a failure leaves everything as it was: what is
        removed is not made again
    :ivar cinder: makes the objects, see ``Cinder``
    """

    name = ''
    layouts = 'thin', 'thick', 'raid1'
    is_of_target = False
    is_undone = True

    def __init__(self, cinder):
        self.cinder = cinder

    def prepare(self, driver):
        """Make what the operation needs."""

    def act(self, driver):
        raise NotImplementedError

    def resume(self, driver):
        """Do what Cinder does at the next start, once the driver is there.

        Cinder itself repeats a deletion.
        """

    def finish(self, driver):
        """Take the operation back, or complete it and take it back."""

    def kept(self):
        """Return volumes whose data the operation is not to change."""
        return [self.cinder.volume]


class CreateVolume(Operation):
    name = 'create volume'

    def prepare(self, driver):
        self.volume = self.cinder.add_volume()

    def act(self, driver):
        driver.create_volume(self.volume)

    def finish(self, driver):
        driver.delete_volume(self.volume)


class DeleteVolume(CreateVolume):
    name = 'delete volume'
    is_undone = False

    def prepare(self, driver):
        super().prepare(driver)
        driver.create_volume(self.volume)
        self.cinder.write(self.volume)

    def act(self, driver):
        driver.delete_volume(self.volume)

    resume = act


class CloneVolume(CreateVolume):
    name = 'clone volume'

    def act(self, driver):
        driver.create_cloned_volume(self.volume, self.cinder.volume)


class VolumeFromSnapshot(CreateVolume):
    name = 'volume from snapshot'

    def act(self, driver):
        driver.create_volume_from_snapshot(self.volume, self.cinder.snapshot)


class ExtendVolume(CreateVolume):
    name = 'extend volume'

    def prepare(self, driver):
        super().prepare(driver)
        driver.create_volume(self.volume)
        self.cinder.write(self.volume)

    def act(self, driver):
        driver.extend_volume(self.volume, 2)

    def finish(self, driver):
        self.act(driver)
        super().finish(driver)

    def kept(self):
        return [self.cinder.volume, self.volume]


class Retype(ExtendVolume):
    """Another number of copies."""

    name = 'retype'
    layouts = 'thick', 'raid1'

    def act(self, driver):
        mirrors = 1 - driver.configuration.lvm_mirrors
        driver.retype(self.cinder.context, self.volume, None,
                      {'extra_specs': {'volume_backend_name': ('a', 'b')}},
                      {'host': driver.host, 'capabilities': {'location_info': (
                          f'LVMVolumeDriver:{driver.hostname}:'
                          f'{self.cinder.vg_name}:default:{mirrors}')}})


class Migrate(ExtendVolume):
    """To another back end, which the user then has delete the volume."""

    name = 'migrate volume'

    def act(self, driver):
        pool, = self.cinder.other.get_volume_stats(refresh=True)['pools']
        driver.migrate_volume(self.cinder.context, self.volume, {
            'host': self.cinder.other.host, 'capabilities': pool})

    def finish(self, driver):
        CreateVolume.finish(self, driver)
        CreateVolume.finish(self, self.cinder.other)

    def kept(self):
        return [self.cinder.volume]


class CreateSnapshot(Operation):
    name = 'create snapshot'

    def prepare(self, driver):
        self.snapshot = self.cinder.add_snapshot(self.cinder.volume)

    def act(self, driver):
        driver.create_snapshot(self.snapshot)

    def finish(self, driver):
        driver.delete_snapshot(self.snapshot)


class DeleteSnapshot(CreateSnapshot):
    name = 'delete snapshot'
    is_undone = False

    def prepare(self, driver):
        super().prepare(driver)
        driver.create_snapshot(self.snapshot)

    def act(self, driver):
        driver.delete_snapshot(self.snapshot)

    resume = act


class GroupSnapshot(Operation):
    """Snapshots of two volumes, of one moment."""

    name = 'create group snapshot'
    layouts = 'thin',

    def prepare(self, driver):
        self.volume = self.cinder.add_volume()
        driver.create_volume(self.volume)
        self.cinder.write(self.volume)
        self.group = self.cinder.group_snapshot()
        self.snapshots = [self.cinder.add_snapshot(volume) for volume in (
            self.cinder.volume, self.volume)]

    def act(self, driver):
        driver.create_group_snapshot(self.cinder.context, self.group,
                                     self.snapshots)

    def finish(self, driver):
        driver.delete_group_snapshot(self.cinder.context, self.group,
                                     self.snapshots)
        driver.delete_volume(self.volume)

    def kept(self):
        return [self.cinder.volume, self.volume]


class Revert(Operation):
    name = 'revert to snapshot'

    def prepare(self, driver):
        self.volume = self.cinder.add_volume()
        driver.create_volume(self.volume)
        self.cinder.write(self.volume)
        self.snapshot = self.cinder.add_snapshot(self.volume)
        driver.create_snapshot(self.snapshot)
        self.cinder.write(self.volume, 'other data')

    def act(self, driver):
        driver.revert_to_snapshot(self.cinder.context, self.volume,
                                  self.snapshot)

    def finish(self, driver):
        self.act(driver)
        if self.cinder.has_lost(self.volume):
            raise AssertionError('the volume has not gone back')
        driver.delete_snapshot(self.snapshot)
        driver.delete_volume(self.volume)


class Export(Operation):
    name = 'export'
    layouts = 'thin', 'thick'
    is_of_target = True

    def prepare(self, driver):
        self.volume = self.cinder.volume

    def act(self, driver):
        self.cinder.store(self.volume, driver.create_export(
            self.cinder.context, self.volume, HOST))

    def finish(self, driver):
        self.act(driver)
        driver.terminate_connection(self.volume, HOST)
        driver.remove_export(self.cinder.context, self.volume)
        self.cinder.forget_export(self.volume)


class Unexport(Export):
    name = 'remove export'
    is_undone = False

    def prepare(self, driver):
        super().prepare(driver)
        super().act(driver)

    def act(self, driver):
        driver.remove_export(self.cinder.context, self.volume)


class Connect(Export):
    """Cinder exports and connects in one request."""

    name = 'connect'

    def prepare(self, driver):
        super().prepare(driver)
        super().act(driver)
        self.volume.status = 'attaching'

    def act(self, driver):
        driver.initialize_connection(self.volume, HOST)

    def finish(self, driver):
        Export.act(self, driver)
        super().finish(driver)


class Disconnect(Connect):
    name = 'disconnect'
    is_undone = False

    def prepare(self, driver):
        super().prepare(driver)
        self.cinder.attachment(self.volume, HOST)
        driver.initialize_connection(self.volume, HOST)

    def act(self, driver):
        driver.terminate_connection(self.volume, HOST)

    finish = Export.finish


class ExtendExported(Disconnect):
    """While a host may have the volume."""

    name = 'extend exported volume'
    is_undone = True

    def prepare(self, driver):
        self.volume = self.cinder.add_volume()
        driver.create_volume(self.volume)
        self.cinder.write(self.volume)
        Export.act(self, driver)
        self.cinder.attachment(self.volume, HOST)
        driver.initialize_connection(self.volume, HOST)

    def act(self, driver):
        driver.extend_volume(self.volume, 2)

    def finish(self, driver):
        super().finish(driver)
        driver.delete_volume(self.volume)

    def kept(self):
        return [self.cinder.volume, self.volume]


class Restore(Disconnect):
    """The start of the service when the targets are lost."""

    name = 'start after a reboot'

    def prepare(self, driver):
        super().prepare(driver)
        driver.terminate_connection(self.volume, HOST)
        driver.remove_export(self.cinder.context, self.volume)

    def act(self, driver):
        driver.update_provider_info(*self.cinder.objects())


class ExportSnapshot(Operation):
    name = 'export snapshot'
    layouts = 'thin', 'thick'
    is_of_target = True

    def prepare(self, driver):
        self.snapshot = self.cinder.snapshot

    def act(self, driver):
        self.cinder.store(self.snapshot, driver.create_export_snapshot(
            self.cinder.context, self.snapshot, HOST))

    def finish(self, driver):
        self.act(driver)
        driver.remove_export_snapshot(self.cinder.context, self.snapshot)
        self.cinder.forget_export(self.snapshot)


class UnexportSnapshot(ExportSnapshot):
    name = 'remove snapshot export'
    is_undone = False

    def prepare(self, driver):
        super().prepare(driver)
        super().act(driver)

    def act(self, driver):
        driver.remove_export_snapshot(self.cinder.context, self.snapshot)

    def finish(self, driver):
        self.act(driver)
        self.cinder.forget_export(self.snapshot)


OPERATIONS = (CreateVolume, DeleteVolume, CloneVolume, VolumeFromSnapshot,
              ExtendVolume, CreateSnapshot, DeleteSnapshot, Revert, Retype,
              Migrate, GroupSnapshot, Export, Unexport, Connect, Disconnect,
              Restore, ExtendExported, ExportSnapshot, UnexportSnapshot)
