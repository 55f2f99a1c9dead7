# SPDX-License-Identifier: Apache-2.0
"""What an operator creates in a new cloud: users, catalog, types, an image.

``python -m openstack_lib.register PART FOLDER``, with an interpreter that has
openstacksdk: one process instead of dozens of slow commands. It creates what
does not exist.
"""

from collections.abc import Mapping, Sequence
import json
import os
import subprocess
import sys
from typing import Any

from openstack_lib import cloud as clouds
from openstack_lib import passwords
from openstack_lib import settings

IMAGE = 'small'
# Random data does not compress; a small image is fast.
IMAGE_BYTES = 8 << 20
IMAGE_VIRTUAL_BYTES = 24 << 20


def endpoints(ports: settings.Ports) -> Mapping[str, tuple[str, str]]:
    """Return the catalog: type and URL of each service, by name.

    Tempest skips classes that need no network if there is no network service.
    The catalog names one for which keystone answers 404, which tempest takes
    for "nothing to clean up".
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
    """Create projects, users and the catalog."""
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
    for name, (service_type, url) in endpoints(ports).items():
        service = identity.find_service(name) or identity.create_service(
            name=name, type=service_type)
        for interface in ('public', 'internal', 'admin'):
            if not list(identity.endpoints(service_id=service.id,
                                           interface=interface)):
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=url,
                    region_id=settings.REGION)


def make_image(path: str) -> None:
    """Create a small qcow2 file with random data."""
    with open(f'{path}.raw', 'wb') as file:
        file.write(os.urandom(IMAGE_BYTES))
        file.truncate(IMAGE_VIRTUAL_BYTES)
    subprocess.run(['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2',
                    f'{path}.raw', path], check=True)
    os.unlink(f'{path}.raw')


def resources(cloud: Any, names: Sequence[str], path: str) -> dict[str, str]:
    """Create volume types and an image; return the ID of the image by 'image'.

    :param names: the names of the back ends
    :param path: the file to create for the image
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
    """Create one part."""
    import openstack
    cloud = clouds.Cloud.read(argv[2])
    connection = openstack.connect(cloud='admin')
    if argv[1] == 'identities':
        identities(connection, cloud.settings.ports, cloud.passwords)
    else:
        created = resources(
            connection,
            [backend.name for backend in cloud.settings.back_ends()],
            cloud.places.path('image.qcow2'))
        settings.write_private(cloud.places.resources, json.dumps(created))


if __name__ == '__main__':
    main(sys.argv)
