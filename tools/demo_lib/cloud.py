# SPDX-License-Identifier: Apache-2.0
"""Cinder's API, scheduler and volume service in one process.

Run as user cinder: ``python -m demo_lib.cloud CONFIG_FILE``. Cinder's log
goes to standard output, and with it how far the start has come. Ends with
status 1 when the driver does not initialise.

It runs with eventlet: that is what cinder-volume of this release is started
with unless an operator asks for something else, so it is what the driver has
to get along with, and Cinder's own web server exists for nothing else.
"""

# ruff: noqa: E402
import time
STARTED = time.monotonic()

from cinder import monkey_patch
monkey_patch.patch()

import pathlib
import shlex
import sys
from typing import Any

from cinder.common import config  # noqa: F401  (registers the options)
from cinder.common import constants
from cinder import objects
from cinder import rpc
from cinder import service
from cinder import utils
from cinder import version
import os_brick
from oslo_config import cfg
from oslo_log import log as logging
from oslo_privsep import priv_context
from oslo_service import service as oslo_service

from demo_lib import bus
from demo_lib import settings

CONF = cfg.CONF


def tell(text: str) -> None:
    """Say how far the start has come."""
    print(f'cloud: {time.monotonic() - STARTED:6.1f} s  {text}', flush=True)


class OneOfMany(service.Service):
    """A service that reports its own state beside others in the process.

    Cinder keeps the id of *the* service in a class attribute, because it
    expects one service in a process: without this, the one that started last
    would get everybody's heartbeats and the others would count as down.
    """

    def report_state(self) -> None:
        """Refresh this service's row, and no other's."""
        service.Service.service_id = self.origin_service_id
        super().report_state()


class VolumeService(OneOfMany):
    """The volume service; without its driver there is no demo."""

    def start(self) -> None:
        """Start, or end the process with a sentence."""
        super().start()
        if not self.manager.driver.initialized:
            tell('the volume driver did not initialise: see the log')
            raise RuntimeError('the volume driver did not initialise')
        tell('volume service started')
        pathlib.Path(settings.READY_FILE).touch()


def configure(path: str) -> None:
    """Read cinder.conf and set up what depends on it."""
    objects.register_all()
    CONF(['--config-file', path], project='cinder',
         version=version.version_string())
    logging.setup(CONF, 'cinder')
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(CONF)


def main(argv: list[str]) -> Any:
    """Start everything and serve until SIGTERM."""
    tell('modules imported')
    configure(argv[1])
    tell('configuration read')
    bus.install()
    rpc.init(CONF)
    launcher = oslo_service.ServiceLauncher(CONF, restart_method='mutate')
    launcher.launch_service(
        OneOfMany.create(binary=constants.SCHEDULER_BINARY))
    launcher.launch_service(VolumeService.create(
        binary=constants.VOLUME_BINARY,
        host=f'{CONF.host}@{settings.BACKEND}',
        service_name=settings.BACKEND, coordination=True))
    tell('scheduler and volume service made')
    launcher.launch_service(service.WSGIService('osapi_volume'))
    tell('API made')
    status = launcher.wait()
    rpc.cleanup()
    tell('stopped')
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv))
