# SPDX-License-Identifier: Apache-2.0
"""The objects that an NVMe-oF target of nvmet consists of.

A subsystem has namespaces, which are the devices, and links to the hosts
that may connect; a port is an address and has links to the subsystems that
are served on it. Hosts and ports are shared by all subsystems. The layout is
that of the nvmet library, so that nvmetcli and Cinder's in-tree driver read
what is written here and the other way round.

What ``ensure_x`` makes goes away again unless the caller keeps it.
"""

from collections.abc import Iterable, Iterator
import errno
import os

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation

ROOT = configfs.tree('nvmet')

Portal = tuple[str, str, int]

# What a port of ours may have as addr_trtype before it is complete.
_NOT_COMPLETED = ('', *validation.NVME_TRANSPORTS)
_FAMILIES = {False: 'ipv4', True: 'ipv6'}
_LAST_PORT_ID = 65535
_SYS_DEVICES = '/sys/dev/block'


def subsystem(subsystem_nqn: str) -> configfs.Directory:
    return ROOT / 'subsystems' / subsystem_nqn


def host(host_nqn: str) -> configfs.Directory:
    return ROOT / 'hosts' / host_nqn


# --- subsystems --------------------------------------------------------------

def close(subsystem: configfs.Directory) -> None:
    """Let in nobody but the hosts that are linked."""
    subsystem.ensure('attr_allow_any_host', '0')


def is_closed(subsystem: configfs.Directory) -> bool:
    return subsystem.read('attr_allow_any_host') == '0'


def end_controllers(subsystem: configfs.Directory) -> None:
    """End the connections of all hosts; those allowed in come back.

    The kernel does so whenever this attribute is written.
    """
    subsystem.write('attr_qid_max', subsystem.read('attr_qid_max'))


def remove(subsystem: configfs.Directory) -> None:
    """Remove a subsystem, its ports and hosts as far as nobody needs them.

    A port that somebody else made stays: it may have settings of its own,
    such as TLS, and without subsystems it does not listen.

    The namespaces go first: a host that is still connected then learns that
    the disk is gone, and does not wait for its return.
    """
    hosts = unlink_hosts(subsystem)
    for namespace in namespaces(subsystem):
        remove_namespace(namespace)
    for port in linked_ports(subsystem):
        (port / 'subsystems').unlink(subsystem.name)
        if port.is_marked():
            remove_unused(port)
    subsystem.remove()
    for host_nqn in hosts:
        remove_unused(host(host_nqn))


def remove_unused(shared: configfs.Directory) -> None:
    """Remove a port or a host, unless something is tied to it."""
    try:
        shared.remove()
    except errors.ConfigfsError as exc:
        if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY):
            raise


# --- namespaces --------------------------------------------------------------

def namespaces(subsystem: configfs.Directory) -> list[configfs.Directory]:
    return (subsystem / 'namespaces').directories()


def is_enabled(namespace: configfs.Directory) -> bool:
    return namespace.exists() and namespace.read('enable') == '1'


def enabled_namespaces(subsystem: configfs.Directory,
                       ) -> list[configfs.Directory]:
    return [namespace for namespace in namespaces(subsystem)
            if is_enabled(namespace)]


def find_namespace(subsystem: configfs.Directory, uuid: str, nsid: int,
                   lowest_nsid: int, highest_nsid: int) -> configfs.Directory:
    """Return where a device belongs: its namespace, or a free one.

    It is for subsystems with several devices. A namespace that is not
    enabled was never completed, and is free.

    :param nsid: the id to take if it is free
    :raises NamespaceTaken: it is not, and is the only one that may be taken
    :raises SubsystemFull: there is no free one
    """
    enabled = enabled_namespaces(subsystem)
    for namespace in enabled:
        if namespace.read('device_uuid') == uuid:
            return namespace
    taken = {int(namespace.name): namespace for namespace in enabled}
    for free in (nsid, *range(nsid + 1, highest_nsid + 1),
                 *range(lowest_nsid, highest_nsid + 1)):
        if free not in taken:
            return subsystem / 'namespaces' / str(free)
    if lowest_nsid == highest_nsid:
        raise errors.NamespaceTaken(
            subsystem.name, nsid, taken[nsid].read('device_path'),
            taken[nsid].read('device_uuid'))
    raise errors.SubsystemFull(subsystem.name)


def ensure_namespace(namespace: configfs.Directory, device: str, uuid: str,
                     undo: configfs.Undo) -> None:
    """Serve a device; that of a namespace that is enabled stays."""
    undo.make(namespace, remove_namespace)
    if is_enabled(namespace):
        return
    namespace.ensure('device_path', device)
    namespace.ensure('device_uuid', uuid)
    namespace.ensure('device_nguid', uuid)
    enable(namespace)


def disable(namespace: configfs.Directory) -> None:
    """Close the device."""
    namespace.ensure('enable', '0')


def remove_namespace(namespace: configfs.Directory) -> None:
    """Close the device and remove the namespace.

    The removal alone may leave the device open until the next reboot: the
    kernel loses count of who has a namespace as soon as a host sends a
    command for it while it is disabled (nvmet_subsys_nsid_exists() in
    drivers/nvme/target/configfs.c keeps what it finds).
    """
    if namespace.exists():
        disable(namespace)
        namespace.remove()


def enable(namespace: configfs.Directory) -> None:
    """Open the device.

    :raises DeviceNotUsable: the kernel cannot
    """
    try:
        namespace.write('enable', '1')
    except errors.ConfigfsError as exc:
        raise errors.DeviceNotUsable(
            namespace.read('device_path'),
            f'cannot be opened: {exc}') from exc


def device_number(namespace: configfs.Directory) -> tuple[int, int] | None:
    """Return the number of the device of a namespace, None if it is gone."""
    return validation.found_device_number(namespace.read('device_path'))


def serves_another(namespace: configfs.Directory, device: str) -> bool:
    """Tell whether a namespace has a device, and not this one."""
    return validation.is_another_device(
        namespace.read('device_path'), device_number(namespace), device)


def discards(namespace: configfs.Directory) -> bool:
    """Tell whether blocks can be given back to the device."""
    number = validation.device_number(namespace.read('device_path'))
    limit = '%s/%d:%d/queue/discard_max_bytes' % (_SYS_DEVICES, *number)
    with open(limit) as file:
        return int(file.read()) > 0


# --- hosts -------------------------------------------------------------------

def ensure_host(subsystem: configfs.Directory, host_nqn: str,
                key: str | None, undo: configfs.Undo) -> None:
    """Allow a host; it has its key before it can connect.

    One that it has already stays if none is given: it is the host's, and
    another back end may have given it.
    """
    undo.make(host(host_nqn))
    if key is not None:
        set_key(host(host_nqn), key)
    undo.link(subsystem / 'allowed_hosts', host_nqn, host(host_nqn))


def set_key(host: configfs.Directory, key: str) -> None:
    """Give a host its key.

    The kernel shows it to every user of this node, unless the file is closed
    to them (nvmet_host_attrs in drivers/nvme/target/configfs.c).
    """
    host.hide('dhchap_key')
    host.ensure('dhchap_key', key)


def hosts(subsystem: configfs.Directory) -> list[str]:
    return (subsystem / 'allowed_hosts').links()


def unlink_hosts(subsystem: configfs.Directory) -> list[str]:
    """Allow no host any more; return those that were allowed."""
    names = hosts(subsystem)
    for host_nqn in names:
        (subsystem / 'allowed_hosts').unlink(host_nqn)
    return names


# --- ports -------------------------------------------------------------------

def ports() -> list[configfs.Directory]:
    return (ROOT / 'ports').directories()


def linked_ports(subsystem: configfs.Directory) -> Iterator[
        configfs.Directory]:
    """Give the ports that a subsystem is served on."""
    for port in ports():
        if os.path.lexists((port / 'subsystems' / subsystem.name).path):
            yield port


def read_portal(port: configfs.Directory) -> Portal | None:
    """Return what a port listens on; None if it is not IP, or not whole."""
    try:
        portal = validation.nvme_portal((
            port.read('addr_trtype'), port.read('addr_traddr'),
            int(port.read('addr_trsvcid'))))
    except (errors.InvalidArgument, ValueError):
        return None
    return (portal if port.read('addr_adrfam') == _family(portal) else None)


def _family(portal: Portal) -> str:
    return _FAMILIES[':' in portal[1]]


def ensure_port(portal: Portal, first_id: int,
                undo: configfs.Undo) -> configfs.Directory:
    """Return the port of a portal, whoever made it.

    A new one gets the first id that nobody has, from a given one on.
    """
    taken = {}
    for port in ports():
        if read_portal(port) == portal:
            return port
        taken[port.name] = _is_taken(port)
    for number in range(first_id, _LAST_PORT_ID + 1):
        if not taken.get(str(number)):
            return _make_port(ROOT / 'ports' / str(number), portal, undo)
    raise errors.ConfigfsError('create', (ROOT / 'ports').path, errno.ENOSPC)


def _is_taken(port: configfs.Directory) -> bool:
    """Tell whether a port has an address, or a transport without any (loop).

    One of ours that was not completed has neither.
    """
    return (bool(port.read('addr_traddr'))
            or port.read('addr_trtype') not in _NOT_COMPLETED)


def _make_port(port: configfs.Directory, portal: Portal,
               undo: configfs.Undo) -> configfs.Directory:
    """Make a port; without its address it counts as one not completed."""
    transport, address, service = portal
    undo.make(port)
    port.mark()
    port.ensure('addr_trtype', transport)
    port.ensure('addr_adrfam', _family(portal))
    port.ensure('addr_trsvcid', str(service))
    port.ensure('addr_traddr', address)
    return port


def ensure_portals(subsystem: configfs.Directory, portals: Iterable[Portal],
                   first_id: int, undo: configfs.Undo,
                   ) -> list[tuple[str, str]]:
    """Serve a subsystem on portals; return those refused, with reasons.

    A port begins to listen with its first subsystem.
    """
    refused = []
    for portal in portals:
        with configfs.Undo() as steps:
            try:
                port = ensure_port(portal, first_id, steps)
                steps.link(port / 'subsystems', subsystem.name, subsystem)
            except errors.ConfigfsError as exc:
                refused.append((format_portal(portal),
                                os.strerror(exc.errno)))
                continue
            undo.push(steps.pop_all())
    return refused


def format_portal(portal: Portal) -> str:
    transport, address, service = portal
    shown = f'[{address}]' if ':' in address else address
    return f'{transport} {shown}:{service}'
