# SPDX-License-Identifier: Apache-2.0
"""The rootwrap filters on a node."""

import os
import pathlib

import fixtures

from cinder_lvm_driver.cmd import filters
from cinder_lvm_driver import errors
from tests import base

SHIPPED = pathlib.Path(__file__).parents[3] / (
    'etc/cinder/rootwrap.d/lvm-driver.filters')


class TestFilters(base.TestCase):

    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(
            self.useFixture(fixtures.TempDir()).path)
        self.config_file = self.folder / 'rootwrap.conf'
        self.config_file.write_text(
            f'[DEFAULT]\nfilters_path=/nowhere, {self.folder}/rootwrap.d\n')
        self.installed = self.folder / 'rootwrap.d' / SHIPPED.name
        self.installed.parent.mkdir()
        self.installed.write_text(SHIPPED.read_text())
        self.config.config(rootwrap_config=str(self.config_file))
        self.useFixture(fixtures.MockPatchObject(
            filters, '_OWNER', os.getuid()))
        self.installed.chmod(0o644)
        self.installed.parent.chmod(0o755)

    def assert_fails(self, *texts):
        error = self.assertRaises(errors.ConfigurationError, filters.check)
        for text in texts:
            self.assertIn(text, str(error))

    def test_current(self):
        self.assertEqual(str(self.installed), filters.check())

    def test_comments_of_an_administrator(self):
        self.installed.write_text('# Ours\n' + SHIPPED.read_text())
        self.assertEqual(str(self.installed), filters.check())

    def test_missing(self):
        self.installed.unlink()
        self.assert_fails('has no file lvm-driver.filters',
                          f'copy {SHIPPED} to /nowhere')

    def test_rows(self):
        text = SHIPPED.read_text().replace('lvm-driver-verbs:', 'other:')
        self.installed.write_text(text.replace('(check|', '(sh|'))
        self.assert_fails('lacks or changes lvm-driver, lvm-driver-verbs',
                          f'copy {SHIPPED} over it')

    def test_writable(self):
        self.installed.chmod(0o666)
        self.assert_fails('Another user than root can change', 'chmod go-w')

    def test_not_a_filter_file(self):
        self.installed.write_text('nonsense\n')
        self.assert_fails('cannot be read', 'Copy the file of this version')

    def test_no_configuration(self):
        self.config_file.unlink()
        self.assert_fails('cannot be read', 'Set rootwrap_config')

    def test_installation_without_the_file(self):
        self.useFixture(fixtures.MockPatchObject(
            filters, '_shipped', lambda: None))
        self.assertEqual(str(self.installed), filters.check())
