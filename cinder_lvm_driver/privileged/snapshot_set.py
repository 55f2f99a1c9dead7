# SPDX-License-Identifier: Apache-2.0
"""Thin snapshots of several LVs, all of one moment.

LVM has created the snapshots, each at its own time. Here the kernel takes
the contents of each snapshot again, under the same id, while writes to all
origins are held back (kernel,
Documentation/admin-guide/device-mapper/thin-provisioning.rst). LVM's metadata
stays as it is.

Two processes hold back writes: a child does the work, and its parent resumes
the origins if the child hangs or dies. If the parent dies, the child
continues to the end.
"""

from collections.abc import Callable, Sequence
import contextlib
import os
import select
import signal
import time

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lvm_lock
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

POOL_SUFFIX = '-tpool'
# The child gives up at the limit, and its parent so much later.
_GRACE_SECONDS = 1.0
_SIGNAL_AGAIN_SECONDS = 0.05
_ENDING_SIGNALS = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
_ANSWER_BYTES = 4096
_HELD, _SLOW, _FAILED = 'held', 'slow', 'failed'


@verbs.value
class Member:
    """A snapshot, and the LV that it is of.

    :ivar pool: device-mapper's name of the thin pool
    :ivar origin: device-mapper's name of the LV
    :ivar origin_id: the LV's id in the pool
    :ivar snapshot_id: the snapshot's id in the pool
    """

    pool: str
    origin: str
    origin_id: int
    snapshot_id: int


class _TimeUp(Exception):
    """The limit is reached."""


@verbs.entrypoint
def retake(lock_file: str, members: Sequence[Member], limit_ms: int) -> int:
    """Take snapshots again, all of one moment.

    If this fails, some of the snapshots have no contents, and LVM can only
    remove them.

    :param lock_file: of LVM's lock of the VG
    :param members: snapshots that are not active
    :param limit_ms: milliseconds for which writes may be held back
    :returns: milliseconds for which they were held back
    :raises InvalidArgument: nothing was changed
    :raises VolumeGroupLocked: LVM is at work in the VG
    :raises SnapshotSetFailed: the kernel refused
    :raises SnapshotSetTooSlow: the limit was reached
    """
    lock_file = validation.lvm_lock_file(lock_file)
    limit_ms = validation.milliseconds(limit_ms)
    _validate(members)
    with lvm_lock.held(lock_file), dm_control.opened() as control:
        pools = [_pool(control, member) for member in members]
        origins = [number for member, pool
                   in zip(members, pools, strict=True)
                   if (number := _origin(control, member, pool)) is not None]
        for member, pool in zip(members, pools, strict=True):
            _send(control, pool, f'delete {member.snapshot_id}')
        messages = [(pool, f'create_snap {member.snapshot_id} '
                           f'{member.origin_id}')
                    for member, pool in zip(members, pools, strict=True)]
        return _guard(control, origins, messages, limit_ms)


def _validate(members: Sequence[Member]) -> None:
    validation.own_device_mapper_names(
        name for member in members for name in (member.pool, member.origin))
    for member in members:
        validation.thin_id(member.origin_id)
        validation.thin_id(member.snapshot_id)
    snapshots = {(member.pool, member.snapshot_id) for member in members}
    if len(snapshots) < len(members) or snapshots & {
            (member.pool, member.origin_id) for member in members}:
        raise errors.InvalidArgument(
            'members', 'have a snapshot that occurs twice')


def _pool(control: int, member: Member) -> dm_control.Answer:
    """Return a member's thin pool."""
    pool = _lv(control, member.pool, 'thin-pool')
    if pool is None or not pool.uuid.endswith(POOL_SUFFIX):
        raise errors.SnapshotSetFailed(
            f'{member.pool} is not an active thin pool of LVM')
    return pool


def _origin(control: int, member: Member,
            pool: dm_control.Answer) -> int | None:
    """Return the number of a member's origin; None if it is not active.

    An LV may have been replaced since LVM reported its id, by a revert.
    """
    origin = _lv(control, member.origin, 'thin')
    if origin is None:
        return None
    _target, table = dm_control.target(control, origin.number,
                                       dm_control.Flag.TABLE)
    if table.split()[:2] != [blockdev.spell(pool.number),
                             str(member.origin_id)]:
        raise errors.SnapshotSetFailed(
            f'{member.origin} was replaced by another LV meanwhile')
    return origin.number


def _lv(control: int, name: str, target: str) -> dm_control.Answer | None:
    """Return an LV that answers I/O; None if it is not active."""
    device = dm_control.ask(control, dm_control.Command.STATUS, name=name)
    if device is None:
        return None
    found, _status = dm_control.target(control, device.number)
    if not device.uuid.startswith('LVM-') or found != target:
        raise errors.SnapshotSetFailed(
            f'{name} is not a {target} device of LVM')
    if device.is_suspended:
        raise errors.SnapshotSetFailed(f'{name} is suspended')
    return device


def _send(control: int, pool: dm_control.Answer, text: str) -> None:
    try:
        dm_control.message(control, pool.number, text)
    except OSError as exc:
        raise errors.SnapshotSetFailed(
            f"{pool.name} refuses '{text}': {exc.strerror}") from exc


def _guard(control: int, origins: Sequence[int],
           messages: Sequence[tuple[dm_control.Answer, str]],
           limit_ms: int) -> int:
    """Have a child take the snapshots; resume what it leaves suspended."""
    child, receiver = _start(lambda: _work(control, origins, messages,
                                           limit_ms))
    with contextlib.ExitStack() as last:
        last.callback(os.waitpid, child, 0)
        last.callback(os.close, receiver)
        for number in origins:
            last.callback(dm_control.resume, control, number)
        ready, _, _ = select.select(
            [receiver], [], [], limit_ms / 1000 + _GRACE_SECONDS)
        answer = os.read(receiver, _ANSWER_BYTES).decode() if ready else _SLOW
    word, _, rest = answer.partition(' ')
    if word == _HELD:
        return int(rest)
    if word == _SLOW:
        raise errors.SnapshotSetTooSlow(limit_ms)
    raise errors.SnapshotSetFailed(
        rest or 'the process that took them was killed')


def _start(work: Callable[[], str]) -> tuple[int, int]:
    """Start a child.

    :param work: of the child, which then sends the result and ends
    :returns: the id of the child, and the descriptor to read the result from
    """
    receiver, sender = os.pipe()
    child = os.fork()
    if child:
        os.close(sender)
        return child, receiver
    try:
        os.write(sender, work().encode())
    finally:
        os._exit(0)


def _work(control: int, origins: Sequence[int],
          messages: Sequence[tuple[dm_control.Answer, str]],
          limit_ms: int) -> str:
    """Take the snapshots; return a word for what happened, and a text."""
    for number in _ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Interrupts a suspend that waits for I/O in flight.
    signal.signal(signal.SIGALRM, lambda *_signal: None)
    signal.setitimer(signal.ITIMER_REAL, limit_ms / 1000,
                     _SIGNAL_AGAIN_SECONDS)
    try:
        return f'{_HELD} {_take(control, origins, messages, limit_ms)}'
    except (_TimeUp, InterruptedError):
        return _SLOW
    except errors.SnapshotSetFailed as exc:
        return f'{_FAILED} {exc.reason}'
    except OSError as exc:
        return f'{_FAILED} {exc.strerror}'


def _take(control: int, origins: Sequence[int],
          messages: Sequence[tuple[dm_control.Answer, str]],
          limit_ms: int) -> int:
    began = time.monotonic()

    def check_time() -> None:
        if time.monotonic() - began > limit_ms / 1000:
            raise _TimeUp

    with contextlib.ExitStack() as resumed:
        for number in origins:
            check_time()
            resumed.callback(dm_control.resume, control, number)
            dm_control.suspend(control, number)
        for pool, text in messages:
            check_time()
            _send(control, pool, text)
    return round((time.monotonic() - began) * 1000)
