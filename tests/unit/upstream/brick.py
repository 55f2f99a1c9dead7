# SPDX-License-Identifier: Apache-2.0
"""Our questions and verbs, put to the VG object of a test of Cinder's.

That object is Cinder's ``FakeBrickLVM``, Cinder's ``brick.local_dev.lvm.LVM``
with some methods replaced, or a mock. It answers in texts and dicts, and
each fact is a method that may be a mock with a list of answers: so nothing
is asked before the driver asks for it.
"""

import decimal
import functools

from cinder.volume import volume_utils
from oslo_concurrency import processutils

from cinder_lvm_driver.layouts import base as layouts
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import space
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import naming
from cinder_lvm_driver import process

GIB = 2 ** 30
# The volume of a snapshot whose volume a test does not name.
UNNAMED = 'volume-of-the-snapshot'


def _bytes(gib):
    """Return bytes for a size in GiB as brick spells it."""
    try:
        return int(float(gib) * GIB)
    except ValueError as exc:
        raise lvm.ReportError(f'LVM reported the size {gib!r}') from exc


def _sizestr(size_bytes):
    return '%dg' % (size_bytes // GIB)


class Volume:
    """An LV with the facts of ``lvm.LogicalVolume``, each asked for once."""

    active = True
    can_overflow = False
    health = None
    is_cow_origin = False
    is_external_origin = False
    is_invalid = False
    is_merging = False
    is_mirrored = types.LogicalVolume.is_mirrored
    is_striped = types.LogicalVolume.is_striped
    is_private = types.LogicalVolume.is_private
    is_read_only = False
    is_suspended = False
    metadata_percent = None
    metadata_size_bytes = None
    needs_check = False
    origin_size_bytes = None
    full_name = types.LogicalVolume.full_name
    path = types.LogicalVolume.path
    pool = None
    role = frozenset()
    skips_activation = False
    tags = frozenset()
    virtual_size_bytes = types.LogicalVolume.virtual_size_bytes
    zeroes_blocks = True

    def __init__(self, brick, name, answer, is_thin):
        self._brick = brick
        self.name = name
        self.vg_name = brick.vg_name
        # What brick says, or what the volume of that name has.
        self.size_bytes = (
            _bytes(answer['size']) if isinstance(answer, dict)
            else brick.known_sizes.get(name, GIB))
        self.is_thin = is_thin
        self.is_thin_pool = name == layouts.thin_pool_name(brick)
        self.segtype = ('thin-pool' if self.is_thin_pool
                        else 'thin' if is_thin else 'linear')
        if is_thin:
            self.pool = layouts.thin_pool_name(brick)

    @functools.cached_property
    def is_cow_snapshot(self):
        ask = getattr(self._brick.fake, 'lv_is_snapshot', None)
        if self.is_thin or ask is None:
            return self.name in self._brick.known_origins
        return bool(ask(self.name))

    @functools.cached_property
    def is_open(self):
        # A mock that was taught no answer says of no LV that it is open.
        ask = getattr(self._brick.fake, 'lv_is_open', None)
        return ask is not None and ask(self.name) is True

    @functools.cached_property
    def origin(self):
        if self.name in self._brick.known_origins:
            return self._brick.known_origins[self.name]
        ask = getattr(self._brick.fake, 'lv_get_origin', None)
        return ask(self.name) if ask else UNNAMED


class ThinPool(Volume):
    """The pool of a VG that tells its own size."""

    lacks_metadata = False

    def __init__(self, brick, name):
        fake = brick.fake
        super().__init__(brick, name, {'size': fake.vg_thin_pool_size}, False)
        used = self.size_bytes - _bytes(fake.vg_thin_pool_free_space)
        self.data_percent = decimal.Decimal(100 * used) / (
            self.size_bytes or 1)


class Brick:
    """Stands for ``lvm.LVM`` before the VG object of a test.

    :ivar fake: the object
    :ivar owner: the driver
    :ivar known_sizes, known_origins: what the arguments of the verb that is
        running tell of LVs, by their names
    """

    def __init__(self, fake, vg_name, owner):
        self.fake = fake
        self.vg_name = vg_name
        self.known_sizes = {}
        self.known_origins = {}
        self.owner = owner
        self.space = space.Space(space.NO_LIMITS, None, None)
        # Their names before they were deleted, by those they have now.
        self._doomed = {}

    @property
    def _is_thin(self):
        return self.owner.configuration.lvm_type == 'thin'

    def _volume(self, name, answer):
        return Volume(self, name, answer, self._is_thin)

    # Questions ------------------------------------------------------------

    def find_volume(self, name):
        answer = self.fake.get_volume(self._doomed.get(name, name))
        if not answer:
            return None
        volume = self._volume(name, answer)
        has_snapshot = getattr(self.fake, 'lv_has_snapshot', None)
        volume.is_cow_origin = (
            has_snapshot is not None and has_snapshot(name) is True)
        return volume

    def get_volume(self, name):
        # Brick never asks before it acts: an LV that it does not name is
        # there for it.
        return self.find_volume(name) or self._volume(name, None)

    get_pool_or_volume = get_volume

    def wait_until_closed(self, volume):
        return volume

    def require_closed(self, volume, remedy=None):
        return volume

    def discard_unfinished(self, lvs):
        """Brick looks for nothing that was killed."""

    def get_halted(self, lvs):
        """Brick does not look for them."""
        return []

    def check_changeable(self, volume):
        """Take it that LVM and the kernel agree."""

    def get_volumes(self):
        volumes = {}
        for answer in self.fake.get_volumes():
            # Tests list names that LVM reserves.
            name = naming.snapshot_lv_name(
                answer['name'] if isinstance(answer, dict) else answer)
            volumes[name] = self._volume(name, answer)
        # What is there when asked for may be missing in their list.
        for name in (layouts.thin_pool_name(self), *self.known_sizes):
            volume = self.find_volume(name)
            if volume is not None:
                volumes.setdefault(name, volume)
        return types.LogicalVolumes(self.vg_name, volumes)

    has_lost_disks = False

    def get_vg(self):
        self.fake.update_volume_group_info()
        return self._facts()

    def _facts(self):
        return types.VolumeGroup(
            name=self.vg_name, extent_size_bytes=4 * 2 ** 20,
            size_bytes=_bytes(self.fake.vg_size),
            free_bytes=_bytes(self.fake.vg_free_space), closed_bytes=0,
            metadata_size_bytes=2 ** 20,
            metadata_free_bytes=2 ** 19, max_lvs=0, lv_count=1)

    def get_physical_volumes(self):
        return [types.PhysicalVolume(
            path='/dev/sda', size_bytes=0, free_bytes=0, allocatable=True,
            missing=False)]

    def get_extents(self, name):
        return [types.Extents(
            path='/dev/sda', first=0,
            last=GIB // self._facts().extent_size_bytes - 1)]

    def has_spare_metadata(self):
        return True

    def get_picture(self):
        group, volumes = self.get_vg(), self.get_volumes()
        if self._is_thin:
            name = layouts.thin_pool_name(self)
            volumes[name] = ThinPool(self, name)
        return types.Picture(vg=group, lvs=volumes)

    # Verbs ----------------------------------------------------------------

    def create_thin_pool(self, name):
        self._run(self.fake.create_thin_pool, name)

    def create_volume(self, name, size_bytes):
        self._run(self.owner._create_volume, name, _sizestr(size_bytes),
                  'default', 0)

    def create_thin_volume(self, name, size_bytes, pool):
        self._run(self.owner._create_volume, name, _sizestr(size_bytes),
                  'thin', 0)

    def create_cow_snapshot(self, name, origin, size_bytes, extents=()):
        self.known_origins[name] = origin
        self._run(self.fake.create_lv_snapshot, name, origin,
                  self.owner.configuration.lvm_type)

    def create_thin_snapshot(self, name, origin, *, activate):
        self._run(self.fake.create_lv_snapshot, name, origin.name, 'thin')
        if activate:
            self._run(self.fake.activate_lv, name, is_snapshot=True,
                      permanent=True)

    def extend_volume(self, name, size_bytes):
        self.owner.extend_lv(name, size_bytes // GIB)

    def extend_only(self, name, size_gib):
        self._run(self.fake.extend_volume, name, f'{size_gib}g')

    def delete(self, name):
        self._run(self.fake.delete, self._doomed.get(name, name))

    def split_snapshot(self, name):
        """Brick wipes the store of a snapshot where it is."""

    def merge_tagged(self, tag):
        self._run(self.fake.revert, tag.removeprefix(naming.MERGE_TAG))

    def add_tag(self, name, tag):
        """Brick knows no tags."""

    delete_tag = add_tag

    def rename_volume(self, name, new_name):
        if naming.is_doomed(new_name):
            # Brick wipes and removes an LV under the name it has.
            self._doomed[new_name] = name
            self.known_sizes[new_name] = self.known_sizes.get(name, GIB)
        else:
            self._run(self.fake.rename_volume, name, new_name)

    def activate_lv(self, *names):
        for name in names:
            self._run(self.fake.activate_lv, name)

    def bring_up(self, name):
        # Brick activates what is active, too.
        self.activate_lv(name)
        return self.get_volume(name)

    def ensure_nodes(self, *names):
        """Brick trusts the nodes of devices."""

    def deactivate_lv(self, name):
        self._run(self.fake.deactivate_lv, name)

    def _run(self, verb, *arguments, **keywords):
        try:
            verb(*arguments, **keywords)
        except processutils.ProcessExecutionError as exc:
            raise lvm.CommandOfLVMFailed(str(exc)) from (
                process.CommandFailed(arguments, 5, '', exc.stderr or ''))


class Destination(Brick):
    """The VG that a volume is moved to; the test has told only its name.

    Brick looks whether there is a VG of that name, and opens it.
    """

    # No test has a thin one.
    _is_thin = False

    def __init__(self, vg_name, owner):
        super().__init__(None, vg_name, owner)

    def get_vg(self):
        if self.vg_name not in [
                group['name']
                for group in volume_utils.get_all_volume_groups()]:
            raise lvm.VolumeGroupNotFound(
                f'VG {self.vg_name} was not found')
        self.fake = self.owner.open_brick(self.vg_name)
        return self._facts()

    def find_volume(self, name):
        # Brick removes what it has made there without asking for it.
        return self._volume(name, None) if name in self.known_sizes else None

    def get_volumes(self):
        # Brick does not look what is there.
        return types.LogicalVolumes(self.vg_name, {})

    def create_volume(self, name, size_bytes):
        self.known_sizes[name] = size_bytes
        # Brick copies to an LV that has its name from the start.
        self._run(self.owner._create_volume,
                  name.removeprefix(naming.arriving('')),
                  _sizestr(size_bytes), 'default', 0, self)

    def rename_volume(self, name, new_name):
        if name != naming.arriving(new_name):
            super().rename_volume(name, new_name)
