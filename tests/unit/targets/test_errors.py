# SPDX-License-Identifier: Apache-2.0
import ddt

from cinder_lvm_driver import errors as root
from cinder_lvm_driver.targets import errors
from tests import base


@ddt.ddt
class TestErrors(base.TestCase):

    @ddt.data(*errors.__all__)
    def test_one_tree(self, name):
        self.assertTrue(issubclass(getattr(errors, name),
                                   errors.TargetError))
        self.assertTrue(issubclass(errors.TargetError, root.DriverError))

    def test_configuration(self):
        self.assertTrue(issubclass(errors.TargetConfigurationError,
                                   root.ConfigurationError))

    def test_texts(self):
        self.assertIn("no valid 'initiator'",
                      str(errors.InvalidConnector('initiator')))
        self.assertEqual('reason', str(
            errors.TargetConfigurationError('reason')))
        self.assertEqual('provider_auth is empty',
                         str(errors.InvalidExport('provider_auth',
                                                  'is empty')))
