# SPDX-License-Identifier: Apache-2.0
"""The driver's class, and what it tells before it is set up."""

import inspect
from unittest import mock

from cinder import exception
from cinder import interface
from cinder.interface import util
from cinder.interface import volume_driver
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import lvm as in_tree
import ddt

from cinder_lvm_driver import driver
from cinder_lvm_driver import options
from tests import base
from tests.fakes import backend

BACKEND_ERROR = exception.VolumeBackendAPIException


@ddt.ddt
class TestInterface(base.TestCase):
    """What Cinder and its tools look for in a driver's class."""

    CLASS = driver.LVMVolumeDriver

    def test_registered(self):
        self.assertIn(self.CLASS, interface._volume_register)

    def test_compliance(self):
        self.assertTrue(issubclass(self.CLASS,
                                   volume_driver.VolumeDriverCore))
        info = util.DriverInfo(self.CLASS)
        self.assertTrue(info.desc and info.version and info.ci_wiki_name)
        self.assertTrue(info.supported)

    @ddt.data(volume_driver.VolumeDriverCore, cinder_driver.VolumeDriver,
              in_tree.LVMVolumeDriver)
    def test_signatures(self, contract):
        for name, method in inspect.getmembers(contract, inspect.isfunction):
            ours = getattr(self.CLASS, name, None)
            if name.startswith('_') or not inspect.isfunction(ours):
                continue
            signature = inspect.signature(ours)
            parameters = list(inspect.signature(method).parameters.values())
            with self.subTest(name):
                signature.bind(*(parameter.name for parameter in parameters
                                 if parameter.kind not in (
                                     parameter.VAR_POSITIONAL,
                                     parameter.VAR_KEYWORD)
                                 and (parameter.default is parameter.empty
                                      or parameter.name
                                      in signature.parameters)))

    def test_verbs_of_the_interface(self):
        for name, _ in inspect.getmembers(volume_driver.VolumeDriverCore,
                                          inspect.isfunction):
            self.assertTrue(hasattr(self.CLASS, name), name)

    def test_first_argument_is_the_vg(self):
        self.assertEqual(
            ['self', 'vg_obj'],
            list(inspect.signature(self.CLASS.__init__).parameters)[:2])

    def test_driver_options(self):
        ours = {option.name for option in self.CLASS.get_driver_options()}
        theirs = {option.name
                  for option in in_tree.LVMVolumeDriver.get_driver_options()}
        own = {option.name for option in options.OWN_OPTIONS}
        self.assertEqual(set(), theirs - ours)
        self.assertTrue(own <= ours)


@ddt.ddt
class TestConstruction(backend.BackendTestCase):

    def test_runs_no_command(self):
        self.construct()
        self.assertEqual([], self.machine.as_root)

    def test_option_that_makes_no_sense(self):
        error = self.assertRaises(BACKEND_ERROR, self.construct,
                                  volume_clear_ionice='idle')
        self.assertIn('volume_clear_ionice', str(error))

    def test_vg_that_is_given(self):
        made = self.construct(mock.Mock(vg_name='given'))
        self.assertTrue(made.local_path(self.volume()).startswith(
            '/dev/mapper/given-volume--'))

    def test_target_helper_that_cannot_share(self):
        self.assertRaises(exception.InvalidConfigurationValue, self.construct,
                          lvm_share_target=True)

    def test_target_helper_without_secondary_addresses(self):
        with mock.patch('tests.fakes.target.RecordingTarget'
                        '.SECONDARY_IP_SUPPORT', False):
            self.assertRaises(exception.InvalidConfigurationValue,
                              self.construct,
                              target_secondary_ip_addresses=['10.0.0.2'])

    def test_target_helper_that_is_not_known(self):
        with mock.patch.dict('cinder_lvm_driver.targets.MAPPING',
                             clear=True):
            error = self.assertRaises(BACKEND_ERROR, self.construct)
        self.assertIn("target_helper is 'lioadm'", str(error))

    @ddt.data(('backend', 'backend'), (None, 'LVM'))
    @ddt.unpack
    def test_pool_is_named_like_the_back_end(self, option, name):
        made = self.construct(volume_backend_name=option)
        self.assertEqual(name, made.get_pool(self.volume()))


class TestPlaces(backend.DriverTestCase):

    def test_local_path_is_the_in_tree_drivers(self):
        theirs = in_tree.LVMVolumeDriver(
            configuration=self.configure(target_helper='fake'))
        volume = self.volume()
        for thing in (volume, self.snapshot(volume)):
            for arguments in ((), ('other-vg',)):
                self.assertEqual(theirs.local_path(thing, *arguments),
                                 self.driver.local_path(thing, *arguments))

    def test_migrated_volume_keeps_the_lv_it_was_migrated_to(self):
        volume = self.volume(_name_id='7a5b2f3e')
        self.assertEqual('/dev/mapper/vg-volume--7a5b2f3e',
                         self.driver.local_path(volume))
