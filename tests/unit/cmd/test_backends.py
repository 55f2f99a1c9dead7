# SPDX-License-Identifier: Apache-2.0
"""Which sections of cinder.conf are back ends of the driver."""

from oslo_config import cfg

from cinder_lvm_driver.cmd import backends
from tests.unit.cmd import base


class TestSections(base.CommandTestCase):

    def names(self, only=None):
        return [section.name for section in backends.sections(only)]

    def assert_none(self, text, only=None):
        error = self.assertRaises(backends.NoBackend, backends.sections, only)
        self.assertIn(text, str(error))

    def test_ours_and_the_in_tree_class(self):
        one, two = self.enable(), self.enable(base.IN_TREE)
        self.assertEqual([one, two], self.names())

    def test_other_drivers(self):
        self.enable('cinder.volume.drivers.rbd.RBDDriver')
        self.assert_none('No enabled back end has volume_driver = ' +
                         base.OURS)

    def test_nothing_enabled(self):
        self.config.config(enabled_backends=None)
        self.assert_none('No enabled back end')

    def test_only_one(self):
        one, two = self.enable(), self.enable()
        self.assertEqual([two], self.names(two))
        self.assert_none(f'has {one}, {two}: correct --backend', 'three')

    def test_host(self):
        self.config.config(host='node')
        one, two = self.enable(), self.enable()
        backends.sections(None)
        cfg.CONF.set_override('backend_host', 'shared', group=two)
        self.assertEqual([f'node@{one}', f'shared@{two}'],
                         [each.host for each in backends.sections(None)])

    def test_open(self):
        self.enable()
        section, = backends.sections(None)
        pool, = backends.open_pools(section.make_driver())
        self.assertEqual('vg', pool.vg.vg_name)
        self.assertEqual(set(), self.machine.names())

    def test_root_without_password(self):
        self.assertEqual('sudo -n cinder-rootwrap /etc/cinder/rootwrap.conf',
                         backends.root_helper())
