# SPDX-License-Identifier: Apache-2.0
"""Takes snapshots of one moment, and kills who does so.

Runs as root beside the tests::

    python tests/functional/killed_snapshot_set.py LOCK STEP ALL MEMBER...

Each MEMBER is a pool, an origin, the origin's id and the snapshot's id, with
commas. Before the kernel is asked for change number STEP, the process that
asks is killed, or, if ALL is 1, its parent or child too. Prints for how many
milliseconds writes were held back, or the error.
"""

import os
import signal
import sys
from unittest import mock

from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import snapshot_set
from cinder_lvm_driver.privileged import verbs

_CHANGES = dm_control.Command.SUSPEND, dm_control.Command.MESSAGE


def main(lock, step, kill_all, *members):
    os.setpgid(0, 0)
    left = int(step)
    ask = dm_control.ask

    def ask_or_die(control, command, **request):
        nonlocal left
        if command in _CHANGES:
            if not left:
                victim = 0 if kill_all == '1' else os.getpid()
                (os.killpg if kill_all == '1' else os.kill)(
                    victim, signal.SIGKILL)
            left -= 1
        return ask(control, command, **request)

    with mock.patch.object(verbs.context, 'client_mode', False), \
            mock.patch.object(dm_control, 'ask', ask_or_die):
        try:
            print(snapshot_set.retake(lock, [
                snapshot_set.Member(pool, origin, int(origin_id), int(own_id))
                for pool, origin, origin_id, own_id in (
                    member.split(',') for member in members)], 2000))
        except errors.TargetError as exc:
            print(exc)


if __name__ == '__main__':
    main(*sys.argv[1:])
