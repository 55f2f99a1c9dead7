# SPDX-License-Identifier: Apache-2.0
"""A small image service on plain files.

It implements the part of the Image API v2 that Cinder uses to upload a volume
to an image and to create a volume from one. Glance would add many packages
and a slow start, and make no difference to the driver: Cinder's own code
transfers the data.
"""

import http.server
import json
import os
import shutil
import socketserver
import threading
from typing import Any
import uuid

_BASE = ('id', 'name', 'status', 'visibility', 'protected', 'disk_format',
         'container_format', 'size', 'virtual_size', 'checksum', 'min_disk',
         'min_ram', 'owner', 'created_at', 'updated_at', 'file', 'self',
         'schema', 'tags', 'os_hidden', 'os_hash_algo', 'os_hash_value')
SCHEMA = {'name': 'image',
          'properties': {name: {'is_base': True} for name in _BASE},
          'additionalProperties': {'type': 'string'}}
_TIME = '2026-01-01T00:00:00Z'


class Store:
    """The images: properties in memory, data in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._images: dict[str, dict[str, Any]] = {}
        os.makedirs(folder, mode=0o700, exist_ok=True)

    def path(self, identity: str) -> str:
        """Return the path of an image's data."""
        return os.path.join(self._folder, identity)

    def create(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Create an image without data and return it."""
        identity = str(properties.get('id') or uuid.uuid4())
        image = {
            'status': 'queued', 'size': None, 'virtual_size': None,
            'checksum': None, 'min_disk': 0, 'min_ram': 0, 'tags': [],
            'protected': False, 'visibility': 'private',
            'created_at': _TIME, 'updated_at': _TIME,
            'self': f'/v2/images/{identity}', 'schema': '/v2/schemas/image',
            'file': f'/v2/images/{identity}/file',
            **properties, 'id': identity}
        self._images[identity] = image
        return image

    def get(self, identity: str) -> dict[str, Any] | None:
        """Return an image, None if there is no such image."""
        return self._images.get(identity)

    def activate(self, identity: str) -> None:
        """Make an image active after its data was uploaded."""
        self._images[identity].update(
            status='active', size=os.path.getsize(self.path(identity)))

    def patch(self, identity: str, changes: list[dict[str, Any]]) -> None:
        """Apply a JSON patch; its paths are names of properties."""
        image = self._images[identity]
        for change in changes:
            name = change['path'].lstrip('/')
            if change['op'] == 'remove':
                image.pop(name, None)
            else:
                image[name] = change['value']

    def delete(self, identity: str) -> None:
        """Delete an image and its data."""
        del self._images[identity]
        if os.path.exists(self.path(identity)):
            os.unlink(self.path(identity))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = 'HTTP/1.1'
    server: 'Service'

    def log_message(self, *_args: Any) -> None:
        """Log nothing: Cinder logs every request."""

    def _reply(self, status: int, body: Any = None) -> None:
        data = b'' if body is None else json.dumps(body).encode()
        self.send_response(status)
        if data:
            self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunks(self) -> Any:
        """Yield the body of the request, chunked or not."""
        if self.headers.get('Transfer-Encoding') == 'chunked':
            while size := int(self.rfile.readline().split(b';')[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get('Content-Length') or 0)
        while left:
            data = self.rfile.read(min(left, 1 << 20))
            if not data:
                raise ConnectionError('the request ended early')
            left -= len(data)
            yield data

    def _answer(self) -> None:
        parts = self.path.split('?')[0].strip('/').split('/')
        store = self.server.store
        match self.command, parts:
            case 'GET', ['v2', 'schemas', 'image']:
                self._reply(200, SCHEMA)
            case 'POST', ['v2', 'images']:
                fields = json.loads(b''.join(self._chunks()))
                self._reply(201, store.create(fields))
            case _, ['v2', 'images', identity, *rest]:
                if store.get(identity) is None:
                    self._reply(404)
                else:
                    self._answer_image(identity, rest)
            case _:
                self._reply(501)

    def _answer_image(self, identity: str, rest: list[str]) -> None:
        store = self.server.store
        match self.command, rest:
            case 'GET', []:
                self._reply(200, store.get(identity))
            case 'PATCH', []:
                store.patch(identity, json.loads(b''.join(self._chunks())))
                self._reply(200, store.get(identity))
            case 'DELETE', []:
                store.delete(identity)
                self._reply(204)
            case 'PUT', ['file']:
                with open(store.path(identity), 'wb') as file:
                    for chunk in self._chunks():
                        file.write(chunk)
                store.activate(identity)
                self._reply(204)
            case 'GET', ['file']:
                self._send_file(store.path(identity))
            case _:
                # Cinder then works without image locations.
                self._reply(501)

    def _send_file(self, path: str) -> None:
        if not os.path.exists(path):
            self._reply(204)
            return
        self.send_response(200)
        self.send_header('Content-Type', 'application/octet-stream')
        self.send_header('Content-Length', str(os.path.getsize(path)))
        self.end_headers()
        with open(path, 'rb') as file:
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer


class Service(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """The service, in threads of this process."""

    daemon_threads = True

    def __init__(self, port: int, folder: str) -> None:
        self.store = Store(folder)
        super().__init__(('127.0.0.1', port), Handler)

    def start(self) -> None:
        """Start the service."""
        threading.Thread(target=self.serve_forever, daemon=True,
                         name='images').start()
