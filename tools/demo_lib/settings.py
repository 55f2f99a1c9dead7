# SPDX-License-Identifier: Apache-2.0
"""What the demo's cloud is made of."""

import dataclasses

from cloud_lib import arguments
from cloud_lib import stored

VOLUME_GROUP = 'cinder-volumes'
BACKEND = 'lvm'
API_PORT = 8776
IMAGE_PORT = 9292
STOP_PORT = 8777
# Who noauth takes the demo's user for.
USER = 'demo'
PROJECT = '0123456789abcdef0123456789abcdef'
TOKEN = f'{USER}:{PROJECT}'
CONFIG_FILE = '/etc/cinder/cinder.conf'
STATE = '/var/lib/cinder'
DATABASE = f'{STATE}/cinder.sqlite'
# Made by the cloud when all its services are up.
READY_FILE = f'{STATE}/ready'

LVM_TYPES = ('thin', 'default', 'auto')

_TEMPLATE = """\
# Written by tools/demo: Cinder in one process.
[DEFAULT]
auth_strategy = noauth
# Messages stay in the process but are serialised as on a real bus.
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
# There is one backend and it is up: nothing to wait for.
scheduler_driver_init_wait_time = 1
service_down_time = 180
# Random data does not get smaller, it only takes longer.
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
    """What a run of the demo is asked for; the machine is told in JSON.

    :ivar venv: the virtual environment with cinder
    :ivar results: the folder for logs, shared with the starting machine
    :ivar extra: lines ``option = value`` for the backend's section
    :ivar keep: leave the cloud running after the steps
    :ivar api_port: where the starting machine reaches a kept cloud
    :ivar stop_port: where it asks for the end of one
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

    def with_ports(self, api_port: int, stop_port: int) -> 'Settings':
        """Return the same with the starting machine's ports."""
        return dataclasses.replace(self, api_port=api_port,
                                   stop_port=stop_port)

    @property
    def python(self) -> str:
        """The interpreter that has cinder."""
        return f'{self.venv}/bin/python'

    @property
    def thin(self) -> bool:
        """Whether volumes come from a thin pool.

        With ``auto`` too: the volume group is new and the tools are there.
        """
        return self.lvm_type != 'default'

    @property
    def empty_database(self) -> str:
        """The database as it is before Cinder's first start."""
        return f'{self.results}/empty.sqlite'

    def cinder_conf(self) -> str:
        """Return the text of cinder.conf.

        A cloud that is kept is reached through the machine's network card.
        """
        return _TEMPLATE.format(
            listen='0.0.0.0' if self.keep else '127.0.0.1',
            driver=self.driver, lvm_type=self.lvm_type, debug=self.debug,
            extra=''.join(line + '\n' for line in self.extra),
            API_PORT=API_PORT, IMAGE_PORT=IMAGE_PORT, STATE=STATE,
            BACKEND=BACKEND, DATABASE=DATABASE, VOLUME_GROUP=VOLUME_GROUP)
