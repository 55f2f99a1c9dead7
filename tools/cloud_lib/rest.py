# SPDX-License-Identifier: Apache-2.0
"""A client of Cinder's REST API (Block Storage API v3).

It sends plain HTTP requests: a client library would take seconds to import
on an emulated processor.
"""

from collections.abc import Mapping
import dataclasses
import http.client
import json
from typing import Any

from cloud_lib import errors
from cloud_lib import waiting

# Cinder 26 supports it. 3.67: no project in the URL; 3.66: snapshots of
# volumes in use without "force"; 3.42: extends volumes in use.
MICROVERSION = '3.70'

REQUEST_SECONDS = 300.0
STATUS_SECONDS = 600.0
# Each poll slows an emulated processor down.
LOOK_SECONDS = 1.0


class NotFound(errors.CloudError):
    """The API answered 404."""


def send(address: str, port: int, method: str, path: str, body: Any = None,
         headers: Mapping[str, str] | None = None
         ) -> tuple[http.client.HTTPResponse, str]:
    """Send a JSON request; return the response and its text.

    :raises errors.CloudError: the server does not answer
    """
    connection = http.client.HTTPConnection(address, port,
                                            timeout=REQUEST_SECONDS)
    try:
        connection.request(
            method, path, None if body is None else json.dumps(body),
            {'Content-Type': 'application/json', **(headers or {})})
        response = connection.getresponse()
        return response, response.read().decode()
    except OSError as error:
        raise errors.CloudError(
            f'{method} {path}: no answer from port {port} ({error})'
        ) from error
    finally:
        connection.close()


@dataclasses.dataclass(frozen=True)
class Api:
    """The endpoint of a service, and the user's token."""

    port: int
    token: str = dataclasses.field(repr=False)
    address: str = '127.0.0.1'

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; return the decoded answer, None if it is empty.

        :raises NotFound: the status is 404
        :raises errors.CloudError: the status is another error, or the
            service does not answer
        """
        response, text = send(
            self.address, self.port, method, path, body,
            {'X-Auth-Token': self.token,
             'OpenStack-API-Version': f'volume {MICROVERSION}'})
        if response.status == http.client.NOT_FOUND:
            raise NotFound(f'{method} {path}: 404')
        if not 200 <= response.status < 300:
            raise errors.CloudError(
                f'{method} {path}: {response.status} {text[:500]}')
        return json.loads(text) if text else None


class Cinder:
    """A user of the volume service.

    Methods that take a ``resource`` expect 'volume', 'snapshot', 'backup' or
    'attachment'.

    :param volume: the volume service
    :param image: the image service
    """

    def __init__(self, volume: Api, image: Api) -> None:
        self._volume = volume
        self._image = image

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the volume service; return its answer."""
        return self._volume.send(method, f'/v3{path}', body)

    def pools(self) -> list[dict[str, Any]]:
        """Return the scheduler's pools, none if it does not answer."""
        try:
            answer = self.request('GET',
                                  '/scheduler-stats/get_pools?detail=true')
        except errors.CloudError:
            return []
        return list(answer['pools'])

    def _create(self, resource: str, **fields: Any) -> dict[str, Any]:
        """Create a resource and return it."""
        answer = self.request('POST', f'/{resource}s', {resource: fields})
        return dict(answer[resource])

    def create_volume(self, size: int = 1, **fields: Any) -> str:
        """Create a volume, wait until it is available and return its ID.

        :param size: in GiB
        """
        volume = str(self._create('volume', size=size, **fields)['id'])
        self.wait('volume', volume, 'available')
        return volume

    def create_snapshot(self, volume: str, name: str) -> str:
        """Create a snapshot, wait until it is available, return its ID."""
        snapshot = str(self._create('snapshot', volume_id=volume,
                                    name=name)['id'])
        self.wait('snapshot', snapshot, 'available')
        return snapshot

    def extend(self, volume: str, size: int, status: str) -> None:
        """Extend a volume.

        :param size: in GiB
        :param status: the status of the volume before and afterwards
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
        """Upload a volume to a new image; return the ID of the image."""
        answer = self.act(volume, {'os-volume_upload_image': {
            'image_name': name, 'disk_format': disk_format,
            'container_format': 'bare', 'force': False,
            'visibility': 'private', 'protected': False}})
        self.wait('volume', volume, 'available')
        return str(answer['os-volume_upload_image']['image_id'])

    def create_backup(self, volume: str, name: str) -> str:
        """Start a backup, even of a volume in use; return its ID."""
        return str(self._create('backup', volume_id=volume, name=name,
                                force=True)['id'])

    def restore(self, backup: str, volume: str) -> None:
        """Restore a backup to a volume."""
        self.request('POST', f'/backups/{backup}/restore',
                     {'restore': {'volume_id': volume}})
        self.wait('backup', backup, 'available')
        self.wait('volume', volume, 'available')

    def create_type(self, name: str, specs: dict[str, str]) -> str:
        """Create a volume type and return its ID."""
        answer = self.request('POST', '/types', {'volume_type': {
            'name': name, 'extra_specs': specs}})
        return str(answer['volume_type']['id'])

    def delete_type(self, volume_type: str) -> None:
        """Delete a volume type."""
        self.request('DELETE', f'/types/{volume_type}')

    def encrypt(self, volume_type: str) -> None:
        """Make the volumes of a type encrypted by the hosts."""
        self.request('POST', f'/types/{volume_type}/encryption', {
            'encryption': {'provider': 'luks', 'cipher': 'aes-xts-plain64',
                           'key_size': 256, 'control_location': 'front-end'}})

    def encryption(self, volume: str) -> dict[str, Any]:
        """Return the encryption metadata of a volume."""
        return dict(self.request('GET', f'/volumes/{volume}/encryption'))

    def migrate(self, volume: str, destination: str) -> None:
        """Migrate a volume.

        :param destination: a pool, HOST@BACKEND#POOL
        """
        self.act(volume, {'os-migrate_volume': {
            'host': destination, 'force_host_copy': False,
            'lock_volume': False}})

        def arrived() -> bool:
            seen = self.show('volume', volume)
            if seen['migration_status'] == 'error':
                raise errors.CloudError(
                    f'the migration of volume {volume} failed')
            return bool(seen['os-vol-host-attr:host'] == destination
                        and seen['status'] == 'available')

        waiting.until(f'volume {volume} to be in {destination}', arrived,
                      STATUS_SECONDS, LOOK_SECONDS)

    def act(self, volume: str, action: dict[str, Any]) -> Any:
        """Request an action on a volume."""
        return self.request('POST', f'/volumes/{volume}/action', action)

    def create_attachment(self, volume: str, connector: dict[str, Any]
                          ) -> tuple[str, dict[str, Any]]:
        """Return the ID and the connection information of an attachment."""
        attachment = self._create('attachment', volume_uuid=volume,
                                  connector=connector, mode='rw')
        return str(attachment['id']), dict(attachment['connection_info'])

    def complete_attachment(self, attachment: str, volume: str) -> None:
        """Mark the device as attached and wait until the volume is in use."""
        self.request('POST', f'/attachments/{attachment}/action',
                     {'os-complete': {}})
        self.wait('volume', volume, 'in-use')

    def delete_attachment(self, attachment: str, volume: str,
                          status: str = 'available') -> None:
        """Delete an attachment and wait for the new status of the volume."""
        self.request('DELETE', f'/attachments/{attachment}')
        self.wait('volume', volume, status)

    def show(self, resource: str, identity: str) -> dict[str, Any]:
        """Return a resource."""
        return dict(self.request('GET', f'/{resource}s/{identity}')[resource])

    def ids(self, resource: str) -> list[str]:
        """Return the IDs of a resource in all projects."""
        answer = self.request('GET', f'/{resource}s?all_tenants=1')
        return [str(found['id']) for found in answer[f'{resource}s']]

    def delete(self, resource: str, identity: str) -> None:
        """Delete a resource and wait until it is gone."""
        self.request('DELETE', f'/{resource}s/{identity}')

        def gone() -> bool:
            try:
                self._refuse_error(resource, self.show(resource, identity))
            except NotFound:
                return True
            return False

        waiting.until(f'{resource} {identity} to be deleted', gone,
                      STATUS_SECONDS, LOOK_SECONDS)

    def delete_image(self, image: str) -> None:
        """Delete an image."""
        self._image.send('DELETE', f'/v2/images/{image}')

    def reached(self, resource: str, identity: str, status: str) -> bool:
        """Return whether a resource has a status.

        :raises errors.CloudError: it has an error status instead
        """
        seen = self.show(resource, identity)
        if status != seen['status']:
            self._refuse_error(resource, seen)
        return bool(seen['status'] == status)

    def wait(self, resource: str, identity: str, status: str) -> None:
        """Wait until a resource has a status."""
        waiting.until(f'{resource} {identity} to be {status}',
                      lambda: self.reached(resource, identity, status),
                      STATUS_SECONDS, LOOK_SECONDS)

    @staticmethod
    def _refuse_error(resource: str, seen: dict[str, Any]) -> None:
        if seen['status'].startswith('error'):
            raise errors.CloudError(
                f'the status of {resource} {seen["id"]} is {seen["status"]}')
