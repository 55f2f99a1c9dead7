# SPDX-License-Identifier: Apache-2.0
"""NVMe-oF targets of nvmet, the kernel's own (target_helper nvmet)."""

from collections.abc import Iterable, Mapping
import contextlib
import logging
from typing import Any
import zlib

from cinder.common import constants

from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import dhchap
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import nvmeof
from cinder_lvm_driver.targets import nvmet_setup

LOG = logging.getLogger(__name__)


class NvmetTarget(base.Target):
    """A subsystem for each volume, or with lvm_share_target for each host."""

    storage_protocol = constants.NVMEOF_VARIANT_2
    SHARED_TARGET_SUPPORT = True

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.settings = nvmet_setup.Settings.read(configuration)
        self.key_file = dhchap.KeyFile(configuration.lvm_nvme_key_file,
                                       configuration.lvm_nvme_require_keys)

    def check_for_setup_error(self) -> None:
        nvmet_setup.check(self.settings, self.key_file, self.runner)

    # Cinder's verbs -------------------------------------------------------

    def create_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        attached = bool(base.connectors(volume))
        if self._is_shared(volume, attached):
            return {'location': volume_path, 'auth': ''}
        export = self._own_export(volume, attached)
        keys = self.key_file.read()
        connectors, problem = self._let_in(volume, keys)
        if problem:
            _warn_of_left_out(volume, problem)
        request = self._own_request(volume, volume_path, export, connectors,
                                    keys)
        self._serve(request, nvmeof.canonical(*self.settings.portals),
                    hosts_are_current=False)
        return {'location': export.format(), 'auth': ''}

    def initialize_connection(self, volume: base.Volume,
                              connector: base.Connector) -> dict[str, Any]:
        host_nqn = _host_nqn(connector)
        keys = self.key_file.read()
        portals: Iterable[tuple[str, str, int | str]]
        if nvmeof.is_shared(volume.provider_location):
            request = self._shared_request(
                volume, volume.provider_location, connector, keys)
            subsystem_nqn = request.subsystem_nqn
            portals = self.settings.portals
            reply = self._serve(request, request.portals)
            nsid = reply['nsid']
        else:
            export = nvmeof.parse_export(volume)
            subsystem_nqn, nsid = export.subsystem_nqn, export.nsid
            portals = [(transport, address, str(port))
                       for transport, address, port in export.portals]
            with host.lock(nvmet_setup.LOCK):
                reply = nvmet.allow_host(
                    subsystem_nqn, host_nqn, keys.find(host_nqn))
        data = nvmeof.connection_properties(
            self.settings.info_version, subsystem_nqn, portals, nsid,
            volume.name_id)
        data['encrypted'] = volume.encryption_key_id is not None
        if reply['discard']:
            data['discard'] = True
        return {'driver_volume_type': self.storage_protocol, 'data': data}

    def terminate_connection(self, volume: base.Volume,
                             connector: base.Connector | None,
                             **kwargs: Any) -> None:
        if nvmeof.is_shared(volume.provider_location):
            self._withdraw(volume, connector)
            return
        try:
            subsystem_nqn = nvmeof.own_nqn(volume)
        except errors.InvalidExport as exc:
            LOG.info('Nothing to disconnect from: %s', exc)
            return
        with host.lock(nvmet_setup.LOCK):
            if connector is None:
                nvmet.deny_all_hosts(subsystem_nqn)
            else:
                nvmet.deny_host(subsystem_nqn, _host_nqn(connector))

    def _withdraw(self, volume: base.Volume,
                  connector: base.Connector | None,
                  volume_path: str | None = None) -> None:
        """Take a volume out of the subsystem of a host, or of all hosts."""
        with host.lock(nvmet_setup.LOCK):
            if connector is not None:
                names = [self._subsystem(volume, connector)]
            else:
                names = [name for name, listed
                         in nvmet.list_subsystems().items()
                         if any(uuid == volume.name_id for _, uuid
                                in listed['namespaces'].values())]
            for subsystem_nqn in names:
                nvmet.delete_namespace(subsystem_nqn, volume.name_id,
                                       volume_path)

    def remove_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str | None = None) -> None:
        """Remove a subsystem; those of hosts go as the hosts do.

        A host whose attachment went without the end of its connection, as
        with ``cinder reset-state --attach-status detached``, has no other
        occasion to give a volume back.
        """
        if nvmeof.is_shared(volume.provider_location):
            if not base.connectors(volume):
                self._withdraw(volume, None, volume_path)
            return
        try:
            subsystem_nqn = nvmeof.own_nqn(volume)
        except errors.InvalidExport:
            subsystem_nqn = self.settings.nqn(volume.id)
        with host.lock(nvmet_setup.LOCK):
            nvmet.delete_subsystem(subsystem_nqn, volume_path)

    def validate_connector(self, connector: base.Connector) -> bool:
        host_nqn = _host_nqn(connector)
        if self.settings.share_target:
            self._host_subsystem(connector)
        # Here nothing was made yet that Cinder would remove again.
        self.key_file.read().find(host_nqn)
        return True

    def are_same_connector(self, one: base.Connector,
                           other: base.Connector) -> bool:
        """Compare host NQNs, in which the case matters."""
        name = base.said(one, 'nqn')
        return bool(name) and name == base.said(other, 'nqn')

    def extend_target(self, volume: base.Volume) -> None:
        """Have the kernel tell the hosts; theirs grow without a rescan."""
        if nvmeof.is_shared(volume.provider_location):
            names = [self._subsystem(volume, connector)
                     for connector in self._usable_connectors(volume)]
        else:
            names = []
            with contextlib.suppress(errors.InvalidExport):
                names = [nvmeof.own_nqn(volume)]
        for subsystem_nqn in dict.fromkeys(names):
            with host.lock(nvmet_setup.LOCK):
                nvmet.revalidate_sizes(subsystem_nqn)

    # Bringing exports back ------------------------------------------------

    def ensure_exports(self, context: base.Context,
                       volumes: Iterable[tuple[base.Volume, str]],
                       ) -> dict[str, Exception]:
        failures: dict[str, Exception] = {}
        requests: list[nvmeof.NamespaceRequest] = []
        for volume, volume_path in volumes:
            try:
                requests += self._requests(volume, volume_path, failures)
            except errors.TargetError as exc:
                failures[volume.id] = exc
        if requests:
            self._ensure(requests, failures)
        for volume_id, failure in failures.items():
            LOG.error('Volume %s is not exported as it should be: %s',
                      volume_id, failure)
        return failures

    def _requests(self, volume: base.Volume, volume_path: str,
                  failures: dict[str, Exception],
                  ) -> list[nvmeof.NamespaceRequest]:
        """Return what a volume needs; hosts without a key stay out."""
        keys = self.key_file.read()
        connectors, problem = self._let_in(volume, keys)
        if problem and not connectors:
            failures[volume.id] = problem
        elif problem:
            _warn_of_left_out(volume, problem)
        if nvmeof.is_shared(volume.provider_location):
            return [self._shared_request(volume, volume_path, connector, keys)
                    for connector in connectors]
        return [self._own_request(
            volume, volume_path, nvmeof.parse_export(volume), connectors,
            keys)]

    def _ensure(self, requests: list[nvmeof.NamespaceRequest],
                failures: dict[str, Exception]) -> None:
        """Complete namespaces, and let the ports listen only then.

        A host that finds the port but not yet its subsystem, or not its
        namespace, gives the disk up. Volumes whose ids the hosts know come
        first, so that no other one takes these.
        """
        keys = {(host_nqn, key) for request in requests
                for host_nqn, key in request.hosts if key is not None}
        with host.lock(nvmet_setup.LOCK):
            if keys:
                nvmet.set_keys(sorted(keys))
            present = nvmet.list_subsystems()
        unheard: dict[str, list[nvmeof.Portal]] = {}
        for request in sorted(
                requests, key=lambda each: each.is_free_to_move):
            listed = present.get(request.subsystem_nqn, nvmeof.NOTHING)
            try:
                if not request.is_served(listed):
                    LOG.info('Bringing back subsystem %s for volume %s',
                             request.subsystem_nqn, request.volume_id)
                    self._serve(request, portals=())
            except (errors.TargetError, *host.DAEMON_FAILURES) as exc:
                failures[request.volume_id] = exc
                continue
            missing = set(request.portals) - set(listed['portals'])
            if missing:
                unheard[request.subsystem_nqn] = sorted(missing)
        if unheard:
            self._listen(unheard, requests, failures)

    def _listen(self, unheard: Mapping[str, list[nvmeof.Portal]],
                requests: list[nvmeof.NamespaceRequest],
                failures: dict[str, Exception]) -> None:
        """Serve subsystems on ports; one is enough for I/O to go on."""
        with host.lock(nvmet_setup.LOCK):
            refused = nvmet.listen(list(unheard.items()),
                                   self.settings.first_port_id)
        for request in requests:
            problems = refused.get(request.subsystem_nqn, [])
            if problems and len(problems) == len(request.portals):
                failures.setdefault(request.volume_id,
                                    errors.PortalNotAvailable(*problems[0]))
                continue
            for portal, reason in problems:
                LOG.warning('Volume %s is served, but not on portal %s: %s',
                            request.volume_id, portal, reason)

    # What is asked of the kernel ------------------------------------------

    def _serve(self, request: nvmeof.NamespaceRequest,
               portals: Iterable[nvmeof.Portal], *,
               hosts_are_current: bool = True) -> Mapping[str, Any]:
        with host.lock(nvmet_setup.LOCK):
            reply: Mapping[str, Any] = nvmet.create_namespace(
                request.subsystem_nqn, request.device, request.uuid,
                request.nsid, request.lowest_nsid, request.highest_nsid,
                list(request.hosts), list(portals),
                self.settings.first_port_id, request.exclusive,
                hosts_are_current)
        return reply

    def _own_request(self, volume: base.Volume, device: str,
                     export: nvmeof.NvmeExport,
                     connectors: Iterable[base.Connector],
                     keys: dhchap.Keys) -> nvmeof.NamespaceRequest:
        """Ask for the only namespace of a subsystem."""
        return nvmeof.NamespaceRequest(
            volume.id, export.subsystem_nqn, device, volume.name_id,
            export.nsid, export.nsid, export.nsid,
            nvmeof.canonical(*export.portals, *self.settings.portals),
            _hosts(connectors, keys))

    def _shared_request(self, volume: base.Volume, device: str,
                        connector: base.Connector,
                        keys: dhchap.Keys) -> nvmeof.NamespaceRequest:
        """Ask for one of the namespaces of a host's subsystem."""
        return nvmeof.NamespaceRequest(
            volume.id, self._subsystem(volume, connector), device,
            volume.name_id, *self._shared_nsids(volume, connector),
            nvmeof.canonical(*self.settings.portals),
            _hosts([connector], keys), exclusive=True)

    def _shared_nsids(self, volume: base.Volume,
                      connector: base.Connector) -> tuple[int, int, int]:
        """Return the id for a volume, and the range that it may be from.

        The id that the host knows it by is the only one: under another, the
        host may have the disk of another volume. A new one follows from the
        volume, so that an id that has become free goes to another volume
        only if there is no other: the host may not have noticed yet.
        """
        known = str(self._told(volume, connector).get('ns_id'))
        if known.isdecimal():
            return int(known), int(known), int(known)
        lowest, highest = self.settings.nsid, self.settings.last_nsid
        span = highest - lowest + 1
        nsid = lowest + zlib.crc32(volume.name_id.encode()) % span
        return nsid, lowest, highest

    # Hosts and names ------------------------------------------------------

    def _told(self, volume: base.Volume,
              connector: base.Connector) -> Mapping[str, Any]:
        """Return what a host was told of a volume, if Cinder has kept it."""
        for attachment in volume.volume_attachment:
            if attachment.connection_info and self.are_same_connector(
                    attachment.connector or {}, connector):
                told: Mapping[str, Any] = attachment.connection_info
                return told
        return {}

    def _usable_connectors(self, volume: base.Volume,
                           ) -> list[base.Connector]:
        """Return the connectors of the hosts that a volume is attached to.

        Those that make no sense are of another time or helper, and nobody
        can be let in by them.
        """
        found = []
        for connector in base.connectors(volume):
            with contextlib.suppress(errors.InvalidConnector):
                _host_nqn(connector)
                if nvmeof.is_shared(volume.provider_location):
                    self._subsystem(volume, connector)
                found.append(connector)
        return found

    def _let_in(self, volume: base.Volume, keys: dhchap.Keys,
                ) -> tuple[list[base.Connector], errors.NoHostKey | None]:
        """Return which hosts a volume is for, and why others are not."""
        connectors, problem = [], None
        for connector in self._usable_connectors(volume):
            try:
                keys.find(_host_nqn(connector))
            except errors.NoHostKey as exc:
                problem = exc
            else:
                connectors.append(connector)
        return connectors, problem

    def _subsystem(self, volume: base.Volume,
                   connector: base.Connector) -> str:
        """Return in which subsystem of a host it finds a volume.

        The one that it knows, whatever cinder.conf says now.
        """
        told = self._told(volume, connector)
        return (base.said(told, 'target_nqn') or base.said(told, 'nqn')
                or self._host_subsystem(connector))

    def _host_subsystem(self, connector: base.Connector) -> str:
        """Return the name of the subsystem of a host for new volumes."""
        name = base.said(connector, 'host')
        try:
            return validation.nqn('host', self.settings.nqn(name or '/'))
        except errors.InvalidArgument as exc:
            raise errors.InvalidConnector('host') from exc

    def _is_shared(self, volume: base.Volume, attached: bool) -> bool:
        """Tell how to serve a volume: as until now while hosts use it."""
        if attached and volume.provider_location:
            return nvmeof.is_shared(volume.provider_location)
        return self.settings.share_target

    def _own_export(self, volume: base.Volume,
                    attached: bool) -> nvmeof.NvmeExport:
        """Return where a volume is found: as until now while hosts use it."""
        subsystem_nqn = self.settings.nqn(volume.id)
        nsid = self.settings.nsid
        if attached:
            with contextlib.suppress(errors.InvalidExport):
                known = nvmeof.parse_export(volume)
                subsystem_nqn, nsid = known.subsystem_nqn, known.nsid
        return nvmeof.NvmeExport(
            self.settings.addresses, self.settings.port,
            self.settings.transport, subsystem_nqn, nsid)


def _warn_of_left_out(volume: base.Volume, problem: Exception) -> None:
    LOG.warning('Of the hosts that have volume %s, one is left out: %s',
                volume.id, problem)


def _host_nqn(connector: base.Connector) -> str:
    try:
        return validation.nqn('host', base.said(connector, 'nqn'))
    except errors.InvalidArgument as exc:
        raise errors.InvalidConnector('nqn') from exc


def _hosts(connectors: Iterable[base.Connector], keys: dhchap.Keys,
           ) -> tuple[nvmeof.Host, ...]:
    names = dict.fromkeys(map(_host_nqn, connectors))
    return tuple((host_nqn, keys.find(host_nqn)) for host_nqn in names)
