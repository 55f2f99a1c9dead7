# SPDX-License-Identifier: Apache-2.0
"""The services' configuration files, as sections of options."""

from collections.abc import Mapping

from openstack_lib import passwords
from openstack_lib import settings

Sections = dict[str, dict[str, object]]

# The API waits for the storage node when it attaches, and that node may be
# an emulated machine on a busy one: the defaults of 60 seconds are too short.
PATIENCE = 180
NODE_HOST = 'storage'
CONTROL_HOST = 'control'
NODE_STATE = '/var/lib/cinder'
BACKUPS = '/srv/openstack/backup'
# cinder-backup keeps a whole file of a backup in memory.
BACKUP_FILE_BYTES = 64 << 20
# Volumes are wiped as by default, but only where they begin: each byte that
# is written passes an emulated processor.
WIPED_MIB = 32
# The first back end's; each needs one of its own.
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
    """Renders the files of one OpenStack."""

    def __init__(self, wanted: settings.Settings, places: settings.Places,
                 secret: passwords.Passwords) -> None:
        self._wanted = wanted
        self._places = places
        self._secret = secret
        self._ports = wanted.ports

    def _database(self, name: str, host: str) -> dict[str, object]:
        return {
            # Without "ssl_disabled" the client loads this machine's list of
            # certificates for each connection, to a server that has no TLS.
            'connection': f'mysql+pymysql://openstack:{self._secret.database}'
            f'@{host}:{self._ports.database}/{name}?charset=utf8mb3'
            '&ssl_disabled=true',
            # Five, the default, are too few for what Cinder does at a time:
            # it would go on opening and closing more.
            'max_pool_size': 30}

    def _account(self, user: str, password: str,
                 host: str) -> dict[str, object]:
        """Return how a service becomes its user."""
        return {'auth_type': 'password', 'username': user,
                'auth_url': f'http://{host}:{self._ports.keystone}/v3',
                'password': password, 'project_name': 'service',
                'user_domain_id': 'default', 'project_domain_id': 'default'}

    def _checks_tokens(self, user: str, password: str) -> dict[str, object]:
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
            # Tempest makes users by the hundred; the least that is allowed.
            'identity': {'password_hash_rounds': 4},
        })

    def glance(self, paste: str) -> str:
        """Return glance-api.conf.

        :param paste: the pipelines, which come with the package
        """
        port = self._ports.glance
        return render({
            'DEFAULT': {
                'bind_host': settings.LOOPBACK, 'bind_port': port,
                'worker_self_reference_url':
                    f'http://{settings.LOOPBACK}:{port}',
                'enabled_backends': 'file:file',
                # Cinder asks for them to clone; LVM has nothing to say.
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
            'keystone_authtoken': self._checks_tokens(
                'glance', self._secret.glance),
        })

    def cinder(self, source: str) -> str:
        """Return the control plane's cinder.conf.

        :param source: the folder of the files that come with the package
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
        sections['keystone_authtoken'] = self._checks_tokens(
            'cinder', self._secret.cinder)
        return render(sections)

    def node(self) -> str:
        """Return the storage node's cinder.conf."""
        sections = self._cinder(settings.GATEWAY)
        sections['DEFAULT'].update({
            'host': NODE_HOST, 'my_ip': settings.GUEST,
            'state_path': NODE_STATE,
            'rootwrap_config': '/etc/cinder/rootwrap.conf',
            'backup_driver':
                'cinder.backup.drivers.posix.PosixBackupDriver',
            'backup_posix_path': BACKUPS,
            'backup_file_size': BACKUP_FILE_BYTES,
            'backup_compression_algorithm': 'none'})
        sections['oslo_concurrency'] = {'lock_path': f'{NODE_STATE}/lock'}
        sections['coordination'] = {'backend_url': f'file://{NODE_STATE}'}
        for index, backend in enumerate(self._wanted.back_ends()):
            sections[backend.name] = self._backend(
                backend, NVME_PORT + index)
        return render(sections)

    def _cinder(self, host: str) -> Sections:
        """Return what both parts of Cinder are told.

        :param host: where the part finds the control plane
        """
        bus = (f'rabbit://openstack:{self._secret.bus}@{host}:'
               f'{self._ports.bus}//')
        names = [backend.name for backend in self._wanted.back_ends()]
        account = self._account('cinder', self._secret.cinder, host)
        return {
            'DEFAULT': {
                'auth_strategy': 'keystone', 'transport_url': bus,
                'rpc_response_timeout': PATIENCE,
                'service_down_time': PATIENCE, 'report_interval': 10,
                'debug': self._wanted.debug,
                # A thousand lines at each start of an emulated process.
                'log_options': False,
                'enabled_backends': ','.join(names),
                'default_volume_type': names[0],
                'glance_api_servers':
                    f'http://{host}:{self._ports.glance}',
                # Random data gets no smaller, it only takes longer.
                'image_compress_on_upload': False},
            'database': {**self._database('cinder', host),
                         'max_retries': -1},
            'oslo_messaging_rabbit': {'heartbeat_timeout_threshold': 300},
            'oslo_messaging_notifications': {'driver': 'noop'},
            # Without it each clone of an image leaves a complaint.
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
            'volume_group': backend.group,
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
