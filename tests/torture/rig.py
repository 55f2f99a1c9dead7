# SPDX-License-Identifier: Apache-2.0
"""A storage node with one back end, and Cinder's part beside it."""

import contextlib
import os
import pickle
import select
import shutil
import signal
import subprocess
import time

from tests.functional import base
from tests.functional import fixtures
from tests.functional import tgt_daemon
from tests.torture import effects as effects_module
from tests.torture import node

_ID = '70270000-0000-4000-8000-{:012}'
# Much more than any step takes: what takes longer hangs.
_DEADLINE = 240
_PV_SIZES = (16 * 2 ** 30,) * 2


class Hangs(Exception):
    """A step does not end."""


class Failed(Exception):
    """A step ended with an exception, whose text this has."""


class Cinder(base.TestCase):
    """The objects of Cinder's database, and how a service starts.

    :ivar volume: a volume with data, which has the snapshot
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

    def attach(self, volume, connector):
        self.attachment(volume, connector)

    def write(self, volume):
        self.root.write(self.device(volume.name), volume.id, 0, base.MIB)

    def start(self, driver_class, settings):
        """Return a driver that was started as cinder-volume does."""
        driver = self.make_driver(driver_class, **settings)
        driver.update_provider_info(*self.objects())
        for volume in self._volumes:
            if volume.status == 'in-use':
                driver.ensure_export(self.context, volume)
        return driver


class Rig:
    """A VG, a back end in it, and what happens to both.

    :param settings: of the back end
    """

    def __init__(self, root, driver_class, settings):
        self.root = root
        self._driver_class = driver_class
        self._settings = settings
        self.cinder = Cinder()
        self.cinder.root = root
        self._stack = None
        self.driver = None

    def build(self):
        """Make a new VG with a volume that has a snapshot."""
        self.remove()
        self._stack = contextlib.ExitStack()
        shutil.rmtree(base.CONF.state_path, ignore_errors=True)
        if self._settings['target_helper'] == 'tgtadm':
            daemon = tgt_daemon.Daemon(self.root)
            self._stack.callback(daemon.kill)
            daemon.start()
        Cinder.root = self.root
        Cinder.context = base.context.get_admin_context()
        Cinder.vg_name = self._stack.enter_context(fixtures.volume_group(
            self.root, 'torture', _PV_SIZES))
        self.cinder.reset()
        self.driver = self.start()
        self.driver.create_volume(self.cinder.volume)
        self.cinder.write(self.cinder.volume)
        self.driver.create_snapshot(self.cinder.snapshot)
        self._bytes = self._checksum()

    def remove(self):
        """Remove the VG, whatever state it is in."""
        if self._stack is None:
            return
        for target in ('target', 'nvmet'):
            _clear(target)
        for name in node.devices(Cinder.vg_name, 'suspended=1'):
            subprocess.run(['dmsetup', 'resume', name])
        try:
            self._stack.close()
        except Exception:  # noqa: BLE001  whatever a damaged VG causes
            for name in node.devices(Cinder.vg_name):
                subprocess.run(['dmsetup', 'remove', '--force', name])
        self._stack = None

    def start(self):
        return self.cinder.start(self._driver_class, self._settings)

    def look(self):
        return node.look([Cinder.vg_name],
                         self.driver.configuration.safe_get('volumes_dir'))

    def lost_bytes(self):
        """Tell whether the volume has other data than it had."""
        return self._checksum() != self._bytes

    def _checksum(self):
        return self.root.checksum(
            self.cinder.device(self.cinder.volume.name), 0, base.MIB)

    def settle(self, driver):
        """Wait for what a driver does in the background."""
        if self._settings['lvm_type'] == 'thin':
            return
        for pool in getattr(driver, '_pools', ()):
            pool.remover.wait()
        base.wait_until(
            lambda: not any(
                name.startswith(base.WIPED_LATER) or 'cinder.' in tags
                for name, tags in self.cinder.lvs('lv_name,lv_tags')),
            'nothing is done in the background', 60)


def in_child(work):
    """Do something in a process of its own; return its result.

    :returns: None if the process was killed
    :raises Failed: it raised an exception
    :raises Hangs: it does not end
    """
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        _child(work, write)
    os.close(write)
    deadline = time.monotonic() + _DEADLINE
    answer = bytearray()
    try:
        while True:
            ready, _, _ = select.select(
                [read], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                os.killpg(pid, signal.SIGKILL)
                raise Hangs
            chunk = os.read(read, 65536)
            if not chunk:
                break
            answer += chunk
    finally:
        os.close(read)
    os.waitpid(pid, 0)
    if not answer:
        return None
    result, error = pickle.loads(bytes(answer))
    if error is not None:
        raise Failed(error)
    return result


def _child(work, write):
    os.setsid()
    try:
        answer = work(), None
    # Whatever a driver raises is told to the parent.
    except BaseException as exc:  # noqa: BLE001
        answer = None, f'{type(exc).__name__}: {exc}'
    with os.fdopen(write, 'wb') as pipe:
        pickle.dump(answer, pipe)
    os._exit(0)


def _clear(tree):
    """Remove what is left in configfs."""
    top = f'{node.CONFIGFS}/{tree}'
    script = {
        'target': 'targetctl clear; rmdir core/iblock_* 2>/dev/null; true',
        'nvmet': 'rm -f ports/*/subsystems/* subsystems/*/allowed_hosts/*; '
                 'rmdir subsystems/*/namespaces/* subsystems/nqn.*-* hosts/* '
                 'ports/* 2>/dev/null; true'}[tree]
    if os.path.isdir(top):
        subprocess.run(['bash', '-c', f'cd {top} && {script}'])


def watching(effects, work):
    """Return a function that does something under watch.

    Its result is the names of the effects and the result of the work.
    """
    def watched():
        with effects_module.watched(effects):
            result = work()
        return effects.names, result
    return watched
