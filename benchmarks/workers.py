# SPDX-License-Identifier: Apache-2.0
"""Many workers that create and delete thin volumes at the same time."""

import concurrent.futures
import time

from benchmarks import section
from tests.functional import base

# Prints the microseconds of each pair of commands.
_LOOPS = '''
for worker in $(seq {workers}); do
    for pair in $(seq {pairs}); do
        began=${{EPOCHREALTIME/./}}
        lvcreate -qq --type thin --virtualsize 1g -n bare-$worker-$pair \
            --thinpool {vg}-pool {vg} >&2
        lvs --reportformat json -o segtype,lv_device_open \
            {vg}/bare-$worker-$pair >&2
        lvremove -qq --force {vg}/bare-$worker-$pair >&2
        echo $(( ${{EPOCHREALTIME/./}} - began ))
    done &
done
wait
'''


class Workers(section.Section):
    """Pairs of one creation and one deletion."""

    pv_sizes = (8 * base.GIB,)

    def measure(self, workers, pairs, rounds, in_tree_rounds):
        drivers = self.drivers(in_tree_rounds)
        for name, subject in self.turns(rounds, in_tree_rounds,
                                        warm_up=False):
            began = time.monotonic()
            seconds = (self.loop(workers, pairs) if name == section.BARE
                       else self.work(drivers[name], workers, pairs))
            rate = workers * pairs / (time.monotonic() - began)
            self.recorder.add('create and delete', subject, workers, rate,
                              unit='1/s')
            for each in seconds:
                self.recorder.add('one creation and deletion', subject,
                                  workers, each)

    def work(self, driver, workers, pairs):
        """Have a driver do all pairs; return the seconds of each."""
        def one(_number):
            began = time.monotonic()
            volume = self.volume()
            driver.create_volume(volume)
            driver.delete_volume(volume)
            return time.monotonic() - began

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, range(workers * pairs)))

    def loop(self, workers, pairs):
        """Have a shell do all pairs; return the seconds of each."""
        lines = self.root.run('bash', '-c', _LOOPS.format(
            workers=workers, pairs=pairs, vg=self.vg_name)).split()
        self.assertEqual(workers * pairs, len(lines))
        return [int(line) / 1e6 for line in lines]
