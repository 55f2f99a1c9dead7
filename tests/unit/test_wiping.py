# SPDX-License-Identifier: Apache-2.0
"""What becomes of deleted thick LVs."""

import fixtures

from cinder_lvm_driver import background
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from cinder_lvm_driver import wiping
from tests import base
from tests.fakes import lvm as fake_lvm


class TestWiper(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')
        self.wiped = []
        self.works = []
        self.useFixture(fixtures.MockPatchObject(
            background, 'start', lambda name, work: self.works.append(work)))
        self.wiper = wiping.Wiper(
            lvm.LVM('vg', self.lvm, version=(2, 3, 16)), self.wipe)

    def wipe(self, device):
        self.assertTrue(self.lvm.volumes[device[len('/dev/vg/'):]].active)
        if device == '/dev/vg/broken':
            raise process.CommandFailed(('dd',), 1, '', 'I/O error')
        self.wiped.append(device)

    def test_nothing_to_do(self):
        self.wiper.add()
        self.assertEqual([], self.works)

    def test_caller_does_not_wait(self):
        self.lvm.add('a')
        self.wiper.add('a')
        self.assertEqual([], self.wiped)

    def test_one_worker_does_it_all(self):
        self.lvm.add('a')
        self.lvm.add('b', active=False)
        self.wiper.add('a')
        self.wiper.add('b')
        work, = self.works
        work()
        self.assertEqual((['/dev/vg/a', '/dev/vg/b'], {}),
                         (self.wiped, self.lvm.volumes))

    def test_next_one_is_done_by_another_worker(self):
        for name in 'ab':
            self.lvm.add(name)
            self.wiper.add(name)
            self.works.pop()()
        self.assertEqual({}, self.lvm.volumes)

    def test_what_cannot_be_wiped_stays_and_keeps_nobody_waiting(self):
        for name in 'broken', 'open', 'gone', 'fine':
            self.lvm.add(name, is_open=name == 'open')
        del self.lvm.volumes['gone']
        self.wiper.add('broken', 'open', 'gone', 'fine')
        self.works.pop()()
        self.assertEqual(['/dev/vg/fine'], self.wiped)
        self.assertEqual({'broken', 'open'}, set(self.lvm.volumes))
        for name in 'broken', 'open':
            self.assertIn(f'LV {name} of a deleted volume is not wiped',
                          self.log.output)
        self.assertNotIn('gone', self.log.output)
