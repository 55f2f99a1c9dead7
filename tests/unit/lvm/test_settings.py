# SPDX-License-Identifier: Apache-2.0
"""Settings of lvm.conf with which a back end does not work well."""

from unittest import mock

import ddt

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import settings
from cinder_lvm_driver import process
from tests import base

# As lvmconfig prints them.
DEFAULT = f'''activation {{
\tudev_sync=1
\tudev_rules=1
\t# volume_list is not defined
}}
global {{
\tmetadata_read_only=0
\tthin_check_executable="{__file__}"
}}
'''


@ddt.ddt
class TestCheck(base.TestCase):

    def check(self, **replaced):
        """Check settings, some of which have other values."""
        text = DEFAULT + ''.join(f'\t{name}={value}\n'
                                 for name, value in replaced.items())
        runner = mock.Mock()
        runner.run_unprivileged.return_value = process.Completed((), text, '')
        settings.check(runner, '/etc/lvm', 'vg')

    def assert_refused(self, *texts, **replaced):
        error = self.assertRaises(errors.InvalidRequest, self.check,
                                  **replaced)
        for text in texts:
            self.assertIn(text, str(error))

    def test_defaults(self):
        self.check()
        self.assertEqual('', self.log.output)

    def test_metadata_read_only(self):
        self.assert_refused('metadata_read_only is 1', 'set it to 0',
                            metadata_read_only='1')

    def test_list_without_the_vg(self):
        self.assert_refused('activates no LV of VG vg', 'add "vg"',
                            volume_list='["vg1","other/vg"]')

    @ddt.data('["vg"]', '["other","vg"]', '["@tag"]')
    def test_list_that_allows_the_vg(self, value):
        self.check(volume_list=value)
        self.assertEqual('', self.log.output)

    @ddt.data('udev_sync', 'udev_rules')
    def test_udev(self, name):
        self.check(**{name: '0'})
        self.assertIn(f'activation/{name} is 0 in /etc/lvm/lvm.conf',
                      self.log.output)

    def test_no_thin_check(self):
        self.check(thin_check_executable='"/nowhere/thin_check"')
        self.assertIn('install thin-provisioning-tools', self.log.output)

    def test_thin_check_that_is_switched_off(self):
        self.check(thin_check_executable='""')
        self.assertEqual('', self.log.output)

    def test_unreadable(self):
        runner = mock.Mock()
        runner.run_unprivileged.side_effect = process.CommandFailed(
            ('lvmconfig',), 3, '', 'Parse error at byte 7')
        error = self.assertRaises(errors.InvalidRequest, settings.check,
                                  runner, '/etc/lvm', 'vg')
        self.assertIn('cannot read /etc/lvm/lvm.conf: Parse error',
                      str(error))
