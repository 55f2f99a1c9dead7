# SPDX-License-Identifier: Apache-2.0
"""Which layout a value of lvm_type means."""

import ddt

from cinder_lvm_driver import errors
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import mirror
from cinder_lvm_driver.layouts import thick
from cinder_lvm_driver.layouts import thin
from cinder_lvm_driver import lvm
from tests import base
from tests.fakes import lvm as fake_lvm


@ddt.ddt
class TestLoad(base.TestCase):

    def setUp(self):
        super().setUp()
        self.lvm = fake_lvm.FakeLVM('vg')

    def load(self, lvm_type, *mirrors):
        return type(layouts.load(
            lvm_type, lvm.LVM('vg', self.lvm, version=(2, 3, 16)), None, None,
            *mirrors))

    @ddt.data(('default', thick.Thick), ('thin', thin.Thin))
    @ddt.unpack
    def test_by_name(self, lvm_type, layout_class):
        self.assertIs(layout_class, self.load(lvm_type))
        self.assertEqual(lvm_type, layout_class.lvm_type)

    def test_auto_in_an_empty_vg(self):
        self.assertIs(thin.Thin, self.load('auto'))

    def test_auto_with_the_pool(self):
        self.lvm.add('vg-pool', segtype='thin-pool')
        self.lvm.add('other')
        self.assertIs(thin.Thin, self.load('auto'))

    def test_auto_with_other_volumes(self):
        self.lvm.add('other')
        self.assertIs(thick.Thick, self.load('auto'))

    def test_auto_with_a_pool_that_a_killed_start_was_making(self):
        self.lvm.add('cinder-new-pool')
        self.lvm.add('lvol0')
        self.assertIs(thin.Thin, self.load('auto'))

    def test_auto_with_what_may_be_the_spare_of_such_a_pool(self):
        self.lvm.add('lvol0')
        with self.assertLogs(layouts.LOG, 'WARNING') as logged:
            self.assertIs(thick.Thick, self.load('auto'))
        self.assertIn('lvremove vg/lvol0', logged.output[0])

    @ddt.data('default', 'auto')
    def test_mirrors(self, lvm_type):
        self.assertIs(mirror.Mirror, self.load(lvm_type, 1))

    def test_thin_volumes_cannot_be_mirrored(self):
        error = self.assertRaises(errors.ConfigurationError, self.load,
                                  'thin', 1)
        self.assertIn('lvm_mirrors is 1 and lvm_type is thin', str(error))

    def test_no_such_type(self):
        error = self.assertRaises(errors.ConfigurationError, self.load,
                                  'raid')
        self.assertIn("'raid': set it to one of auto, default, thin",
                      str(error))
