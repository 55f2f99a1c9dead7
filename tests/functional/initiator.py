# SPDX-License-Identifier: Apache-2.0
"""A host that attaches volumes: os-brick, as nova-compute uses it."""

import contextlib

from cinder import utils
import os_brick
from os_brick.initiator import connector
from oslo_config import cfg


@contextlib.contextmanager
def logins_held(root):
    """Have this machine's iSCSI initiator wait before it logs in again.

    One whose login is cut off at the wrong moment may never come back,
    whatever the target does: Linux 6.12 then refuses each new connection of
    the session (iscsid: "can't bind conn ..., retcode -107").
    """
    pid = root.run('cat', '/run/iscsid.pid').strip()
    root.run('kill', '-STOP', pid)
    try:
        yield
    finally:
        root.run('kill', '-CONT', pid)


class Host:
    """This machine as an initiator."""

    def __init__(self):
        os_brick.setup(cfg.CONF)
        self._root_helper = utils.get_root_helper()

    def connector(self, **values):
        """Return what os-brick tells Cinder of this host."""
        return dict(connector.get_connector_properties(
            self._root_helper, '127.0.0.1', False, False), **values)

    def connect(self, connection):
        """Connect a volume; return its device and how to disconnect it."""
        protocol = connection['driver_volume_type'].upper()
        brick = connector.InitiatorConnector.factory(
            protocol, self._root_helper, use_multipath=False,
            device_scan_attempts=10)
        # os-brick changes what it is given.
        device = brick.connect_volume(dict(connection['data']))
        return brick, device

    @contextlib.contextmanager
    def connected(self, connection):
        """Have a volume connected; give os-brick's connector and the path."""
        brick, device = self.connect(connection)
        try:
            yield brick, device['path']
        finally:
            brick.disconnect_volume(dict(connection['data']), device)
