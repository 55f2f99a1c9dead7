# SPDX-License-Identifier: Apache-2.0
"""How clients get at the cloud: clouds.yaml, variables, tokens."""

from collections.abc import Mapping
import http.client
import json

from cloud_lib import errors
from openstack_lib import passwords
from openstack_lib import settings

# Of the volume service, for both clients: the newest of Cinder 26.
MICROVERSION = '3.70'


def auth_url(ports: settings.Ports, host: str = settings.LOOPBACK) -> str:
    """Return where users prove who they are."""
    return f'http://{host}:{ports.keystone}/v3'


def users(secret: passwords.Passwords) -> dict[str, str]:
    """Return the passwords of those whom a person may be, by name."""
    return {'admin': secret.admin, 'demo': secret.demo}


def clouds(ports: settings.Ports, secret: passwords.Passwords) -> str:
    """Return the text of clouds.yaml, of which JSON is a part."""
    return json.dumps({'clouds': {
        user: {
            'auth': {'auth_url': auth_url(ports), 'username': user,
                     'password': password, 'project_name': user,
                     'user_domain_id': 'default',
                     'project_domain_id': 'default'},
            'region_name': settings.REGION, 'identity_api_version': '3',
            'volume_api_version': '3',
            'block_storage_default_microversion': MICROVERSION}
        for user, password in users(secret).items()}}, indent=1)


def variables(ports: settings.Ports, secret: passwords.Passwords,
              clouds_file: str, user: str) -> dict[str, str]:
    """Return what both clients read from the environment.

    ``openstack`` reads clouds.yaml, ``cinder`` does not. What is said here
    wins over a cloud that is chosen there.
    """
    return {
        'OS_CLIENT_CONFIG_FILE': clouds_file,
        'OS_AUTH_URL': auth_url(ports), 'OS_AUTH_TYPE': 'password',
        'OS_USERNAME': user, 'OS_PASSWORD': users(secret)[user],
        'OS_PROJECT_NAME': user, 'OS_USER_DOMAIN_ID': 'default',
        'OS_PROJECT_DOMAIN_ID': 'default', 'OS_REGION_NAME': settings.REGION,
        'OS_IDENTITY_API_VERSION': '3', 'OS_VOLUME_API_VERSION': MICROVERSION,
        # Python's own opinions are no part of the clients' answers.
        'PYTHONWARNINGS': 'ignore'}


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment that knows of no other cloud."""
    return {name: value for name, value in environment.items()
            if not name.startswith('OS_')}


def token(ports: settings.Ports, secret: passwords.Passwords,
          host: str = settings.LOOPBACK) -> str:
    """Return a new token of the administrator, for an hour."""
    body = {'auth': {
        'identity': {'methods': ['password'], 'password': {'user': {
            'name': 'admin', 'domain': {'id': 'default'},
            'password': secret.admin}}},
        'scope': {'project': {'name': 'admin',
                              'domain': {'id': 'default'}}}}}
    connection = http.client.HTTPConnection(host, ports.keystone,
                                            timeout=120)
    try:
        connection.request('POST', '/v3/auth/tokens', json.dumps(body),
                           {'Content-Type': 'application/json'})
        answer = connection.getresponse()
        answer.read()
    except OSError as error:
        raise errors.CloudError(
            f'keystone does not answer on port {ports.keystone}: {error}'
        ) from error
    finally:
        connection.close()
    if answer.status != http.client.CREATED:
        raise errors.CloudError(f'keystone gives no token: {answer.status}')
    return str(answer.headers['X-Subject-Token'])
