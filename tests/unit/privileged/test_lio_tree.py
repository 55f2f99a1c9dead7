# SPDX-License-Identifier: Apache-2.0
import errno
from unittest import mock

import ddt

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import lio_tree
from cinder_lvm_driver.privileged.listening import Portal
from cinder_lvm_driver.privileged.listening import Refused
from tests import base
from tests.unit.privileged import fake_lio


class TestPortals(fake_lio.LioTestCase):

    def setUp(self):
        super().setUp()
        self.lio.os.refused_portals = {'[2001:db8::1]:3260'}

    def test_one_refused(self):
        error = self.assertRaises(errors.PortalNotAvailable, self.create,
                                  mode='create')
        self.assertEqual(('[2001:db8::1]:3260', 'Address in use'),
                         error.args)
        self.assertEqual({}, lio.list_targets())
        self.assertEqual([], (self.lio.root / 'core').directories())

    def test_one_refused_and_another_enough(self):
        self.assertEqual(
            (Refused('[2001:db8::1]:3260', 'Address in use'),),
            self.create().refused)
        listed = self.listed()
        self.assertTrue(listed.enabled)
        self.assertEqual((Portal('10.0.0.1', 3260),), listed.portals)

    def test_the_missing_one_comes_later(self):
        self.create()
        self.lio.os.refused_portals = set()
        self.assertEqual((), self.create().refused)
        self.assertEqual(set(self.PORTALS), set(self.listed().portals))

    def test_all_refused(self):
        self.assertRaises(errors.PortalNotAvailable, self.create,
                          portals=self.PORTALS[1:])
        self.assertEqual({}, lio.list_targets())

    def test_a_portal_spelled_differently(self):
        self.lio.os.refused_portals = set()
        self.create()
        (self.tpg / 'np' / '[2001:db8::1]:3260').remove()
        (self.tpg / 'np' / '[2001:DB8:0::1]:3260').make()
        self.create()
        self.assertEqual(2, len((self.tpg / 'np').directories()))

    def test_iser(self):
        self.lio.os.refused_portals = set()
        self.create(iser=True)
        for portal in (self.tpg / 'np').directories():
            self.assertEqual('1', portal.read('iser'))


@ddt.ddt
class TestReasonOfRefusal(base.TestCase):

    FAILURE = errors.ConfigfsError('create', '/np/x', errno.EINVAL)

    def test_known(self):
        self.assertEqual(
            'Cannot assign requested address',
            lio_tree._why_refused(Portal('192.0.2.1', 3260),
                                  self.FAILURE))

    def test_unknown(self):
        self.assertEqual('cannot create /np/x: Invalid argument',
                         lio_tree._why_refused(Portal('127.0.0.1', 0),
                                                self.FAILURE))

    def test_iser(self):
        failure = errors.ConfigfsError('write', '/np/x/iser', errno.EINVAL)
        self.assertIn('iSER is not available',
                      lio_tree._why_refused(Portal('127.0.0.1', 0), failure))


class TestBackstores(fake_lio.LioTestCase):

    def test_without_discard(self):
        self.lio.os.without_discard = {self.DEVICE}
        self.assertFalse(self.create().discard)
        self.assertFalse(self.allow())

    def test_discard_fails_otherwise(self):
        refusal = OSError(errno.EIO, 'x')
        with mock.patch.object(self.lio.os, '_write_emulate_tpu',
                               side_effect=refusal):
            self.assertRaises(errors.ConfigfsError, self.create)
        self.assertEqual([], (self.lio.root / 'core').directories())

    def test_device_in_use(self):
        self.lio.os.opened_elsewhere = {self.DEVICE}
        error = self.assertRaises(errors.DeviceNotUsable, self.create)
        self.assertEqual(f"device {self.DEVICE} is in use by a process, "
                         f"which 'fuser -v {self.DEVICE}' shows to root: end "
                         f"that", str(error))
        self.assertEqual([], (self.lio.root / 'core').directories())

    def test_device_that_went_away(self):
        with mock.patch.object(self.lio.os, '_write_enable',
                               side_effect=OSError(errno.ENXIO, 'x')):
            error = self.assertRaises(errors.DeviceNotUsable, self.create)
        self.assertIn('cannot be opened', str(error))

    def test_index_that_another_target_has(self):
        first, second, *_ = lio_tree.slots(self.TARGET)
        first.make()
        (first / 'theirs.x').make()
        self.create()
        self.create()
        self.assertEqual([first / 'theirs.x', second / self.TARGET],
                         self.backstores())
        (first / 'theirs.x').remove()
        first.remove()
        self.create()
        self.assertEqual([second / self.TARGET], self.backstores())

    def test_no_index(self):
        for slot in lio_tree.slots(self.TARGET):
            slot.make()
            (slot / 'theirs.x').make()
        self.assertRaises(errors.ConfigfsError, self.create)
        self.assertEqual({}, lio.list_targets())

    def test_at_most_so_many_indexes(self):
        """More would be out of the range in which rtslib looks."""
        with mock.patch('zlib.crc32', return_value=1048576 * 3 - 1):
            self.assertEqual(
                ['iblock_1048575', 'iblock_0', 'iblock_1'],
                [slot.name for slot in lio_tree.slots(self.TARGET)[:3]])

    def test_cost_does_not_grow(self):
        """Other backstores are not looked at."""
        for number in range(50):
            other = self.lio.root / 'core' / f'iblock_{number}'
            other.make()
            (other / 'theirs.x').make()
        with mock.patch.object(
                lio_tree.configfs.Directory, '_names', autospec=True,
                side_effect=lio_tree.configfs.Directory._names) as listing:
            self.create(initiators=[self.HOST])
            self.allow()
            lio.deny_initiator(self.TARGET, self.HOST)
            lio.delete_target(self.TARGET)
        self.assertNotIn(f'{self.lio.root.path}/core',
                         [call.args[0].path for call in listing.mock_calls])

    def test_serial_of_an_exported_backstore_stays(self):
        self.create()
        self.create(serial=self.SERIAL.replace('1', '2'))
        backstore, = self.backstores()
        self.assertIn(self.SERIAL, (backstore / 'wwn').read('vpd_unit_serial'))

    def test_a_backstore_in_a_shared_hba(self):
        self.create()
        theirs = self.backstores()[0].parent / 'theirs.x'
        theirs.make()
        lio.delete_target(self.TARGET)
        self.assertEqual([theirs], self.backstores())
