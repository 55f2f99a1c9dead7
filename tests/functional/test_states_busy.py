# SPDX-License-Identifier: Apache-2.0
"""Volumes in use: the error says by what."""

import contextlib
import subprocess

from cinder import exception

from tests.functional import base
from tests.functional import test_attach

GIB = base.GIB


class BusyTest(test_attach.AttachTestCase):
    pv_sizes = (3 * GIB,)

    def assert_busy(self, volume, pattern):
        with self.assert_raises_with(exception.VolumeIsBusy, pattern):
            self.driver.delete_volume(volume)

    def test_volume_that_is_mounted(self):
        volume = self.create()
        with base.mounted(self.root, self.device(volume.name)) as folder:
            self.assert_busy(volume, f'in use by the mount {folder}')

    def test_volume_below_another_device(self):
        volume = self.create()
        with self.undone('dmsetup', 'remove', 'on-top'):
            self.root.run('dmsetup', 'create', 'on-top', '--table',
                          f'0 2048 linear {self.device(volume.name)} 0')
            self.assert_busy(volume, 'in use by device on-top')

    @base.slow
    def test_volume_that_is_swapped_to(self):
        volume = self.create()
        device = self.device(volume.name)
        self.root.run('mkswap', device)
        with self.undone('swapoff', device):
            self.root.run('swapon', device)
            self.assert_busy(volume, 'in use by swap')

    @base.slow
    def test_volume_below_a_loop_device(self):
        volume = self.create()
        loop = self.root.run('losetup', '-f', '--show',
                             self.device(volume.name)).strip()
        with self.undone('losetup', '-d', loop):
            self.assert_busy(volume, 'in use by loop device '
                             + loop.removeprefix('/dev/'))

    def test_volume_that_is_exported(self):
        volume = self.export()
        self.assert_busy(volume, 'in use by LIO target iqn.*'
                         + volume.name)

    def test_volume_that_roots_process_has_open(self):
        volume = self.create()
        with base.opened(self.root, self.device(volume.name)):
            self.assert_busy(volume, "in use by a process.*'fuser -v /dev/")

    @base.slow
    def test_volume_that_our_process_has_open(self):
        volume = self.create()
        device = self.device(volume.name)
        self.root.run('chmod', 'o+r', '-f', device)
        with subprocess.Popen(['sleep', '600'],
                              stdin=open(device)) as process:
            self.assert_busy(volume, r'in use by process \d+')
            process.kill()

    @contextlib.contextmanager
    def undone(self, *command):
        try:
            yield
        finally:
            base.wait_until(lambda: not self.root.try_run(*command).code,
                            'what a test made is undone')
