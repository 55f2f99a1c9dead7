# SPDX-License-Identifier: Apache-2.0
"""Takes the contents of snapshots again, round after round, and looks at them.

Runs as root beside the tests, while ``sequence`` writes::

    python tests/functional/moments.py LOCK LIMIT_MS ROUNDS PROGRESS MEMBER...

Each MEMBER is a pool, an origin, the origin's id and the snapshot's id, with
commas. A round is what a group snapshot does while it holds back writes, with
the same function. LVM and its snapshots take no part in it: 200 rounds last as
long as a few group snapshots. Prints, as JSON, for how many milliseconds each
round held back writes, and how often something was wrong.
"""

import json
import subprocess
import sys
from unittest import mock

from cinder_lvm_driver.privileged import snapshot_set
from cinder_lvm_driver.privileged import verbs
from tests.functional import sequence

_SECTORS = sequence.PLACES * sequence.BLOCK // 512


def look(members):
    """Return the highest number in snapshots, and how many are missing.

    LVM would take some seconds to activate them.
    """
    names = [f'moment-{member.snapshot_id}' for member in members]
    subprocess.run(['dmsetup', 'create', '--concise', ';'.join(
        f'{name},,,ro,0 {_SECTORS} thin /dev/mapper/{member.pool} '
        f'{member.snapshot_id}'
        for name, member in zip(names, members, strict=True))], check=True)
    try:
        return sequence.missing(*(f'/dev/mapper/{name}' for name in names))
    finally:
        subprocess.run(['dmsetup', 'remove', '--retry', *names], check=True)


def main(lock, limit_ms, rounds, progress, *texts):
    members = [snapshot_set.Member(pool, origin, int(origin_id), int(own_id))
               for pool, origin, origin_id, own_id in (
                   text.split(',') for text in texts)]
    held, torn, lost, idle, before = [], 0, 0, 0, 0
    with mock.patch.object(verbs.context, 'client_mode', False):
        for _ in range(int(rounds)):
            acknowledged = sequence.acknowledged(progress)
            held.append(snapshot_set.retake(lock, members, int(limit_ms)))
            highest, missing = look(members)
            torn += missing > 0
            lost += highest < acknowledged
            idle += highest <= before
            before = highest
    print(json.dumps({'held': held, 'torn': torn, 'lost': lost,
                      'idle': idle}))


if __name__ == '__main__':
    main(*sys.argv[1:])
