# SPDX-License-Identifier: Apache-2.0
"""Why a target cannot listen on its portals, looked at without root."""

from collections.abc import Callable, Iterable
import errno
import re

from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver import process

_NO_ATTACHMENTS = 'No volume can be attached until then'
# As ss(8) shows a process.
_PROCESS = re.compile(r'\("([^"]+)",pid=(\d+)')


def fault(portals: Iterable[listening.Portal],
          is_served: Callable[[listening.Portal], bool],
          runner: process.Runner) -> str | None:
    """Return why hosts cannot connect to a portal; None if they can.

    Runs no command unless another process holds a port.

    :param portals: IP addresses
    :param is_served: whether the target listens on a portal
    """
    for portal in portals:
        if not listening.is_local(portal):
            return (f'No network interface of this node has the address of '
                    f'portal {portal}: add the address, or correct '
                    f'target_ip_address and target_secondary_ip_addresses. '
                    f'{_NO_ATTACHMENTS}')
        if portal.transport != 'tcp' or is_served(portal):
            continue
        error = listening.bind_error(portal)
        # Any other error, such as EACCES below port 1024, is only ours.
        if error is not None and error.errno == errno.EADDRINUSE:
            return (f'Portal {portal} is in use by '
                    f'{_holder(portal.port, runner)}: stop that, or set '
                    f'target_port to another port. {_NO_ATTACHMENTS}')
    return None


def _holder(port: int, runner: process.Runner) -> str:
    """Return the processes that listen on a port."""
    try:
        shown = runner.run('ss', '-Hltnp', f'sport = :{port}').stdout
    except (process.CommandFailed, process.CommandTimedOut):
        shown = ''
    return ', '.join(sorted(
        f'{name} (process {pid})'
        for name, pid in set(_PROCESS.findall(shown)))) or 'another process'
