# SPDX-License-Identifier: Apache-2.0
"""What a host reads and writes on attached disks, and on LVs."""

import contextlib
import json

from benchmarks import section
from benchmarks import targets
from tests.functional import base
from tests.functional import fixtures

_MIB_EACH = 64
# Name, what fio does, block size, requests in flight, part of its report.
_PATTERNS = (
    ('4 KiB random read', 'randread', '4k', 16, 'read'),
    ('4 KiB random write', 'randwrite', '4k', 16, 'write'),
    ('128 KiB sequential read', 'read', '128k', 4, 'read'),
    ('128 KiB sequential write', 'write', '128k', 4, 'write'),
)
_WAYS = {**targets.HELPERS,
         'local': {**targets.HELPERS['lioadm'], 'lvm_local_attach': True}}


class DataPath(section.Section):
    """fio on thick volumes in memory, so that no disk sets the limit."""

    pv_sizes = (int(1.5 * base.GIB),)

    @classmethod
    def setUpClass(cls):
        base.agent().run('mount', '-t', 'tmpfs', '-o', 'size=2g', 'tmpfs',
                         fixtures.path_of(''))
        super().setUpClass()

    def measure(self, volumes, rounds, seconds):
        """Compare the ways, with several numbers of volumes at once."""
        targets.start_tgtd(type(self))
        with contextlib.ExitStack() as stack:
            paths = {}
            for way, settings in _WAYS.items():
                driver = self.make_driver(lvm_type='default',
                                          volume_clear='none', **settings)
                paths[way] = [self.attached(stack, driver, self.written())
                              for _ in range(max(volumes))]
            paths[section.BARE] = [self.device(self.written().name)
                                   for _ in range(max(volumes))]
            for _ in range(rounds):
                for count in volumes:
                    for pattern in _PATTERNS:
                        self.compare(pattern, {way: disks[:count] for
                                               way, disks in paths.items()},
                                     seconds)

    def written(self):
        """Return a small volume that is full of data."""
        volume = self.volume()
        self.root.run('lvcreate', '-qq', '-y', '-L', f'{_MIB_EACH}m', '-n',
                      volume.name, self.vg_name)
        self.root.run('dd', 'if=/dev/urandom', 'bs=1M', f'count={_MIB_EACH}',
                      'oflag=direct', f'of={self.device(volume.name)}')
        return volume

    def compare(self, pattern, paths, seconds):
        """Run fio on each way in turn; the bare LV is beside each."""
        rates = {way: self.rate(pattern, disks, seconds)
                 for way, disks in paths.items()}
        bare = rates.pop(section.BARE)
        for way, rate in rates.items():
            for subject, value in (section.OURS, rate), (section.BARE, bare):
                self.recorder.add(f'{pattern[0]}, {way}', subject,
                                  len(paths[way]), value, unit='1/s')

    def rate(self, pattern, disks, seconds):
        """Return the requests per second on some disks at once."""
        _name, operation, block_size, depth, part = pattern
        report = json.loads(self.root.run(
            'fio', '--ioengine=libaio', '--direct=1', f'--rw={operation}',
            f'--bs={block_size}', f'--iodepth={depth}', '--time_based',
            f'--runtime={seconds}', '--group_reporting',
            '--output-format=json',
            *(word for number, disk in enumerate(disks)
              for word in (f'--name=job{number}', f'--filename={disk}'))))
        return report['jobs'][0][part]['iops']
