# SPDX-License-Identifier: Apache-2.0
import ddt

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import iscsi_export
from cinder_lvm_driver.targets.iscsi_export import IscsiExport
from tests import base

IQN = 'iqn.2010-10.org.openstack:volume-1'


@ddt.ddt
class TestChap(base.TestCase):

    def test_parse_and_format(self):
        chap = iscsi_export.parse_chap('CHAP name secret')
        self.assertEqual(Chap('name', 'secret'), chap)
        self.assertEqual('CHAP name secret', iscsi_export.format_chap(chap))

    def test_the_secret_is_not_shown(self):
        request = iscsi_export.ExportRequest(
            volume_id='id', serial='id', target_iqn=IQN,
            device='/dev/vg/lv', portals=(), chap=Chap('name', 's3cret'))
        self.assertNotIn('s3cret', repr(request))

    @ddt.data(None, '', ' ')
    def test_none(self, auth):
        error = self.assertRaises(errors.InvalidExport,
                                  iscsi_export.parse_chap, auth)
        self.assertEqual('provider_auth is empty; to use the volume, '
                         'detach it and attach it again', str(error))

    @ddt.data('s3cret', 'name s3cret', 'chap name s3cret',
              'CHAP name s3cret more', 'DHCHAP name s3cret')
    def test_another_form(self, auth):
        error = self.assertRaises(errors.InvalidExport,
                                  iscsi_export.parse_chap, auth)
        self.assertNotIn('s3cret', repr(error) + str(error))


@ddt.ddt
class TestIscsiExport(base.TestCase):

    @ddt.data(
        (f'10.0.0.1:3260,{IQN} {IQN} 0', IscsiExport(
            (Portal('10.0.0.1', 3260),), IQN, IQN, 0)),
        (f'10.0.0.1:3260;[2001:db8::1]:3261,7 {IQN} 1', IscsiExport(
            (Portal('10.0.0.1', 3260),
             Portal('2001:db8::1', 3261)), '7', IQN, 1)))
    @ddt.unpack
    def test_parse_and_format(self, text, export):
        """The texts are those that upstream's lio.py and tgt.py store."""
        self.assertEqual(export, IscsiExport.parse(text))
        self.assertEqual(text, export.format())

    def test_name_in_capitals(self):
        self.assertEqual('IQN.x:Y', IscsiExport.parse(
            '10.0.0.1:3260,1 IQN.x:Y 1').target_iqn)

    def test_without_lun(self):
        self.assertEqual(0, IscsiExport.parse(
            f'10.0.0.1:3260,1 {IQN}').lun)

    def test_none(self):
        for location in (None, '', ' '):
            error = self.assertRaises(
                errors.InvalidExport, IscsiExport.parse, location)
            self.assertEqual('provider_location is empty; to use the volume, '
                             'detach it and attach it again', str(error))

    @ddt.data('x', '10.0.0.1:4420 tcp nqn.2014-08.org:volume-1 1',
              '10.0.0.1:4420 tcp nqn.2014-08.org:volume-1',
              f'10.0.0.1:3260,1 {IQN} x', f'10.0.0.1:3260,1 {IQN} 0 0',
              f'10.0.0.1,1 {IQN} 0', f';,1 {IQN} 0')
    def test_another_form(self, location):
        error = self.assertRaises(
            errors.InvalidExport, IscsiExport.parse, location)
        self.assertIn(repr(location), str(error))
