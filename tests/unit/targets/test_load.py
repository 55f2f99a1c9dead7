# SPDX-License-Identifier: Apache-2.0
import importlib.util
from unittest import mock

from cinder.volume import driver as cinder_driver
import ddt
from oslo_utils import importutils

from cinder_lvm_driver import targets
from cinder_lvm_driver.targets import base as targets_base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import intree
from tests import base
from tests.unit.targets import fake_volume


def choices():
    """Return the values of cinder.conf's target_helper."""
    option, = (option for option in cinder_driver.volume_opts
               if option.name == 'target_helper')
    return option.type.choices


@ddt.ddt
class TestLoad(base.TestCase):

    def test_no_helper_is_forgotten(self):
        self.assertLessEqual(
            set(choices()), set(targets.MAPPING | targets.IN_TREE_MAPPING))

    @ddt.data(*targets.MAPPING)
    def test_ours(self, helper):
        runner = mock.Mock()
        target = targets.load(
            helper, fake_volume.configuration(target_helper=helper),
            mock.Mock(), runner)
        self.assertIsInstance(target, targets_base.Target)
        self.assertIs(runner, target.runner)
        runner.run.assert_not_called()

    @ddt.data(*targets.IN_TREE_MAPPING)
    def test_in_tree(self, helper):
        conf = fake_volume.configuration()
        with mock.patch.object(importutils, 'import_object') as made:
            target = targets.load(helper, conf, mock.sentinel.execute,
                                  mock.sentinel.runner)
        self.assertIsInstance(target, intree.InTreeTarget)
        made.assert_called_once_with(
            targets.IN_TREE_MAPPING[helper], configuration=conf,
            executor=mock.sentinel.execute)
        self.assertIn(f"target_helper '{helper}' is served by Cinder's own",
                      self.log.output)

    @ddt.data(*targets.IN_TREE_MAPPING.values())
    def test_in_tree_classes_exist(self, path):
        """Looked up, not imported: some need libraries of their own."""
        module, _, name = path.rpartition('.')
        source = importlib.util.find_spec(module).loader.get_source(module)
        self.assertIn(f'\nclass {name}(', source)

    def test_unknown(self):
        error = self.assertRaises(
            errors.TargetConfigurationError, targets.load, 'ietadm',
            fake_volume.configuration(), mock.Mock(), mock.Mock())
        self.assertIn("target_helper is 'ietadm', which is none of: fake, ",
                      str(error))
