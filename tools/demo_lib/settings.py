# SPDX-License-Identifier: Apache-2.0
"""What the cloud of the demo consists of."""

import dataclasses

from cloud_lib import arguments
from cloud_lib import deployment
from cloud_lib import stored

VOLUME_GROUP = 'cinder-volumes'
BACKEND = 'lvm'
API_PORT = 8776
IMAGE_PORT = 9292
STOP_PORT = 8777
# The user and the project of auth_strategy = noauth.
USER = 'demo'
PROJECT = '0123456789abcdef0123456789abcdef'
TOKEN = f'{USER}:{PROJECT}'
DATABASE = f'{deployment.STATE}/cinder.sqlite'
# Cinder creates it when all its services are up.
READY_FILE = f'{deployment.STATE}/ready'

LVM_TYPES = ('thin', 'default', 'auto')

_TEMPLATE = """\
# Written by tools/demo: Cinder in one process.
[DEFAULT]
auth_strategy = noauth
# Messages stay in the process but are serialized as on a real bus.
transport_url = kombu+memory:////
rpc_response_timeout = 180
my_ip = 127.0.0.1
osapi_volume_listen = {listen}
osapi_volume_listen_port = {API_PORT}
osapi_volume_workers = 1
api_paste_config = /etc/cinder/api-paste.ini
resource_query_filters_file = /etc/cinder/resource_filters.json
rootwrap_config = /etc/cinder/rootwrap.conf
state_path = {STATE}
enabled_backends = {BACKEND}
glance_api_servers = http://127.0.0.1:{IMAGE_PORT}
# The only back end is up: nothing to wait for.
scheduler_driver_init_wait_time = 1
service_down_time = 180
# Random data does not compress.
image_compress_on_upload = false
debug = {debug}

[database]
connection = sqlite:///{DATABASE}

[oslo_concurrency]
lock_path = {STATE}/lock

[oslo_messaging_notifications]
driver = noop

[{BACKEND}]
volume_driver = {driver}
volume_backend_name = {BACKEND}
volume_group = {VOLUME_GROUP}
lvm_type = {lvm_type}
target_helper = lioadm
target_protocol = iscsi
target_ip_address = 127.0.0.1
{extra}"""


@dataclasses.dataclass(frozen=True)
class Settings(stored.Stored):
    """The settings of a run, which the test machine reads as JSON.

    :ivar venv: the virtual environment with Cinder
    :ivar results: the folder for logs, shared by both machines
    :ivar extra: lines ``option = value`` for the section of the back end
    :ivar keep: leave the cloud running after the steps
    :ivar api_port: on 127.0.0.1 of this machine, leads to a kept cloud
    :ivar stop_port: on 127.0.0.1 of this machine, stops a kept cloud
    """

    venv: str
    results: str
    driver: str = arguments.DEFAULT_DRIVER
    lvm_type: str = 'thin'
    extra: tuple[str, ...] = ()
    keep: bool = False
    api_port: int = 0
    stop_port: int = 0
    debug: bool = False

    @property
    def python(self) -> str:
        """The interpreter that has Cinder."""
        return f'{self.venv}/bin/python'

    @property
    def thin(self) -> bool:
        """Whether LVs come from a thin pool.

        ``auto`` chooses thin: the VG is new and the tools are installed.
        """
        return self.lvm_type != 'default'

    @property
    def empty_database(self) -> str:
        """The path of the database for Cinder's first start."""
        return f'{self.results}/empty.sqlite'

    def cinder_conf(self) -> str:
        """Return the text of cinder.conf.

        A kept cloud is reached through the network card of the machine.
        """
        return _TEMPLATE.format(
            listen='0.0.0.0' if self.keep else '127.0.0.1',
            driver=self.driver, lvm_type=self.lvm_type, debug=self.debug,
            extra=''.join(line + '\n' for line in self.extra),
            API_PORT=API_PORT, IMAGE_PORT=IMAGE_PORT,
            STATE=deployment.STATE, BACKEND=BACKEND, DATABASE=DATABASE,
            VOLUME_GROUP=VOLUME_GROUP)
