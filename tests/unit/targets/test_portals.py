# SPDX-License-Identifier: Apache-2.0
"""Portals that cannot be listened on, and who is in the way."""

from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import portals
from tests import base

PORTALS = Portal('10.0.0.1', 3260), Portal('10.0.0.2', 3260)
SHOWN = ('LISTEN 0 5 10.0.0.1:3260 0.0.0.0:* users:(("nginx",pid=7,fd=3),'
         '("nginx",pid=8,fd=3))\n')


@ddt.ddt
class TestFault(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = mock.create_autospec(process.Runner, instance=True)
        self.runner.run.return_value.stdout = SHOWN
        self.addresses = {'10.0.0.1', '10.0.0.2'}
        self.errors = {}
        for name, fake in (
                ('is_local', lambda portal: portal.address in self.addresses),
                ('bind_error', self.errors.get)):
            self.useFixture(fixtures.MockPatchObject(listening, name, fake))

    def fault(self, served=()):
        return portals.fault(PORTALS, lambda portal: portal in served,
                             self.runner)

    def test_all_is_well(self):
        self.assertIsNone(self.fault())
        self.errors[PORTALS[0]] = OSError(98, 'Address already in use')
        self.assertIsNone(self.fault(served=PORTALS))
        # Below port 1024, only root can bind.
        self.errors[PORTALS[0]] = PermissionError(13, 'Permission denied')
        self.assertIsNone(self.fault())
        self.runner.run.assert_not_called()

    def test_address_that_is_not_there(self):
        self.addresses.remove('10.0.0.2')
        self.assertIn('has the address of portal 10.0.0.2:3260',
                      self.fault(served=PORTALS))

    @ddt.data((SHOWN, 'nginx (process 7), nginx (process 8)'),
              ('', 'another process'))
    @ddt.unpack
    def test_port_that_is_held(self, shown, holder):
        self.runner.run.return_value.stdout = shown
        self.errors[PORTALS[0]] = OSError(98, 'Address already in use')
        self.assertIn(f'10.0.0.1:3260 is in use by {holder}: stop that',
                      self.fault())
        self.runner.run.assert_called_once_with('ss', '-Hltnp',
                                                'sport = :3260')

    def test_holder_that_cannot_be_asked_for(self):
        self.errors[PORTALS[0]] = OSError(98, 'Address already in use')
        self.runner.run.side_effect = process.CommandNotFound(
            ('ss',), 96, '', '')
        self.assertIn('in use by another process', self.fault())
