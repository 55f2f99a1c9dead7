# SPDX-License-Identifier: Apache-2.0
"""NVMe-oF targets of nvmet, the kernel's own (target_helper nvmet)."""

from collections.abc import Iterable, Mapping
import logging
from typing import Any

from cinder.common import constants

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import nvmet_tree
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import nvmet_mode
from cinder_lvm_driver.targets import nvmet_per_host
from cinder_lvm_driver.targets import nvmet_per_volume
from cinder_lvm_driver.targets import nvmet_settings
from cinder_lvm_driver.targets import portals

LOG = logging.getLogger(__name__)

# The name of RDMA in version 2 of os-brick's connection properties.
_ROCE = 'RoCEv2'


def _listens(portal: listening.Portal) -> bool:
    """Tell whether nvmet listens on a portal."""
    return any(configfs.describe_each(
        nvmet_tree.ports(),
        lambda port: (nvmet_tree.read_portal(port) == portal.validated()
                      and bool((port / 'subsystems').links()))).values())


class NvmetTarget(base.Target):
    """A subsystem for each volume, or with lvm_share_target for each host.

    The option decides for new exports. An existing one keeps its mode, which
    its provider_location tells.
    """

    storage_protocol = constants.NVMEOF_VARIANT_2
    SHARED_TARGET_SUPPORT = True

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.settings = nvmet_settings.Settings.read(configuration)
        self.portals = self.settings.portals
        self.key_file = dhchap.KeyFile(configuration.lvm_nvme_key_file,
                                       configuration.lvm_nvme_require_keys)
        self._per_volume = nvmet_per_volume.PerVolume(
            self.settings, self.key_file)
        self._per_host = nvmet_per_host.PerHost(self.settings, self.key_file)
        self._mode_for_new: nvmet_mode.Mode = (
            self._per_host if self.settings.share_target
            else self._per_volume)

    def _mode(self, volume: base.Volume) -> nvmet_mode.Mode:
        """Return the mode of an exported volume."""
        is_path = (volume.provider_location or '').startswith('/')
        return self._per_host if is_path else self._per_volume

    def check_for_setup_error(self) -> None:
        nvmet_settings.check(self.settings, self.key_file, self.runner)

    def fault(self) -> str | None:
        protocol = self.settings.target_protocol
        return (node.tree_fault('nvmet') or node.rdma_fault(protocol)
                or portals.fault(self.settings.portals, _listens,
                                 self.runner))

    def list_served(self) -> list[base.Served]:
        """See the base class; one for each namespace."""
        return [base.Served(name=subsystem_nqn,
                            device=blockdev.number(namespace.device),
                            hosts=len(subsystem.hosts), sessions=None)
                for subsystem_nqn, subsystem in
                nvmet_report.list_subsystems().items()
                for namespace in subsystem.namespaces.values()]

    # Cinder's verbs -------------------------------------------------------

    def create_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        mode = self._mode_for_new
        if volume.provider_location and base.connectors(volume):
            mode = self._mode(volume)
        return {'location': mode.create_export(volume, volume_path),
                'auth': ''}

    def remove_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str | None = None) -> None:
        self._mode(volume).remove_export(volume, volume_path)

    def _new_name(self, volume: base.Volume) -> str:
        return self.settings.nqn(volume.id)

    def _find_unused(self, names: list[str]) -> Iterable[str]:
        with node.lock(nvmet_settings.LOCK):
            return nvmet.find_unused(names)

    def initialize_connection(self, volume: base.Volume,
                              connector: base.Connector) -> dict[str, Any]:
        mode = self._mode(volume)
        connection = mode.allow(volume, connector)
        data = self._properties(connection, mode.port_type, volume.name_id)
        data['encrypted'] = volume.encryption_key_id is not None
        if connection.discard:
            data['discard'] = True
        return {'driver_volume_type': self.storage_protocol, 'data': data}

    def terminate_connection(self, volume: base.Volume,
                             connector: base.Connector | None,
                             **kwargs: Any) -> None:
        self._mode(volume).deny(volume, connector)

    def validate_connector(self, connector: base.Connector) -> bool:
        self._mode_for_new.check_connector(connector)
        # Fail before Cinder creates something that it must remove again.
        self.key_file.read().find(nvmet_mode.host_nqn(connector))
        return True

    def are_same_connector(self, one: base.Connector,
                           other: base.Connector) -> bool:
        return nvmet_mode.are_same_host(one, other)

    def extend_target(self, volume: base.Volume) -> None:
        """Make the kernel notify the hosts, which need no rescan then."""
        for subsystem_nqn in self._mode(volume).subsystems(volume):
            with node.lock(nvmet_settings.LOCK):
                nvmet.revalidate_sizes(subsystem_nqn)

    def _properties(self, connection: nvmet_mode.Connection,
                    port_type: type[str] | type[int],
                    uuid: str) -> dict[str, Any]:
        """Return the connection properties for os-brick's NVMe-oF connector.

        The namespace id is text, because os-brick 7.1 compares it with text.
        It does not find the number that the in-tree driver gives for a
        shared target.
        """
        if self.settings.info_version == 2:
            return {
                'target_nqn': connection.subsystem_nqn,
                'vol_uuid': uuid,
                'portals': [
                    (portal.address, port_type(portal.port),
                     _ROCE if portal.transport == 'rdma'
                     else portal.transport)
                    for portal in connection.portals],
                'ns_id': str(connection.nsid),
            }
        portal = connection.portals[0]
        return {
            'target_portal': portal.address,
            'target_port': port_type(portal.port),
            'nqn': connection.subsystem_nqn,
            'transport_type': portal.transport,
            'ns_id': str(connection.nsid),
        }

    # Restoring exports ----------------------------------------------------

    def ensure_exports(self, context: base.Context,
                       volumes: Iterable[tuple[base.Volume, str]],
                       ) -> dict[str, Exception]:
        failures: dict[str, Exception] = {}
        requests: list[nvmet_mode.Request] = []
        for volume, volume_path in volumes:
            try:
                mode = self._mode(volume)
                attached, problem = mode.attached_hosts(volume)
                if problem and not attached:
                    failures[volume.id] = problem
                requests += mode.requests(volume, volume_path, attached)
            except errors.TargetError as exc:
                failures[volume.id] = exc
        if requests:
            self._ensure(requests, failures)
        for volume_id, failure in failures.items():
            LOG.error('Cannot restore the export of volume %s: %s',
                      volume_id, failure)
        return failures

    def _ensure(self, requests: list[nvmet_mode.Request],
                failures: dict[str, Exception]) -> None:
        """Complete namespaces, and only then make the ports listen.

        A host that finds the port but no subsystem or namespace gives up the
        disk. Volumes with ids that hosts know come first, so that no other
        volume takes these ids.
        """
        with node.lock(nvmet_settings.LOCK):
            hosts = {host.nqn: host for request in requests
                     for host in request.hosts if host.key is not None}
            if hosts:
                nvmet.set_keys(list(hosts.values()))
            present = nvmet_report.list_subsystems()
        unserved: dict[str, list[listening.Portal]] = {}
        for request in sorted(
                requests, key=lambda each: each.is_free_to_move):
            listed = present.get(request.subsystem_nqn,
                                 nvmet_report.ListedSubsystem())
            try:
                if not request.is_served(listed):
                    LOG.info('Restoring subsystem %s for volume %s',
                             request.subsystem_nqn, request.volume_id)
                    request.serve(portals=())
            except (errors.TargetError, *node.DAEMON_FAILURES) as exc:
                failures[request.volume_id] = exc
                continue
            missing = [portal for portal in request.portals
                       if portal not in listed.portals]
            if missing:
                unserved[request.subsystem_nqn] = missing
        if unserved:
            self._listen(unserved, requests, failures)

    def _listen(self, unserved: Mapping[str, list[listening.Portal]],
                requests: list[nvmet_mode.Request],
                failures: dict[str, Exception]) -> None:
        """Serve subsystems on ports; one is enough for I/O to continue."""
        with node.lock(nvmet_settings.LOCK):
            replies = nvmet.listen(unserved, self.settings.first_port_id)
        for request in requests:
            refused = replies.get(request.subsystem_nqn, ())
            if refused and len(refused) == len(request.portals):
                failures.setdefault(
                    request.volume_id, errors.PortalNotAvailable(
                        refused[0].portal, refused[0].reason))
                continue
            for one in refused:
                LOG.warning('Volume %s is served, but not on portal %s: %s',
                            request.volume_id, one.portal, one.reason)
