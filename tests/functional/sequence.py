# SPDX-License-Identifier: Apache-2.0
"""Numbers that are written in turn to several devices, and looked for later.

Runs as root beside the tests::

    python tests/functional/sequence.py write PROGRESS DEVICE...
    python tests/functional/sequence.py missing DEVICE...

Number k goes to device k mod N, and the next number only after this one was
acknowledged. Copies of the devices that are of one moment have all numbers
below the highest one. PROGRESS tells the last number that was acknowledged.
"""

import itertools
import mmap
import os
import sys

BLOCK = 4096


def write(progress, *paths):
    """Write numbers until this process is killed."""
    devices = [os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_SYNC)
               for path in paths]
    block = mmap.mmap(-1, BLOCK)
    with open(progress, 'wb', buffering=0) as told:
        for number in itertools.count():
            block[:8] = (number + 1).to_bytes(8, 'little')
            place, device = divmod(number, len(devices))
            os.pwrite(devices[device], block, place * BLOCK)
            os.pwrite(told.fileno(), b'%d' % (number + 1), 0)


def missing(*paths):
    """Print the highest number, and how many below it are missing."""
    found = set()
    for device, path in enumerate(paths):
        with open(path, 'rb') as file:
            for place in itertools.count():
                number = int.from_bytes(file.read(BLOCK)[:8], 'little')
                if number != place * len(paths) + device + 1:
                    break
                found.add(number)
    highest = max(found, default=0)
    print(highest, highest - len(found))


if __name__ == '__main__':
    {'write': write, 'missing': missing}[sys.argv[1]](*sys.argv[2:])
