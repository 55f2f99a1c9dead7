# SPDX-License-Identifier: Apache-2.0
"""iSCSI and iSER targets of LIO, the kernel's own (target_helper lioadm)."""

from collections.abc import Mapping
import logging
from typing import Any

from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import host
from cinder_lvm_driver.targets import iscsi
from cinder_lvm_driver.targets import kernel
from cinder_lvm_driver.targets import types

LOG = logging.getLogger(__name__)

# The name is that of cinder.volume.targets.lio.
_LOCK = 'lioadm'
_MODULES = ('target_core_mod', 'iscsi_target_mod')


class LioTarget(iscsi.ISCSITarget):
    """Each volume is LUN 0 of a target of its own, with an ACL per host."""

    LUN = 0
    SERVES_READ_ONLY = True

    def check_for_setup_error(self) -> None:
        super().check_for_setup_error()
        host.check_target_names(self.target_prefix, validation.iscsi_name)
        kernel.check_addresses(self.portals, 'lioadm')
        kernel.load_modules(_MODULES, 'lioadm', self.runner)
        kernel.check_tree('target')
        with host.lock(_LOCK), host.privileged_daemon():
            lio.list_targets()
        for portal in self.portals:
            if not host.is_local(portal):
                LOG.warning(
                    'Portal %s is on no address of this host. The kernel '
                    'serves it as soon as the address is there.', portal)

    def _create_target(self, request: types.ExportRequest) -> str:
        self._serve(request, is_new=True)
        return request.target_iqn

    def _ensure_targets(self, requests: list[types.ExportRequest],
                        ) -> dict[str, Exception]:
        if not requests:
            return {}
        with host.lock(_LOCK):
            present = lio.list_targets()
        return iscsi.try_each(requests, lambda request: self._ensure_target(
            request, present.get(request.target_iqn)))

    def _ensure_target(self, request: types.ExportRequest,
                       present: Mapping[str, Any] | None) -> None:
        """Complete a target; one portal is enough for I/O to go on."""
        if present is not None and _is_whole(present, request):
            return
        LOG.info('Bringing back target %s for volume %s',
                 request.target_iqn, request.volume_id)
        for portal, reason in self._serve(request, is_new=False):
            LOG.warning('Volume %s is served, but not on portal %s: %s',
                        request.volume_id, portal, reason)

    def _serve(self, request: types.ExportRequest, *,
               is_new: bool) -> list[tuple[str, str]]:
        acls = [(initiator_iqn, request.chap.username, request.chap.secret)
                for initiator_iqn in request.initiators]
        with host.lock(_LOCK):
            reply = lio.create_target(
                request.target_iqn, request.device, request.serial,
                [portal.canonical for portal in request.portals],
                self.driver_volume_type == 'iser', acls, is_new,
                request.read_only, not is_new)
        return list(reply['refused_portals'])

    def _delete_target(self, target_iqn: str, device: str | None) -> None:
        with host.lock(_LOCK):
            lio.delete_target(target_iqn, device)

    def _allow(self, target_iqn: str, initiator_iqn: str,
               chap: types.Chap) -> bool:
        with host.lock(_LOCK):
            reply = lio.allow_initiator(
                target_iqn, initiator_iqn, chap.username, chap.secret)
        return bool(reply['discard'])

    def _deny(self, target_iqn: str, initiator_iqn: str | None) -> None:
        with host.lock(_LOCK):
            if initiator_iqn is None:
                lio.deny_all_initiators(target_iqn)
            else:
                lio.deny_initiator(target_iqn, initiator_iqn)


def _is_whole(present: Mapping[str, Any],
              request: types.ExportRequest) -> bool:
    """Tell whether an export, as listed, lacks nothing."""
    return (present['enabled'] and present['closed']
            and present['device'] == validation.device_number(request.device)
            and {portal.canonical for portal in request.portals}
            <= set(present['portals'])
            and all(present['initiators'].get(initiator_iqn)
                    for initiator_iqn in request.initiators))
