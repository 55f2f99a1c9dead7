# SPDX-License-Identifier: Apache-2.0
import os
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.lvm import archive
from tests import base


@ddt.ddt
class TestIsFull(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = self.useFixture(fixtures.TempDir()).path

    def test_room(self):
        self.assertFalse(archive.is_full(self.folder, 1))

    def test_directory_that_lvm_has_yet_to_create(self):
        self.assertFalse(archive.is_full(self.folder + '/archive', 1))
        self.assertTrue(archive.is_full(self.folder + '/archive', 2 ** 80))

    def test_directory_that_cannot_be_searched(self):
        self.assertFalse(archive.is_full('/nope/lvm/archive', 2 ** 80))

    @ddt.data((2, 1, 0, False), (1, 1, 0, True), (2, 0, 0, True),
              (1, 1, os.ST_RDONLY, False))
    @ddt.unpack
    def test_file_of_two_blocks(self, blocks, inodes, flags, is_full):
        status = mock.Mock(f_bfree=blocks, f_frsize=4096, f_files=9,
                           f_ffree=inodes, f_flag=flags)
        with mock.patch.object(os, 'statvfs', return_value=status):
            self.assertIs(is_full, archive.is_full(self.folder, 8192))

    def test_file_system_without_inodes(self):
        status = mock.Mock(f_bfree=9, f_frsize=4096, f_files=0, f_ffree=0,
                           f_flag=0)
        with mock.patch.object(os, 'statvfs', return_value=status):
            self.assertFalse(archive.is_full(self.folder, 8192))
