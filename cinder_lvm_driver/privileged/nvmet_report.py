# SPDX-License-Identifier: Apache-2.0
"""What nvmet serves, as it is now."""

from collections.abc import Mapping
import dataclasses

from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet_tree
from cinder_lvm_driver.privileged import verbs


@verbs.value
class ListedNamespace:
    """An enabled namespace as it is now."""

    device: str
    uuid: str


@verbs.value
class ListedSubsystem:
    """A subsystem as it is now.

    :ivar closed: whether only the allowed hosts can connect
    :ivar hosts: the NQNs of the allowed hosts
    :ivar namespaces: the enabled ones, by id
    """

    closed: bool = False
    hosts: tuple[str, ...] = ()
    namespaces: Mapping[int, ListedNamespace] = dataclasses.field(
        default_factory=dict)
    portals: tuple[listening.Portal, ...] = ()


@verbs.entrypoint
def list_subsystems() -> Mapping[str, ListedSubsystem]:
    """Return all subsystems by NQN."""
    portals: dict[str, list[listening.Portal]] = {}
    for portal, names in configfs.describe_each(
            nvmet_tree.ports(), _describe_port).values():
        if portal is not None:
            for name in names:
                portals.setdefault(name, []).append(portal)

    def describe(subsystem: configfs.Directory) -> ListedSubsystem:
        return ListedSubsystem(
            closed=nvmet_tree.is_closed(subsystem),
            hosts=tuple(nvmet_tree.hosts(subsystem)),
            namespaces={
                int(namespace.name): ListedNamespace(
                    namespace.read('device_path'),
                    namespace.read('device_uuid'))
                for namespace in nvmet_tree.enabled_namespaces(subsystem)},
            portals=tuple(portals.get(subsystem.name, ())))

    return configfs.describe_each(
        (nvmet_tree.ROOT / 'subsystems').directories(), describe)


def _describe_port(port: configfs.Directory,
                   ) -> tuple[listening.Portal | None, list[str]]:
    return nvmet_tree.read_portal(port), (port / 'subsystems').links()
