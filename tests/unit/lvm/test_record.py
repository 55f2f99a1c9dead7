# SPDX-License-Identifier: Apache-2.0
"""Which VG a back end has served."""

import os

import fixtures

from cinder_lvm_driver.lvm import record
from tests import base


class TestRecord(base.TestCase):

    def setUp(self):
        super().setUp()
        folder = self.useFixture(fixtures.TempDir()).path
        self.record = record.Record(os.path.join(folder, 'a/vg.json'))
        self.identity = record.Identity(vg_uuid='u', disks={'pv': ['disk']})

    def test_nothing_was_kept(self):
        self.assertIsNone(self.record.read())
        self.assertEqual('', self.log.output)

    def test_what_was_kept(self):
        self.record.write(self.identity)
        self.assertEqual(self.identity, self.record.read())
        stamp = os.stat(self.record.path)
        self.record.write(self.identity)
        self.assertEqual(stamp, os.stat(self.record.path))

    def test_damaged(self):
        self.record.write(self.identity)
        for text in '', '[]', '{"other": 1}':
            with open(self.record.path, 'w') as file:
                file.write(text)
            self.assertIsNone(self.record.read())
        self.assertIn('cannot be read', self.log.output)

    def test_folder_that_cannot_be_made(self):
        blocked = record.Record('/dev/null/a/vg.json')
        blocked.write(self.identity)
        self.assertIn('cannot be written', self.log.output)
