# SPDX-License-Identifier: Apache-2.0
"""What Cinder's user expects of a back end, whatever happens to the node."""

import dataclasses

_MOST_VOLUMES = 4
_MOST_SNAPSHOTS = 3
_MOST_GIB = 3


@dataclasses.dataclass(frozen=True)
class Volume:
    """One volume.

    :ivar size: in GiB
    :ivar seed: of its first MiB; empty if nothing was written
    :ivar is_away: whether it is in the other VG
    :ivar mirrors: its copies beside the first one
    """

    size: int = 1
    seed: str = ''
    is_attached: bool = False
    is_away: bool = False
    mirrors: int = 0


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """One snapshot, with the number of its volume."""

    volume: int
    size: int
    seed: str


@dataclasses.dataclass(frozen=True)
class Action:
    """One request.

    :ivar number: of the volume or snapshot that it changes or makes
    :ivar source: of the volume or snapshot that it takes the data of
    """

    name: str
    number: int
    source: int = 0

    def __str__(self):
        return f'{self.name} {self.number} {self.source}'


@dataclasses.dataclass
class Model:
    """The volumes and snapshots, by number.

    :ivar last: the last number that was given away
    :ivar is_thick: whether LVs can get mirrors
    """

    volumes: dict = dataclasses.field(default_factory=dict)
    snapshots: dict = dataclasses.field(default_factory=dict)
    last: int = 0
    is_thick: bool = False

    def copy(self):
        return dataclasses.replace(self, volumes=dict(self.volumes),
                                   snapshots=dict(self.snapshots))

    def actions(self):
        """Return what Cinder would let the user do, in a fixed order."""
        new = self.last + 1
        may_create = len(self.volumes) < _MOST_VOLUMES
        may_snapshot = len(self.snapshots) < _MOST_SNAPSHOTS
        found = [Action('create', new)] * may_create
        for number, volume in sorted(self.volumes.items()):
            found += [Action('write', number, new)]
            found += [Action('clone', new, number)] * (
                may_create and not volume.is_away)
            found += [Action('detach' if volume.is_attached else 'attach',
                             number)] * (not volume.is_away)
            found += [Action('snapshot', new, number)] * (
                may_snapshot and not volume.is_away)
            if volume.is_attached:
                continue
            found += [Action('extend', number)] * (
                volume.size < _MOST_GIB and not self._snapshots_of(number))
            if not self._snapshots_of(number):
                found += [Action(name, number) for name in (
                    'delete', 'migrate')]
                found += [Action('manage', new, number)] * (
                    not volume.is_away)
                found += [Action('retype', number)] * (
                    self.is_thick and not volume.is_away)
        for number, snapshot in sorted(self.snapshots.items()):
            volume = self.volumes[snapshot.volume]
            found += [Action('delete snapshot', number)]
            found += [Action('from snapshot', new, number)] * may_create
            found += [Action('revert', snapshot.volume, number)] * (
                not volume.is_attached
                and number == max(self._snapshots_of(snapshot.volume)))
        return found

    def _snapshots_of(self, volume):
        return [number for number, snapshot in self.snapshots.items()
                if snapshot.volume == volume]

    def after(self, action):
        """Return the model after an action."""
        new = self.copy()
        new.last = max(new.last, action.number, action.source)
        change = getattr(new, '_' + action.name.replace(' ', '_'))
        change(action.number, action.source)
        return new

    def _set(self, number, **values):
        self.volumes[number] = dataclasses.replace(
            self.volumes[number], **values)

    def _create(self, number, _source):
        self.volumes[number] = Volume()

    def _write(self, number, seed):
        self._set(number, seed=f'seed {seed}')

    def _clone(self, number, source):
        volume = self.volumes[source]
        self.volumes[number] = Volume(volume.size, volume.seed)

    def _from_snapshot(self, number, source):
        snapshot = self.snapshots[source]
        self.volumes[number] = Volume(snapshot.size, snapshot.seed)

    def _snapshot(self, number, source):
        volume = self.volumes[source]
        self.snapshots[number] = Snapshot(source, volume.size, volume.seed)

    def _delete_snapshot(self, number, _source):
        del self.snapshots[number]

    def _revert(self, number, source):
        self._set(number, seed=self.snapshots[source].seed)

    def _attach(self, number, _source):
        self._set(number, is_attached=True)

    def _detach(self, number, _source):
        self._set(number, is_attached=False)

    def _extend(self, number, _source):
        self._set(number, size=self.volumes[number].size + 1)

    def _delete(self, number, _source):
        del self.volumes[number]

    def _migrate(self, number, _source):
        self._set(number, is_away=not self.volumes[number].is_away,
                  mirrors=0)

    def _retype(self, number, _source):
        self._set(number, mirrors=1 - self.volumes[number].mirrors)

    def _manage(self, number, source):
        self.volumes[number] = self.volumes.pop(source)
