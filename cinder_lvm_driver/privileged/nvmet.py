# SPDX-License-Identifier: Apache-2.0
"""The verbs on nvmet, the kernel's NVMe-oF target, each for one subsystem.

Each verb completes what an interrupted one left behind and leaves alone what
is whole, and it undoes its own steps when one of them fails. The caller holds
the lock that it shares with Cinder's in-tree driver. Nothing is written to
``/etc/nvmet``: what has to survive a reboot is in Cinder's database.
"""

from collections.abc import Iterable
import os
from typing import Any

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import nvmet_tree
from cinder_lvm_driver.privileged import validation

# A name of no host, for a look at what the kernel offers for hosts.
_NOBODY = 'nqn.2026-11.invalid.cinder-lvm-driver:nobody'


@privileged.context.entrypoint
def create_namespace(subsystem_nqn: str, device: str, uuid: str, nsid: int,
                     lowest_nsid: int, highest_nsid: int,
                     hosts: Iterable[tuple[str, str | None]],
                     portals: Iterable[nvmet_tree.Portal],
                     first_port_id: int, exclusive: bool = False,
                     hosts_are_current: bool = True) -> dict[str, Any]:
    """Serve a device in a subsystem, or complete what serves it.

    :param uuid: what hosts know the namespace by, as UUID and NGUID
    :param nsid: the id of the only namespace
    :param hosts: names and DH-HMAC-CHAP keys of hosts to let in
    :param portals: where to listen: all or nothing; none of them leaves
        the portals as they are
    :param first_port_id: the id of a new port is not below it
    :param exclusive: the subsystem may serve no other hosts than these, and
        serves other devices, too. A new namespace gets a free id of the range
        then, from ``nsid`` on; a range of one id is kept to
    :param hosts_are_current: whether a subsystem that is there is to let in
        the hosts, too; some may have left since they were asked for. One that
        lets in everybody lists none, and closes to all others than these
    :returns: ``nsid`` and ``discard``, whether blocks can be discarded
    :raises DeviceNotUsable: the device is not there, or cannot be opened
    :raises NamespaceInUse: hosts are allowed to use another device
    :raises NamespaceTaken: the only id of the range is another device's
    :raises PortalNotAvailable: the kernel refuses to listen
    :raises SubsystemFull: there is no free id
    :raises SubsystemOfAnotherHost: it serves one that is not named here
    """
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    uuid = validation.uuid('namespace UUID', uuid)
    nsids = [validation.nsid(each)
             for each in (nsid, lowest_nsid, highest_nsid)]
    wanted_hosts = [_valid_host(*host) for host in hosts]
    wanted_portals = [validation.nvme_portal(portal) for portal in portals]
    first_port_id = validation.port_id(first_port_id)
    device = validation.device(device)

    if (not hosts_are_current and nvmet_tree.namespaces(subsystem)
            and nvmet_tree.is_closed(subsystem)):
        wanted_hosts = []
    if exclusive:
        _expel_others(subsystem, {host_nqn for host_nqn, _ in wanted_hosts})
        namespace = nvmet_tree.find_namespace(subsystem, uuid, *nsids)
    else:
        namespace = subsystem / 'namespaces' / str(nsid)
        for other in nvmet_tree.namespaces(subsystem):
            if other != namespace and not _may_be_used(subsystem, other):
                nvmet_tree.remove_namespace(other)
    _vacate(subsystem, namespace, device)
    with configfs.Undo() as undo:
        undo.make(subsystem)
        nvmet_tree.close(subsystem)
        if namespace.exists() and not nvmet_tree.is_enabled(namespace):
            nvmet_tree.end_controllers(subsystem)
        nvmet_tree.ensure_namespace(namespace, device, uuid, undo)
        for host in wanted_hosts:
            nvmet_tree.ensure_host(subsystem, *host, undo=undo)
        refused = nvmet_tree.ensure_portals(
            subsystem, wanted_portals, first_port_id, undo)
        if refused:
            raise errors.PortalNotAvailable(*refused[0])
        undo.keep()
    return {'nsid': int(namespace.name),
            'discard': nvmet_tree.discards(namespace)}


@privileged.context.entrypoint
def listen(subsystems: Iterable[tuple[str, Iterable[nvmet_tree.Portal]]],
           first_port_id: int) -> dict[str, list[tuple[str, str]]]:
    """Serve complete subsystems on portals, as many of those as possible.

    All in one go: as soon as a port listens, the kernel answers a host that
    asks for a subsystem that is not linked yet that there is no such thing,
    and a host with Linux 6.11 or later gives up then.

    :returns: what was refused, by subsystem: pairs of portal and reason
    """
    wanted = [(nvmet_tree.subsystem(validation.nqn('subsystem', name)),
               [validation.nvme_portal(portal) for portal in portals])
              for name, portals in subsystems]
    first_port_id = validation.port_id(first_port_id)
    refused = {}
    for subsystem, portals in wanted:
        with configfs.Undo() as undo:
            refused[subsystem.name] = nvmet_tree.ensure_portals(
                subsystem, portals, first_port_id, undo)
            undo.keep()
    return refused


@privileged.context.entrypoint
def allow_host(subsystem_nqn: str, host_nqn: str,
               key: str | None = None) -> dict[str, Any]:
    """Let a host use the namespaces of a subsystem.

    :param key: for DH-HMAC-CHAP; None leaves it as it is
    :returns: ``discard``, whether blocks can be discarded
    :raises TargetNotFound: there is no such subsystem, or no namespace
    """
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    host = _valid_host(host_nqn, key)
    namespaces = nvmet_tree.namespaces(subsystem)
    if not namespaces:
        raise errors.TargetNotFound(subsystem_nqn)
    nvmet_tree.close(subsystem)
    _wake(subsystem, namespaces)
    with configfs.Undo() as undo:
        nvmet_tree.ensure_host(subsystem, *host, undo=undo)
        undo.keep()
    return {'discard': all(map(nvmet_tree.discards, namespaces))}


@privileged.context.entrypoint
def set_keys(keys: Iterable[tuple[str, str]]) -> None:
    """Give hosts that are known to the kernel the keys they have now.

    Connections that are there live on.
    """
    for host_nqn, key in [(validation.nqn('host', host_nqn),
                           validation.dhchap_key(key))
                          for host_nqn, key in keys]:
        host = nvmet_tree.host(host_nqn)
        if host.exists():
            nvmet_tree.set_key(host, key)


@privileged.context.entrypoint
def deny_host(subsystem_nqn: str, host_nqn: str) -> None:
    """Lock a host out, and end its connection if it has one.

    The kernel tells nobody who is connected. Where other hosts are allowed
    in, the connections of all are ended, and theirs come back by
    themselves; where there is none, the disks are taken away.
    """
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    host_nqn = validation.nqn('host', host_nqn)
    (subsystem / 'allowed_hosts').unlink(host_nqn)
    if subsystem.exists():
        if (nvmet_tree.hosts(subsystem)
                or not nvmet_tree.is_closed(subsystem)):
            nvmet_tree.end_controllers(subsystem)
        else:
            _put_to_sleep(subsystem)
    nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))


@privileged.context.entrypoint
def deny_all_hosts(subsystem_nqn: str) -> None:
    """Lock every host out, and take the disks away from them."""
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    if not subsystem.exists():
        return
    nvmet_tree.close(subsystem)
    hosts = nvmet_tree.unlink_hosts(subsystem)
    _put_to_sleep(subsystem)
    for host_nqn in hosts:
        nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))


@privileged.context.entrypoint
def delete_namespace(subsystem_nqn: str, uuid: str,
                     device: str | None = None) -> None:
    """Stop serving a device; the subsystem goes with its last one.

    :param device: a namespace that serves any other stays; None removes it
        whatever it serves
    """
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
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


@privileged.context.entrypoint
def delete_subsystem(subsystem_nqn: str, device: str | None = None) -> None:
    """Remove a subsystem with its namespaces, or what is left of them.

    :param device: a subsystem that serves any other stays; None removes it
        whatever it serves
    """
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    if device is not None:
        device = validation.device_path(device)
        if any(nvmet_tree.serves_another(namespace, device) for namespace
               in nvmet_tree.enabled_namespaces(subsystem)):
            return
    nvmet_tree.remove(subsystem)


@privileged.context.entrypoint
def revalidate_sizes(subsystem_nqn: str) -> None:
    """Have the kernel tell the hosts of devices that have grown."""
    subsystem = nvmet_tree.subsystem(
        validation.nqn('subsystem', subsystem_nqn))
    for namespace in nvmet_tree.enabled_namespaces(subsystem):
        namespace.write('revalidate_size', '1')


@privileged.context.entrypoint
def can_authenticate() -> bool:
    """Tell whether the kernel was built with DH-HMAC-CHAP for targets."""
    nobody = nvmet_tree.host(_NOBODY)
    nobody.make()
    try:
        return os.path.exists((nobody / 'dhchap_key').path)
    finally:
        nobody.remove()


@privileged.context.entrypoint
def list_subsystems() -> dict[str, dict[str, Any]]:
    """Return what is served, by subsystem NQN, in one pass.

    ``namespaces``: by id, pairs of device path and UUID, of those that are
    enabled; ``closed``: nobody gets in who is not allowed; ``hosts``: those
    that are allowed; ``portals``: transport, address and port.
    """
    portals: dict[str, list[nvmet_tree.Portal]] = {}
    for portal, names in configfs.describe_each(
            nvmet_tree.ports(), _describe_port).values():
        if portal is not None:
            for name in names:
                portals.setdefault(name, []).append(portal)
    return configfs.describe_each(
        (nvmet_tree.ROOT / 'subsystems').directories(),
        lambda subsystem: {
            **_describe(subsystem),
            'portals': portals.get(subsystem.name, [])})


def _describe_port(port: configfs.Directory,
                   ) -> tuple[nvmet_tree.Portal | None, list[str]]:
    return nvmet_tree.read_portal(port), (port / 'subsystems').links()


def _describe(subsystem: configfs.Directory) -> dict[str, Any]:
    return {
        'namespaces': {
            int(namespace.name): (namespace.read('device_path'),
                                  namespace.read('device_uuid'))
            for namespace in nvmet_tree.enabled_namespaces(subsystem)},
        'closed': nvmet_tree.is_closed(subsystem),
        'hosts': nvmet_tree.hosts(subsystem)}


def _valid_host(host_nqn: str, key: str | None) -> tuple[str, str | None]:
    return (validation.nqn('host', host_nqn),
            None if key is None else validation.dhchap_key(key))


def _expel_others(subsystem: configfs.Directory, wanted: set[str]) -> None:
    """Lock out hosts that were allowed into a subsystem without disks.

    :raises SubsystemOfAnotherHost: there are disks in it
    """
    for host_nqn in nvmet_tree.hosts(subsystem):
        if host_nqn not in wanted:
            if nvmet_tree.enabled_namespaces(subsystem):
                raise errors.SubsystemOfAnotherHost(subsystem.name, host_nqn)
            (subsystem / 'allowed_hosts').unlink(host_nqn)
            nvmet_tree.remove_unused(nvmet_tree.host(host_nqn))
            nvmet_tree.end_controllers(subsystem)


def _vacate(subsystem: configfs.Directory, namespace: configfs.Directory,
            device: str) -> None:
    """Remove a namespace that serves another device.

    It is what is left of an export whose LV was replaced. It can go as long
    as nobody may use it.

    :raises NamespaceInUse: somebody may
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


def _wake(subsystem: configfs.Directory,
          namespaces: list[configfs.Directory]) -> None:
    """Enable namespaces, for none of the hosts that were locked out."""
    asleep = [namespace for namespace in namespaces
              if not nvmet_tree.is_enabled(namespace)]
    if asleep:
        nvmet_tree.end_controllers(subsystem)
    for namespace in asleep:
        nvmet_tree.enable(namespace)


def _put_to_sleep(subsystem: configfs.Directory) -> None:
    for namespace in nvmet_tree.namespaces(subsystem):
        nvmet_tree.disable(namespace)
