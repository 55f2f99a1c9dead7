# SPDX-License-Identifier: Apache-2.0
"""What may be left behind in the machine when all was deleted."""

import glob
import sqlite3

from cloud_lib import storage
from demo_lib import settings

_TABLES = ('volumes', 'snapshots', 'volume_attachment', 'backups', 'groups')


def database_rows(path: str) -> list[str]:
    """Return what Cinder's database still counts as there."""
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
    """Return the files that Cinder left in its scratch folders."""
    return sorted(glob.glob(f'{state}/tmp/*')
                  + glob.glob(f'{state}/conversion/*'))


def leftovers(group: str) -> dict[str, list[str]]:
    """Return what is left where nothing should be, by place."""
    places = {
        'logical volumes': [name for name in storage.volumes(group)
                            if name != f'{group}-pool'],
        'LIO': storage.exports(),
        'initiator': storage.initiator_records(),
        'database': database_rows(settings.DATABASE),
        'files': temporary_files(settings.STATE),
    }
    return {place: found for place, found in places.items() if found}
