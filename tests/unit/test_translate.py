# SPDX-License-Identifier: Apache-2.0
"""Which of Cinder's exceptions stands for which of our errors."""

from unittest import mock

from cinder import exception
import ddt
from oslo_privsep import daemon

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import errors as target_errors
from cinder_lvm_driver import translate
from tests import base

VOLUME = mock.Mock()
VOLUME.name = 'volume-1'
SNAPSHOT = mock.Mock()
SNAPSHOT.name = 'snapshot-1'
IN_USE = lvm.LogicalVolumeInUse('LV a is in use')


@ddt.ddt
class TestTranslate(base.TestCase):

    def translated(self, error, busy=None):
        """Return what Cinder sees of an error."""
        @translate.cinder_errors(busy=busy)
        def verb(volume, snapshot):
            raise error

        try:
            verb(VOLUME, snapshot=SNAPSHOT)
        except Exception as exc:  # noqa: BLE001  any may come
            self.assertIs(error, exc.__context__ or exc)
            # The manager logs what is raised, with all that led to it.
            self.assertIsNone(exc.__cause__)
            self.assertIs(exc is not error, exc.__suppress_context__)
            return exc

    @ddt.data(
        lvm.LogicalVolumeNotFound('text'), lvm.InsufficientSpace('text'),
        lvm.VolumeGroupNotFound('text'), lvm.CommandOfLVMFailed('text'),
        errors.ConfigurationError('text'), target_errors.TargetError('text'),
        process.CommandFailed(('lvs',), 5, '', 'text'),
        process.CommandTimedOut(('text',), 3),
        OSError('Premature eof of text'),
        daemon.FailedToDropPrivileges('text exited non-zero'))
    def test_backend_fails(self, error):
        for busy in None, 'volume', 'snapshot':
            exc = self.translated(error, busy)
            self.assertIs(exception.VolumeBackendAPIException, type(exc))
            self.assertTrue(str(exc).startswith(str(error)), str(exc))
            self.assertIn('text', str(exc))
            self.assertIn('DEBUG cinder_lvm_driver.translate: verb failed\n'
                          'Traceback', self.log.output)

    def test_volume_in_use(self):
        exc = self.translated(IN_USE, 'volume')
        self.assertIs(exception.VolumeIsBusy, type(exc))
        self.assertIn('volume-1', str(exc))

    def test_snapshot_in_use(self):
        exc = self.translated(IN_USE, 'snapshot')
        self.assertIs(exception.SnapshotIsBusy, type(exc))
        self.assertIn('snapshot-1', str(exc))

    def test_something_in_use(self):
        exc = self.translated(IN_USE)
        self.assertIs(exception.VolumeBackendAPIException, type(exc))
        self.assertIn('LV a is in use', str(exc))

    def test_connector(self):
        exc = self.translated(target_errors.InvalidConnector('initiator'))
        self.assertIs(exception.InvalidConnectorException, type(exc))
        self.assertIn('initiator', str(exc))

    @ddt.data(exception.VolumeNotFound(volume_id='1'), ValueError(),
              NotImplementedError())
    def test_others_are_left_alone(self, error):
        self.assertIs(error, self.translated(error))

    def test_nothing_is_wrong(self):
        @translate.cinder_errors()
        def verb(volume, size=1):
            """Create it."""
            return volume, size

        self.assertEqual((VOLUME, 2), verb(VOLUME, size=2))
        self.assertEqual(('verb', 'Create it.'),
                         (verb.__name__, verb.__doc__))
