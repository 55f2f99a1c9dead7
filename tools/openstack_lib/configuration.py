# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files, as sections of options."""

from collections.abc import Mapping

from cloud_lib import deployment
from openstack_lib import access
from openstack_lib import passwords
from openstack_lib import settings

Sections = dict[str, dict[str, object]]

# For calls to the storage node, which may be emulated on a busy machine.
RPC_SECONDS = 180
NODE_HOST = 'storage'
CONTROL_HOST = 'control'
BACKUPS = '/srv/openstack/backup'
# cinder-backup keeps one file of a backup in memory.
BACKUP_FILE_BYTES = 64 << 20
# Only the start of a deleted volume is wiped: writing is slow on an emulated
# processor.
WIPED_MIB = 32
# Of the first back end; each needs its own port.
NVME_PORT = 4420


def render(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Return the text of a configuration file."""
    lines = ['# Written by tools/openstack.']
    for name, options in sections.items():
        lines += ['', f'[{name}]']
        lines += [f'{option} = {_text(value)}'
                  for option, value in options.items()]
    return '\n'.join(lines) + '\n'


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Configuration:
    """Renders the configuration files of one cloud."""

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 secret: passwords.Passwords) -> None:
        self._wanted = wanted
        self._places = places
        self._secret = secret
        self._ports = wanted.ports

    def _database(self, name: str, address: str) -> dict[str, object]:
        return {
            # Otherwise the client loads the CA certificates for each
            # connection, although the server has no TLS.
            'connection': f'mysql+pymysql://openstack:{self._secret.database}'
            f'@{address}:{self._ports.database}/{name}?charset=utf8mb3'
            '&ssl_disabled=true',
            # With the default of five, Cinder opens and closes additional
            # connections all the time.
            'max_pool_size': 30}

    def _account(self, user: str, password: str,
                 address: str) -> dict[str, object]:
        """Return the credentials of a service."""
        return {'auth_type': 'password', 'username': user,
                'auth_url': access.auth_url(self._ports, address),
                'password': password, 'project_name': 'service',
                'user_domain_id': 'default', 'project_domain_id': 'default'}

    def _token_checks(self, user: str, password: str) -> dict[str, object]:
        account = self._account(user, password, settings.LOOPBACK)
        return {**account, 'www_authenticate_uri': account['auth_url'],
                'service_token_roles_required': True}

    def keystone(self) -> str:
        """Return keystone.conf."""
        return render({
            'DEFAULT': {},
            'database': self._database('keystone', settings.LOOPBACK),
            'token': {'provider': 'fernet'},
            'fernet_tokens': {
                'key_repository': self._places.path('keys', 'fernet')},
            'credential': {
                'key_repository': self._places.path('keys', 'credential')},
            'cache': {'enabled': True, 'backend': 'dogpile.cache.memory'},
            # The minimum: tempest creates hundreds of users.
            'identity': {'password_hash_rounds': 4},
        })

    def glance(self, paste: str) -> str:
        """Return glance-api.conf.

        :param paste: the path of the packaged paste configuration
        """
        port = self._ports.glance
        return render({
            'DEFAULT': {
                'bind_host': settings.LOOPBACK, 'bind_port': port,
                'worker_self_reference_url':
                    f'http://{settings.LOOPBACK}:{port}',
                'enabled_backends': 'file:file',
                # Cinder requests the locations when it clones an image.
                'show_multiple_locations': True},
            'glance_store': {'default_backend': 'file'},
            'file': {'filesystem_store_datadir':
                     self._places.path('glance', 'images')},
            'os_glance_staging_store': {
                'filesystem_store_datadir':
                    self._places.path('glance', 'staging')},
            'os_glance_tasks_store': {
                'filesystem_store_datadir':
                    self._places.path('glance', 'tasks')},
            'database': self._database('glance', settings.LOOPBACK),
            'paste_deploy': {'flavor': 'keystone', 'config_file': paste},
            'keystone_authtoken': self._token_checks(
                'glance', self._secret.glance),
        })

    def cinder(self, source: str) -> str:
        """Return the control plane's cinder.conf.

        :param source: the folder of the packaged configuration files
        """
        sections = self._cinder(settings.LOOPBACK)
        sections['DEFAULT'].update({
            'host': CONTROL_HOST, 'my_ip': settings.LOOPBACK,
            'state_path': self._places.path('cinder'),
            'api_paste_config': f'{source}/api-paste.ini',
            'resource_query_filters_file': f'{source}/resource_filters.json',
            'osapi_volume_workers': 1})
        sections['oslo_concurrency'] = {
            'lock_path': self._places.path('cinder', 'lock')}
        sections['coordination'] = {
            'backend_url': f'file://{self._places.path("cinder")}'}
        sections['keystone_authtoken'] = self._token_checks(
            'cinder', self._secret.cinder)
        return render(sections)

    def node(self) -> str:
        """Return the storage node's cinder.conf."""
        sections = self._cinder(settings.GATEWAY)
        sections['DEFAULT'].update({
            'host': NODE_HOST, 'my_ip': settings.GUEST,
            'state_path': deployment.STATE,
            'rootwrap_config': '/etc/cinder/rootwrap.conf',
            'backup_driver':
                'cinder.backup.drivers.posix.PosixBackupDriver',
            'backup_posix_path': BACKUPS,
            'backup_file_size': BACKUP_FILE_BYTES,
            'backup_compression_algorithm': 'none'})
        sections['oslo_concurrency'] = {
            'lock_path': f'{deployment.STATE}/lock'}
        sections['coordination'] = {
            'backend_url': f'file://{deployment.STATE}'}
        for index, backend in enumerate(self._wanted.back_ends()):
            sections[backend.name] = self._backend(
                backend, NVME_PORT + index)
        return render(sections)

    def _cinder(self, address: str) -> Sections:
        """Return the options that both machines share.

        :param address: the address of the control plane
        """
        bus = (f'rabbit://openstack:{self._secret.bus}@{address}:'
               f'{self._ports.bus}//')
        names = [backend.name for backend in self._wanted.back_ends()]
        account = self._account('cinder', self._secret.cinder, address)
        return {
            'DEFAULT': {
                'auth_strategy': 'keystone', 'transport_url': bus,
                'rpc_response_timeout': RPC_SECONDS,
                'service_down_time': RPC_SECONDS, 'report_interval': 10,
                'debug': self._wanted.debug,
                # It writes a thousand lines at each start.
                'log_options': False,
                'enabled_backends': ','.join(names),
                'default_volume_type': names[0],
                'glance_api_servers':
                    f'http://{address}:{self._ports.glance}',
                # Random data does not compress.
                'image_compress_on_upload': False},
            'database': {**self._database('cinder', address),
                         'max_retries': -1},
            'oslo_messaging_rabbit': {'heartbeat_timeout_threshold': 300},
            'oslo_messaging_notifications': {'driver': 'noop'},
            # Otherwise each clone of an image logs an error.
            'glance': account,
            'service_user': {**account, 'send_service_user_token': True},
            'key_manager': {
                'backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager',
                'fixed_key': self._secret.volume_key},
        }

    def _backend(self, backend: settings.Backend,
                 nvme_port: int) -> dict[str, object]:
        wanted = self._wanted
        options: dict[str, object] = {
            'volume_backend_name': backend.name,
            'volume_driver': wanted.driver,
            'volume_group': backend.vg,
            'lvm_type': backend.lvm_type,
            'volume_clear': 'zero',
            'volume_clear_size': WIPED_MIB,
            'target_helper': wanted.target_helper,
            'target_protocol': wanted.protocol,
        }
        if wanted.protocol == 'nvmet_tcp':
            options.update({
                'target_prefix': 'nqn.2014-08.org.nvmexpress',
                'target_port': nvme_port, 'lvm_share_target': True,
                'nvmeof_conn_info_version': 2})
        return options | wanted.extra_options()
