# SPDX-License-Identifier: Apache-2.0
"""Credentials of the clients: clouds.yaml, variables, tokens."""

from collections.abc import Mapping
import http.client
import json

from cloud_lib import errors
from cloud_lib import rest
from openstack_lib import passwords
from openstack_lib import settings


def auth_url(ports: settings.Ports, address: str = settings.LOOPBACK) -> str:
    """Return the URL of the identity service."""
    return f'http://{address}:{ports.keystone}/v3'


def users(secret: passwords.Passwords) -> dict[str, str]:
    """Return the passwords of the users, by name."""
    return {'admin': secret.admin, 'demo': secret.demo}


def clouds(ports: settings.Ports, secret: passwords.Passwords) -> str:
    """Return the text of clouds.yaml, as JSON, which is valid YAML."""
    return json.dumps({'clouds': {
        user: {
            'auth': {'auth_url': auth_url(ports), 'username': user,
                     'password': password, 'project_name': user,
                     'user_domain_id': 'default',
                     'project_domain_id': 'default'},
            'region_name': settings.REGION, 'identity_api_version': '3',
            'volume_api_version': '3',
            'block_storage_default_microversion': rest.MICROVERSION}
        for user, password in users(secret).items()}}, indent=1)


def variables(ports: settings.Ports, secret: passwords.Passwords,
              clouds_file: str, user: str) -> dict[str, str]:
    """Return the environment of the clients ``openstack`` and ``cinder``.

    ``cinder`` does not read clouds.yaml. The variables take precedence over
    a cloud chosen there.
    """
    return {
        'OS_CLIENT_CONFIG_FILE': clouds_file,
        'OS_AUTH_URL': auth_url(ports), 'OS_AUTH_TYPE': 'password',
        'OS_USERNAME': user, 'OS_PASSWORD': users(secret)[user],
        'OS_PROJECT_NAME': user, 'OS_USER_DOMAIN_ID': 'default',
        'OS_PROJECT_DOMAIN_ID': 'default', 'OS_REGION_NAME': settings.REGION,
        'OS_IDENTITY_API_VERSION': '3',
        'OS_VOLUME_API_VERSION': rest.MICROVERSION,
        'PYTHONWARNINGS': 'ignore'}


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the credentials of another cloud."""
    return {name: value for name, value in environment.items()
            if not name.startswith('OS_')}


def token(ports: settings.Ports, secret: passwords.Passwords,
          address: str = settings.LOOPBACK) -> str:
    """Return a new token of the administrator.

    :raises errors.CloudError: keystone does not answer or refuses
    """
    response, _ = rest.send(
        address, ports.keystone, 'POST', '/v3/auth/tokens', {'auth': {
            'identity': {'methods': ['password'], 'password': {'user': {
                'name': 'admin', 'domain': {'id': 'default'},
                'password': secret.admin}}},
            'scope': {'project': {'name': 'admin',
                                  'domain': {'id': 'default'}}}}})
    if response.status != http.client.CREATED:
        raise errors.CloudError(
            f'keystone issues no token: status {response.status}')
    return str(response.headers['X-Subject-Token'])
