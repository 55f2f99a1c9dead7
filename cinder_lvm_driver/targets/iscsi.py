# SPDX-License-Identifier: Apache-2.0
"""The common part of the iSCSI helpers.

The abstract methods know no objects of Cinder, only values of
``iscsi_export``.
"""

import abc
from collections.abc import Callable, Iterable
import contextlib
import logging
from typing import Any

from cinder.common import constants
from cinder.volume import volume_utils

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import iscsi_export
from cinder_lvm_driver.targets.iscsi_export import ExportRequest
from cinder_lvm_driver.targets.iscsi_export import IscsiExport
from cinder_lvm_driver.targets import node

LOG = logging.getLogger(__name__)

_DRIVER_VOLUME_TYPES = ('iscsi', 'iser')


class ISCSITarget(base.Target):
    """One target per volume, with CHAP."""

    storage_protocol = constants.ISCSI
    LUN: int
    # Checks the name of an initiator, and returns it in the host's spelling.
    _initiator_name = staticmethod(validation.spelled_iscsi_name)

    def __init__(self, configuration: Any, runner: process.Runner) -> None:
        super().__init__(configuration, runner)
        self.target_prefix = configuration.target_prefix
        self.driver_volume_type = configuration.target_protocol
        addresses = [configuration.target_ip_address,
                     *(configuration.target_secondary_ip_addresses or ())]
        self.portals = tuple(
            listening.Portal.at(address, configuration.target_port)
            for address in addresses)
        # Two hosts that attach a volume at the same time must get the same
        # CHAP secret, but Cinder stores it only after the first attachment.
        self._new_chaps: dict[str, Chap] = {}

    def check_for_setup_error(self) -> None:
        if self.driver_volume_type not in _DRIVER_VOLUME_TYPES:
            raise errors.TargetConfigurationError(
                "target_protocol is '%s', but target_helper '%s' supports "
                "only %s" % (self.driver_volume_type,
                        self.configuration.target_helper,
                        ' and '.join(_DRIVER_VOLUME_TYPES)))
        node.check_rdma(self.driver_volume_type)

    def fault(self) -> str | None:
        return node.rdma_fault(self.driver_volume_type)

    def create_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str, *,
                      read_only: bool = False) -> dict[str, str]:
        target_iqn = self._target_iqn(volume)
        if volume.provider_auth:
            chap = _parse_chap(volume)
        else:
            chap = self._new_chaps.setdefault(volume.id, _new_chap())
        target = self._create_target(ExportRequest(
            volume_id=volume.id, serial=volume.name_id,
            target_iqn=target_iqn, device=volume_path, portals=self.portals,
            chap=chap, initiators=self._initiators(volume),
            read_only=read_only))
        export = IscsiExport(self.portals, target, target_iqn, self.LUN)
        return {'location': export.format(),
                'auth': iscsi_export.format_chap(chap)}

    def ensure_exports(self, context: base.Context,
                       volumes: Iterable[tuple[base.Volume, str]],
                       ) -> dict[str, Exception]:
        failures: dict[str, Exception] = {}
        requests = []
        for volume, volume_path in volumes:
            try:
                export = _parse_export(volume)
                chap = _parse_chap(volume)
            except errors.InvalidExport as exc:
                failures[volume.id] = exc
                continue
            if export.lun != self.LUN:
                LOG.warning(
                    'Volume %s was attached as LUN %d, but target_helper %s '
                    'serves it as LUN %d: %s', volume.id, export.lun,
                    self.configuration.target_helper, self.LUN,
                    errors.ATTACH_AGAIN)
            requests.append(ExportRequest(
                volume_id=volume.id, serial=volume.name_id,
                target_iqn=export.target_iqn, device=volume_path,
                portals=listening.unique(export.portals + self.portals),
                chap=chap, initiators=self._initiators(volume)))
        failures.update(self._ensure_targets(requests))
        for volume_id, failure in failures.items():
            LOG.error('Cannot restore the export of volume %s: %s',
                      volume_id, failure)
        return failures

    def remove_export(self, context: base.Context, volume: base.Volume,
                      volume_path: str | None = None) -> None:
        try:
            target_iqn = own_export(volume).target_iqn
        except errors.InvalidExport:
            target_iqn = self._new_name(volume)
        self._delete_target(target_iqn, volume_path)
        self._new_chaps.pop(volume.id, None)

    def initialize_connection(self, volume: base.Volume,
                              connector: base.Connector) -> dict[str, Any]:
        initiator_iqns = self._spellings(self._initiator(connector))
        export = _parse_export(volume)
        chap = _parse_chap(volume)
        discard = False
        for initiator_iqn in initiator_iqns:
            discard = self._allow(export.target_iqn, initiator_iqn, chap)
        multipath = bool(connector.get('multipath'))
        return {
            'driver_volume_type': self.driver_volume_type,
            'data': _connection_properties(
                volume, export, chap, multipath, discard),
        }

    def terminate_connection(self, volume: base.Volume,
                             connector: base.Connector | None,
                             **kwargs: Any) -> None:
        try:
            export = own_export(volume)
        except errors.InvalidExport as exc:
            LOG.info('The volume has no export to deny a host from: %s', exc)
            return
        self._deny(export.target_iqn, None if connector is None
                   else self._initiator(connector).lower())

    def validate_connector(self, connector: base.Connector) -> bool:
        self._initiator(connector)
        return True

    def are_same_connector(self, one: base.Connector,
                           other: base.Connector) -> bool:
        """Compare names without regard to case (RFC 7143, 4.2.7.1)."""
        name = _lower_name(one)
        return bool(name) and name == _lower_name(other)

    def _initiators(self, volume: base.Volume) -> tuple[str, ...]:
        """Return the names of the hosts that a volume is attached to."""
        names: list[str] = []
        for connector in base.connectors(volume):
            try:
                names += self._spellings(self._initiator(connector))
            except errors.InvalidConnector:
                LOG.warning('Volume %s is not served to host %r: %r is not '
                            'the name of an initiator', volume.id,
                            base.text_of(connector, 'host'),
                            base.text_of(connector, 'initiator'))
        return tuple(dict.fromkeys(names))

    def _initiator(self, connector: base.Connector) -> str:
        """Return the name of a host in the host's spelling."""
        try:
            return self._initiator_name(
                'initiator', base.text_of(connector, 'initiator'))
        except errors.InvalidArgument as exc:
            raise errors.InvalidConnector('initiator') from exc

    def _spellings(self, initiator_iqn: str) -> tuple[str, ...]:
        """Return the spellings of a host's name to allow."""
        return (initiator_iqn.lower(),)

    def _target_iqn(self, volume: base.Volume) -> str:
        """Return the name of the target; it is stable while hosts use it."""
        if base.connectors(volume):
            with contextlib.suppress(errors.InvalidExport):
                return _parse_export(volume).target_iqn
        return self._new_name(volume)

    def _new_name(self, volume: base.Volume) -> str:
        return f'{self.target_prefix}{volume.name}'

    @abc.abstractmethod
    def _create_target(self, request: ExportRequest) -> str:
        """Serve a device on all portals or not at all.

        :returns: the word for the target in provider_location
        """

    @abc.abstractmethod
    def _ensure_targets(self, requests: list[ExportRequest],
                        ) -> dict[str, Exception]:
        """Complete targets; return the failures by volume id."""

    @abc.abstractmethod
    def _delete_target(self, target_iqn: str, device: str | None) -> None:
        """Remove a target if it exists and serves no other device."""

    @abc.abstractmethod
    def _allow(self, target_iqn: str, initiator_iqn: str,
               chap: Chap) -> bool:
        """Allow an initiator; return whether it can discard blocks."""

    @abc.abstractmethod
    def _deny(self, target_iqn: str, initiator_iqn: str | None) -> None:
        """Deny an initiator, or all initiators if the name is None.

        :param initiator_iqn: in lower case
        """


def try_each(requests: Iterable[ExportRequest],
             step: Callable[[ExportRequest], None],
             ) -> dict[str, Exception]:
    """Take a step for each request; return the failures by volume id."""
    failures: dict[str, Exception] = {}
    for request in requests:
        try:
            step(request)
        except (errors.TargetError, *node.DAEMON_FAILURES) as exc:
            failures[request.volume_id] = exc
    return failures


def _lower_name(connector: object) -> str | None:
    name = base.text_of(connector, 'initiator')
    return None if name is None else name.lower()


def _parse_export(volume: base.Volume) -> IscsiExport:
    with base.about(volume):
        return IscsiExport.parse(volume.provider_location)


def own_export(volume: base.Volume) -> IscsiExport:
    """Return the stored export of a volume.

    :raises InvalidExport: it is not valid, or another volume's
    """
    export = _parse_export(volume)
    base.check_own(volume, export.target_iqn.lower(), volume.name.lower())
    return export


def _parse_chap(volume: base.Volume) -> Chap:
    with base.about(volume):
        return iscsi_export.parse_chap(volume.provider_auth)


def _new_chap() -> Chap:
    return Chap(volume_utils.generate_username(),
                volume_utils.generate_password())


def _connection_properties(volume: base.Volume, export: IscsiExport,
                           chap: Chap, multipath: bool,
                           discard: bool) -> dict[str, Any]:
    """Return the connection properties for os-brick's iSCSI connector."""
    portals = [str(portal) for portal in export.portals]
    properties = {
        'target_discovered': False,
        'target_portal': portals[0],
        'target_iqn': export.target_iqn,
        'target_lun': export.lun,
        'volume_id': volume.id,
        'auth_method': 'CHAP',
        'auth_username': chap.username,
        'auth_password': chap.secret,
        'encrypted': volume.encryption_key_id is not None,
    }
    if len(portals) > 1 or multipath:
        properties['target_portals'] = portals
        properties['target_iqns'] = [export.target_iqn] * len(portals)
        properties['target_luns'] = [export.lun] * len(portals)
    if volume.provider_geometry:
        physical, logical = volume.provider_geometry.split()
        properties['physical_block_size'] = physical
        properties['logical_block_size'] = logical
    if discard:
        properties['discard'] = True
    return properties
