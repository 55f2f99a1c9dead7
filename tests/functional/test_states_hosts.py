# SPDX-License-Identifier: Apache-2.0
"""Hosts that cannot be told apart."""

from cinder_lvm_driver.operations import exports
from tests.functional import base
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_tgt


class SharedNameCases:
    """A volume that is not multiattach, with attachments of two hosts."""

    def test_live_migration_between_hosts_of_one_name(self):
        volume = self.export()
        with self.assertLogs(exports.LOG, 'INFO') as logged:
            source = self.attach(volume, host='source')
        self.assertRegex(logged.output[-1],
                         f'{volume.id}: host source.* is allowed in')
        with self.assertLogs(exports.LOG, 'WARNING') as logged:
            connection = self.attach(volume, host='destination')
        self.assertRegex(logged.output[0], 'destination and source have the '
                         'same initiator name')
        self.assertEqual(source, connection)
        with (self.connected(connection) as (_brick, path),
              self.writing([path]) as io):
            io.wait_for_more('before the migration ends')
            self.assertTrue(self.driver.terminate_connection(
                volume, dict(self.connector, host='source')))
            del volume.volume_attachment.objects[0]
            io.wait_for_more('after the source has left')
        with self.assertLogs(exports.LOG, 'INFO') as logged:
            self.driver.terminate_connection(volume, self.connector)
        self.assertRegex(logged.output[-1], f'{volume.id}: host .* is denied')


class LioSharedNameTest(SharedNameCases, test_attach.AttachTestCase):
    pass


@base.slow
class NvmetSharedNameTest(SharedNameCases, test_nvmet.NvmetTestCase):
    pass


@base.slow
class TgtSharedNameTest(SharedNameCases, test_tgt.TgtTestCase):
    pass
