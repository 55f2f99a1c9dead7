# SPDX-License-Identifier: Apache-2.0
"""Cuts the power of the test machine at random moments of its work.

``tools/torture --power`` runs this on the host of the machine. The machine
works on disks with a volatile write cache (disk.py). At a random moment it is
stopped, and then the disks, whose unflushed writes are lost. What it had said
by then is what Cinder and its users know; tests/torture/power.py compares it
with what the next machine finds, and goes on.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
_TREE = os.path.dirname(os.path.dirname(_HERE))
_SIZES = (64 * 2 ** 20, *(2 * 2 ** 30,) * 4)
# From the end of the check; a request takes a few seconds when emulated.
_MOST_SECONDS = 40
_BOOT_SECONDS = 300


def parse(arguments):
    parser = argparse.ArgumentParser(prog='tools/torture --power')
    parser.add_argument('venv')
    parser.add_argument('results')
    parser.add_argument('--layout', choices=('thin', 'thick'),
                        default='thin')
    parser.add_argument('--cuts', type=int, default=10)
    parser.add_argument('--minutes', type=float, default=10 ** 6)
    parser.add_argument('--seed', type=int, default=1)
    return parser.parse_args(arguments)


@contextlib.contextmanager
def disks(folder, seed):
    """Give the sockets of the disks; their caches are lost in the end."""
    served, paths = [], []
    try:
        for number, size in enumerate(_SIZES):
            file = f'{folder}/disk{number}'
            if not os.path.exists(file):
                with open(file, 'wb') as new:
                    new.truncate(size)
            path = f'{folder}/socket{number}'
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(path)
                listening.listen()
                served.append(subprocess.Popen(
                    [sys.executable, f'{_HERE}/disk.py', file,
                     f'{seed} {number}', str(listening.fileno())],
                    pass_fds=[listening.fileno()]))
            paths.append(path)
        yield paths
    finally:
        for one in served:
            one.kill()
            one.wait()


class Cuts:
    """Machines, one after the other, on the same disks."""

    def __init__(self, options, folder):
        self._options = options
        self._folder = folder
        self._journal = f'{folder}/journal'
        self._random = random.Random(options.seed)
        self.findings = []
        self.counts = {'cuts': 0, 'requests': 0, 'interrupted': 0}
        self._renew()

    def _renew(self):
        """Begin again, with empty disks."""
        for name in os.listdir(self._folder):
            os.unlink(f'{self._folder}/{name}')
        open(self._journal, 'w').close()

    def next(self):
        """Start the machine, and cut its power."""
        seed = self._random.randrange(2 ** 32)
        seconds = self._random.uniform(1, _MOST_SECONDS)
        before = self._answered()
        with disks(self._folder, seed) as sockets:
            words = [f'{_TREE}/tools/testvm', '--cpus', '1', '--timeout',
                     str(_BOOT_SECONDS), '--share', self._options.results]
            for path in sockets:
                words += ['--disk-file', path]
            machine = subprocess.Popen(
                [*words, '--', f'{_HERE}/run-power', self._options.venv,
                 self._options.results, self._journal, self._options.layout,
                 str(seed)], stdout=subprocess.PIPE, text=True, cwd=_TREE)
            try:
                found = self._follow(machine, seconds)
            finally:
                machine.kill()
                machine.wait()
        begun, done = (now - then for now, then in zip(
            self._answered(), before, strict=True))
        self.counts['cuts'] += 1
        self.counts['requests'] += done
        self.counts['interrupted'] += begun > done
        print(f'cut {self.counts["cuts"]} after {seconds:.1f} s: {done} of '
              f'{begun} requests done, {len(found)} findings', flush=True)
        if found:
            self.findings += [f'seed {self._options.seed}, cut '
                              f'{self.counts["cuts"]}: {each}'
                              for each in found]
            self._renew()

    def _answered(self):
        """Return the numbers of requests and of answers so far."""
        with open(self._journal) as journal:
            text = journal.read()
        return (text.count('"begin"'),
                text.count('"done"') + text.count('"forget"'))

    def _follow(self, machine, seconds):
        """Cut the power some time after the machine has begun to work.

        :returns: what was found
        """
        found, output, cut = [], [], threading.Timer(seconds, machine.kill)
        for line in machine.stdout:
            output.append(line)
            if line.startswith('finding: '):
                found.append(line.strip())
            elif line.startswith('checked '):
                cut.start()
        if machine.wait() != -signal.SIGKILL:
            found.append('the back end does not come up, or a request '
                         'fails: ' + ''.join(output[-30:]))
        cut.cancel()
        return found


def main(arguments):
    options = parse(arguments)
    end = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(dir=options.results) as folder:
        cuts = Cuts(options, folder)
        while (cuts.counts['cuts'] < options.cuts
               and time.monotonic() < end):
            cuts.next()
    print(cuts.counts)
    print('\n'.join(cuts.findings))
    with open(f'{options.results}/power.json', 'w') as file:
        json.dump({**cuts.counts, 'layout': options.layout,
                   'seed': options.seed, 'findings': cuts.findings}, file,
                  indent=1)
    return 1 if cuts.findings else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
