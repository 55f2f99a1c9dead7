# SPDX-License-Identifier: Apache-2.0
"""The verbs on tgtd, the iSCSI target in user space; each changes one target.

Each verb completes what an interrupted one left behind, leaves alone what is
complete, and undoes its own steps when one of them fails. The caller holds a
lock, so that only one verb runs at a time.
"""

from collections.abc import Iterable, Mapping
import logging

from cinder_lvm_driver import blockdev
from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

Disk = tgt_objects.Disk


@verbs.value
class ListedTarget:
    """A target as it is now.

    :ivar device: major and minor number, None without LUN 1
    :ivar path: the path of the device, None without LUN 1
    :ivar scsi_id: the identifier of the disk, None without LUN 1
    :ivar lld: the transport
    :ivar ready: whether no resize is running
    :ivar accounts: names that initiators log in with
    :ivar initiators: names of the allowed initiators
    :ivar closed: whether only the allowed initiators can log in, with CHAP
    :ivar unused: whether nobody can log in
    :ivar sessions: how many initiators are logged in
    """

    device: str | None
    path: str | None
    scsi_id: str | None
    lld: str
    ready: bool
    accounts: tuple[str, ...]
    initiators: tuple[str, ...]
    closed: bool
    unused: bool = False
    sessions: int = 0


@verbs.entrypoint
def describe_daemon() -> Mapping[str, str]:
    """Return the state of each transport that tgtd was built with.

    :raises TargetDaemonNotRunning: tgtd is not running
    :raises TargetDaemonUnknown: another program answers
    """
    tgt_report.portals()
    return tgt_report.drivers()


@verbs.entrypoint
def ensure_portals(portals: Iterable[listening.Portal],
                   ) -> tuple[listening.Refused, ...]:
    """Make tgtd listen on portals; return those that it refuses."""
    return tgt_objects.ensure_portals(
        [portal.validated() for portal in portals])


@verbs.entrypoint
def create_target(*, target_iqn: str, lld: str, disk: Disk,
                  chap: Chap, initiators: Iterable[str]) -> int:
    """Export a device as LUN 1 of a target, or complete such an export.

    :param lld: transport, ``iscsi`` or ``iser``
    :param chap: name and secret that all initiators log in with
    :param initiators: names to allow; tgtd compares them with the names that
        initiators send, and the case matters
    :returns: the number of the target
    :raises DeviceNotUsable: the device does not exist or cannot be opened
    :raises TargetInUse: an initiator is logged in to another device
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    lld = validation.transport(lld)
    chap = chap.validated_for_tgt()
    wanted = [validation.tgt_initiator('initiator', initiator)
              for initiator in initiators]
    disk = disk.validated()

    targets = tgt_report.targets()
    target = _vacated(targets, target_iqn, lld, disk.device)
    with rollback.Undo() as undo:
        if target is None:
            target = tgt_objects.make_target(target_iqn, lld, targets, undo)
        tgt_objects.ensure_disk(target, disk, undo)
        tgt_objects.ensure_account(target, chap, targets.values(), undo)
        tgt_objects.ensure_initiators(target, wanted, undo)
        if not target.ready:
            tgt_objects.set_ready(target, True)
        undo.keep()
    return target.tid


@verbs.entrypoint
def allow_initiator(*, target_iqn: str, initiator_iqn: str,
                    chap: Chap) -> str:
    """Allow an initiator to log in with CHAP and use LUN 1.

    :returns: the path of the device
    :raises TargetNotFound: there is no such target, or it has no LUN
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    initiator_iqn = validation.tgt_initiator('initiator', initiator_iqn)
    chap = chap.validated_for_tgt()
    targets = tgt_report.targets()
    target = targets.get(target_iqn)
    if target is None or target.lun is None:
        raise errors.TargetNotFound(target_iqn)
    with rollback.Undo() as undo:
        tgt_objects.ensure_account(target, chap, targets.values(), undo)
        tgt_objects.ensure_initiators(target, [initiator_iqn], undo)
        undo.keep()
    return target.lun.device


@verbs.entrypoint
def deny_initiator(target_iqn: str, initiator_iqn: str) -> None:
    """Deny an initiator, and end its connections.

    :param initiator_iqn: in lower case; this denies it in all spellings
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    initiator_iqn = validation.tgt_initiator('initiator', initiator_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is not None:
        for entry in target.acl:
            if entry.lower() == initiator_iqn:
                tgt_objects.deny(target, entry)
        tgt_objects.cut(target, initiator_iqn)


@verbs.entrypoint
def deny_all_initiators(target_iqn: str) -> None:
    """Deny all initiators, and end their connections."""
    target_iqn = validation.tgt_target('target', target_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is not None:
        for entry in target.acl:
            tgt_objects.deny(target, entry)
        tgt_objects.cut(target)


@verbs.entrypoint
def delete_target(target_iqn: str, device: str | None = None,
                  username: str | None = None) -> None:
    """Remove a target and its account, or the rest of an incomplete one.

    :param device: keep a target that serves another device; None removes
        the target whatever it serves
    :param username: an account that was made for the target, and perhaps
        not bound to it
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    targets = tgt_report.targets()
    target = targets.get(target_iqn)
    if target is not None and device is not None and _serves_another(
            target, validation.device_path(device)):
        return
    if target is not None:
        tgt_objects.remove_target(target, targets.values())
    if username:
        tgt_objects.remove_unbound_account(
            validation.tgt_chap_text('CHAP name', username),
            targets.values())


@verbs.entrypoint
def resize_target(target_iqn: str, write_cache: bool) -> None:
    """Make a target show the present size of its device.

    tgtd reads the size when it opens the device. So this removes LUN 1 and
    creates it again. Meanwhile it ends the connections and makes tgtd tell
    initiators to log in later: they repeat their I/O after a pause.

    :raises TargetBusy: I/O in flight does not end; nothing was changed
    :raises TargetNotFound: an interrupted resize has left the target without
        its LUN
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is None:
        return
    if target.lun is None:
        if not target.ready:
            raise errors.TargetNotFound(target_iqn)
        return
    disk = Disk(
        device=target.lun.device, scsi_id=target.lun.scsi_id,
        write_cache=write_cache, bsoflags=target.lun.bsoflags,
        read_only=target.lun.read_only).validated()
    with rollback.Undo() as undo:
        undo.later(_serve_again, target_iqn, disk)
        tgt_objects.set_ready(target, False)
        # tgtd does not answer requests that arrive meanwhile, so each
        # initiator must log in again.
        tgt_objects.cut(target)
        tgt_objects.patiently(
            target, lambda: tgt_objects.remove_disk(target))
        tgt_objects.make_disk(target, disk)
        tgt_objects.set_ready(target, True)
        undo.keep()


def _serve_again(target_iqn: str, disk: Disk) -> None:
    """Have a target serve a disk after a failure.

    A target without its LUN answers I/O with errors: if the device cannot be
    opened again, initiators keep trying to log in instead.
    """
    target = tgt_report.targets()[target_iqn]
    with rollback.Undo() as undo:
        tgt_objects.ensure_disk(target, disk, undo)
        undo.keep()
    tgt_objects.set_ready(target, True)


@verbs.entrypoint
def list_targets() -> Mapping[str, ListedTarget]:
    """Return all targets by IQN."""
    return {target.target_iqn: _describe(target)
            for target in tgt_report.targets().values()}


def _describe(target: tgt_report.Target) -> ListedTarget:
    return ListedTarget(
        device=_number(target.lun),
        path=target.lun.device if target.lun else None,
        scsi_id=target.lun.scsi_id if target.lun else None,
        lld=target.lld,
        ready=target.ready,
        accounts=target.accounts,
        initiators=target.initiators,
        closed=(bool(target.accounts)
                and tgt_objects.allows_by_name_only(target)),
        unused=tgt_objects.allows_nobody(target),
        sessions=target.sessions)


def _number(lun: tgt_report.Lun | None) -> str | None:
    return None if lun is None else blockdev.number(lun.device)


def _serves_another(target: tgt_report.Target, device: str) -> bool:
    return target.lun is not None and validation.is_another_device(
        target.lun.device, _number(target.lun), device)


def _vacated(targets: dict[str, tgt_report.Target], target_iqn: str,
             lld: str, device: str) -> tgt_report.Target | None:
    """Return the target of a name if it can serve a device.

    Remove a target that serves another device or transport: it remains from
    an LV that was replaced.

    :raises TargetInUse: an initiator is logged in
    """
    target = targets.get(target_iqn)
    if target is None:
        return None
    served = target.lun
    if target.lld == lld and (
            served is None
            or _number(served) == validation.device_number(device)):
        return target
    path = served.device if served else 'nothing'
    if target.in_use:
        raise errors.TargetInUse(target_iqn, f'{path} over {target.lld}',
                                 f'{device} over {lld}')
    LOG.warning('Target %s serves %s, but no initiator is logged in. '
                'Replacing it by a target for %s', target_iqn, path, device)
    tgt_objects.remove_target(target, targets.values())
    del targets[target_iqn]
    return None
