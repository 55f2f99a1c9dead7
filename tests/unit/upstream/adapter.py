# SPDX-License-Identifier: Apache-2.0
"""This driver under the names that Cinder's tests of its own one use.

A test gives the driver a VG object of its own, changes options of a driver
that exists, passes dicts for volumes, and replaces methods that our driver
does not have. All of that is translated here, at the border, and nothing of
what the driver decides.
"""

import contextlib
import dataclasses
import functools
import inspect
import os
from unittest import mock

from cinder.interface import util
from cinder.tests.unit.brick import fake_lvm
from cinder.volume.drivers import lvm as in_tree
from cinder.volume import volume_utils
from oslo_concurrency import processutils
from oslo_utils import importutils
from oslo_utils import units

from cinder_lvm_driver import backend
from cinder_lvm_driver import background
from cinder_lvm_driver import devices
from cinder_lvm_driver import driver
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import naming
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from cinder_lvm_driver import targets
from tests.unit.upstream import brick

# What is no verb, so that it needs no VG.
_NO_VERBS = {'get_driver_options', 'get_pool', 'local_path'}
# What the in-tree driver inherits or has under a private name.
_VERBS = {'_update_volume_stats', 'unmanage'}
# Verbs and constructors that the running test has called.
reached: list[str] = []


class Thing(dict):
    """A volume or snapshot that a test gives as a dict."""

    _DEFAULTS = {'_name_id': None, 'multiattach': False,
                 'provider_auth': None, 'provider_location': None,
                 'status': 'available', 'volume_attachment': (),
                 'volume_name': brick.UNNAMED}

    def __getattr__(self, name):
        try:
            return self[name] if name in self else self._DEFAULTS[name]
        except KeyError:
            raise AttributeError(name) from None


def _as_thing(argument):
    is_thing = type(argument) is dict and {'id', 'name'} <= set(argument)
    return Thing(argument) if is_thing else argument


class Options:
    """The options of a test, which sets them as attributes."""

    def __init__(self, configuration):
        self._configuration = configuration

    def safe_get(self, name):
        value = getattr(self._configuration, name)
        if name == 'target_secondary_ip_addresses' and value is True:
            return ['10.0.0.2']
        return value


class DeviceWriter:
    """Copies and wipes with the functions of Cinder that tests replace."""

    def __init__(self, owner):
        self._owner = owner

    @property
    def wipes(self):
        return self._owner.configuration.volume_clear != 'none'

    def copy(self, source, destination, size_bytes, *, sparse):
        try:
            volume_utils.copy_volume(
                self._mapped(source),
                self._mapped(destination.replace(naming.arriving(''), '')),
                size_bytes // units.Mi,
                self._owner.configuration.volume_dd_blocksize,
                execute=self._owner._execute, sparse=sparse)
        except processutils.ProcessExecutionError as exc:
            raise process.CommandFailed(
                ('dd',), exc.exit_code or 1, '', exc.stderr or '') from exc

    def zero_from(self, device, offset_bytes):
        """Brick leaves what it extends an LV by as it is."""

    def wipe(self, device):
        if not os.path.exists(self._mapped(device)):
            raise devices.DeviceNotFound(device)
        configuration = self._owner.configuration
        volume = self._owner.vg.find_volume(device.rpartition('/')[2])
        volume_utils.clear_volume(
            volume.size_bytes // units.Mi, self._mapped(device),
            volume_clear=configuration.volume_clear,
            volume_clear_size=configuration.volume_clear_size,
            volume_clear_ionice=configuration.volume_clear_ionice)

    def _mapped(self, path):
        """Return the device-mapper path, which names the same device."""
        if path.startswith('/dev/mapper/'):
            return path
        return naming.device_mapper_path(*path.split('/')[2:])


class LVMVolumeDriver(driver.LVMVolumeDriver):
    """The driver, as Cinder's tests know theirs."""

    _verb = None

    def __init__(self, vg_obj=None, *args, **kwargs):
        reached.append('__init__')
        super().__init__(vg_obj, *args, **kwargs)
        # Theirs counts nothing.
        self.timings = mock.Mock(measure=lambda *_: contextlib.nullcontext())
        self.vg = vg_obj

    @classmethod
    def get_driver_options(cls):
        return [*options.SHARED_OPTIONS, *options.OWN_OPTIONS]

    @contextlib.contextmanager
    def _running(self, verb, arguments):
        """Have the VG object answer our questions while a verb runs."""
        if self._verb is not None:
            outer, self._verb = self._verb, verb
            try:
                yield
            finally:
                self._verb = outer
            return
        reached.append(verb)
        self._verb = verb
        self.settings = options.Settings.read(self.configuration)
        fake = self.vg or self._new_fake()
        # A mock has no name to tell.
        name = (fake.vg_name if isinstance(fake.vg_name, str)
                else self.settings.volume_group)
        self.vg = self._given_vg = brick.Brick(fake, name, self)
        self._note(self.vg, arguments)
        is_thin = self.settings.lvm_type == 'thin'
        # Theirs looks at no target.
        self.target_driver.fault = lambda: None
        self._pools = backend.build(
            # Theirs takes all that is not 'thin' for thick until it is set
            # up.
            pools=[dataclasses.replace(
                self.settings, lvm_type='thin' if is_thin else 'default')],
            hostname=self.hostname, runner=self.runner,
            target=self.target_driver, vg=self.vg)
        # What prepare() would have seen of the pool.
        self._pools[0].layout.reads_zeroes = is_thin
        try:
            yield
        finally:
            self._verb = None
            self.vg = fake

    def _new_fake(self):
        """Return the VG of a driver that was given none."""
        name = self.settings.volume_group
        if self._verb == 'check_for_setup_error':
            return self.open_brick(name)
        return fake_lvm.FakeBrickLVM(name, False, None, 'default')

    def open_brick(self, vg_name):
        """Return Cinder's own VG object, of a VG that is there."""
        return in_tree.lvm.LVM(vg_name, 'sudo', executor=self._execute)

    def _note(self, double, arguments):
        """Let the double know the sizes and names that a verb is given."""
        self._things = {}
        for thing in arguments:
            try:
                name = naming.snapshot_lv_name(thing['name'])
            except (AttributeError, KeyError, TypeError):
                continue
            self._things[name] = thing
            with contextlib.suppress(AttributeError, KeyError, TypeError):
                double.known_sizes[name] = thing['size'] * units.Gi
            with contextlib.suppress(AttributeError, KeyError, TypeError):
                double.known_sizes[name] = thing['volume_size'] * units.Gi
                double.known_origins[name] = thing['volume_name']

    def check_for_setup_error(self):
        super().check_for_setup_error()
        # Theirs notes there what 'auto' has come to.
        self.configuration.lvm_type = self._pools[0].layout.lvm_type

    def local_path(self, volume, vg=None):
        return super().local_path(_as_thing(volume), vg)

    # Methods of theirs that tests replace or call --------------------------

    def _create_volume(self, name, size, lvm_type, mirror_count, vg=None):
        (vg or self.vg).fake.create_volume(name, size, lvm_type,
                                           mirror_count)

    def _delete_volume(self, volume, is_snapshot=False):
        if is_snapshot:
            self.delete_snapshot(volume)
        else:
            self.delete_volume(volume)

    def _escape_snapshot(self, name):
        return naming.snapshot_lv_name(name)

    def extend_lv(self, name, size_gib):
        """Extend the LV of a volume, as a step of its verb or of another."""
        if self._verb == 'extend_volume':
            self.vg.extend_only(name, size_gib)
        else:
            self.extend_volume(self._things[name], size_gib)


def _wrapped(name):
    method = getattr(LVMVolumeDriver, name)

    @functools.wraps(method)
    def verb(self, *args, **kwargs):
        args = [_as_thing(argument) for argument in args]
        with self._running(name, args):
            return method(self, *args, **kwargs)
    return verb


def _verbs():
    """Yield the names of Cinder's verbs, those of its base class too."""
    for name, _ in inspect.getmembers(driver.LVMVolumeDriver,
                                      inspect.isfunction):
        if name not in _NO_VERBS and (
                name in _VERBS or name in vars(in_tree.LVMVolumeDriver)
                and name[0] != '_'):
            yield name


def _built(build, *, vg, **parts):
    """Build a back end that writes with Cinder's functions."""
    with mock.patch.object(devices, 'DeviceWriter',
                           lambda settings, runner: DeviceWriter(vg.owner)):
        return build(vg=vg, **parts)


def _opened(made, vg_name):
    return brick.Destination(vg_name, made.vg.owner)


def _settings(read, configuration):
    return read(Options(configuration))


def same(thing):
    """Return what is given, through oslo's import_object."""
    return thing


def _loaded_target(load, *arguments):
    """Load a target helper where tests watch for one being imported."""
    target = importutils.import_object(
        f'{__name__}.same', load(*arguments))
    # Theirs have nothing to check once they are made.
    target.check_for_setup_error = lambda: None
    return target


def _unescaped(method):
    """Have snapshots listed by the names that a test listed them by."""
    @functools.wraps(method)
    def verb(*args, **kwargs):
        found = method(*args, **kwargs)
        for entry in found:
            reference = entry['reference']
            reference['source-name'] = naming.snapshot_name(
                reference['source-name'])
        return found
    return verb


class Registered:
    """The driver as ``cinder.interface.util`` lists drivers."""

    class_fqn = 'cinder_lvm_driver.driver.LVMVolumeDriver'

    @property
    def cls(self):
        reached.append('class')
        return driver.LVMVolumeDriver


def install():
    """Put the driver in the place of the in-tree one, in this process."""
    for name in _verbs():
        setattr(LVMVolumeDriver, name, _wrapped(name))
    LVMVolumeDriver.get_manageable_snapshots = _unescaped(
        LVMVolumeDriver.get_manageable_snapshots)
    util.get_volume_drivers = lambda: [Registered()]
    in_tree.LVMVolumeDriver = LVMVolumeDriver
    backend.build = functools.partial(_built, backend.build)
    backend.Backend.open_vg = _opened
    targets.load = functools.partial(_loaded_target, targets.load)
    command.installed_version = lambda runner: (2, 3, 16)
    command.autoextension = lambda runner, system_dir: (
        types.Autoextension(threshold_percent=70, is_monitored=True))
    background.start = lambda name, work: work()
    process.RootwrapRunner.start_daemon = lambda self, probe: None
    options.Settings.read = functools.partial(_settings,
                                              options.Settings.read)
