# SPDX-License-Identifier: Apache-2.0
"""A small LVM in memory: one VG behind the command lines of ``lvm.LVM``.

``tests/contract/test_lvm.py``, which the real LVM passes too, holds it to the
truth. Beyond LVM it knows what is on an LV, as a text.
"""

import dataclasses
import itertools
import json
import re

import fixtures

from cinder_lvm_driver.lvm import questions
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.privileged import errors as privileged_errors
from cinder_lvm_driver import process

EXTENT = 4 * 2 ** 20
_FLAGS = {'--all', '--force', '--foreign', '--ignoreactivationskip',
          '--merge', '--nosuffix', '--refresh', '--shared', '--snapshot',
          '--splitsnapshot', '--use-policies', '--version', '--yes'}
# Of what LVs of a segtype consist, by the ends of the names.
_PARTS = {'thin-pool': ('tdata', 'tmeta'), 'cache-pool': ('cdata', 'cmeta'),
          'raid1': ('rimage_0', 'rimage_1', 'rmeta_0', 'rmeta_1'),
          'mirror': ('mimage_0', 'mimage_1', 'mlog')}


class Failure(Exception):
    """What LVM ends with: a text and an exit status."""


@dataclasses.dataclass
class Volume:
    """One LV, with what a reader of it would find."""

    name: str
    size: int
    segtype: str = 'linear'
    origin: str = ''
    pool: str = ''
    active: bool = True
    skip: bool = False
    is_open: bool = False
    content: str = ''
    origin_size: int = 0
    tags: set = dataclasses.field(default_factory=set)
    merging: str = ''
    # What a merge that is put off makes of it.
    merged_later: str | None = None
    read_only: bool = False
    is_suspended: bool = False
    thin_id: int = dataclasses.field(
        default_factory=itertools.count(1).__next__)
    # Facts that the report gives as they are, whatever LVM would say.
    reported: dict = dataclasses.field(default_factory=dict)
    # Bytes of data by the PV they are on.
    on: dict = dataclasses.field(default_factory=dict)

    @property
    def is_mirrored(self):
        return self.segtype in ('raid1', 'mirror')

    @property
    def is_cow(self):
        return bool(self.origin) and self.segtype == 'linear'


def never_waiting():
    """Return a fixture in which an LV that is open stays so."""
    return fixtures.MockPatchObject(questions, 'CLOSING_SECONDS', 0)


def extents(size):
    """Return a number of bytes, such as ``5b``, in whole extents."""
    whole = -(-int(str(size).removesuffix('b')) // EXTENT) * EXTENT
    if whole <= 0:
        raise Failure('Size may not be zero or negative.', 3)
    return whole


def parse(argv):
    """Return the program, the options and the words of a command."""
    rest = list(argv)
    while rest[0] == 'env' or '=' in rest[0]:
        rest.pop(0)
    program, options, words = rest.pop(0), {}, []
    while rest:
        word = rest.pop(0)
        if not word.startswith('-'):
            words.append(word)
        else:
            options[word] = True if word in _FLAGS else rest.pop(0)
    return program, options, words


class FakeLVM:
    """A VG and the runner of commands for it.

    :ivar volumes, removed: the LVs by name, as they are or were at the end
    :ivar closed, missing: the PVs that take no LVs, or are not there
    :ivar has_spare: whether the VG has a spare for pool metadata
    :ivar orphan: what the kernel has under the next free thin id, if anything
    :ivar transaction_id, kernel_transaction_id: of all thin pools
    :ivar metadata_free: bytes by which the VG's metadata can grow
    :ivar below_pools: names of the devices that thin pools are made of
    """

    has_spare = True
    orphan = None
    transaction_id = kernel_transaction_id = 7
    below_pools = ()
    metadata_free = 508 * 1024

    def __init__(self, vg_name='vg', size_bytes=508 * 2 ** 20, pvs=1):
        self.vg_name = vg_name
        self.pvs = {f'/dev/{vg_name}-{number}': size_bytes
                    for number in range(pvs)}
        self.closed = set()
        self.missing = set()
        self.volumes = {}
        self.removed = {}

    def add(self, name, size_bytes=EXTENT, mirrors=1, **facts):
        """Put an LV into the VG, without any command."""
        made = Volume(name, extents(size_bytes), **facts)
        if made.is_cow:
            made.origin_size = self.volumes[made.origin].size
        self._place(made, made.size, mirrors)
        self.volumes[name] = made
        return made

    def free(self, pv):
        """Return the free bytes of a PV."""
        return self.pvs[pv] - sum(volume.on.get(pv, 0)
                                  for volume in self.volumes.values())

    @property
    def free_bytes(self):
        return sum(map(self.free, self.pvs))

    def _place(self, volume, size, mirrors=None, wanted=()):
        """Take bytes more for an LV, and for each copy of a mirrored one.

        :param wanted: the PVs to take, where not just any
        """
        if volume.segtype == 'thin':
            return
        free = {pv: self.free(pv) for pv in wanted or self.pvs
                if pv not in self.closed}
        if not volume.is_mirrored:
            # A thin pool has an extent of metadata, and another one to spare.
            size += 2 * EXTENT * (volume.segtype == 'thin-pool')
            if size > sum(free.values()):
                raise Failure(f'VG {self.vg_name} has insufficient free space')
            for pv in free:
                part = min(size, free[pv])
                if part:
                    volume.on[pv] = volume.on.get(pv, 0) + part
                size -= part
            return
        # Each copy is on one PV, the first that has room, with an extent of
        # metadata.
        pvs = list(volume.on)
        if mirrors is not None:
            size += EXTENT
            pvs = [pv for pv in free if pv not in pvs
                   and free[pv] >= size][:mirrors + 1 - len(pvs)]
        if (any(free.get(pv, 0) < size for pv in pvs)
                or len({*pvs, *volume.on}) <= (mirrors or 0)):
            raise Failure('Insufficient suitable allocatable extents')
        for pv in pvs:
            volume.on[pv] = volume.on.get(pv, 0) + size

    def run(self, *argv, timeout=None):
        """See :class:`process.Runner`."""
        program, options, words = parse(argv)
        verb = getattr(self, '_' + program)
        try:
            stdout = '' if '--version' in options else verb(options, words)
        except Failure as failure:
            text, exit_code = (*failure.args, 5)[:2]
            raise process.CommandFailed(argv, exit_code, '', text) from None
        return process.Completed(argv, stdout or '', '')

    run_long = run_unprivileged = run

    def retake(self, lock_file, members, limit_ms):
        """Take thin snapshots again, as ``privileged.snapshot_set`` does."""
        by_id = {volume.thin_id: volume for volume in self.volumes.values()
                 if volume.segtype == 'thin'}
        for member in members:
            if by_id[member.snapshot_id].active:
                raise privileged_errors.SnapshotSetFailed('it is active')
        for member in members:
            by_id[member.snapshot_id].content = (
                by_id[member.origin_id].content)
        return 40

    # Reports --------------------------------------------------------------

    def _vgs(self, options, words):
        self._check_vg(*words)
        rows = [{
            'vg_name': self.vg_name, 'vg_size': sum(self.pvs.values()),
            'vg_free': self.free_bytes, 'vg_extent_size': EXTENT,
            'vg_uuid': f'{self.vg_name}-uuid', 'pv_uuid': f'{pv}-uuid',
            'pv_name': '[unknown]' if pv in self.missing else pv,
            'pv_missing': 'missing' * (pv in self.missing),
            'vg_mda_size': 1020 * 1024, 'vg_mda_free': self.metadata_free,
            'max_lv': 0, 'lv_count': len(self.volumes),
            'pv_size': size,
            'pv_free': self.free(pv) if pv in self.pvs else 0,
            'pv_allocatable': 'allocatable' * (pv not in self.closed)}
            for pv, size in {**self.pvs, **dict.fromkeys(
                self.missing - set(self.pvs), 0)}.items()]
        # A VG has a row for each of its PVs if these are asked about.
        return self._report('vg', options,
                            rows if ',pv_' in f',{options["-o"]}'
                            else rows[:1])

    def _lvs(self, options, words):
        self._check_vg(*words)
        if '--all' in options:
            return self._report('lv', options, [
                {'lv_name': f'[{name}]'} for name in self.hidden()
                if options['-S'] != 'lv_role=spare'
                or name.endswith('_pmspare')])
        wanted = re.match('lv_name="([^"]*)"', options.get('-S', ''))
        return self._report('lv', options, [
            self._facts(volume)
            for name, volume in sorted(self.volumes.items())
            if wanted is None or wanted[1] == name
            or 'thin-pool' in options['-S'] and volume.segtype == 'thin-pool'])

    def _lvmconfig(self, options, words):
        return 'locking_dir="/run/lock/lvm"\n'

    def stack(self, name):
        """Return what device-mapper tells of the device of a name."""
        for volume in self.volumes.values():
            device = naming.device_mapper_name(self.vg_name, volume.name)
            is_pool = volume.segtype == 'thin-pool'
            if volume.active and name == device + '-tpool' * is_pool:
                used = [float(volume.reported.get(f'{part}_percent', 0) or 0)
                        for part in ('metadata', 'data')]
                status = (' '.join([str(self.kernel_transaction_id), *(
                    f'{percent * 100:.0f}/10000' for percent in used)])
                    if is_pool else f'{len(volume.content) and 128} -')
                return [device_mapper.Device(
                    name=name, target=volume.segtype, status=status,
                    table='253:0 253:1 128 0 0',
                    is_suspended=volume.is_suspended), *(
                        device_mapper.Device(
                            name=below, target='linear', table='', status='',
                            is_suspended=False)
                        for below in self.below_pools * is_pool)]
        return []

    def hidden(self):
        """Return the names of the LVs that others are made of."""
        names = ['lvol0_pmspare'] * self.has_spare * any(
            volume.segtype == 'thin-pool'
            for volume in self.volumes.values())
        for volume in self.volumes.values():
            parts = _PARTS.get(volume.segtype, ())
            names += [f'{volume.name}_{part}' for part in parts]
        return names

    def _report(self, kind, options, rows):
        return json.dumps({'report': [{kind: [
            {field: str(row[field]) for field in options['-o'].split(',')}
            for row in rows]}]})

    def _facts(self, volume):
        shots = self._of('origin', volume)
        has_cows = any(shot.is_cow for shot in shots)
        is_pool = volume.segtype.endswith('-pool')
        role = ['private' if is_pool else 'public']
        for word, kind, count in (('origin', has_cows, len(shots)),
                                  ('snapshot', volume.is_cow,
                                   bool(volume.origin))):
            kind = ('thick' if kind else 'thin') + word
            role += [word, kind, f'multi{kind}'][:count and count + 1]
        origin_size = volume.origin_size or (volume.size if has_cows else '')
        has_usage = volume.is_cow or volume.segtype in ('thin', 'thin-pool')
        is_open = volume.is_open or any(
            other.active for other in self._of('pool', volume))
        return {
            'vg_name': self.vg_name, 'lv_name': volume.name,
            'lv_size': volume.size, 'origin_size': origin_size,
            'segtype': volume.segtype, 'lv_role': ','.join(role),
            'origin': volume.origin, 'pool_lv': volume.pool,
            'lv_active': 'active' * volume.active,
            'lv_device_open': 'open' * is_open if volume.active else 'unknown',
            'lv_skip_activation': 'skip activation' * volume.skip,
            'data_percent': '0.00' * (volume.active and has_usage),
            'metadata_percent': '10.00' * (volume.active and is_pool),
            'lv_tags': ','.join(sorted(volume.tags)),
            'lv_merging': volume.merging,
            'lv_health_status': '', 'lv_check_needed': '',
            'lv_permissions': 'read-only' if volume.read_only
                              else 'writeable',
            'zero': 'zero' * (volume.segtype in ('thin', 'thin-pool')),
            'lv_metadata_size': EXTENT if is_pool else '',
            'lv_snapshot_invalid': '',
            'lv_suspended': 'suspended' * volume.is_suspended,
            'thin_id': volume.thin_id * (volume.segtype == 'thin') or '',
            'transaction_id': self.transaction_id * (
                volume.segtype == 'thin-pool') or '',
            'seg_pe_ranges': ','.join(f'{pv}:0-{size // EXTENT - 1}'
                                      for pv, size in volume.on.items()),
            'stripes': len(volume.on) if volume.is_mirrored else 1,
            **volume.reported}

    def _of(self, relation, volume):
        """Return the snapshots of an origin, or the LVs of a pool."""
        return [other for other in self.volumes.values()
                if getattr(other, relation) == volume.name]

    # Verbs ----------------------------------------------------------------

    def _lvcreate(self, options, words):
        name, kind = options['--name'], options.get('--type')
        vg_name, _, origin = words[0].partition('/')
        if name.startswith('snapshot'):
            raise Failure('Names starting "snapshot" are reserved.', 3)
        self._check_vg(vg_name)
        source = self._find(origin) if origin else None
        self._check_free_name(name)
        skip = options.get('--setactivationskip') == 'y'
        if source and not {'--extents', '--size'} & set(options):
            if self.orphan is not None:
                raise Failure('Thin pool (253:2) already contain thin device '
                              'with device_id 2.')
            made = Volume(name, source.size, 'thin', origin, source.pool,
                          active=not skip, skip=skip, content=source.content,
                          read_only=options.get('--permission') == 'r',
                          tags={options.get('--addtag')} - {None})
        elif source:
            made = Volume(name, extents(source.size + source.size // 256 + 1),
                          origin=origin, content=source.content)
            made.origin_size = source.size
        elif kind == 'thin-pool':
            made = Volume(name, int(options['--extents']) * EXTENT, kind)
        elif kind == 'thin':
            made = Volume(name, extents(options['--virtualsize']), kind,
                          pool=self._find(options['--thinpool']).name,
                          content=self.orphan or '')
            self.orphan = None
        else:
            made = Volume(name, extents(options['--size']), kind or 'linear')
        # Of extents, only the PV counts.
        self._place(made, made.size, int(options.get('--mirrors', 0)),
                    [word.partition(':')[0] for word in words[1:]])
        self.volumes[name] = made

    def _lvextend(self, options, words):
        volume = self._find(words[0])
        if '--use-policies' in options:
            self._extend_by_policy(volume, options['--config'])
            return
        if '--extents' in options:
            size = volume.size + int(options['--extents']) * EXTENT
        else:
            size = extents(options['--size'])
        if volume.active and any(shot.is_cow
                                 for shot in self._of('origin', volume)):
            raise Failure('Origins can be resized only while inactive.')
        if size <= volume.size:
            raise Failure('New size given not larger than existing size')
        self._place(volume, size - volume.size)
        volume.size = size

    def _extend_by_policy(self, pool, config):
        """Extend a pool's data; its metadata is never short of space."""
        threshold, percent = map(int, re.findall(r'thin_\w+=(\d+)', config))
        filled = float(pool.reported.get('data_percent', 0)) * pool.size
        size = pool.size
        while filled > size * threshold:
            size = extents(size + size * percent // 100)
        self._place(pool, size - pool.size)
        pool.size = size
        pool.reported['data_percent'] = f'{filled / size:.2f}'

    def _lvreduce(self, options, words):
        volume = self._find(words[0])
        if any(shot.is_cow for shot in self._of('origin', volume)):
            raise Failure('Origins cannot be reduced.')
        volume.size = extents(options['--size'])

    def _lvremove(self, options, words):
        volume = self._find(words[0])
        if '--select' in options and self.missing:
            return ''
        gone = [volume, *self._of('pool', volume), *(
            shot for shot in self._of('origin', volume) if shot.is_cow)]
        self._check_closed(gone)
        for item in gone:
            self.removed[item.name] = self.volumes.pop(item.name)
            for shot in self._of('origin', item):
                shot.origin = ''
        return f'  Logical volume "{volume.name}" successfully removed.'

    def _lvrename(self, options, words):
        volume = self._find(words[1])
        self._check_free_name(words[2])
        for shot in self._of('origin', volume):
            shot.origin = words[2]
        self.volumes[words[2]] = self.volumes.pop(words[1])
        volume.name = words[2]

    def _lvchange(self, options, words):
        if '--refresh' in options or '--select' in options and self.missing:
            return ''
        for volume in [self._find(word) for word in words]:
            volume.tags |= {options.get('--addtag')} - {None}
            volume.tags -= {options.get('--deltag')}
            if options.get('--permission') == 'rw':
                if not volume.read_only:
                    raise Failure('Logical volume is already writable.')
                volume.read_only = False
            volume.read_only |= options.get('--permission') == 'r'
            volume.skip |= options.get('--setactivationskip') == 'y'
            if '--activate' not in options:
                continue
            # An origin and its COW snapshots are one to device-mapper.
            top = self.volumes[volume.origin] if volume.is_cow else volume
            family = [top, *(shot for shot in self._of('origin', top)
                             if shot.is_cow)]
            active = options['--activate'] == 'y'
            self._check_closed([] if active else family)
            if top.merged_later is not None and active > top.active:
                top.content, top.merged_later = top.merged_later, None
            for item in family:
                item.active = active
                item.is_suspended &= not active
            if '--poll' in options and top.merged_later is None:
                volume.merging = ''
        return f'  Logical volume {words[0]} changed.'

    def _vgmknodes(self, options, words):
        for word in words:
            self._find(word)

    def _lvconvert(self, options, words):
        if words[0].startswith('@'):
            words = [volume.name for volume in self.volumes.values()
                     if words[0][1:] in volume.tags]
            if not words:
                return
        volume = self._find(words[0])
        if '--splitmirrors' in options:
            self._split_copy(volume, options['--name'])
            return
        if '--mirrors' in options:
            self._convert(volume, int(options['--mirrors']))
            return
        if '--type' in options:
            volume.segtype = 'raid1'
            return
        if not volume.is_cow:
            raise Failure(f'Command not permitted on LV {words[0]}.')
        if '--merge' in options:
            self._merge(volume, self.volumes[volume.origin])
            return
        self._check_closed([volume])
        volume.origin, volume.origin_size = '', 0

    def _merge(self, volume, origin):
        """Merge at once, or as soon as the origin is activated again."""
        if origin.active and not (origin.is_open or volume.is_open):
            origin.content = volume.content
        else:
            origin.merging, origin.merged_later = 'merging', volume.content
        del self.volumes[volume.name]

    def _split_copy(self, volume, name):
        if not volume.is_mirrored:
            raise Failure(f'Operation not permitted on LV {volume.name}.')
        self._check_free_name(name)
        pv, _ = volume.on.popitem()
        self.volumes[name] = Volume(name, volume.size, active=volume.active,
                                    content=volume.content,
                                    on={pv: volume.size})
        if len(volume.on) == 1:
            volume.segtype = 'linear'
            volume.on = dict.fromkeys(volume.on, volume.size)

    def _convert(self, volume, mirrors):
        if volume.segtype == 'thin':
            raise Failure(f'Command not permitted on LV {volume.name}.')
        if mirrors and not volume.active:
            raise Failure(f'{volume.name} must be active')
        was = volume.segtype
        if was != 'mirror':
            volume.segtype = 'raid1'
        before = dict(volume.on)
        try:
            if was == 'linear':
                volume.on = {}
            for pv in list(volume.on)[mirrors + 1:]:
                del volume.on[pv]
            self._place(volume, volume.size, mirrors)
        except Failure:
            volume.segtype, volume.on = was, before
            raise
        if not mirrors:
            volume.segtype = 'linear'
            volume.on = dict.fromkeys(volume.on, volume.size)

    # States of the world --------------------------------------------------

    def _check_vg(self, name=None):
        if name not in (None, self.vg_name):
            raise Failure(f'Volume group "{name}" not found')

    def _find(self, path):
        name = path.rpartition('/')[2]
        if name in self.hidden():
            raise Failure(f'Operation not permitted on hidden LV {path}.')
        if name not in self.volumes:
            raise Failure(f'Failed to find logical volume "{name}"')
        return self.volumes[name]

    def _check_free_name(self, name):
        if name in self.volumes:
            raise Failure(f'"{name}" already exists in volume group')

    def _check_closed(self, volumes):
        for name in (volume.name for volume in volumes if volume.is_open):
            raise Failure(f'Logical volume {self.vg_name}/{name} in use.')
