# SPDX-License-Identifier: Apache-2.0
"""Cinder's API, scheduler and volume service in one process.

Runs as user cinder: ``python -m demo_lib.cloud CONFIG_FILE``. Cinder's log
and the progress of the start go to standard output. Exits with status 1 if
the driver does not initialize.

It uses eventlet, the default of cinder-volume and the only choice of Cinder's
own web server.
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


def say(text: str) -> None:
    """Print the progress of the start."""
    print(f'cloud: {time.monotonic() - STARTED:6.1f} s  {text}', flush=True)


class OneOfMany(service.Service):
    """A service that reports its own state beside others in the process.

    Cinder expects one service in a process and keeps its ID in a class
    attribute. Without this class, all heartbeats would go to the service that
    started last, and the others would count as down.
    """

    def report_state(self) -> None:
        """Update the row of this service."""
        service.Service.service_id = self.origin_service_id
        super().report_state()


class VolumeService(OneOfMany):
    """The volume service; the demo ends if its driver fails."""

    def start(self) -> None:
        """Start the service.

        :raises RuntimeError: the driver did not initialize
        """
        super().start()
        if not self.manager.driver.initialized:
            say('the volume driver did not initialize; see the log')
            raise RuntimeError('the volume driver did not initialize')
        say('volume service started')
        pathlib.Path(settings.READY_FILE).touch()


def configure(path: str) -> None:
    """Read cinder.conf and initialize the libraries that use it."""
    objects.register_all()
    CONF(['--config-file', path], project='cinder',
         version=version.version_string())
    logging.setup(CONF, 'cinder')
    priv_context.init(root_helper=shlex.split(utils.get_root_helper()))
    os_brick.setup(CONF)


def main(argv: list[str]) -> Any:
    """Start all services and run until SIGTERM."""
    say('modules imported')
    configure(argv[1])
    say('configuration read')
    bus.install()
    rpc.init(CONF)
    launcher = oslo_service.ServiceLauncher(CONF, restart_method='mutate')
    launcher.launch_service(
        OneOfMany.create(binary=constants.SCHEDULER_BINARY))
    launcher.launch_service(VolumeService.create(
        binary=constants.VOLUME_BINARY,
        host=f'{CONF.host}@{settings.BACKEND}',
        service_name=settings.BACKEND, coordination=True))
    say('scheduler and volume service created')
    launcher.launch_service(service.WSGIService('osapi_volume'))
    say('API created')
    status = launcher.wait()
    rpc.cleanup()
    say('stopped')
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv))
