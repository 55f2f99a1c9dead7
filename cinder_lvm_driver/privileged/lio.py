# SPDX-License-Identifier: Apache-2.0
"""The verbs on LIO, the kernel's iSCSI target, each for one target.

Each verb completes what an interrupted one left behind and leaves alone what
is whole, and it undoes its own steps when one of them fails. The caller holds
the lock that it shares with Cinder's in-tree driver. Nothing is written to
``saveconfig.json``: what has to survive a reboot is in Cinder's database.
"""

from collections.abc import Iterable
import logging
from typing import Any

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lio_tree
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation

LOG = logging.getLogger(__name__)


@privileged.context.entrypoint
def create_target(target_iqn: str, device: str, serial: str,
                  portals: Iterable[lio_tree.Portal], iser: bool,
                  acls: Iterable[tuple[str, str, str]] = (),
                  all_portals: bool = True, read_only: bool = False,
                  acls_are_current: bool = True) -> dict[str, Any]:
    """Export a device as LUN 0 of a target, or complete such an export.

    :param serial: unit serial of a new backstore, from which initiators
        make the WWID of the disk
    :param acls: initiator, CHAP name and CHAP secret of each host to allow
    :param all_portals: whether one refused portal is a failure; otherwise
        only the lack of any is one
    :param read_only: have a new backstore refuse writes
    :param acls_are_current: whether an export that is there is to let in the
        hosts, too; some may have left since they were asked for
    :returns: ``discard``, whether the disk can be discarded;
        ``refused_portals``, pairs of a portal and the reason
    :raises DeviceNotUsable: the device is not there, or is in use
    :raises PortalNotAvailable: the kernel refuses to listen
    :raises TargetInUse: initiators are logged in to another device
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    serial = validation.serial(serial)
    wanted_portals = [validation.portal(portal) for portal in portals]
    wanted_acls = [_valid_acl(*acl) for acl in acls]
    device = validation.device(device)

    _vacate(target_iqn, device)
    with configfs.Undo() as undo:
        tpg = lio_tree.tpg(target_iqn)
        lun = tpg / 'lun' / 'lun_0'
        backstore = lun.linked()
        if backstore is not None and not acls_are_current:
            wanted_acls = []
        if backstore is None:
            backstore = lio_tree.ensure_backstore(
                target_iqn, device, serial, read_only, undo)
        undo.make(lio_tree.ROOT / 'iscsi')
        undo.make(tpg.parent)
        undo.make(tpg)
        (tpg / 'attrib').ensure('authentication', '1')
        (tpg / 'attrib').ensure('generate_node_acls', '0')
        undo.make(lun)
        if lun.linked() is None:
            undo.link(lun, 'backstore', backstore)
        for acl in wanted_acls:
            lio_tree.ensure_acl(tpg, *acl, undo=undo)
        refused = lio_tree.ensure_portals(tpg, wanted_portals, iser, undo)
        if refused and (all_portals or len(refused) == len(wanted_portals)):
            raise errors.PortalNotAvailable(*refused[0])
        tpg.ensure('enable', '1')
        undo.keep()
    return {'discard': lio_tree.discards(backstore),
            'refused_portals': refused}


@privileged.context.entrypoint
def allow_initiator(target_iqn: str, initiator_iqn: str, username: str,
                    secret: str) -> dict[str, Any]:
    """Let an initiator log in with CHAP, and see LUN 0.

    :returns: ``discard``, whether the disk can be discarded
    :raises TargetNotFound: there is no such target, or it has no LUN
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    acl = _valid_acl(initiator_iqn, username, secret)
    tpg = lio_tree.tpg(target_iqn)
    backstore = (tpg / 'lun' / 'lun_0').linked()
    if backstore is None:
        raise errors.TargetNotFound(target_iqn)
    with configfs.Undo() as undo:
        lio_tree.ensure_acl(tpg, *acl, undo=undo)
        undo.keep()
    return {'discard': lio_tree.discards(backstore)}


@privileged.context.entrypoint
def deny_initiator(target_iqn: str, initiator_iqn: str) -> None:
    """Take the access of an initiator away; the kernel ends its session."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    initiator_iqn = validation.iscsi_name('initiator', initiator_iqn)
    tpg = lio_tree.tpg(target_iqn)
    lio_tree.remove_acl(tpg / 'acls' / initiator_iqn)


@privileged.context.entrypoint
def deny_all_initiators(target_iqn: str) -> None:
    """Take the access of every initiator away, with their sessions."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    for acl in (lio_tree.tpg(target_iqn) / 'acls').directories():
        lio_tree.remove_acl(acl)


@privileged.context.entrypoint
def delete_target(target_iqn: str, device: str | None = None) -> None:
    """Remove a target and its backstore, or what is left of them.

    :param device: a target that serves any other stays; None removes it
        whatever it serves
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    if device is None or _other_device(
            target_iqn, validation.device_path(device)) is None:
        _delete(target_iqn)


@privileged.context.entrypoint
def list_targets() -> dict[str, dict[str, Any]]:
    """Return what is exported, by target IQN, in one pass.

    ``device``: major and minor number, None without LUN 0;
    ``portals``: pairs of address and port; ``enabled``;
    ``closed``: nobody gets in without an ACL and CHAP;
    ``initiators``: by name, whether the ACL is complete.
    """
    return configfs.describe_each(
        [target for target in (lio_tree.ROOT / 'iscsi').directories()
         if target.name.startswith(validation.ISCSI_NAME_TYPES)], _describe)


def _valid_acl(initiator_iqn: str, username: str,
               secret: str) -> tuple[str, str, str]:
    return (validation.iscsi_name('initiator', initiator_iqn),
            *validation.chap(username, secret))


def _vacate(target_iqn: str, device: str) -> None:
    """Remove a target of this name that serves another device.

    It is what is left of an export whose LV was replaced. It can go as long
    as nobody is logged in.

    :raises TargetInUse: somebody is
    """
    other = _other_device(target_iqn, device)
    if other is None:
        return
    if _has_sessions(lio_tree.tpg(target_iqn)):
        raise errors.TargetInUse(target_iqn, other, device)
    LOG.warning('Target %s serves %s to nobody, it is built again for %s',
                target_iqn, other, device)
    _delete(target_iqn)


def _other_device(target_iqn: str, device: str) -> str | None:
    """Return what a target serves, if that is another device."""
    backstore = ((lio_tree.tpg(target_iqn) / 'lun' / 'lun_0').linked()
                 or lio_tree.find_backstore(target_iqn))
    if backstore is None:
        return None
    path = backstore.read('udev_path')
    number = lio_tree.device_number(backstore)
    if number is None or not validation.is_another_device(
            path, number, device):
        return None
    return '%s (%d:%d)' % (path, *number)


def _has_sessions(tpg: configfs.Directory) -> bool:
    if not tpg.exists():
        return False
    return bool(tpg.read('dynamic_sessions')) or any(
        not acl.read('info').startswith('No active iSCSI Session')
        for acl in (tpg / 'acls').directories())


def _describe(target: configfs.Directory) -> dict[str, Any]:
    tpg = target / 'tpgt_1'
    if not tpg.exists():
        return {'device': None, 'portals': [], 'enabled': False,
                'closed': True, 'initiators': {}}
    backstore = (tpg / 'lun' / 'lun_0').linked()
    return {
        'device': lio_tree.device_number(backstore) if backstore else None,
        'portals': list(listening.parse_ours(
            directory.name for directory in (tpg / 'np').directories())),
        'enabled': tpg.read('enable') == '1',
        'closed': ((tpg / 'attrib').read('authentication') == '1'
                   and (tpg / 'attrib').read('generate_node_acls') == '0'),
        'initiators': {acl.name: lio_tree.is_complete(acl)
                       for acl in (tpg / 'acls').directories()},
    }


def _delete(target_iqn: str) -> None:
    target = lio_tree.ROOT / 'iscsi' / target_iqn
    backstore = (target / 'tpgt_1' / 'lun' / 'lun_0').linked()
    if backstore is None or backstore.name != target_iqn:
        backstore = lio_tree.search_backstore(target_iqn)
    for tpg in target.directories():
        if tpg.name.startswith('tpgt_'):
            _delete_tpg(tpg)
    target.remove()
    if backstore is not None:
        lio_tree.remove_backstore(backstore)


def _delete_tpg(tpg: configfs.Directory) -> None:
    tpg.ensure('enable', '0')
    for acl in (tpg / 'acls').directories():
        lio_tree.remove_acl(acl)
    for lun in (tpg / 'lun').directories():
        lio_tree.remove_with_links(lun)
    for portal in (tpg / 'np').directories():
        portal.remove()
    tpg.remove()
