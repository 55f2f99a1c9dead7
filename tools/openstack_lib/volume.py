# SPDX-License-Identifier: Apache-2.0
"""cinder-volume with eventlet and a parent process that polls less.

``python -m openstack_lib.volume --config-file FILE``. By default the parent
polls its children a hundred times a second, which takes a sixth of an
emulated processor. Otherwise this is Cinder's own program.
"""

import sys

# First, because it patches the standard library for eventlet.
from cinder.cmd import volume
from cinder import service
from oslo_service import service as oslo_service

LOOK_SECONDS = 1


def _launcher() -> oslo_service.ProcessLauncher:
    return oslo_service.ProcessLauncher(
        volume.CONF, wait_interval=LOOK_SECONDS, restart_method='mutate')


if __name__ == '__main__':
    service.process_launcher = _launcher
    sys.exit(volume.main())
