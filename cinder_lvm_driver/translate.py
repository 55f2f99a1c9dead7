# SPDX-License-Identifier: Apache-2.0
"""Our errors as the exceptions of Cinder's contract: one table."""

from collections.abc import Iterator
import contextlib
import logging

from cinder import exception
from cinder import objects

from cinder_lvm_driver import errors
from cinder_lvm_driver import lvm
from cinder_lvm_driver.targets import errors as target_errors
from cinder_lvm_driver.targets import node

LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def cinder_errors(volume: objects.Volume | None = None,
                  snapshot: objects.Snapshot | None = None) -> Iterator[None]:
    """Raise what Cinder expects in place of our errors.

    :param volume: the volume that the operation is about
    :param snapshot: the snapshot that it is about
    :raises exception.InvalidConnectorException: a host did not tell what
        its access needs
    :raises exception.SnapshotIsBusy: the snapshot's LV is in use
    :raises exception.VolumeIsBusy: the volume's LV is in use
    :raises exception.VolumeBackendAPIException: for every other error
    """
    try:
        yield
    except lvm.LogicalVolumeInUse as exc:
        # The texts that these exceptions come with know of one reason only,
        # and the manager logs none.
        if snapshot is not None:
            LOG.error('Snapshot %s is busy: %s', snapshot.name, exc)
            raise exception.SnapshotIsBusy(
                f'Snapshot {snapshot.name} is busy: {exc}',
                snapshot_name=snapshot.name) from exc
        if volume is not None:
            LOG.error('Volume %s is busy: %s', volume.name, exc)
            raise exception.VolumeIsBusy(
                f'Volume {volume.name} is busy: {exc}',
                volume_name=volume.name) from exc
        raise exception.VolumeBackendAPIException(data=str(exc)) from exc
    except target_errors.InvalidConnector as exc:
        raise exception.InvalidConnectorException(
            missing=exc.missing) from exc
    except (errors.DriverError, *node.DAEMON_FAILURES) as exc:
        raise exception.VolumeBackendAPIException(data=str(exc)) from exc
