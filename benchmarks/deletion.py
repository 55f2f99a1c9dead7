# SPDX-License-Identifier: Apache-2.0
"""The deletion of thick volumes, which wipes them."""

import time

from benchmarks import section
from tests.functional import base


class Deletion(section.Section):
    """The answer to Cinder, and the rate of the wipe."""

    pv_sizes = (130 * base.GIB,)

    def measure(self, sizes, rounds, in_tree_rounds):
        drivers = self.drivers(in_tree_rounds, lvm_type='default')
        for size in sizes:
            for name, _subject in self.turns(rounds, in_tree_rounds,
                                             warm_up=False):
                if name == section.BARE:
                    self.rename_and_wipe(size)
                else:
                    self.delete(drivers[name], name, size)

    def delete(self, driver, name, size):
        """Delete a volume, and wait until its space is free."""
        volume = self.volume(size)
        driver.create_volume(volume)
        began = time.monotonic()
        with self.recording('delete a thick volume', name, size):
            driver.delete_volume(volume)
        base.wait_until(lambda: not self.lvs(), 'the LV is wiped', 3000)
        self.add_rate(name, size, time.monotonic() - began)

    def rename_and_wipe(self, size):
        """Do the same with commands."""
        self.root.run('lvcreate', '-qq', '-y', '-L', f'{size}g', '-n', 'bare',
                      self.vg_name)
        began = time.monotonic()
        with self.recording('delete a thick volume', section.BARE, size):
            self.root.run('lvs', '-o', 'segtype,lv_device_open',
                          f'{self.vg_name}/bare')
            self.root.run('lvrename', '-qq', self.vg_name, 'bare', 'wiped')
        self.root.run('blkdiscard', '--zeroout', self.device('wiped'))
        self.root.run('lvremove', '-qq', '--force', f'{self.vg_name}/wiped')
        self.add_rate(section.BARE, size, time.monotonic() - began)

    def add_rate(self, name, size, seconds):
        self.recorder.add('delete and wipe a thick volume', name, size,
                          size * 1024 / seconds, unit='MiB/s')
