# SPDX-License-Identifier: Apache-2.0
"""The verbs on nvmet, the kernel's NVMe-oF target; each changes one subsystem.

Each verb completes what an interrupted one left behind, leaves alone what is
complete, and undoes its own steps when one of them fails. The caller holds
the lock that it shares with Cinder's in-tree driver. The verbs do not write
``/etc/nvmet``: Cinder's database has all that must survive a reboot.
"""

from collections.abc import Iterable, Mapping
import os
from typing import Literal

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet_tree
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

Host = nvmet_tree.Host
# Not the name of a host: shows which attributes the kernel has for hosts.
_NOBODY = Host('nqn.2026-11.invalid.cinder-lvm-driver:nobody')


@verbs.value
class Served:
    """A namespace that a verb serves.

    :ivar discard: whether hosts can discard blocks
    """

    nsid: int
    discard: bool


@verbs.entrypoint
def create_subsystem(*, subsystem_nqn: str, device: str, uuid: str, nsid: int,
                     hosts: Iterable[Host],
                     portals: Iterable[listening.Portal], first_port_id: int,
                     mode: Literal['create', 'complete']) -> Served:
    """Serve a device alone in a subsystem, or complete such a subsystem.

    :param uuid: UUID and NGUID of a new namespace
    :param nsid: id of the namespace
    :param hosts: the hosts to allow
    :param portals: listen on all of these, or change nothing; none leaves
        the portals as they are
    :param first_port_id: lowest id of a new port
    :param mode: 'create' does not change which hosts an existing subsystem
        allows: some of the given ones may have left meanwhile. But it closes
        a subsystem that is open to any host, and allows the given ones then.
        'complete' allows all of the hosts
    :raises DeviceNotUsable: the device does not exist or cannot be opened
    :raises NamespaceInUse: hosts are allowed to use another device
    :raises PortalNotAvailable: the kernel cannot listen
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    uuid = validation.uuid('namespace UUID', uuid)
    nsid = validation.nsid(nsid)
    wanted_hosts = [host.validated() for host in hosts]
    wanted_portals = [portal.validated() for portal in portals]
    first_port_id = validation.port_id(first_port_id)
    device = validation.device(device)

    if (mode == 'create' and nvmet_tree.namespaces(subsystem)
            and nvmet_tree.is_closed(subsystem)):
        wanted_hosts = []
    namespace = subsystem / 'namespaces' / str(nsid)
    for other in nvmet_tree.namespaces(subsystem):
        if other != namespace and not _may_be_used(subsystem, other):
            nvmet_tree.remove_namespace(other)
    return _serve(namespace, device, uuid, wanted_hosts, wanted_portals,
                  first_port_id)


@verbs.entrypoint
def create_namespace(*, subsystem_nqn: str, device: str, uuid: str, nsid: int,
                     lowest_nsid: int, highest_nsid: int, host: Host,
                     portals: Iterable[listening.Portal],
                     first_port_id: int) -> Served:
    """Serve a device in the subsystem of one host, beside other devices.

    :param uuid: UUID and NGUID of a new namespace
    :param nsid: preferred id of a new namespace, which gets the next free
        one from ``lowest_nsid`` to ``highest_nsid`` otherwise. If both are
        ``nsid``, it is the only choice
    :param host: the only host that the subsystem allows
    :param portals: listen on all of these, or change nothing; none leaves
        the portals as they are
    :param first_port_id: lowest id of a new port
    :raises DeviceNotUsable: the device does not exist or cannot be opened
    :raises NamespaceInUse: the host is allowed to use another device
    :raises NamespaceTaken: another device has the only possible id
    :raises PortalNotAvailable: the kernel cannot listen
    :raises SubsystemFull: no id is free
    :raises SubsystemOfAnotherHost: the subsystem serves another host
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    uuid = validation.uuid('namespace UUID', uuid)
    nsids = [validation.nsid(each)
             for each in (nsid, lowest_nsid, highest_nsid)]
    host = host.validated()
    wanted_portals = [portal.validated() for portal in portals]
    first_port_id = validation.port_id(first_port_id)
    device = validation.device(device)

    _expel_others(subsystem, host)
    namespace = nvmet_tree.find_namespace(subsystem, uuid, *nsids)
    return _serve(namespace, device, uuid, [host], wanted_portals,
                  first_port_id)


@verbs.entrypoint
def listen(subsystems: Mapping[str, Iterable[listening.Portal]],
           first_port_id: int) -> Mapping[str, tuple[listening.Refused, ...]]:
    """Serve complete subsystems on as many of their portals as possible.

    One call serves all subsystems: when a port listens, the kernel refuses a
    host that asks for a subsystem that is not linked yet, and Linux 6.11 and
    later do not ask again.

    :param subsystems: the portals, by subsystem NQN
    :returns: the refused portals, by subsystem NQN
    """
    wanted = [(_valid_subsystem(name),
               [portal.validated() for portal in portals])
              for name, portals in subsystems.items()]
    first_port_id = validation.port_id(first_port_id)
    refused = {}
    for subsystem, portals in wanted:
        with configfs.Undo() as undo:
            refused[subsystem.name] = tuple(nvmet_tree.ensure_portals(
                subsystem, portals, first_port_id, undo))
            undo.keep()
    return refused


@verbs.entrypoint
def allow_host(subsystem_nqn: str, host: Host) -> bool:
    """Allow a host to use the namespaces of a subsystem.

    :returns: whether the host can discard blocks
    :raises TargetNotFound: the subsystem does not exist or has no namespace
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    host = host.validated()
    namespaces = nvmet_tree.namespaces(subsystem)
    if not namespaces:
        raise errors.TargetNotFound(subsystem_nqn)
    nvmet_tree.close(subsystem)
    _enable(subsystem, namespaces)
    with configfs.Undo() as undo:
        nvmet_tree.ensure_host(subsystem, host, undo)
        undo.keep()
    return all(map(nvmet_tree.discards, namespaces))


@verbs.entrypoint
def set_keys(hosts: Iterable[Host]) -> None:
    """Set the keys of those hosts that the kernel knows.

    Existing connections are not affected.
    """
    for host in [host.validated() for host in hosts]:
        if nvmet_tree.host(host.nqn).exists():
            nvmet_tree.set_key(host)


@verbs.entrypoint
def deny_host(subsystem_nqn: str, host_nqn: str) -> None:
    """Deny a host, and end its connection.

    The kernel does not tell which hosts are connected. If other hosts are
    allowed, this ends all connections; the allowed hosts connect again by
    themselves. Otherwise it disables the namespaces.
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    host_nqn = validation.nqn('host', host_nqn)
    (subsystem / 'allowed_hosts').unlink(host_nqn)
    if subsystem.exists():
        if (nvmet_tree.hosts(subsystem)
                or not nvmet_tree.is_closed(subsystem)):
            nvmet_tree.end_controllers(subsystem)
        else:
            _disable(subsystem)
    nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))


@verbs.entrypoint
def deny_all_hosts(subsystem_nqn: str) -> None:
    """Deny all hosts, and disable the namespaces."""
    subsystem = _valid_subsystem(subsystem_nqn)
    if not subsystem.exists():
        return
    nvmet_tree.close(subsystem)
    hosts = nvmet_tree.unlink_hosts(subsystem)
    _disable(subsystem)
    for host_nqn in hosts:
        nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))


@verbs.entrypoint
def delete_namespace(subsystem_nqn: str, uuid: str,
                     device: str | None = None) -> None:
    """Stop serving a device; remove the subsystem after its last device.

    :param device: keep a namespace that serves another device; None removes
        the namespace whatever it serves
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    uuid = validation.uuid('namespace UUID', uuid)
    if device is not None:
        device = validation.device_path(device)
    for namespace in nvmet_tree.namespaces(subsystem):
        if namespace.read('device_uuid') == uuid and (
                device is None
                or not nvmet_tree.serves_another(namespace, device)):
            nvmet_tree.remove_namespace(namespace)
    if not nvmet_tree.enabled_namespaces(subsystem):
        nvmet_tree.remove(subsystem)


@verbs.entrypoint
def delete_subsystem(subsystem_nqn: str, device: str | None = None) -> None:
    """Remove a subsystem, or the rest of an incomplete one.

    :param device: keep a subsystem that serves another device; None removes
        the subsystem whatever it serves
    """
    subsystem = _valid_subsystem(subsystem_nqn)
    if device is not None:
        device = validation.device_path(device)
        if any(nvmet_tree.serves_another(namespace, device) for namespace
               in nvmet_tree.enabled_namespaces(subsystem)):
            return
    nvmet_tree.remove(subsystem)


@verbs.entrypoint
def find_unused(subsystem_nqns: Iterable[str]) -> tuple[str, ...]:
    """Return the subsystems that no host may use.

    Also remove the ports and hosts that no subsystem has.

    :param subsystem_nqns: the subsystems to look at, which need not exist
    """
    nvmet_tree.sweep()
    wanted = map(_valid_subsystem, subsystem_nqns)
    return tuple(subsystem.name for subsystem in wanted
                 if subsystem.exists() and nvmet_tree.is_closed(subsystem)
                 and not nvmet_tree.hosts(subsystem))


@verbs.entrypoint
def revalidate_sizes(subsystem_nqn: str) -> None:
    """Make the kernel notify the hosts of devices that have grown."""
    subsystem = _valid_subsystem(subsystem_nqn)
    for namespace in nvmet_tree.enabled_namespaces(subsystem):
        namespace.write('revalidate_size', '1')


@verbs.entrypoint
def can_authenticate() -> bool:
    """Tell whether the kernel was built with DH-HMAC-CHAP for targets."""
    nobody = nvmet_tree.host(_NOBODY.nqn)
    nobody.make()
    try:
        return os.path.exists((nobody / 'dhchap_key').path)
    finally:
        nobody.remove()


def _valid_subsystem(subsystem_nqn: str) -> configfs.Directory:
    return nvmet_tree.subsystem(validation.nqn('subsystem', subsystem_nqn))


def _serve(namespace: configfs.Directory, device: str, uuid: str,
           hosts: Iterable[Host], portals: Iterable[listening.Portal],
           first_port_id: int) -> Served:
    """Complete a namespace and its subsystem, or change nothing."""
    subsystem = namespace.parent.parent
    _vacate(subsystem, namespace, device)
    with configfs.Undo() as undo:
        undo.make(subsystem)
        nvmet_tree.close(subsystem)
        if namespace.exists() and not nvmet_tree.is_enabled(namespace):
            nvmet_tree.end_controllers(subsystem)
        nvmet_tree.ensure_namespace(namespace, device, uuid, undo)
        for host in hosts:
            nvmet_tree.ensure_host(subsystem, host, undo)
        for refused in nvmet_tree.ensure_portals(
                subsystem, portals, first_port_id, undo):
            raise errors.PortalNotAvailable(refused.portal, refused.reason)
        undo.keep()
    return Served(int(namespace.name), nvmet_tree.discards(namespace))


def _expel_others(subsystem: configfs.Directory, wanted: Host) -> None:
    """Deny other hosts of a subsystem that has no namespaces.

    :raises SubsystemOfAnotherHost: it has some
    """
    for host_nqn in nvmet_tree.hosts(subsystem):
        if host_nqn != wanted.nqn:
            if nvmet_tree.enabled_namespaces(subsystem):
                raise errors.SubsystemOfAnotherHost(subsystem.name, host_nqn)
            (subsystem / 'allowed_hosts').unlink(host_nqn)
            nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))
            nvmet_tree.end_controllers(subsystem)


def _vacate(subsystem: configfs.Directory, namespace: configfs.Directory,
            device: str) -> None:
    """Remove a namespace that serves another device.

    Such a namespace remains from an LV that was replaced.

    :raises NamespaceInUse: a host may be using it
    """
    if not namespace.exists() or (nvmet_tree.device_number(namespace)
                                  == validation.device_number(device)):
        return
    if _may_be_used(subsystem, namespace):
        raise errors.NamespaceInUse(
            subsystem.name, namespace.read('device_path'), device)
    nvmet_tree.remove_namespace(namespace)


def _may_be_used(subsystem: configfs.Directory,
                 namespace: configfs.Directory) -> bool:
    return nvmet_tree.is_enabled(namespace) and (
        bool(nvmet_tree.hosts(subsystem))
        or not nvmet_tree.is_closed(subsystem))


def _enable(subsystem: configfs.Directory,
            namespaces: list[configfs.Directory]) -> None:
    """Enable namespaces, but not for hosts that were denied before."""
    disabled = [namespace for namespace in namespaces
                if not nvmet_tree.is_enabled(namespace)]
    if disabled:
        nvmet_tree.end_controllers(subsystem)
    for namespace in disabled:
        nvmet_tree.enable(namespace)


def _disable(subsystem: configfs.Directory) -> None:
    for namespace in nvmet_tree.namespaces(subsystem):
        nvmet_tree.disable(namespace)
