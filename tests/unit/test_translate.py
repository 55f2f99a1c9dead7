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

    def translated(self, error, **about):
        """Return what Cinder sees of an error."""
        try:
            with translate.cinder_errors(**about):
                raise error
        except Exception as exc:  # noqa: BLE001  any may come
            self.assertIs(error, exc.__cause__ or exc)
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
        for about in ({}, {'volume': VOLUME}, {'snapshot': SNAPSHOT}):
            exc = self.translated(error, **about)
            self.assertIs(exception.VolumeBackendAPIException, type(exc))
            self.assertIn('text', str(exc))

    def test_volume_in_use(self):
        exc = self.translated(IN_USE, volume=VOLUME)
        self.assertIs(exception.VolumeIsBusy, type(exc))
        self.assertIn('volume-1', str(exc))

    def test_snapshot_in_use(self):
        exc = self.translated(IN_USE, snapshot=SNAPSHOT)
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
        with translate.cinder_errors():
            pass
