# SPDX-License-Identifier: Apache-2.0
"""The configfs objects of an NVMe-oF target of nvmet.

A subsystem has namespaces, which are the devices, and links to the hosts
that may connect. A port is an address, and has links to the subsystems that
it serves. All subsystems share the hosts and ports. The objects have the same
structure as those of the nvmet library, so that nvmetcli and Cinder's in-tree
driver can read this driver's objects and the driver theirs.

The ``undo`` of a caller removes the objects that ``ensure_x`` creates, unless
the caller keeps them.
"""

from collections.abc import Iterable, Iterator
import dataclasses
import errno
import os

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

ROOT = configfs.tree('nvmet')

# addr_trtype of a port of ours that is not complete.
_NOT_COMPLETED = ('', *validation.NVME_TRANSPORTS)
_LAST_PORT_ID = 65535
# The NQN of the host that is being made. If the process ends before the host
# has our mark, the next sweep knows it from here.
UNMARKED = '/run/cinder-lvm-driver.nvmet-host'


@verbs.value
class Host:
    """A host and its DH-HMAC-CHAP key; None does not change the key."""

    nqn: str
    key: str | None = dataclasses.field(default=None, repr=False)

    def validated(self) -> 'Host':
        """Return the host if the kernel accepts its NQN and key.

        :raises InvalidArgument: it does not; the message has no key
        """
        return Host(
            validation.nqn('host', self.nqn),
            None if self.key is None else validation.dhchap_key(self.key))


def subsystem(subsystem_nqn: str) -> configfs.Directory:
    return ROOT / 'subsystems' / subsystem_nqn


def host(host_nqn: str) -> configfs.Directory:
    return ROOT / 'hosts' / host_nqn


# --- subsystems --------------------------------------------------------------

def close(subsystem: configfs.Directory) -> None:
    """Allow only the hosts that are linked."""
    subsystem.ensure('attr_allow_any_host', '0')


def is_closed(subsystem: configfs.Directory) -> bool:
    return subsystem.read('attr_allow_any_host') == '0'


def end_controllers(subsystem: configfs.Directory) -> None:
    """End the connections of all hosts; allowed hosts connect again.

    The kernel does this when this attribute is written.
    """
    subsystem.write('attr_qid_max', subsystem.read('attr_qid_max'))


def remove(subsystem: configfs.Directory) -> None:
    """Remove a subsystem, and its ports and hosts if they are unused.

    The namespaces go first, so that a connected host is told that the disk
    is gone and does not wait for its return. The subsystem goes last, so that
    what is left by a process that ends between two steps is found by it.
    """
    for host_nqn in unlink_hosts(subsystem):
        remove_unused(host(host_nqn))
    for namespace in namespaces(subsystem):
        remove_namespace(namespace)
    for port in linked_ports(subsystem):
        (port / 'subsystems').unlink(subsystem.name)
    sweep()
    subsystem.remove()


def sweep() -> None:
    """Remove the ports and hosts of ours that no subsystem has.

    A port that another tool made stays: it may have settings of its own,
    such as TLS, and it does not listen without subsystems.
    """
    for port in ports():
        if port.is_marked() or not _is_taken(port):
            remove_unused(port)
    unmarked = _unmarked()
    for each in (ROOT / 'hosts').directories():
        if each.is_marked() or each.name == unmarked:
            remove_unused(each)
    if unmarked is not None:
        os.unlink(UNMARKED)


def remove_unused(shared: configfs.Directory) -> None:
    """Remove a port or a host, unless it is linked."""
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
    """Return the namespace of a device among others, or a free one.

    A namespace that is not enabled was never completed, and is free.

    :param nsid: the preferred id
    :raises NamespaceTaken: the preferred id is the only choice and not free
    :raises SubsystemFull: no id is free
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
    """Serve a device, unless the namespace is enabled already."""
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

    Removal alone may leave the device open until the next reboot: the
    kernel loses count of a namespace's users if a host sends a command for
    it while it is disabled (nvmet_subsys_nsid_exists() in
    drivers/nvme/target/configfs.c keeps its reference).
    """
    if namespace.exists():
        disable(namespace)
        namespace.remove()


def enable(namespace: configfs.Directory) -> None:
    """Open the device.

    :raises DeviceNotUsable: the kernel cannot open it
    """
    try:
        namespace.write('enable', '1')
    except errors.ConfigfsError as exc:
        raise errors.DeviceNotUsable(
            namespace.read('device_path'),
            f'cannot be opened: {exc}') from exc


def device_number(namespace: configfs.Directory) -> str | None:
    """Return the number of the device of a namespace, None if it is gone."""
    return blockdev.number(namespace.read('device_path'))


def serves_another(namespace: configfs.Directory, device: str) -> bool:
    """Tell whether a namespace serves a device other than this one."""
    return validation.is_another_device(
        namespace.read('device_path'), device_number(namespace), device)


def discards(namespace: configfs.Directory) -> bool:
    """Tell whether blocks of the device can be discarded."""
    return blockdev.discards(
        validation.device_number(namespace.read('device_path')))


# --- hosts -------------------------------------------------------------------

def ensure_host(subsystem: configfs.Directory, wanted: Host,
                undo: configfs.Undo) -> None:
    """Allow a host, after its key was set."""
    if not host(wanted.nqn).exists():
        _make_host(host(wanted.nqn), undo)
    set_key(wanted)
    undo.link(subsystem / 'allowed_hosts', wanted.nqn, host(wanted.nqn))


def _make_host(new: configfs.Directory, undo: configfs.Undo) -> None:
    if _unmarked() is not None:
        sweep()
    with open(UNMARKED, 'w', encoding='utf-8') as file:
        file.write(new.name)
    if undo.make(new):
        new.mark()
    os.unlink(UNMARKED)


def _unmarked() -> str | None:
    """Return the name of a host that a killed process was making."""
    try:
        with open(UNMARKED, encoding='utf-8') as file:
            return file.read()
    except FileNotFoundError:
        return None


def set_key(wanted: Host) -> None:
    """Set the key of a host, if one is given.

    Otherwise the host keeps its key, which another back end may have set.
    By default every user of this node can read the key (nvmet_host_attrs in
    drivers/nvme/target/configfs.c).
    """
    if wanted.key is not None:
        host(wanted.nqn).hide('dhchap_key')
        host(wanted.nqn).ensure('dhchap_key', wanted.key)


def hosts(subsystem: configfs.Directory) -> list[str]:
    return (subsystem / 'allowed_hosts').links()


def unlink_hosts(subsystem: configfs.Directory) -> list[str]:
    """Deny all hosts; return those that were allowed."""
    names = hosts(subsystem)
    for host_nqn in names:
        (subsystem / 'allowed_hosts').unlink(host_nqn)
    return names


# --- ports -------------------------------------------------------------------

def ports() -> list[configfs.Directory]:
    return (ROOT / 'ports').directories()


def linked_ports(subsystem: configfs.Directory) -> Iterator[
        configfs.Directory]:
    """Return the ports that serve a subsystem."""
    for port in ports():
        if os.path.lexists((port / 'subsystems' / subsystem.name).path):
            yield port


def read_portal(port: configfs.Directory) -> listening.Portal | None:
    """Return the portal of a port; None if it is not IP or not complete."""
    try:
        portal = listening.Portal(
            port.read('addr_traddr'), int(port.read('addr_trsvcid')),
            port.read('addr_trtype')).validated()
    except (errors.InvalidArgument, ValueError):
        return None
    return portal if port.read('addr_adrfam') == _family(portal) else None


def _family(portal: listening.Portal) -> str:
    return 'ipv6' if portal.is_ipv6 else 'ipv4'


def ensure_port(portal: listening.Portal, first_id: int,
                undo: configfs.Undo) -> configfs.Directory:
    """Return the port of a portal, which another tool may have made.

    A new port gets the first free id from ``first_id`` on.
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
    """Tell whether a port has an address, or a transport without one (loop).

    A port of ours that was not completed has neither.
    """
    return (bool(port.read('addr_traddr'))
            or port.read('addr_trtype') not in _NOT_COMPLETED)


def _make_port(port: configfs.Directory, portal: listening.Portal,
               undo: configfs.Undo) -> configfs.Directory:
    """Make a port; its address comes last and makes it complete."""
    undo.make(port)
    port.mark()
    port.ensure('addr_trtype', portal.transport)
    port.ensure('addr_adrfam', _family(portal))
    port.ensure('addr_trsvcid', str(portal.port))
    port.ensure('addr_traddr', portal.address)
    return port


def ensure_portals(subsystem: configfs.Directory,
                   portals: Iterable[listening.Portal], first_id: int,
                   undo: configfs.Undo) -> list[listening.Refused]:
    """Serve a subsystem on portals; return those that the kernel refuses.

    A port starts to listen when it gets its first subsystem.
    """
    refused = []
    for portal in portals:
        with configfs.Undo() as steps:
            try:
                port = ensure_port(portal, first_id, steps)
                steps.link(port / 'subsystems', subsystem.name, subsystem)
            except errors.ConfigfsError as exc:
                refused.append(listening.Refused(
                    f'{portal.transport} {portal}', os.strerror(exc.errno)))
                continue
            undo.push(steps.pop_all())
    return refused
