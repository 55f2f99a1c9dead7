# SPDX-License-Identifier: Apache-2.0
"""A storage node with one back end, and Cinder's part beside it."""

import contextlib
import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess

from cinder import objects

from cinder_lvm_driver import naming
from tests.functional import base
from tests.functional import fixtures
from tests.functional import tgt_daemon
from tests.torture import effects
from tests.torture import node

_ID = '70270000-0000-4000-8000-{:012}'
# Much more than any step takes: what takes longer hangs.
_DEADLINE = 180
_PV_SIZES = (4 * 2 ** 30,) * 2


class Hangs(Exception):
    """A step does not end."""


class Failed(Exception):
    """A step ended with an exception, whose text this has."""


class Cinder(base.TestCase):
    """The objects of Cinder's database, and how a service starts.

    :ivar volume: a volume with data, which has the snapshot
    :ivar other: another back end
    """

    def runTest(self):
        """Make unittest accept this class."""

    def reset(self):
        """Have only the objects that exist all the time."""
        self._number = 0
        self._volumes, self._snapshots = [], []
        self.volume = self.add_volume()
        self.snapshot = self.add_snapshot(self.volume)

    def add_volume(self):
        volume = base.TestCase.volume(self, id=self._next_id())
        self._volumes.append(volume)
        return volume

    def add_snapshot(self, volume):
        snapshot = base.TestCase.snapshot(self, volume)
        snapshot.id = self._next_id()
        snapshot.obj_reset_changes()
        self._snapshots.append(snapshot)
        return snapshot

    def group_snapshot(self):
        return objects.GroupSnapshot(self.context, id=self._next_id(),
                                     group_id=self._next_id())

    def _next_id(self):
        self._number += 1
        return _ID.format(self._number)

    def objects(self):
        """Return what ``init_host`` passes to the driver."""
        return self._volumes, self._snapshots

    def store(self, thing, update):
        for key, value in (update or {}).items():
            setattr(thing, key, value)

    def forget_export(self, thing):
        self.store(thing, {'provider_location': None, 'provider_auth': None})

    def write(self, volume, seed=None):
        self.root.write(self.device(volume.name), seed or volume.id, 0,
                        base.MIB)

    def has_lost(self, volume):
        """Tell whether a volume has other data than were written."""
        data = hashlib.shake_128(volume.id.encode()).digest(base.MIB)
        return (self.root.checksum(self.device(volume.name), 0, base.MIB)
                != hashlib.sha256(data).hexdigest())


class Rig:
    """Two VGs, a back end in each, and what happens to them.

    :param settings: of the back ends
    :ivar base: the state that everything comes back to
    :ivar idle: the effects of a start that has nothing to do
    """

    def __init__(self, root, name, driver_class, settings):
        self.root = root
        self._name = name
        self._driver_class = driver_class
        self._settings = settings
        self.cinder = Cinder()
        self._stack = None
        self.driver = self.base = self.idle = None

    def build(self):
        """Make new VGs, with a volume that has a snapshot."""
        self.remove()
        self._stack = contextlib.ExitStack()
        shutil.rmtree(base.CONF.state_path, ignore_errors=True)
        if self._settings['target_helper'] == 'tgtadm':
            daemon = tgt_daemon.Daemon(self.root)
            self._stack.callback(daemon.kill)
            daemon.start()
        Cinder.root = self.root
        Cinder.context = base.context.get_admin_context()
        Cinder.vg_name, self._other_vg = (
            self._stack.enter_context(fixtures.volume_group(
                self.root, name, _PV_SIZES))
            for name in (self._name, f'{self._name}-other'))
        self.cinder.reset()
        with effects.watched(effects.Effects()):
            self.cinder.other = self.start_other()
            # A new pool has one device less until its first LV.
            self.cinder.other.create_volume(self.cinder.volume)
            self.cinder.other.delete_volume(self.cinder.volume)
            self.driver = self.start()
            self.driver.create_volume(self.cinder.volume)
            self.cinder.write(self.cinder.volume)
            self.driver.create_snapshot(self.cinder.snapshot)
        self.base = self.look()
        if self.idle is None:
            watch = effects.Effects()
            with effects.watched(watch):
                in_child(lambda: self.start() and None)
            self.idle = set(watch.names())

    def remove(self):
        """Remove the VGs, whatever state they are in."""
        if self._stack is None:
            return
        _clear(self._settings['target_helper'])
        own = [name for name in node.devices()
               if name.startswith(self._name.replace('-', '--'))]
        for name in own:
            subprocess.run(['dmsetup', 'resume', name])
        try:
            self._stack.close()
        except Exception:  # noqa: BLE001  whatever a damaged VG causes
            for name in own * 3:
                subprocess.run(['dmsetup', 'remove', '--force', name],
                               capture_output=True)
        self._stack = None

    def start(self):
        """Return a driver that was started as cinder-volume does."""
        driver = self.cinder.make_driver(self._driver_class, **self._settings)
        volumes, snapshots = self.cinder.objects()
        driver.update_provider_info(volumes, snapshots)
        for volume in volumes:
            if volume.status == 'in-use':
                driver.ensure_export(self.cinder.context, volume)
        return driver

    def start_other(self):
        """Start the back end in the other VG, which has no volumes."""
        return self.cinder.make_driver(
            self._driver_class, **{**self._settings,
                                   'volume_group': self._other_vg})

    def look(self):
        return node.look([Cinder.vg_name, self._other_vg],
                         self._settings['target_helper'],
                         self.driver.configuration.safe_get('volumes_dir'))

    def settle(self, driver):
        """Wait for what a driver does in the background."""
        for each in driver, self.cinder.other:
            for pool in getattr(each, '_pools', ()):
                pool.remover.wait()
        if self._settings['lvm_type'] == 'thin':
            return
        base.wait_until(
            lambda: not any(
                row['lv_name'].startswith(base.WIPED_LATER)
                or 'cinder.' in row['lv_tags'].replace(naming.MOVED_TAG, '')
                for vg_name in (Cinder.vg_name, self._other_vg)
                for row in node.report(vg_name)),
            'nothing is done in the background', 60)


def in_child(work, seconds=_DEADLINE):
    """Do something in a process of its own; return its result.

    :param seconds: how long it may take; None for any time
    :returns: None if the process was killed
    :raises Failed: it raised an exception
    :raises Hangs: it does not end
    """
    result, its_end = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context('fork').Process(
        target=_child, args=(work, its_end))
    child.start()
    its_end.close()
    if not result.poll(seconds):
        # It ends when all devices are resumed.
        os.killpg(child.pid, signal.SIGKILL)
        raise Hangs(f'it has not ended after {seconds} s')
    try:
        answer, error = result.recv()
    except EOFError:
        answer = error = None
    child.join()
    if error is not None:
        raise Failed(error)
    return answer


def _child(work, its_end):
    os.setsid()
    try:
        answer = work(), None
    # Whatever a driver raises is told to the parent.
    except BaseException as exc:  # noqa: BLE001
        answer = None, f'{type(exc).__name__}: {exc}'
    its_end.send(answer)


def _clear(helper):
    """Remove what a helper has left in configfs."""
    script = {
        'lioadm': 'cd target && targetctl clear; '
                  'rmdir core/iblock_* 2>/dev/null; true',
        'nvmet': 'cd nvmet && '
                 'rm -f ports/*/subsystems/* subsystems/*/allowed_hosts/*; '
                 'rmdir subsystems/*/namespaces/* subsystems/nqn.*-* hosts/* '
                 'ports/* 2>/dev/null; true'}.get(helper, 'true')
    subprocess.run(['bash', '-c', f'cd {node.CONFIGFS} && {script}'])
