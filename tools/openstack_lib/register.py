# SPDX-License-Identifier: Apache-2.0
"""What an operator tells a new OpenStack: users, catalogue, types, an image.

Run as ``python -m openstack_lib.register WHAT FOLDER`` with the interpreter
that has openstacksdk: one process instead of dozens of commands of two
seconds each. Everything is looked for before it is made.
"""

from collections.abc import Mapping, Sequence
import json
import os
import subprocess
import sys
from typing import Any

from openstack_lib import passwords
from openstack_lib import settings

IMAGE = 'small'
# Random, so that it cannot be stored in less; little, so that it is quick.
IMAGE_BYTES = 8 << 20
IMAGE_VIRTUAL_BYTES = 24 << 20


def endpoints(ports: settings.Ports) -> Mapping[str, tuple[str, str]]:
    """Return the catalogue: each service's type and address.

    Nothing serves the network: whoever asks is told 404 by keystone. Tempest
    skips classes that need no network when it believes that there is none,
    and takes 404 for "nothing to clean up".
    """
    def url(port: int, path: str) -> str:
        return f'http://{settings.LOOPBACK}:{port}{path}'

    return {
        'glance': ('image', url(ports.glance, '')),
        'cinder': ('block-storage', url(ports.cinder, '/v3')),
        'cinderv3': ('volumev3', url(ports.cinder, '/v3')),
        'nothing': ('network', url(ports.keystone, '/no-network')),
    }


def identities(cloud: Any, ports: settings.Ports,
               secret: passwords.Passwords) -> None:
    """Make projects, users and the catalogue."""
    identity = cloud.identity
    roles = {role.name: role for role in identity.roles()}
    projects = {
        name: identity.find_project(name) or identity.create_project(
            name=name, domain_id='default') for name in ('service', 'demo')}
    for name, password, project, names in (
            ('glance', secret.glance, 'service', ('admin', 'service')),
            ('cinder', secret.cinder, 'service', ('admin', 'service')),
            ('demo', secret.demo, 'demo', ('member',))):
        user = identity.find_user(name) or identity.create_user(
            name=name, password=password, domain_id='default',
            default_project_id=projects[project].id)
        for role in names:
            identity.assign_project_role_to_user(
                projects[project], user, roles[role])
    for name, (kind, url) in endpoints(ports).items():
        service = identity.find_service(name) or identity.create_service(
            name=name, type=kind)
        for interface in ('public', 'internal', 'admin'):
            if not list(identity.endpoints(service_id=service.id,
                                           interface=interface)):
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url,
                    region_id=settings.REGION)


def make_image(path: str) -> None:
    """Write a small qcow2 image with random data."""
    with open(f'{path}.raw', 'wb') as file:
        file.write(os.urandom(IMAGE_BYTES))
        file.truncate(IMAGE_VIRTUAL_BYTES)
    subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                    f'{path}.raw', path], check=True)
    os.unlink(f'{path}.raw')


def resources(cloud: Any, names: Sequence[str], path: str) -> dict[str, str]:
    """Make the volume types and an image; return what tempest is told.

    :param names: the back ends
    :param path: where the image's file is made
    """
    for name in names:
        if cloud.block_storage.find_type(name) is None:
            cloud.block_storage.create_type(
                name=name, extra_specs={'volume_backend_name': name})
    image = cloud.image.find_image(IMAGE)
    if image is not None and image.status != 'active':
        cloud.image.delete_image(image)
        image = None
    if image is None:
        make_image(path)
        image = cloud.create_image(
            IMAGE, filename=path, disk_format='qcow2', wait=True,
            container_format='bare', visibility='public', timeout=300)
    return {'image': image.id}


def main(argv: Sequence[str]) -> None:
    """Make one part of it."""
    import openstack
    places = settings.Places(argv[2])
    with open(places.settings) as file:
        wanted = settings.Settings.from_json(file.read())
    cloud = openstack.connect(cloud='admin')
    if argv[1] == 'identities':
        identities(cloud, wanted.ports, passwords.ensure(places.passwords))
    else:
        made = resources(
            cloud, [backend.name for backend in wanted.back_ends()],
            places.path('image.qcow2'))
        settings.write_private(places.path('resources.json'),
                               json.dumps(made))


if __name__ == '__main__':
    main(sys.argv)
