# SPDX-License-Identifier: Apache-2.0
"""What Cinder's database knows of the LVs of a back end."""

import os

from cinder import context as cinder_context
from cinder import objects
from oslo_config import cfg

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver import errors
from cinder_lvm_driver import naming

_SQLITE = 'sqlite:///'


class Unreachable(errors.DriverError):
    """Cinder's database cannot be asked.

    The message has no words of the error, which can contain the password of
    the connection.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"Cinder's database cannot be asked ({reason}): check that it "
            f'runs, and connection in section [database] of cinder.conf')


class Database:
    """The volumes and snapshots of one back end, read once."""

    def __init__(self, section: backends.Section) -> None:
        """Read the volumes and snapshots.

        :raises Unreachable: the database does not answer
        """
        self._context = cinder_context.get_admin_context()
        # The default is to try again for almost two minutes.
        cfg.CONF.set_override('max_retries', 0, group='database')
        _check_file(cfg.CONF.database.connection)
        where = ({'cluster_name': section.cluster} if section.cluster
                 else {'host': section.host})
        self.volumes = self._get(objects.VolumeList, **where)
        self.lv_names = {
            *(volume.name for volume in self.volumes),
            *(naming.snapshot_lv_name(snapshot.name)
              for snapshot in self._get(objects.SnapshotList, **where))}

    def host_of(self, lv_name: str) -> str | None:
        """Return the back end of the volume or snapshot whose ID a name has.

        :returns: None if Cinder does not know the ID
        :raises Unreachable: the database does not answer
        """
        found_id = naming.find_id(lv_name)
        if found_id is None:
            return None
        found = [
            *self._get(objects.VolumeList, id=found_id),
            # After a migration in use, the LV has another ID.
            *self._get(objects.VolumeList, _name_id=found_id),
            *(snapshot.volume for snapshot in self._get(
                objects.SnapshotList, id=found_id))]
        return str(found[0].host) if found else None

    def _get(self, kind: type, **filters: str) -> list[objects.Volume]:
        try:
            return list(kind.get_all(  # type: ignore[attr-defined]
                self._context, filters=filters))
        # Each library of a database has errors of its own.
        except Exception as exc:  # noqa: BLE001
            raise Unreachable(type(exc).__name__) from None


def _check_file(connection: str | None) -> None:
    """Check that a database in a file exists: SQLite would create it.

    :raises Unreachable: it does not
    """
    if connection is None:
        raise Unreachable('connection is not set')
    if connection.startswith(_SQLITE) and not os.path.exists(
            connection.removeprefix(_SQLITE)):
        raise Unreachable('there is no such file')
