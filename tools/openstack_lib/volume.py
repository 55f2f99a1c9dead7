# SPDX-License-Identifier: Apache-2.0
"""cinder-volume with eventlet, whose parent process looks once a second.

Run as ``python -m openstack_lib.volume --config-file FILE``. The parent asks
a hundred times a second whether its children have ended: that is a sixth of
an emulated processor. Everything else is Cinder's own program.
"""

import sys

# The first thing that it does, in every release, is to patch for eventlet.
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
