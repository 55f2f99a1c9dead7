# SPDX-License-Identifier: Apache-2.0
"""The user's client: Cinder's REST API, as it is documented.

Plain requests instead of a client library: what goes over the wire is what
can be read here, and nothing has to be imported on the slow machine.
"""

import dataclasses
import http.client
import json
from typing import Any

from cloud_lib import errors
from cloud_lib import waiting

# Of cinder 26 already. 3.67 and later: no project in the URL; 3.66: a
# snapshot of a volume in use without force; 3.42: extend while in use.
MICROVERSION = '3.70'

REQUEST_SECONDS = 300.0
STATUS_SECONDS = 600.0
# On an emulated processor each look takes what is looked at from its work.
LOOK_SECONDS = 1.0


class NotThere(errors.CloudError):
    """The API answered 404."""


@dataclasses.dataclass(frozen=True)
class Api:
    """Where a service listens, and what it knows the user by."""

    port: int
    token: str = dataclasses.field(repr=False)
    host: str = '127.0.0.1'

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Return the decoded answer to a request, None when it is empty.

        :raises NotThere: for 404
        :raises errors.CloudError: for every other answer that is no success
        """
        connection = http.client.HTTPConnection(self.host, self.port,
                                                timeout=REQUEST_SECONDS)
        try:
            connection.request(
                method, path, body=None if body is None else json.dumps(body),
                headers={'X-Auth-Token': self.token,
                         'Content-Type': 'application/json',
                         'OpenStack-API-Version': f'volume {MICROVERSION}'})
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise errors.CloudError(
                f'{method} {path}: no answer from port {self.port} ({error})'
            ) from error
        finally:
            connection.close()
        if answer.status == http.client.NOT_FOUND:
            raise NotThere(f'{method} {path}: 404')
        if not 200 <= answer.status < 300:
            raise errors.CloudError(
                f'{method} {path}: {answer.status} {text[:500]}')
        return json.loads(text) if text else None


class Cinder:
    """A user of the volume service.

    :param volume: the volume service
    :param image: the image service
    """

    def __init__(self, volume: Api, image: Api) -> None:
        self._volume = volume
        self._image = image

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the volume service's answer to a request."""
        return self._volume.send(method, f'/v3{path}', body)

    def pools(self) -> list[dict[str, Any]]:
        """Return the pools that the scheduler knows, none if it is away."""
        try:
            answer = self.request('GET',
                                  '/scheduler-stats/get_pools?detail=true')
        except errors.CloudError:
            return []
        return list(answer['pools'])

    def create_volume(self, **fields: Any) -> str:
        """Return the id of a new volume, once it is available."""
        answer = self.request('POST', '/volumes',
                              {'volume': {'size': 1, **fields}})
        volume = str(answer['volume']['id'])
        self.wait('volume', volume, 'available')
        return volume

    def create_snapshot(self, volume: str, name: str) -> str:
        """Return the id of a new snapshot, once it is available."""
        answer = self.request(
            'POST', '/snapshots',
            {'snapshot': {'volume_id': volume, 'name': name}})
        snapshot = str(answer['snapshot']['id'])
        self.wait('snapshot', snapshot, 'available')
        return snapshot

    def extend(self, volume: str, size: int, status: str) -> None:
        """Extend a volume to a size in GiB.

        :param status: what the volume was before and is to be afterwards
        """
        self.act(volume, {'os-extend': {'new_size': size}})

        def extended() -> bool:
            seen = self.show('volume', volume)
            self._refuse_error('volume', seen)
            return bool(seen['size'] == size
                        and seen['status'] == status)

        waiting.until(f'volume {volume} to be {size} GiB and {status}',
                      extended, STATUS_SECONDS, LOOK_SECONDS)

    def upload(self, volume: str, name: str, disk_format: str) -> str:
        """Return the id of an image made of a volume, once it is there."""
        answer = self.act(volume, {'os-volume_upload_image': {
            'image_name': name, 'disk_format': disk_format,
            'container_format': 'bare', 'force': False,
            'visibility': 'private', 'protected': False}})
        self.wait('volume', volume, 'available')
        return str(answer['os-volume_upload_image']['image_id'])

    def create_backup(self, volume: str, name: str) -> str:
        """Return the id of a new backup of a volume, also of one in use."""
        answer = self.request('POST', '/backups', {'backup': {
            'volume_id': volume, 'name': name, 'force': True}})
        return str(answer['backup']['id'])

    def restore(self, backup: str, volume: str) -> None:
        """Give a volume the data of a backup."""
        self.request('POST', f'/backups/{backup}/restore',
                     {'restore': {'volume_id': volume}})
        for kind, identity in (('backup', backup), ('volume', volume)):
            self.wait(kind, identity, 'available')

    def create_type(self, name: str, specs: dict[str, str]) -> str:
        """Return the id of a new volume type."""
        answer = self.request('POST', '/types', {'volume_type': {
            'name': name, 'extra_specs': specs}})
        return str(answer['volume_type']['id'])

    def delete_type(self, volume_type: str) -> None:
        """Delete a volume type."""
        self.request('DELETE', f'/types/{volume_type}')

    def encrypt(self, volume_type: str) -> None:
        """Have the hosts encrypt all volumes of a type."""
        self.request('POST', f'/types/{volume_type}/encryption', {
            'encryption': {'provider': 'luks', 'cipher': 'aes-xts-plain64',
                           'key_size': 256, 'control_location': 'front-end'}})

    def encryption(self, volume: str) -> dict[str, Any]:
        """Return what a host must know to encrypt a volume."""
        return dict(self.request('GET', f'/volumes/{volume}/encryption'))

    def migrate(self, volume: str, host: str) -> None:
        """Move a volume to another back end."""
        self.act(volume, {'os-migrate_volume': {
            'host': host, 'force_host_copy': False, 'lock_volume': False}})

        def arrived() -> bool:
            seen = self.show('volume', volume)
            if seen['migration_status'] == 'error':
                raise errors.CloudError(f'volume {volume} did not move')
            return bool(seen['os-vol-host-attr:host'] == host
                        and seen['status'] == 'available')

        waiting.until(f'volume {volume} to be at {host}', arrived,
                      STATUS_SECONDS, LOOK_SECONDS)

    def act(self, volume: str, action: dict[str, Any]) -> Any:
        """Ask for an action on a volume."""
        return self.request('POST', f'/volumes/{volume}/action', action)

    def create_attachment(self, volume: str, connector: dict[str, Any]
                          ) -> tuple[str, dict[str, Any]]:
        """Return the id of an attachment and its connection information."""
        answer = self.request('POST', '/attachments', {'attachment': {
            'volume_uuid': volume, 'connector': connector, 'mode': 'rw'}})
        attachment = answer['attachment']
        return str(attachment['id']), dict(attachment['connection_info'])

    def complete_attachment(self, attachment: str, volume: str) -> None:
        """Tell that the device is in use now."""
        self.request('POST', f'/attachments/{attachment}/action',
                     {'os-complete': {}})
        self.wait('volume', volume, 'in-use')

    def delete_attachment(self, attachment: str, volume: str,
                          status: str = 'available') -> None:
        """End an attachment; the volume has the status then."""
        self.request('DELETE', f'/attachments/{attachment}')
        self.wait('volume', volume, status)

    def show(self, kind: str, identity: str) -> dict[str, Any]:
        """Return a volume, a snapshot or a backup."""
        return dict(self.request('GET', f'/{kind}s/{identity}')[kind])

    def ids(self, kind: str) -> list[str]:
        """Return the ids of all volumes, snapshots, attachments or so."""
        answer = self.request('GET', f'/{kind}s?all_tenants=1')
        return [str(found['id']) for found in answer[f'{kind}s']]

    def delete(self, kind: str, identity: str) -> None:
        """Delete a volume or a snapshot and wait until it has gone."""
        self.request('DELETE', f'/{kind}s/{identity}')

        def gone() -> bool:
            try:
                self._refuse_error(kind, self.show(kind, identity))
            except NotThere:
                return True
            return False

        waiting.until(f'{kind} {identity} to go', gone, STATUS_SECONDS,
                      LOOK_SECONDS)

    def delete_image(self, image: str) -> None:
        """Delete an image."""
        self._image.send('DELETE', f'/v2/images/{image}')

    def reached(self, kind: str, identity: str, status: str) -> bool:
        """Return whether a volume or whatever it is has a status now.

        :raises errors.CloudError: it has become an error
        """
        seen = self.show(kind, identity)
        if status != seen['status']:
            self._refuse_error(kind, seen)
        return bool(seen['status'] == status)

    def wait(self, kind: str, identity: str, status: str) -> None:
        """Wait until a volume or whatever it is has a status."""
        waiting.until(f'{kind} {identity} to be {status}',
                      lambda: self.reached(kind, identity, status),
                      STATUS_SECONDS, LOOK_SECONDS)

    @staticmethod
    def _refuse_error(kind: str, seen: dict[str, Any]) -> None:
        if seen['status'].startswith('error'):
            raise errors.CloudError(
                f'{kind} {seen["id"]} became {seen["status"]}')
