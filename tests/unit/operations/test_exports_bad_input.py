# SPDX-License-Identifier: Apache-2.0
"""Connectors and stored texts that are not as LIO's helper needs them."""

import copy
from unittest import mock

from cinder import exception
import ddt

from cinder_lvm_driver.privileged import lio as verbs
from cinder_lvm_driver import targets
from cinder_lvm_driver.targets import lio
from tests.fakes import backend
from tests.unit.privileged import fake_lio
from tests.unit.targets import fake_volume

BACKEND_ERROR = exception.VolumeBackendAPIException
HOST = fake_volume.HOST
IQN = 'iqn.2010-10.org.openstack:volume-1'
SECRET = 'secret123456'
# No host that can be let in. Cinder hands over what a host has sent.
NO_HOSTS = ({}, {'host': 'a', 'ip': '10.0.0.1'}, {'initiator': None},
            {'initiator': ''}, {'initiator': 5}, {'initiator': ['iqn.x']},
            {'initiator': 'iqn.1993-08.org.debian:01:a\n'},
            {'initiator': 'iqn.1993-08.org.debian:../../01'},
            {'initiator': 'iqn.1993-08.org.debian:01 $(reboot);'},
            {'initiator': 'iqn.1993-08.org.debian:01:é'},
            {'initiator': 'iqn.1993-08.org.debian:\0'},
            {'initiator': 'iqn.1993-08.org.debian:' + 'a' * 10000},
            {'initiator': '../discovery_auth'}, {'nqn': 'nqn.2014-08.org:a'},
            'iqn.1993-08.org.debian:01:aaaa', ['initiator'], 5, '')
# What is stored for volumes by no helper, and by those of other kinds.
NO_LOCATIONS = (
    None, '', ' ', 'nonsense', '10.0.0.1:3260,1', '10.0.0.1:3260,1 x 1',
    f'10.0.0.1,1 {IQN} 1', f'10.0.0.1:x,1 {IQN} 1',
    f'10.0.0.1:3260,1 {IQN} one', f'10.0.0.1:3260,1 {IQN} 1 more',
    # nvmet's two forms
    '10.0.0.1:4420 tcp nqn.2010-10.org.nvmexpress:UUID:1 10',
    '10.0.0.1:4420,10.0.0.2:4420 tcp nqn.2010-10.org.nvmexpress:UUID:1 10')
NO_AUTHS = (None, '', 'CHAP', 'CHAP name', f'CHAP name {SECRET} more',
            f'chap name {SECRET}', f'name {SECRET}', SECRET)


@ddt.ddt(testNameFormat=ddt.TestNameFormat.INDEX_ONLY)
class TestLio(backend.BackendTestCase):

    def setUp(self):
        super().setUp()
        self.lio = self.useFixture(fake_lio.FakeLio())
        self.patch(mock.patch.dict(
            targets.MAPPING,
            lioadm='cinder_lvm_driver.targets.lio.LioTarget'))
        self.patch(mock.patch.object(lio.LioTarget, 'check_for_setup_error'))
        self.driver = self.make_driver(target_ip_address='10.0.0.1')
        self.owner = self.volume(
            provider_location=None, provider_auth=None,
            provider_geometry=None, encryption_key_id=None)
        self.add_lv(self.owner, **backend.THIN)
        self.lio.add_device(f'/dev/vg/{self.owner.name}', '253:9')
        for field, text in self.driver.create_export(
                self.context, self.owner, None).items():
            setattr(self.owner, field, text)
        self.before = self.world()

    def patch(self, patcher):
        patcher.start()
        self.addCleanup(patcher.stop)

    def world(self):
        return copy.deepcopy((self.lvm.volumes, verbs.list_targets()))

    def assert_refused(self, error, words, verb, *arguments):
        raised = self.assertRaises(error, getattr(self.driver, verb),
                                   *arguments)
        for word in words:
            self.assertIn(word, str(raised))
        self.assertNotIn(SECRET, str(raised))
        self.assertNotIn(SECRET, self.log.output)
        self.assertLess(len(str(raised)), 1000)
        self.assertEqual(self.before, self.world())

    @ddt.data(None, *NO_HOSTS)
    def test_no_host(self, connector):
        for verb, arguments in (
                ('validate_connector', ()),
                ('initialize_connection', (self.owner,))):
            self.assert_refused(exception.InvalidConnectorException,
                                ['initiator'], verb, *arguments, connector)

    @ddt.data(*NO_HOSTS)
    def test_end_the_access_of_no_host(self, connector):
        self.driver.initialize_connection(self.owner, HOST)
        self.before = self.world()
        self.owner.multiattach = True
        for known in (HOST, HOST, *NO_HOSTS[:6]):
            self.attach(self.owner, known)
        self.assert_refused(
            exception.InvalidConnectorException, ['initiator'],
            'terminate_connection', self.owner, connector)

    @ddt.data({'host': None, 'ip': None}, {'host': 5, 'ip': ['10.0.0.1']},
              {'host': 'a\nb', 'ip': '../x'}, {'host': 'é$(reboot)'},
              {'multipath': 'maybe', 'mountpoint': '/dev/../vdb'})
    def test_what_else_a_host_says_does_not_matter(self, values):
        connector = {'initiator': HOST['initiator'], **values}
        self.assertTrue(self.driver.validate_connector(connector))
        self.driver.initialize_connection(self.owner, connector)
        self.driver.terminate_connection(self.owner, connector)
        self.assertEqual(self.before, self.world())

    @ddt.data(*NO_LOCATIONS)
    def test_location_of_no_target_of_ours(self, location):
        self.owner.provider_location = location
        self.attach(self.owner, HOST)
        for verb, *arguments in (
                ('initialize_connection', self.owner, HOST),
                ('ensure_export', self.context, self.owner)):
            self.assert_refused(
                BACKEND_ERROR, ['provider_location', self.owner.id],
                verb, *arguments)
        # Nothing to end, for one host and for all.
        for connector in (HOST, None):
            self.assertFalse(self.driver.terminate_connection(
                self.owner, connector))
        self.assertEqual(self.before, self.world())

    @ddt.data(*NO_LOCATIONS)
    def test_removal_where_the_location_says_nothing(self, location):
        self.owner.provider_location = location
        for _ in range(2):
            self.driver.remove_export(self.context, self.owner)
            self.assertEqual({}, verbs.list_targets())

    @ddt.data(*NO_AUTHS)
    def test_no_login(self, auth):
        self.owner.provider_auth = auth
        for verb, *arguments in (
                ('initialize_connection', self.owner, HOST),
                ('ensure_export', self.context, self.owner)):
            self.assert_refused(BACKEND_ERROR,
                                ['provider_auth', self.owner.id],
                                verb, *arguments)

    def test_location_of_tgt_is_understood(self):
        """Both helpers name a target alike."""
        iqn = self.owner.provider_location.split()[1]
        self.owner.provider_location = f'10.0.0.1:3260,1 {iqn} 1'
        info = self.driver.initialize_connection(self.owner, HOST)
        self.assertEqual(iqn, info['data']['target_iqn'])

    def test_target_that_is_gone(self):
        self.driver.remove_export(self.context, self.owner)
        self.before = self.world()
        self.assert_refused(BACKEND_ERROR, [self.owner.name],
                            'initialize_connection', self.owner, HOST)
        for connector in (HOST, None):
            self.driver.terminate_connection(self.owner, connector)
        self.assertEqual(self.before, self.world())
