# SPDX-License-Identifier: Apache-2.0
"""iSCSI and iSER targets of LIO, the kernel's own (target_helper lioadm)."""

from collections.abc import Iterable
import glob
import logging
from typing import Literal

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import base
from cinder_lvm_driver.targets import errors
from cinder_lvm_driver.targets import iscsi
from cinder_lvm_driver.targets.iscsi_export import ExportRequest
from cinder_lvm_driver.targets import node
from cinder_lvm_driver.targets import portals

LOG = logging.getLogger(__name__)

# The name is that of cinder.volume.targets.lio.
_LOCK = 'lioadm'
_WILDCARDS = ('0.0.0.0', '::')     # noqa: S104
_MODULES = ('target_core_mod', 'iscsi_target_mod')


class LioTarget(iscsi.ISCSITarget):
    """Each volume is LUN 0 of a target of its own, with an ACL per host."""

    LUN = 0
    SERVES_READ_ONLY = True

    def check_for_setup_error(self) -> None:
        super().check_for_setup_error()
        node.check_target_names(self.target_prefix, validation.iscsi_name)
        node.check_addresses(self.portals, 'lioadm')
        node.load_modules(_MODULES, 'lioadm', self.runner)
        node.check_tree('target', self.runner)
        with node.lock(_LOCK), node.privileged_daemon():
            lio.list_targets()

    def fault(self) -> str | None:
        return (super().fault() or node.tree_fault('target')
                or portals.fault(self.portals, self._listens, self.runner))

    def _listens(self, portal: listening.Portal) -> bool:
        """Tell whether LIO listens on a portal, for any target of the node.

        Of iSER, which has no TCP socket, that cannot be told.
        """
        wildcard = listening.Portal(_WILDCARDS[portal.is_ipv6], portal.port)
        return self.driver_volume_type == 'iser' or any(
            next(glob.iglob(f'{configfs.tree("target").path}/iscsi/*/tpgt_*/'
                            f'np/{glob.escape(str(each))}'), None)
            for each in (portal.validated(), wildcard))

    def list_served(self) -> list[base.Served]:
        return [base.Served(name=target_iqn, device=target.device,
                            hosts=len(target.initiators),
                            sessions=target.sessions)
                for target_iqn, target in lio.list_targets().items()]

    def _create_target(self, request: ExportRequest) -> str:
        self._serve(request, 'create')
        return request.target_iqn

    def _ensure_targets(self, requests: list[ExportRequest],
                        ) -> dict[str, Exception]:
        if not requests:
            return {}
        with node.lock(_LOCK):
            present = lio.list_targets()
        return iscsi.try_each(requests, lambda request: self._ensure_target(
            request, present.get(request.target_iqn)))

    def _ensure_target(self, request: ExportRequest,
                       present: lio.ListedTarget | None) -> None:
        """Complete a target; one portal is enough for I/O to continue."""
        if present is not None and _is_complete(present, request):
            return
        LOG.info('Restoring target %s for volume %s',
                 request.target_iqn, request.volume_id)
        for refused in self._serve(request, 'complete'):
            LOG.warning('Volume %s is served, but not on portal %s: %s',
                        request.volume_id, refused.portal, refused.reason)

    def _serve(self, request: ExportRequest,
               mode: Literal['create', 'complete'],
               ) -> tuple[listening.Refused, ...]:
        with node.lock(_LOCK):
            return lio.create_target(
                target_iqn=request.target_iqn, device=request.device,
                serial=request.serial, portals=_portals(request),
                chap=request.chap, initiators=request.initiators,
                iser=self.driver_volume_type == 'iser',
                read_only=request.read_only, mode=mode).refused

    def _find_unused(self, names: list[str]) -> Iterable[str]:
        with node.lock(_LOCK):
            return lio.find_unused(names)

    def _delete_target(self, target_iqn: str, device: str | None) -> None:
        with node.lock(_LOCK):
            lio.delete_target(target_iqn, device)

    def _allow(self, target_iqn: str, initiator_iqn: str, chap: Chap) -> bool:
        with node.lock(_LOCK):
            return lio.allow_initiator(
                target_iqn=target_iqn, initiator_iqn=initiator_iqn, chap=chap)

    def _deny(self, target_iqn: str, initiator_iqn: str | None) -> None:
        with node.lock(_LOCK):
            if initiator_iqn is None:
                lio.deny_all_initiators(target_iqn)
            else:
                lio.deny_initiator(target_iqn, initiator_iqn)


def _portals(request: ExportRequest) -> list[listening.Portal]:
    """Return the portals of a request in the kernel's spelling.

    :raises InvalidExport: one is a host name, as tgt may have stored it
    """
    try:
        return [portal.validated() for portal in request.portals]
    except errors.InvalidArgument as exc:
        raise errors.InvalidExport(
            'provider_location',
            f'names a portal that LIO cannot serve: {exc.reason}; '
            f'{errors.ATTACH_AGAIN}') from None


def _is_complete(present: lio.ListedTarget, request: ExportRequest) -> bool:
    """Tell whether an export lacks nothing."""
    return (present.enabled and present.closed
            and present.device == validation.device_number(request.device)
            and set(_portals(request)) <= set(present.portals)
            and all(present.initiators.get(initiator_iqn)
                    for initiator_iqn in request.initiators))
