# SPDX-License-Identifier: Apache-2.0
"""The model's requests, made to a driver, and what is there afterwards.

What Cinder does around them is done here: it stores what the driver answers,
repeats a deletion at the next start, and its user repeats what failed or
deletes it.
"""

import hashlib
from unittest import mock

from cinder_lvm_driver.operations import managing
from tests.functional import base
from tests.torture import model as models
from tests.torture import node
from tests.torture import operations
from tests.torture import rig as rigs

_ID = '70270000-0000-4000-8000-{:012}'
# What fails half way is deleted; everything else is repeated.
_CREATING = 'create', 'clone', 'from snapshot'


class World:
    """Two back ends and their volumes.

    :param settings: of both back ends
    :param vg_names: of the two, which exist
    :ivar updates: what the driver has had Cinder store, by number
    """

    def __init__(self, driver_class, settings, vg_names):
        self._class = driver_class
        self._settings = settings
        self._vg_names = vg_names
        self.cinder = rigs.Cinder()
        self.model = models.Model()
        self.updates = {}
        self.drivers = []

    # Cinder ---------------------------------------------------------------

    def start(self):
        """Start both back ends, as cinder-volume does."""
        # There is no database of Cinder's.
        with mock.patch.object(managing, 'is_snapshot_of_cinder',
                               self._is_snapshot):
            self.drivers = [
                self.cinder.make_driver(self._class, **{
                    **self._settings, 'volume_group': name,
                    'volume_backend_name': name})
                for name in self._vg_names]
        for is_away, driver in enumerate(self.drivers):
            volumes = [self.volume(number) for number, volume
                       in self.model.volumes.items()
                       if volume.is_away == is_away]
            snapshots = [] if is_away else list(
                map(self.snapshot, self.model.snapshots))
            driver.update_provider_info(volumes, snapshots)
            for volume in volumes:
                if volume.status == 'in-use':
                    driver.ensure_export(self.cinder.context, volume)
        self.settle()

    def _is_snapshot(self, _context, lv_name):
        return any(lv_name == f'_{self.snapshot(number).name}'
                   for number in self.model.snapshots)

    def settle(self):
        """Wait for what the drivers do in the background."""
        for driver in self.drivers:
            for pool in getattr(driver, '_pools', ()):
                pool.remover.wait()

    def volume(self, number):
        """Return Cinder's object of a volume."""
        known = self.model.volumes.get(number, models.Volume())
        name = self._vg_names[known.is_away]
        volume = base.TestCase.volume(
            self.cinder, known.size, id=_ID.format(number),
            host=f'testvm@{name}#{name}',
            **self.updates.get(str(number), {}))
        if known.is_attached:
            self.cinder.attachment(volume, operations.HOST)
        return volume

    def snapshot(self, number):
        """Return Cinder's object of a snapshot."""
        return self._snapshot_of(number, self.model.snapshots[number].volume)

    def _snapshot_of(self, number, volume):
        snapshot = base.TestCase.snapshot(self.cinder, self.volume(volume))
        snapshot.id = _ID.format(number)
        snapshot.obj_reset_changes()
        return snapshot

    # Requests -------------------------------------------------------------

    def do(self, action):
        """Make a request, and expect what it asks for.

        :returns: what Cinder stores about the volume
        """
        number, source = action.number, action.source
        make = getattr(self, '_' + action.name.replace(' ', '_'))
        known = self.model.volumes.get(number)
        driver = self.drivers[bool(known and known.is_away)]
        if action.name == 'snapshot':
            thing = self._snapshot_of(number, source)
        elif action.name == 'delete snapshot':
            thing = self.snapshot(number)
        else:
            thing = self.volume(number)
        update = make(driver, thing, source) or {}
        self.take(action, update)
        return update

    def take(self, action, update):
        """Expect what a request asks for, which the driver has answered."""
        self.model = self.model.after(action)
        self.updates.setdefault(str(action.number), {}).update(update)

    def deletions(self):
        """Return the requests that delete everything."""
        snapshots = [models.Action('delete snapshot', number)
                     for number in sorted(self.model.snapshots)]
        attached = [models.Action('detach', number) for number, volume
                    in sorted(self.model.volumes.items())
                    if volume.is_attached]
        return [*snapshots, *attached, *(
            models.Action('delete', number)
            for number in sorted(self.model.volumes))]

    def _create(self, driver, volume, _source):
        driver.create_volume(volume)

    def _write(self, _driver, volume, seed):
        self.cinder.root.write(self._device(volume), f'seed {seed}', 0,
                               base.MIB)
        # As a host does for what it has to keep.
        self.cinder.root.run('sync', self._device(volume))

    def _clone(self, driver, volume, source):
        volume.size = self.model.volumes[source].size
        driver.create_cloned_volume(volume, self.volume(source))

    def _from_snapshot(self, driver, volume, source):
        volume.size = self.model.snapshots[source].size
        driver.create_volume_from_snapshot(volume, self.snapshot(source))

    def _snapshot(self, driver, snapshot, _source):
        driver.create_snapshot(snapshot)

    def _delete_snapshot(self, driver, snapshot, _source):
        driver.delete_snapshot(snapshot)

    def _revert(self, driver, volume, source):
        driver.revert_to_snapshot(self.cinder.context, volume,
                                  self.snapshot(source))

    def _attach(self, driver, volume, _source):
        update = driver.create_export(self.cinder.context, volume,
                                      operations.HOST)
        for key, value in update.items():
            setattr(volume, key, value)
        driver.initialize_connection(volume, operations.HOST)
        return update

    def _detach(self, driver, volume, _source):
        driver.terminate_connection(volume, operations.HOST)
        driver.remove_export(self.cinder.context, volume)
        return {'provider_location': None, 'provider_auth': None}

    def _extend(self, driver, volume, _source):
        driver.extend_volume(volume, volume.size + 1)

    def _delete(self, driver, volume, _source):
        driver.delete_volume(volume)

    def _migrate(self, driver, volume, _source):
        other, = (other for other in self.drivers if other is not driver)
        pool, = other.get_volume_stats(refresh=True)['pools']
        moved, _update = driver.migrate_volume(
            self.cinder.context, volume,
            {'host': other.host, 'capabilities': pool})
        assert moved, 'the driver leaves the migration to Cinder'

    def _manage(self, driver, volume, source):
        old = self.volume(source)
        own_name = f'own-{volume.id}'
        if self._exists(old.name):
            driver.unmanage(old)
            self._rename(old.name, own_name)
        if self._exists(own_name):
            reference = {'source-name': own_name}
            size = driver.manage_existing_get_size(volume, reference)
            assert size == old.size, f'its size is {size}'
            driver.manage_existing(volume, reference)

    def _retype(self, driver, volume, _source):
        mirrors = 1 - self.model.volumes[
            int(volume.id.rpartition('-')[2])].mirrors
        is_converted = driver.retype(
            self.cinder.context, volume, None,
            {'extra_specs': {'volume_backend_name': ('a', 'b')}},
            {'host': driver.host, 'capabilities': {'location_info': (
                f'LVMVolumeDriver:{driver.hostname}:{self._vg_names[0]}:'
                f'default:{mirrors}')}})
        assert is_converted, 'the driver leaves the retype to Cinder'

    def finish(self, action):
        """Do what Cinder and its user do after a start about a request."""
        driver = self.drivers[0]
        if action.name in _CREATING:
            driver.delete_volume(self.volume(action.number))
        elif action.name == 'snapshot':
            driver.delete_snapshot(
                self._snapshot_of(action.number, action.source))
        elif action.name == 'migrate' and not self._exists(
                self.volume(action.number).name,
                self.model.volumes[action.number].is_away):
            # The log has said so: the operator tells Cinder where it is.
            self.model = self.model.after(action)
        else:
            self.do(action)
        self.settle()

    # The node -------------------------------------------------------------

    def _rename(self, lv_name, new_name):
        node.run('lvrename', self._vg_names[0], lv_name, new_name)

    def _device(self, volume):
        return f'/dev/{volume.host.rpartition("#")[2]}/{volume.name}'

    def _exists(self, lv_name, is_away=False):
        return lv_name in self._names(self._vg_names[is_away])

    def _names(self, vg_name):
        return {row['lv_name'] for row in node.report(vg_name)
                if not row['lv_name'].startswith((
                    '[', 'lvol', base.WIPED_LATER, f'{vg_name}-pool'))}

    def look(self):
        return node.look(
            self._vg_names, self._settings['target_helper'],
            self.drivers[0].configuration.safe_get('volumes_dir'))

    def differences(self, spared=None):
        """Return what is not as the model says, in words.

        :param spared: an action whose volume or snapshot is not looked at
        """
        spared = {spared.number, spared.source} if spared else set()
        found = list(self.look().faults)
        expected = [set(), set()]
        for number, known in self.model.volumes.items():
            volume = self.volume(number)
            expected[known.is_away].add(volume.name)
            if number in spared:
                continue
            if not self._exists(volume.name, known.is_away):
                found.append(f'volume {number} is not there')
                continue
            found += self._wrong_data(number, known, volume)
        for number in self.model.snapshots:
            expected[0].add('_' + self.snapshot(number).name)
        for vg_name, names in zip(self._vg_names, expected, strict=True):
            there = self._names(vg_name)
            spared_names = {name for name in there | names if any(
                _ID.format(number) in name for number in spared)}
            found += [f'{name} is only in {where}' for where, only in (
                (vg_name, there - names), ('Cinder', names - there))
                for name in sorted(only - spared_names)]
        return found

    def _wrong_data(self, number, known, volume):
        device = self._device(volume)
        size = int(node.run('blockdev', '--getsize64', device))
        if size != known.size * base.units.Gi:
            yield f'volume {number} has {size} bytes'
        data = hashlib.shake_128(known.seed.encode()).digest(base.MIB)
        if known.seed and (
                self.cinder.root.checksum(device, 0, base.MIB)
                != hashlib.sha256(data).hexdigest()):
            yield f'volume {number} does not have {known.seed!r}'
