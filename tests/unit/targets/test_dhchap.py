# SPDX-License-Identifier: Apache-2.0
import json
import os
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from tests import base
from tests.contract import test_nvmet as contract

HOST = contract.HOST
KEY = contract.KEY


@ddt.ddt
class TestKeyFile(base.TestCase):

    def setUp(self):
        super().setUp()
        self.path = self.useFixture(fixtures.TempDir()).join('keys.json')
        self.file = dhchap.KeyFile(self.path, required=False)

    def write(self, text, mode=0o600):
        with open(self.path, 'w') as file:
            file.write(text if isinstance(text, str) else json.dumps(text))
        os.chmod(self.path, mode)

    def assert_refused(self, pattern, file=None):
        error = self.assertRaises(errors.TargetConfigurationError,
                                  (file or self.file).read)
        self.assertIn(pattern, str(error))
        self.assertNotIn(KEY[:20], str(error))

    def test_read_anew(self):
        self.write({HOST: KEY})
        self.assertEqual(KEY, self.file.read().find(HOST))
        self.assertTrue(self.file.is_used)
        self.write({HOST: contract.OTHER_KEY})
        keys = self.file.read()
        self.assertEqual(contract.OTHER_KEY, keys.find(HOST))
        self.assertIsNone(keys.find(contract.OTHER_HOST))
        self.assertNotIn(contract.OTHER_KEY, repr(keys))

    def test_required(self):
        self.write({HOST: KEY})
        keys = dhchap.KeyFile(self.path, required=True).read()
        self.assertEqual(KEY, keys.find(HOST))
        error = self.assertRaises(errors.NoHostKey, keys.find,
                                  contract.OTHER_HOST)
        self.assertEqual(
            f'host {contract.OTHER_HOST} has no DH-HMAC-CHAP key, but '
            'lvm_nvme_require_keys is set: add its key to the file in '
            'lvm_nvme_key_file', str(error))
        self.assertEqual(str(error), error.missing)

    def test_none(self):
        file = dhchap.KeyFile(None, required=False)
        self.assertFalse(file.is_used)
        self.assertIsNone(file.read().find(HOST))

    def test_required_without_a_file(self):
        file = dhchap.KeyFile(None, required=True)
        self.assertTrue(file.is_used)
        self.assert_refused('lvm_nvme_require_keys is set, but '
                            'lvm_nvme_key_file is not', file)

    @ddt.data(0o640, 0o604, 0o620, 0o601)
    def test_rights_of_others(self, mode):
        self.write({HOST: KEY}, mode)
        self.assert_refused('is not private: set its owner to root or the '
                            'user of cinder-volume, and its mode to 0600')

    def test_owner(self):
        self.write({HOST: KEY})
        with mock.patch.object(os, 'geteuid', return_value=4711):
            if os.stat(self.path).st_uid:
                self.assert_refused('is not private: set its owner')
            else:
                self.file.read()

    def test_missing(self):
        self.assert_refused('cannot be read: No such file or directory')

    @ddt.data('', '[]', f'{{"{HOST}": "{KEY}"', f'"{KEY}"')
    def test_no_object(self, text):
        self.write(text)
        self.assert_refused('is not a JSON object of host NQNs and keys')

    def test_no_text(self):
        with open(self.path, 'wb') as file:
            file.write(b'\xff')
        os.chmod(self.path, 0o600)
        self.assert_refused('cannot be read: it is not text')

    @ddt.data({HOST: KEY[:-2]}, {HOST: None}, {HOST: [KEY]})
    def test_entries(self, keys):
        self.write(keys)
        self.assert_refused(f'entry {next(iter(keys))!r}: ')

    @ddt.data({'host': KEY}, {KEY: HOST})
    def test_entries_of_no_host(self, keys):
        self.write(keys)
        self.assert_refused('entry 1: the name is not the NVMe Qualified')
