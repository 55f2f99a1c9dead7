# SPDX-License-Identifier: Apache-2.0
"""The verbs on LIO, the kernel's iSCSI target; each changes one target.

Each verb completes what an interrupted one left behind, leaves alone what is
complete, and undoes its own steps when one of them fails. The caller holds
the lock that it shares with Cinder's in-tree driver. The verbs do not write
``saveconfig.json``: Cinder's database has all that must survive a reboot.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import logging
from typing import Literal

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lio_tree
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs

LOG = logging.getLogger(__name__)


@verbs.value
class Served:
    """The result of ``create_target``.

    :ivar discard: whether hosts can discard blocks of the disk
    :ivar refused: the portals on which the kernel does not listen
    """

    discard: bool
    refused: tuple[listening.Refused, ...]


@verbs.value
class ListedTarget:
    """A target as it is now.

    :ivar device: major and minor number, None without LUN 0
    :ivar closed: whether only hosts with an ACL and CHAP can log in
    :ivar initiators: whether the ACL is complete, by initiator
    :ivar sessions: how many initiators are logged in
    """

    device: str | None = None
    portals: tuple[listening.Portal, ...] = ()
    enabled: bool = False
    closed: bool = True
    initiators: Mapping[str, bool] = dataclasses.field(default_factory=dict)
    sessions: int = 0


@verbs.entrypoint
def create_target(*, target_iqn: str, device: str, serial: str,
                  portals: Iterable[listening.Portal], chap: Chap,
                  initiators: Iterable[str], iser: bool = False,
                  read_only: bool = False,
                  mode: Literal['create', 'complete']) -> Served:
    """Export a device as LUN 0 of a target, or complete such an export.

    :param serial: unit serial of a new backstore; initiators derive the WWID
        of the disk from it
    :param initiators: the hosts to allow
    :param read_only: make a new backstore refuse writes
    :param mode: 'create' requires all portals, and does not change which
        initiators an existing export allows: some of the given ones may have
        left meanwhile. 'complete' requires one portal, and allows all of the
        initiators
    :raises DeviceNotUsable: the device does not exist, or is in use
    :raises PortalNotAvailable: the kernel cannot listen
    :raises TargetInUse: initiators are logged in to another device
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    serial = validation.serial(serial)
    wanted_portals = [portal.validated() for portal in portals]
    chap = chap.validated()
    wanted = [validation.iscsi_name('initiator', initiator)
              for initiator in initiators]
    device = validation.device(device)

    _vacate(target_iqn, device)
    with configfs.Undo() as undo:
        tpg = lio_tree.tpg(target_iqn)
        lun = tpg / 'lun' / 'lun_0'
        backstore = lun.linked()
        if backstore is not None and mode == 'create':
            wanted = []
        if backstore is None:
            backstore = lio_tree.ensure_backstore(
                target_iqn, device, serial, read_only, undo)
        undo.make(lio_tree.ROOT / 'iscsi')
        undo.make(tpg.parent)
        undo.make(tpg)
        (tpg / 'attrib').ensure('authentication', '1')
        (tpg / 'attrib').ensure('generate_node_acls', '0')
        # Discovery shows the target to its own hosts only.
        (tpg / 'attrib').ensure('demo_mode_discovery', '0')
        undo.make(lun)
        if lun.linked() is None:
            undo.link(lun, 'backstore', backstore)
        for initiator_iqn in wanted:
            lio_tree.ensure_acl(tpg, initiator_iqn, chap, undo)
        refused = lio_tree.ensure_portals(tpg, wanted_portals, iser, undo)
        if refused and (mode == 'create'
                        or len(refused) == len(wanted_portals)):
            raise errors.PortalNotAvailable(
                refused[0].portal, refused[0].reason)
        tpg.ensure('enable', '1')
        undo.keep()
    return Served(lio_tree.discards(backstore), tuple(refused))


@verbs.entrypoint
def allow_initiator(*, target_iqn: str, initiator_iqn: str,
                    chap: Chap) -> bool:
    """Allow an initiator to log in with CHAP and use LUN 0.

    :returns: whether the initiator can discard blocks of the disk
    :raises TargetNotFound: there is no such target, or it has no LUN
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    initiator_iqn = validation.iscsi_name('initiator', initiator_iqn)
    chap = chap.validated()
    tpg = lio_tree.tpg(target_iqn)
    backstore = (tpg / 'lun' / 'lun_0').linked()
    if backstore is None:
        raise errors.TargetNotFound(target_iqn)
    with configfs.Undo() as undo:
        lio_tree.ensure_acl(tpg, initiator_iqn, chap, undo)
        undo.keep()
    return lio_tree.discards(backstore)


@verbs.entrypoint
def deny_initiator(target_iqn: str, initiator_iqn: str) -> None:
    """Remove the ACL of an initiator; the kernel ends its session."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    initiator_iqn = validation.iscsi_name('initiator', initiator_iqn)
    tpg = lio_tree.tpg(target_iqn)
    lio_tree.remove_acl(tpg / 'acls' / initiator_iqn)


@verbs.entrypoint
def deny_all_initiators(target_iqn: str) -> None:
    """Remove all ACLs of a target; the kernel ends the sessions."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    for acl in (lio_tree.tpg(target_iqn) / 'acls').directories():
        lio_tree.remove_acl(acl)


@verbs.entrypoint
def delete_target(target_iqn: str, device: str | None = None) -> None:
    """Remove a target and its backstore, or the rest of an incomplete one.

    :param device: keep a target that serves another device; None removes
        the target whatever it serves
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    if device is None or _other_device(
            target_iqn, validation.device_path(device)) is None:
        _delete(target_iqn)


@verbs.entrypoint
def find_unused(target_iqns: Iterable[str]) -> tuple[str, ...]:
    """Return the targets that no initiator may use, and rests of targets.

    :param target_iqns: the targets to look at, which need not exist
    """
    return tuple(
        target_iqn for target_iqn in target_iqns
        if _is_unused(validation.iscsi_name('target', target_iqn)))


@verbs.entrypoint
def list_targets() -> Mapping[str, ListedTarget]:
    """Return all targets by IQN."""
    return configfs.describe_each(
        [target for target in (lio_tree.ROOT / 'iscsi').directories()
         if target.name.startswith(validation.ISCSI_NAME_TYPES)], _describe)


def _is_unused(target_iqn: str) -> bool:
    tpg = lio_tree.tpg(target_iqn)
    if not tpg.exists():
        return (tpg.parent.exists()
                or lio_tree.find_backstore(target_iqn) is not None
                or bool(lio_tree.empty_hbas(target_iqn)))
    # A killed process may have left an initiator without a LUN.
    return (not any(map(lio_tree.has_lun, (tpg / 'acls').directories()))
            and (tpg / 'attrib').read('generate_node_acls') == '0')


def _vacate(target_iqn: str, device: str) -> None:
    """Remove a target of this name that serves another device.

    Such a target remains from an LV that was replaced.

    :raises TargetInUse: an initiator is logged in
    """
    other = _other_device(target_iqn, device)
    if other is None:
        return
    if _has_sessions(lio_tree.tpg(target_iqn)):
        raise errors.TargetInUse(target_iqn, other, device)
    LOG.warning('Target %s serves %s, but no initiator is logged in. '
                'Replacing it by a target for %s', target_iqn, other, device)
    _delete(target_iqn)


def _other_device(target_iqn: str, device: str) -> str | None:
    """Return the device that a target serves, if it is another one."""
    backstore = ((lio_tree.tpg(target_iqn) / 'lun' / 'lun_0').linked()
                 or lio_tree.find_backstore(target_iqn))
    if backstore is None:
        return None
    path = backstore.read('udev_path')
    number = lio_tree.device_number(backstore)
    if number is None or not validation.is_another_device(
            path, number, device):
        return None
    return f'{path} ({number})'


def _has_sessions(tpg: configfs.Directory) -> bool:
    if not tpg.exists():
        return False
    return bool(tpg.read('dynamic_sessions')
                or _count_sessions((tpg / 'acls').directories()))


def _count_sessions(acls: Iterable[configfs.Directory]) -> int:
    return sum(not acl.read('info').startswith('No active iSCSI Session')
               for acl in acls)


def _describe(target: configfs.Directory) -> ListedTarget:
    tpg = target / 'tpgt_1'
    if not tpg.exists():
        return ListedTarget()
    backstore = (tpg / 'lun' / 'lun_0').linked()
    acls = (tpg / 'acls').directories()
    return ListedTarget(
        device=lio_tree.device_number(backstore) if backstore else None,
        portals=tuple(listening.parse_ours(
            directory.name for directory in (tpg / 'np').directories())),
        enabled=tpg.read('enable') == '1',
        closed=((tpg / 'attrib').read('authentication') == '1'
                and (tpg / 'attrib').read('generate_node_acls') == '0'),
        initiators={acl.name: lio_tree.is_complete(acl) for acl in acls},
        sessions=_count_sessions(acls))


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
    for hba in lio_tree.empty_hbas(target_iqn):
        hba.remove()


def _delete_tpg(tpg: configfs.Directory) -> None:
    tpg.ensure('enable', '0')
    for acl in (tpg / 'acls').directories():
        lio_tree.remove_acl(acl)
    for lun in (tpg / 'lun').directories():
        lio_tree.remove_with_links(lun)
    for portal in (tpg / 'np').directories():
        portal.remove()
    tpg.remove()
