# SPDX-License-Identifier: Apache-2.0
"""Snapshots of one moment, on a fake of device-mapper.

There is one process here; ``tests/functional`` has the parent and its child.
"""

import errno
import os
import signal
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lvm_lock
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import snapshot_set
from cinder_lvm_driver.privileged import validation
from tests import base
from tests.unit.privileged import fake_device_mapper

POOL = 'vg-pool-tpool'
LOCK = '/run/lock/lvm/V_vg'
Member = snapshot_set.Member
MEMBERS = [Member(POOL, 'vg-a', 1, 11), Member(POOL, 'vg-b', 2, 12)]
WORK = ['suspend vg-a', 'suspend vg-b', f'{POOL}: create_snap 11 1',
        f'{POOL}: create_snap 12 2', 'resume vg-b', 'resume vg-a']
DELETES = [f'{POOL}: delete 11', f'{POOL}: delete 12']


class Killed(BaseException):
    """The end of the child."""


@ddt.ddt
class TestRetake(base.TestCase):

    def setUp(self):
        super().setUp()
        self.kernel = self.useFixture(fake_device_mapper.FakeKernel())
        self.kernel.add(os.makedev(253, 4), POOL, 'thin-pool',
                        uuid='LVM-xyz-tpool')
        for number, name in enumerate('ab', 1):
            self.kernel.add(number, f'vg-{name}', 'thin',
                            table=f'253:4 {number}', uuid=f'LVM-{name}')
        self.now = 0.0
        self.hangs = False
        for owner, attribute, value in (
                (lvm_lock, 'held', mock.MagicMock()),
                (ownership, 'volume_groups', lambda: frozenset({'vg'})),
                (validation, 'lvm_lock_file', lambda path: path),
                (snapshot_set, '_start', self.start),
                (signal, 'signal', mock.Mock()),
                (signal, 'setitimer', mock.Mock()),
                (snapshot_set.os, 'waitpid', mock.Mock()),
                (snapshot_set.time, 'monotonic', lambda: self.now),
                (snapshot_set.select, 'select', lambda read, *_rest: (
                    [] if self.hangs else read, [], []))):
            self.useFixture(fixtures.MockPatchObject(owner, attribute, value))

    def start(self, work):
        """Do the work of the child at once, in this process."""
        receiver, sender = os.pipe()
        try:
            os.write(sender, work().encode())
        except Killed:
            self.kernel.before = lambda request: None
        os.close(sender)
        return 77, receiver

    def retake(self, members=MEMBERS, limit_ms=2000):
        return snapshot_set.retake(LOCK, members, limit_ms)

    def on(self, request, action):
        """Do something when a request arrives."""
        self.kernel.before = lambda arrived: (
            action() if arrived == request else None)

    def assert_fails(self, error, text, **arguments):
        failure = self.assertRaises(error, self.retake, **arguments)
        self.assertIn(text, str(failure))
        self.assertEqual(set(), self.kernel.suspended)

    def let(self, seconds):
        self.now += seconds

    def test_all(self):
        self.on(f'{POOL}: create_snap 12 2', lambda: self.let(0.0123))
        self.assertEqual(12, self.retake())
        self.assertEqual(DELETES + WORK, self.kernel.requests)
        lvm_lock.held.assert_called_once_with(LOCK)
        lvm_lock.held.return_value.__exit__.assert_called_once()
        snapshot_set.os.waitpid.assert_called_once_with(77, 0)

    def test_signals_do_not_end_the_child(self):
        self.retake()
        self.assertEqual(
            {(number, signal.SIG_IGN) for number in
             (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)},
            {call.args for call in signal.signal.call_args_list[:3]})
        signal.setitimer.assert_called_once_with(
            signal.ITIMER_REAL, 2.0, 0.05)

    def test_origin_that_is_not_active(self):
        del self.kernel.devices[2]
        self.retake()
        self.assertEqual(
            [request for request in DELETES + WORK if 'vg-b' not in request],
            self.kernel.requests)

    def test_pools_differ(self):
        self.kernel.add(os.makedev(253, 300), 'vg-other-tpool', 'thin-pool',
                        uuid='LVM-uvw-tpool')
        self.kernel.add(3, 'vg-c', 'thin', table='253:300 1', uuid='LVM-c')
        self.retake([MEMBERS[0], Member('vg-other-tpool', 'vg-c', 1, 11)])
        self.assertIn('vg-other-tpool: create_snap 11 1',
                      self.kernel.requests)

    @ddt.data(*DELETES, *WORK[:4])
    def test_kernel_refuses(self, request):
        self.kernel.refusals[request] = errno.EBUSY
        self.assert_fails(errors.SnapshotSetFailed,
                          'Device or resource busy')

    @ddt.data(*WORK)
    def test_child_is_killed(self, request):
        def kill(_request=None):
            # It can resume nothing, either.
            self.kernel.before = kill
            raise Killed
        self.on(request, kill)
        self.assert_fails(errors.SnapshotSetFailed, 'was killed')

    @ddt.data(*WORK[:4])
    def test_limit(self, request):
        self.on(request, lambda: self.let(2.1))
        if request == WORK[3]:
            # All are complete.
            self.assertEqual(2100, self.retake())
        else:
            self.assert_fails(errors.SnapshotSetTooSlow,
                              'lvm_group_snapshot_limit')

    def test_suspend_is_interrupted(self):
        self.kernel.refusals['suspend vg-b'] = errno.EINTR
        self.assert_fails(errors.SnapshotSetTooSlow, '2000 ms')

    def test_child_hangs(self):
        self.hangs = True
        self.assert_fails(errors.SnapshotSetTooSlow, '2000 ms')

    @ddt.data(
        {'table': '253:4 3'}, {'table': '253:5 2'}, {'target': 'linear'},
        {'target': 'snapshot-origin'}, {'uuid': 'CRYPT-b'}, {'uuid': ''})
    def test_origin_that_is_another_device(self, facts):
        self.kernel.add(2, 'vg-b', **{'target': 'thin', 'table': '253:4 2',
                                      'uuid': 'LVM-b', **facts})
        self.assert_fails(errors.SnapshotSetFailed, 'vg-b')
        self.assertEqual([], self.kernel.requests)

    @ddt.data({'target': 'linear'}, {'uuid': 'LVM-xyz'},
              {'uuid': 'x-tpool'})
    def test_pool_that_is_none(self, facts):
        self.kernel.add(os.makedev(253, 4), POOL, **{
            'target': 'thin-pool', 'uuid': 'LVM-xyz-tpool', **facts})
        self.assert_fails(errors.SnapshotSetFailed, POOL)
        self.assertEqual([], self.kernel.requests)

    def test_pool_that_is_not_active(self):
        del self.kernel.devices[os.makedev(253, 4)]
        self.assert_fails(errors.SnapshotSetFailed, 'not an active thin pool')

    @ddt.data(2, os.makedev(253, 4))
    def test_device_that_is_suspended(self, number):
        self.kernel.suspended.add(number)
        failure = self.assertRaises(errors.SnapshotSetFailed, self.retake)
        self.assertIn('is suspended', str(failure))
        self.assertEqual(({number}, []), (self.kernel.suspended,
                                          self.kernel.requests))

    @ddt.data(
        [Member(POOL, '../a', 1, 11)], [Member('', 'vg-a', 1, 11)],
        [Member(POOL, 'vg-a', -1, 11)], [Member(POOL, 'vg-a', 1, 2 ** 24)],
        [Member(POOL, 'vg-a', '1', 11)], [Member(POOL, 'vg-a', 1, 1)],
        [MEMBERS[0], Member(POOL, 'vg-b', 2, 11)],
        [MEMBERS[0], Member(POOL, 'vg-b', 11, 12)])
    def test_members_that_cannot_be(self, members):
        self.assertRaises(errors.InvalidArgument, self.retake, members)
        self.assertEqual([], self.kernel.requests)

    @ddt.data(0, -1, 60_001, '5', True, None)
    def test_limit_that_is_none(self, limit_ms):
        self.assertRaises(errors.InvalidArgument, self.retake,
                          limit_ms=limit_ms)
