# SPDX-License-Identifier: Apache-2.0
"""What remains in the test machine after everything was deleted."""

import glob
import sqlite3

from cloud_lib import deployment
from cloud_lib import storage
from demo_lib import settings

_TABLES = ('volumes', 'snapshots', 'volume_attachment', 'backups', 'groups')


def database_rows(path: str) -> list[str]:
    """Return the rows of Cinder's database that are not deleted."""
    found = []
    connection = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    try:
        for table in _TABLES:
            for identity, in connection.execute(
                    f'SELECT id FROM {table} WHERE NOT deleted'):
                found.append(f'{table} {identity}')
        for resource, used, reserved in connection.execute(
                'SELECT resource, in_use, reserved FROM quota_usages '
                'WHERE in_use != 0 OR reserved != 0'):
            found.append(f'quota of {resource}: {used} in use, '
                         f'{reserved} reserved')
    finally:
        connection.close()
    return found


def temporary_files(state: str) -> list[str]:
    """Return the files in Cinder's temporary folders."""
    return sorted(glob.glob(f'{state}/tmp/*')
                  + glob.glob(f'{state}/conversion/*'))


def leftovers(vg: str) -> dict[str, list[str]]:
    """Return what remains, by place."""
    places = {
        'LVs': [name for name in storage.lvs(vg) if name != f'{vg}-pool'],
        'LIO': storage.exports(),
        'initiator': storage.initiator_records(),
        'database': database_rows(settings.DATABASE),
        'files': temporary_files(deployment.STATE),
    }
    return {place: found for place, found in places.items() if found}
