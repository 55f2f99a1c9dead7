# SPDX-License-Identifier: Apache-2.0
"""I/O that goes on while a target is lost and comes back.

Runs as root beside the tests::

    python -m tests.functional.writer PROGRESS DEVICE...

Each device is written to, past all caches, as long as the process lives;
PROGRESS tells how often that went well, and what went wrong.
"""

import json
import mmap
import os
import sys
import threading

BLOCK = 4096
# Enough of a pause that twenty devices leave the processor to the others.
_PAUSE_SECONDS = 0.2


def write(path, counts, errors):
    """Write to a device until there is an error."""
    block = mmap.mmap(-1, BLOCK)
    descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT)
    pause = threading.Event()
    try:
        while True:
            block[:8] = counts[path].to_bytes(8, 'little')
            os.pwrite(descriptor, block, 0)
            counts[path] += 1
            pause.wait(_PAUSE_SECONDS)
    except OSError as exc:
        errors[path] = str(exc)


def main(progress, *paths):
    counts, errors = dict.fromkeys(paths, 0), {}
    for path in paths:
        threading.Thread(target=write, args=(path, counts, errors),
                         daemon=True).start()
    while True:
        with open(f'{progress}.new', 'w') as file:
            json.dump({'counts': counts, 'errors': errors}, file)
        os.rename(f'{progress}.new', progress)
        threading.Event().wait(_PAUSE_SECONDS)


if __name__ == '__main__':
    main(*sys.argv[1:])
