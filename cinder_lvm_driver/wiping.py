# SPDX-License-Identifier: Apache-2.0
"""Deleted thick LVs are wiped and removed after Cinder was answered.

Their new name is all the state there is: whoever finds it after a crash
takes the work up again.
"""

import collections
from collections.abc import Callable
import logging
import threading

from cinder_lvm_driver import background
from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm

LOG = logging.getLogger(__name__)

# Overwrites the device of an LV, as far as the back end's options ask for.
Wipe = Callable[[str], None]


class Wiper:
    """Wipes and removes LVs of a VG in the background, one at a time."""

    def __init__(self, vg: lvm.LVM, wipe: Wipe) -> None:
        """Take a VG in hand; starts nothing.

        :param wipe: overwrites a device
        """
        self._vg = vg
        self._wipe = wipe
        self._names: collections.deque[str] = collections.deque()
        self._is_working = False
        self._lock = threading.Lock()

    def add(self, *names: str) -> None:
        """Have LVs wiped and removed; returns at once."""
        with self._lock:
            self._names.extend(names)
            if not self._names or self._is_working:
                return
            self._is_working = True
        background.start('lvm-wiper', self._work)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._names:
                    self._is_working = False
                    return
                name = self._names.popleft()
            try:
                self._wipe_and_remove(name)
            except errors.DriverError as exc:
                LOG.error('LV %s of a deleted volume is not wiped; that is '
                          'tried again at the next start: %s', name, exc)

    def _wipe_and_remove(self, name: str) -> None:
        volume = self._vg.find_volume(name)
        if volume is None:
            return
        if volume.is_open:
            raise lvm.LogicalVolumeInUse(f'LV {name} is in use')
        if not volume.active:
            self._vg.activate_lv(name)
        self._wipe(volume.path)
        self._vg.delete(name)
        LOG.info('LV %s is wiped and removed', name)
