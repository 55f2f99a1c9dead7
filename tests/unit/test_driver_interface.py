# SPDX-License-Identifier: Apache-2.0
"""The driver can stand wherever the in-tree one stood."""

import inspect

from cinder import interface
from cinder.interface import util
from cinder.volume.drivers import lvm as in_tree
import ddt
from oslo_utils import importutils

from cinder_lvm_driver import driver
from tests import base
from tests.fakes import backend

CLASS_PATH = 'cinder_lvm_driver.driver.LVMVolumeDriver'
# The verbs of the driver that this one is to replace.
VERBS = """
    check_for_setup_error clone_image copy_image_to_volume
    copy_volume_to_image create_cloned_volume create_export create_snapshot
    create_volume create_volume_from_snapshot delete_snapshot delete_volume
    ensure_export extend_volume get_manageable_snapshots
    get_manageable_volumes get_pool get_volume_stats initialize_connection
    local_path manage_existing manage_existing_get_size
    manage_existing_object_get_size manage_existing_snapshot
    manage_existing_snapshot_get_size migrate_volume remove_export retype
    revert_to_snapshot terminate_connection update_migrated_volume
    validate_connector""".split()


@ddt.ddt
class TestVerbs(base.TestCase):

    CLASS = driver.LVMVolumeDriver

    @ddt.data(*VERBS)
    def test_signature(self, name):
        """The same names in the same order; what we add has a default."""
        theirs = _parameters(getattr(in_tree.LVMVolumeDriver, name))
        ours = _parameters(getattr(self.CLASS, name))
        self.assertEqual(theirs, ours[:len(theirs)])
        for _, kind, default in ours[len(theirs):]:
            self.assertTrue(
                default is not inspect.Parameter.empty
                or kind == inspect.Parameter.VAR_KEYWORD)

    def test_constructor(self):
        self.assertEqual(
            _parameters(in_tree.LVMVolumeDriver.__init__),
            _parameters(self.CLASS.__init__))

    def test_every_public_verb_of_theirs_is_here(self):
        names = {name for name, method in vars(in_tree.LVMVolumeDriver).items()
                 if inspect.isfunction(method) and name[0] != '_'}
        self.assertEqual(set(), {
            name for name in names if not hasattr(self.CLASS, name)})

    def test_facts(self):
        self.assertEqual(in_tree.LVMVolumeDriver.VERSION, self.CLASS.VERSION)
        self.assertEqual(in_tree.LVMVolumeDriver.CI_WIKI_NAME,
                         self.CLASS.CI_WIKI_NAME)
        self.assertIn(self.CLASS, interface._volume_register)
        self.assertEqual(CLASS_PATH, util.DriverInfo(self.CLASS).class_fqn)


def _parameters(method):
    """Return name, kind and default of each, but for ``self``."""
    return [(parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(method).parameters.values()
            if parameter.name != 'self']


@ddt.ddt
class TestConstruction(backend.BackendTestCase):
    """What cinder-volume does, see cinder.volume.manager."""

    @ddt.data(
        {'cluster_name': None, 'is_vol_db_empty': True,
         'active_backend_id': None},
        {'cluster_name': 'cluster@backend', 'is_vol_db_empty': False,
         'active_backend_id': 'backend'},
        {'cluster_name': None, 'db': object(), 'service': object()})
    def test_by_path(self, keywords):
        made = importutils.import_object(
            CLASS_PATH, configuration=self.configure(), host='host@backend',
            **keywords)
        self.assertEqual('host@backend', made.host)
        self.assertEqual(keywords['cluster_name'], made.cluster_name)
        self.assertFalse(made.SUPPORTS_ACTIVE_ACTIVE)
        self.assertFalse(made.initialized)
        self.assertEqual([], self.machine.as_root)

    def test_what_the_manager_asks_before_anything_else(self):
        made = self.make_driver()
        made.set_initialized()
        made.set_throttle()
        made.init_capabilities()
        self.assertTrue(made.initialized)
        self.assertFalse(made.supports_replication_feature('v2.1'))
        self.assertEqual('up', made.capabilities['pools'][0]['backend_state'])
