# SPDX-License-Identifier: Apache-2.0
"""This node as a host: it opens the devices of volumes, without a target.

Nova and os-brick know such a connection as the type ``local``
(nova/virt/libvirt/volume/volume.py, os_brick/initiator/connectors/local.py).
"""

from typing import Any

from cinder.volume import volume_utils

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors

UUID = 'system uuid'
# As what a target knows a host.
_HOST_NAMES = ('initiator', 'nqn')


class ThisNode:
    """What os-brick tells of this node, to recognize it by.

    No name does alone: machines are installed from one image, and boards
    leave the factory with one UUID.
    """

    def __init__(self, connector: base.Connector) -> None:
        self._own = connector

    @classmethod
    def ask(cls) -> 'ThisNode':
        """Have os-brick read the names of this node.

        :raises TargetConfigurationError: it has no name as a host
        """
        own = volume_utils.brick_get_connector_properties()
        if not any(_name(own, key) for key in _HOST_NAMES):
            raise errors.TargetConfigurationError(
                'lvm_local_attach is set, but this node has neither an iSCSI '
                'initiator name nor an NVMe host NQN: install open-iscsi or '
                'nvme-cli, or unset lvm_local_attach')
        return cls(own)

    def differences(self, connector: base.Connector) -> list[str]:
        """Return which names of a host are not this node's; none if it is.

        The host name and the UUID of the system must be the same, and so must
        one of initiator name and NQN. The other of these two may be missing,
        but not differ.
        """
        pairs = {key: (_name(self._own, key), _name(connector, key))
                 for key in ('host', UUID, *_HOST_NAMES)}
        known = [key for key in _HOST_NAMES if all(pairs[key])]
        found = [] if _is_same_host_name(*pairs['host']) else ['host']
        found += [key for key in (UUID, *known)
                  if pairs[key][0] != pairs[key][1]]
        return found + ([] if known else list(_HOST_NAMES))


def connection(volume_id: str, path: str) -> dict[str, Any]:
    """Return how this node connects a device of its own."""
    data: dict[str, Any] = {'volume_id': volume_id, 'device_path': path}
    device = blockdev.number(path)
    if device and blockdev.discards(device):
        data['discard'] = True
    return {'driver_volume_type': base.LOCAL, 'data': data}


def _name(connector: base.Connector, key: str) -> str | None:
    """Return a name in one spelling; only in NQNs does the case matter."""
    text = base.text_of(connector, key) or None
    return text if text is None or key == 'nqn' else text.lower()


def _is_same_host_name(one: str | None, other: str | None) -> bool:
    """Compare host names; either may lack the domain."""
    if one is None or other is None:
        return False
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith(f'{short}.')
