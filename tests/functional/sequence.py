# SPDX-License-Identifier: Apache-2.0
"""Numbers that are written in turn to several devices, and looked for later.

Runs as root beside the tests::

    python tests/functional/sequence.py write PROGRESS DEVICE...
    python tests/functional/sequence.py missing DEVICE...

Number k goes to device k mod N, and the next number only after this one was
acknowledged. A device has room for PLACES numbers, and each new one replaces
the oldest. Copies of the devices that are of one moment have all of the last
N * PLACES numbers up to the highest one. PROGRESS tells the last number that
was acknowledged.
"""

import itertools
import mmap
import os
import sys

BLOCK = 4096
PLACES = 256


def write(progress, *paths):
    """Write numbers until this process is killed."""
    devices = [os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_SYNC)
               for path in paths]
    block = mmap.mmap(-1, BLOCK)
    with open(progress, 'wb', buffering=0) as told:
        for number in itertools.count():
            block[:8] = (number + 1).to_bytes(8, 'little')
            place, device = divmod(number, len(devices))
            os.pwrite(devices[device], block, place % PLACES * BLOCK)
            os.pwrite(told.fileno(), b'%d' % (number + 1), 0)


def acknowledged(progress):
    """Return the last number that was acknowledged."""
    with open(progress) as file:
        return int(file.read() or 0)


def missing(*paths):
    """Return the highest number, and how many before it are missing."""
    found = set()
    for path in paths:
        with open(path, 'rb') as file:
            data = file.read(PLACES * BLOCK)
        found |= {int.from_bytes(data[start:start + 8], 'little')
                  for start in range(0, len(data), BLOCK)}
    highest = max(found)
    expected = range(max(1, highest - PLACES * len(paths) + 1), highest + 1)
    return highest, len(set(expected) - found)


if __name__ == '__main__':
    if sys.argv[1] == 'write':
        write(*sys.argv[2:])
    else:
        print(*missing(*sys.argv[2:]))
