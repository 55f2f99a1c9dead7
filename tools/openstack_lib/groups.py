# SPDX-License-Identifier: Apache-2.0
"""Consistent groups with the clients ``openstack`` and ``cinder``.

The clients do what the manual tells an administrator to do. The REST API tells
what came of it, and the storage node reads and writes the LVs.
"""

from collections.abc import Callable, Sequence
import contextlib
import json
from typing import Any
import uuid

from cloud_lib import errors
from cloud_lib import rest
from cloud_lib import user
from cloud_lib import waiting
from openstack_lib import settings

_BYTES = 4 << 20
_MEMBERS = 2


class Groups:
    """A group, its snapshot, and new groups from both.

    :param cinder: the client of the administrator
    :param client: runs a program of the clients, returns what it prints
    :param node: runs a command on the storage node, returns its exit status
    """

    def __init__(self, cinder: rest.Cinder, backend: settings.Backend,
                 client: Callable[..., str],
                 node: Callable[[Sequence[str]], int],
                 say: Callable[[str], None]) -> None:
        self._cinder = cinder
        self._backend = backend
        self._client = client
        self._node = node
        self._say = say
        self._suffix = uuid.uuid4().hex[:8]

    def run(self) -> None:
        """Do all of it, and delete everything.

        :raises errors.CloudError: a client failed, or data differs
        """
        group_type = f'consistent-{self._suffix}'
        with contextlib.ExitStack() as deletions:
            self._openstack('type', 'create', group_type)
            deletions.callback(self._openstack, 'type', 'delete', group_type)
            self._openstack('type', 'set', group_type, '--property',
                            'consistent_group_snapshot_enabled=<is> True')
            self._say(f'group type {group_type}')
            group = self._create('group', 'create', '--volume-group-type',
                                 group_type, '--volume-type',
                                 self._backend.name)
            self._delete_later(deletions, group)
            volumes = self._create_members(group)
            self._say(f'group {group} with {len(volumes)} volumes')
            snapshot = self._create('group_snapshot', 'snapshot', 'create',
                                    group)
            deletions.callback(self._delete, 'group_snapshot', snapshot,
                               'snapshot', 'delete', snapshot)
            self._say(f'group snapshot {snapshot}')
            for option, source in (('--group-snapshot', snapshot),
                                   ('--source-group', group)):
                copy = self._create_from(deletions, option, source)
                self._require_copies(copy, volumes)
                self._say(f'group {copy} from {option[2:]}: same data')
        self._say('everything is deleted')

    def _openstack(self, *words: str) -> dict[str, Any]:
        """Run a command on groups; return what it has created."""
        shown = ('-f', 'json') if 'create' in words else ()
        text = self._client('openstack', 'volume', 'group', *words, *shown)
        return {name.lower(): value for name, value
                in (json.loads(text) if shown else {}).items()}

    def _create(self, resource: str, *words: str) -> str:
        """Create a resource; return its ID when it is available."""
        identity = str(self._openstack(*words)['id'])
        self._cinder.wait(resource, identity, 'available')
        return identity

    def _create_from(self, deletions: contextlib.ExitStack, option: str,
                     source: str) -> str:
        """Create a group from a group snapshot or a group.

        openstackclient also sends the source that it was not given, as null,
        and the API refuses that.
        """
        name = f'from-{source}'
        self._client('cinder', 'create-group-from-src', option, source,
                     '--name', name)
        group = next(str(each['id']) for each in self._cinder.request(
            'GET', '/groups')['groups'] if each['name'] == name)
        self._delete_later(deletions, group)
        self._cinder.wait('group', group, 'available')
        return group

    def _delete_later(self, deletions: contextlib.ExitStack,
                      group: str) -> None:
        deletions.callback(self._delete, 'group', group, 'delete', '--force',
                           group)

    def _create_members(self, group: str) -> list[str]:
        """Create the volumes of a group, each with data of its own."""
        for number in range(_MEMBERS):
            self._client('cinder', 'create', '1', '--volume-type',
                         self._backend.name, '--group-id', group, '--name',
                         f'member-{number}-{self._suffix}')
        volumes = [str(volume['id']) for volume in self._members(group)]
        user.require(len(volumes) == _MEMBERS,
                     f'group {group} has {len(volumes)} volumes')
        for volume in volumes:
            self._cinder.wait('volume', volume, 'available')
            self._on_node('dd', 'if=/dev/urandom', f'of={self._lv(volume)}',
                          f'bs={_BYTES}', 'count=1', 'oflag=direct',
                          'iflag=fullblock')
        return volumes

    def _members(self, group: str) -> list[dict[str, Any]]:
        return list(self._cinder.request(
            'GET', f'/volumes/detail?group_id={group}')['volumes'])

    def _require_copies(self, group: str, sources: Sequence[str]) -> None:
        """Raise an error unless a group has the data of all sources."""
        found = {self._source(volume): str(volume['id'])
                 for volume in self._members(group)}
        user.require(sorted(found) == sorted(sources),
                     f'the volumes of group {group} have the sources '
                     f'{sorted(found)}')
        for source, copy in found.items():
            self._on_node('cmp', '--bytes', str(_BYTES), self._lv(source),
                          self._lv(copy))

    def _source(self, volume: dict[str, Any]) -> str:
        """Return the volume that another one is a copy of."""
        if volume['snapshot_id']:
            return str(self._cinder.show('snapshot', volume['snapshot_id'])[
                'volume_id'])
        return str(volume['source_volid'])

    def _lv(self, volume: str) -> str:
        """Return the path of a volume's LV, which is active then."""
        lv = f'{self._backend.vg}/volume-{volume}'
        self._on_node('lvchange', '--activate', 'y',
                      '--ignoreactivationskip', lv)
        return f'/dev/{lv}'

    def _on_node(self, *command: str) -> None:
        user.require(self._node(command) == 0,
                     f'{" ".join(command)} failed on the storage node')

    def _delete(self, resource: str, identity: str, *words: str) -> None:
        """Delete a resource and wait until it is gone."""
        self._openstack(*words)

        def gone() -> bool:
            try:
                seen = self._cinder.show(resource, identity)
            except rest.NotFound:
                return True
            if seen['status'].startswith('error'):
                raise errors.CloudError(
                    f'{resource} {identity} is {seen["status"]}')
            return False

        waiting.until(f'{resource} {identity} to be deleted', gone,
                      rest.STATUS_SECONDS, rest.LOOK_SECONDS)
