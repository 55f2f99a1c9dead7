# SPDX-License-Identifier: Apache-2.0
"""The verbs on tgtd, the iSCSI target in user space, each for one target.

Each verb completes what an interrupted one left behind and leaves alone what
is whole, and it undoes its own steps when one of them fails. The caller holds
a lock, so that no two verbs are at it at the same time.
"""

from collections.abc import Iterable, Sequence
import logging
from typing import Any

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import tgt_objects
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import validation

LOG = logging.getLogger(__name__)


@privileged.context.entrypoint
def describe_daemon() -> dict[str, str]:
    """Return the state of each transport that the daemon has.

    :raises TargetDaemonNotRunning: there is no daemon
    :raises TargetDaemonUnknown: it is not one that we know
    """
    tgt_report.portals()
    return tgt_report.drivers()


@privileged.context.entrypoint
def ensure_portals(portals: Iterable[Sequence[object]],
                   ) -> list[tuple[str, str]]:
    """Have the daemon listen; return the refused portals with reasons."""
    return tgt_objects.ensure_portals(
        [validation.portal(portal) for portal in portals])


@privileged.context.entrypoint
def create_target(target_iqn: str, lld: str, disk: Sequence[object],
                  chap: Sequence[object], initiators: Iterable[str] = (),
                  ) -> int:
    """Export a device as LUN 1 of a target, or complete such an export.

    :param lld: ``iscsi`` or ``iser``
    :param disk: the values of a ``tgt_objects.Disk``
    :param chap: name and secret with which all initiators log in
    :param initiators: the names of those who may; the daemon compares them
        with what initiators send, letter by letter
    :returns: the number of the target
    :raises DeviceNotUsable: the device is not there, or cannot be opened
    :raises TargetInUse: the target serves another one to somebody
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    lld = validation.transport(lld)
    username, secret = validation.plain_chap(*chap)
    wanted = [validation.tgt_initiator('initiator', initiator)
              for initiator in initiators]
    shown = tgt_objects.Disk.validated(*disk)

    targets = tgt_report.targets()
    target = _vacated(targets, target_iqn, lld, shown.device)
    with tgt_objects.Undo() as undo:
        if target is None:
            target = tgt_objects.make_target(target_iqn, lld, targets, undo)
        tgt_objects.ensure_disk(target, shown, undo)
        tgt_objects.ensure_account(target, username, secret,
                                   targets.values(), undo)
        tgt_objects.ensure_initiators(target, wanted, undo)
        if not target.ready:
            tgt_objects.set_ready(target, True)
        undo.keep()
    return target.tid


@privileged.context.entrypoint
def allow_initiator(target_iqn: str, initiator_iqn: str, username: str,
                    secret: str) -> str:
    """Let an initiator log in with CHAP, and see LUN 1.

    :returns: the path of the device
    :raises TargetNotFound: there is no such target, or it has no LUN
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    initiator_iqn = validation.tgt_initiator('initiator', initiator_iqn)
    username, secret = validation.plain_chap(username, secret)
    targets = tgt_report.targets()
    target = targets.get(target_iqn)
    if target is None or target.lun is None:
        raise errors.TargetNotFound(target_iqn)
    with tgt_objects.Undo() as undo:
        tgt_objects.ensure_account(target, username, secret,
                                   targets.values(), undo)
        tgt_objects.ensure_initiators(target, [initiator_iqn], undo)
        undo.keep()
    return target.lun.device


@privileged.context.entrypoint
def deny_initiator(target_iqn: str, initiator_iqn: str) -> None:
    """Take the access of an initiator away, and end its connections.

    :param initiator_iqn: in lower case; it goes in all spellings
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    initiator_iqn = validation.tgt_initiator('initiator', initiator_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is not None:
        for entry in target.acl:
            if entry.lower() == initiator_iqn:
                tgt_objects.deny(target, entry)
        tgt_objects.cut(target, initiator_iqn)


@privileged.context.entrypoint
def deny_all_initiators(target_iqn: str) -> None:
    """Take the access of every initiator away, with their connections."""
    target_iqn = validation.tgt_target('target', target_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is not None:
        for entry in target.acl:
            tgt_objects.deny(target, entry)
        tgt_objects.cut(target)


@privileged.context.entrypoint
def delete_target(target_iqn: str, device: str | None = None) -> None:
    """Remove a target with its account, or what is left of them.

    :param device: a target that serves any other stays; None removes it
        whatever it serves
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    targets = tgt_report.targets()
    target = targets.get(target_iqn)
    if target is None or device is not None and _serves_another(
            target, validation.device_path(device)):
        return
    tgt_objects.remove_target(target, targets.values())


@privileged.context.entrypoint
def resize_target(target_iqn: str, write_cache: bool) -> None:
    """Have a target show the size that its device has now.

    The daemon looks at the size when it opens the device. So LUN 1 is taken
    away and made again, while initiators are sent away and told to come back
    later: they repeat what was in flight, and notice a pause only.

    :raises TargetBusy: I/O in flight does not end; all is as it was
    :raises TargetNotFound: one that was cut off here has left the target
        without its LUN, and initiators are waiting for it
    """
    target_iqn = validation.tgt_target('target', target_iqn)
    target = tgt_report.targets().get(target_iqn)
    if target is None:
        return
    if target.lun is None:
        if not target.ready:
            raise errors.TargetNotFound(target_iqn)
        return
    disk = tgt_objects.Disk.validated(
        target.lun.device, target.lun.scsi_id, write_cache,
        target.lun.bsoflags, target.lun.read_only)
    tgt_objects.set_ready(target, False)
    try:
        # What came in meanwhile gets no answer, so each one has to log in
        # again.
        tgt_objects.cut(target)
        tgt_objects.patiently(
            target, lambda: tgt_objects.remove_disk(target))
    except errors.TargetError:
        tgt_objects.set_ready(target, True)
        raise
    # A target without its LUN answers I/O with errors: if the device cannot
    # be opened again, initiators keep trying to log in instead.
    tgt_objects.make_disk(target, disk)
    tgt_objects.set_ready(target, True)


@privileged.context.entrypoint
def list_targets() -> dict[str, dict[str, Any]]:
    """Return what is exported, by target IQN, in one pass.

    ``device``: major and minor number, None without LUN 1; ``path`` of it;
    ``scsi_id``; ``lld``: the transport; ``ready``: not in the middle of a
    resize; ``accounts``; ``initiators``: names;
    ``closed``: whoever has a name in the list and CHAP gets in, and nobody
    else.
    """
    return {target.target_iqn: _describe(target)
            for target in tgt_report.targets().values()}


def _describe(target: tgt_report.Target) -> dict[str, Any]:
    return {
        'device': _number(target.lun),
        'path': target.lun.device if target.lun else None,
        'scsi_id': target.lun.scsi_id if target.lun else None,
        'lld': target.lld,
        'ready': target.ready,
        'accounts': target.accounts,
        'initiators': target.initiators,
        'closed': (bool(target.accounts)
                   and tgt_objects.lets_names_decide(target)),
    }


def _number(lun: tgt_report.Lun | None) -> tuple[int, int] | None:
    return None if lun is None else validation.found_device_number(lun.device)


def _serves_another(target: tgt_report.Target, device: str) -> bool:
    return target.lun is not None and validation.is_another_device(
        target.lun.device, _number(target.lun), device)


def _vacated(targets: dict[str, tgt_report.Target], target_iqn: str,
             lld: str, device: str) -> tgt_report.Target | None:
    """Return the target of a name, if it can be used for a device.

    One that serves another device, or another transport, is what is left of
    an export whose LV was replaced. It goes as long as nobody is logged in.

    :raises TargetInUse: somebody is
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
    LOG.warning('Target %s serves %s to nobody, it is built again for %s',
                target_iqn, path, device)
    tgt_objects.remove_target(target, targets.values())
    del targets[target_iqn]
    return None
