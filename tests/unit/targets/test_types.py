# SPDX-License-Identifier: Apache-2.0
import ddt

from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import types
from tests import base

IQN = 'iqn.2010-10.org.openstack:volume-1'


@ddt.ddt
class TestPortal(base.TestCase):

    @ddt.data(('10.0.0.1:3260', '10.0.0.1'), ('[2001:db8::1]:3260',
                                              '2001:db8::1'),
              ('storage.example.com:3260', 'storage.example.com'))
    @ddt.unpack
    def test_parse_and_format(self, text, address):
        portal = types.Portal.parse(text)
        self.assertEqual(types.Portal(address, 3260), portal)
        self.assertEqual(text, str(portal))

    @ddt.data('', ':3260', '10.0.0.1', '10.0.0.1:', '10.0.0.1:x',
              '10.0.0.1:-1')
    def test_no_portal(self, text):
        self.assertRaises(ValueError, types.Portal.parse, text)

    def test_canonical(self):
        self.assertEqual(('2001:db8::1', 3260), types.Portal(
            '2001:DB8:0::1', 3260).canonical)
        error = self.assertRaises(errors.InvalidExport, lambda: types.Portal(
            'storage.example.com', 3260).canonical)
        self.assertIn('storage.example.com:3260, which is no IP address',
                      str(error))

    def test_unique(self):
        a, b, c = (types.Portal(f'10.0.0.{i}', 3260) for i in range(3))
        self.assertEqual((b, a, c), types.unique_portals([b, a], [a, c]))


@ddt.ddt
class TestChap(base.TestCase):

    def test_parse_and_format(self):
        chap = types.Chap.parse('CHAP name secret')
        self.assertEqual(types.Chap('name', 'secret'), chap)
        self.assertEqual('CHAP name secret', chap.format())

    def test_the_secret_is_not_shown(self):
        chap = types.Chap('name', 's3cret')
        request = types.ExportRequest('id', 'id', IQN, '/dev/vg/lv', (), chap)
        for text in (repr(chap), str(chap), '%s' % chap, repr(request)):
            self.assertNotIn('s3cret', text)

    @ddt.data(None, '', ' ')
    def test_none(self, auth):
        error = self.assertRaises(errors.InvalidExport, types.Chap.parse,
                                  auth)
        self.assertEqual('provider_auth is empty; to use the volume, '
                         'detach it and attach it again', str(error))

    @ddt.data('s3cret', 'name s3cret', 'chap name s3cret',
              'CHAP name s3cret more', 'DHCHAP name s3cret')
    def test_another_form(self, auth):
        error = self.assertRaises(errors.InvalidExport, types.Chap.parse,
                                  auth)
        self.assertNotIn('s3cret', repr(error) + str(error))


@ddt.ddt
class TestIscsiExport(base.TestCase):

    @ddt.data(
        (f'10.0.0.1:3260,{IQN} {IQN} 0', types.IscsiExport(
            (types.Portal('10.0.0.1', 3260),), IQN, IQN, 0)),
        (f'10.0.0.1:3260;[2001:db8::1]:3261,7 {IQN} 1', types.IscsiExport(
            (types.Portal('10.0.0.1', 3260),
             types.Portal('2001:db8::1', 3261)), '7', IQN, 1)))
    @ddt.unpack
    def test_parse_and_format(self, text, export):
        """The texts are those that upstream's lio.py and tgt.py store."""
        self.assertEqual(export, types.IscsiExport.parse(text))
        self.assertEqual(text, export.format())

    def test_name_in_capitals(self):
        self.assertEqual('IQN.x:Y', types.IscsiExport.parse(
            '10.0.0.1:3260,1 IQN.x:Y 1').target_iqn)

    def test_without_lun(self):
        self.assertEqual(0, types.IscsiExport.parse(
            f'10.0.0.1:3260,1 {IQN}').lun)

    def test_none(self):
        for location in (None, '', ' '):
            error = self.assertRaises(
                errors.InvalidExport, types.IscsiExport.parse, location)
            self.assertEqual('provider_location is empty; to use the volume, '
                             'detach it and attach it again', str(error))

    @ddt.data('x', '10.0.0.1:4420 tcp nqn.2014-08.org:volume-1 1',
              '10.0.0.1:4420 tcp nqn.2014-08.org:volume-1',
              f'10.0.0.1:3260,1 {IQN} x', f'10.0.0.1:3260,1 {IQN} 0 0',
              f'10.0.0.1,1 {IQN} 0', f';,1 {IQN} 0')
    def test_another_form(self, location):
        error = self.assertRaises(
            errors.InvalidExport, types.IscsiExport.parse, location)
        self.assertIn(repr(location), str(error))
