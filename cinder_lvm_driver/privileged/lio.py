# SPDX-License-Identifier: Apache-2.0
"""The verbs on LIO, the kernel's iSCSI target, each for one target.

The layout is rtslib's, so that targetcli and cinder-rtstool read what is
written here and the other way round: HBA ``iblock_N`` with one backstore
named like the target, TPG 1 with LUN 0, no access without an ACL. Nothing
is written to ``saveconfig.json``: what has to survive a reboot is in Cinder's
database.

Each verb completes what an interrupted one left behind and leaves alone what
is whole, and it undoes its own steps when one of them fails. The caller holds
the lock that it shares with Cinder's in-tree driver.
"""

from collections.abc import Callable, Iterable
import contextlib
import errno
import logging
import re
import socket
from typing import Any

from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import validation

LOG = logging.getLogger(__name__)

ROOT = configfs.Directory('/sys/kernel/config/target')

_Portal = tuple[str, int]
_DEVICE_NUMBER = re.compile(r'Major: (\d+) Minor: (\d+)')
_NO_DISCARD = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_LINK = 'backstore'
_MAPPED_LINK = 'lun'


@privileged.context.entrypoint
def create_target(target_iqn: str, device: str, serial: str,
                  portals: Iterable[_Portal], iser: bool,
                  acls: Iterable[tuple[str, str, str]] = (),
                  all_portals: bool = True) -> dict[str, Any]:
    """Export a device as LUN 0 of a target, or complete such an export.

    :param serial: unit serial of a new backstore, from which initiators
        make the WWID of the disk
    :param acls: initiator, CHAP name and CHAP secret of each host to allow
    :param all_portals: whether one refused portal is a failure; otherwise
        only the lack of any is one
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
    with contextlib.ExitStack() as undo:
        tpg = _tpg(target_iqn)
        lun = tpg / 'lun' / 'lun_0'
        backstore = lun.linked()
        if backstore is None:
            backstore = _ensure_backstore(target_iqn, device, serial, undo)
        _make(ROOT / 'iscsi', undo)
        _make(tpg.parent, undo)
        _make(tpg, undo)
        (tpg / 'attrib').ensure('authentication', '1')
        (tpg / 'attrib').ensure('generate_node_acls', '0')
        _make(lun, undo)
        if lun.linked() is None:
            lun.link(_LINK, backstore)
            undo.callback(_quietly, lun.unlink, _LINK)
        for acl in wanted_acls:
            _ensure_acl(tpg, *acl, undo=undo)
        refused = _ensure_portals(tpg, wanted_portals, iser, undo)
        if refused and (all_portals or len(refused) == len(wanted_portals)):
            raise errors.PortalNotAvailable(*refused[0])
        tpg.ensure('enable', '1')
        undo.pop_all()
    return {'discard': _discards(backstore), 'refused_portals': refused}


@privileged.context.entrypoint
def allow_initiator(target_iqn: str, initiator_iqn: str, username: str,
                    secret: str) -> dict[str, Any]:
    """Let an initiator log in with CHAP, and see LUN 0.

    :returns: ``discard``, whether the disk can be discarded
    :raises TargetNotFound: there is no such target, or it has no LUN
    """
    target_iqn = validation.iscsi_name('target', target_iqn)
    acl = _valid_acl(initiator_iqn, username, secret)
    tpg = _tpg(target_iqn)
    backstore = (tpg / 'lun' / 'lun_0').linked()
    if backstore is None:
        raise errors.TargetNotFound(target_iqn)
    with contextlib.ExitStack() as undo:
        _ensure_acl(tpg, *acl, undo=undo)
        undo.pop_all()
    return {'discard': _discards(backstore)}


@privileged.context.entrypoint
def deny_initiator(target_iqn: str, initiator_iqn: str) -> None:
    """Take the access of an initiator away; the kernel ends its session."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    initiator_iqn = validation.iscsi_name('initiator', initiator_iqn)
    _remove_acl(_tpg(target_iqn) / 'acls' / initiator_iqn)


@privileged.context.entrypoint
def deny_all_initiators(target_iqn: str) -> None:
    """Take the access of every initiator away, with their sessions."""
    target_iqn = validation.iscsi_name('target', target_iqn)
    for acl in (_tpg(target_iqn) / 'acls').directories():
        _remove_acl(acl)


@privileged.context.entrypoint
def delete_target(target_iqn: str) -> None:
    """Remove a target and its backstore, or what is left of them."""
    _delete(validation.iscsi_name('target', target_iqn))


@privileged.context.entrypoint
def list_targets() -> dict[str, dict[str, Any]]:
    """Return what is exported, by target IQN, in one pass.

    ``device``: major and minor number, None without LUN 0;
    ``portals``: pairs of address and port; ``enabled``;
    ``closed``: nobody gets in without an ACL and CHAP;
    ``initiators``: by name, whether the ACL is complete.
    """
    return {
        target.name: _describe(target)
        for target in (ROOT / 'iscsi').directories()
        if target.name.startswith(('iqn.', 'eui.', 'naa.'))}


def _valid_acl(initiator_iqn: str, username: str,
               secret: str) -> tuple[str, str, str]:
    return (validation.iscsi_name('initiator', initiator_iqn),
            *validation.chap(username, secret))


def _tpg(target_iqn: str) -> configfs.Directory:
    return ROOT / 'iscsi' / target_iqn / 'tpgt_1'


def _make(directory: configfs.Directory, undo: contextlib.ExitStack) -> None:
    if directory.make():
        undo.callback(_quietly, directory.remove)


def _quietly(step: Callable[..., bool], *args: str) -> None:
    """Undo a step; the failure that led here is the one to be told."""
    try:
        step(*args)
    except errors.ConfigfsError as exc:
        LOG.warning('While undoing an interrupted export: %s', exc)


# --- backstores --------------------------------------------------------------

def _find_backstore(target_iqn: str) -> configfs.Directory | None:
    for hba in _block_hbas():
        if (hba / target_iqn).exists():
            return hba / target_iqn
    return None


def _block_hbas() -> list[configfs.Directory]:
    return [hba for hba in (ROOT / 'core').directories()
            if hba.name.startswith('iblock_')]


def _ensure_backstore(target_iqn: str, device: str, serial: str,
                      undo: contextlib.ExitStack) -> configfs.Directory:
    """Return the backstore for a target that has no LUN yet."""
    backstore = _find_backstore(target_iqn)
    if backstore is None:
        backstore = _make_hba(undo) / target_iqn
        _make(backstore, undo)
    if backstore.read('enable') != '1':
        backstore.write('control', f'udev_path={device}')
        backstore.write('udev_path', device)
        try:
            backstore.write('enable', '1')
        except errors.ConfigfsError as exc:
            raise errors.DeviceNotUsable(
                device, 'is in use' if exc.errno == errno.EBUSY
                else f'cannot be opened: {exc}') from exc
    # The kernel lets the serial change only while there is no LUN.
    (backstore / 'wwn').write('vpd_unit_serial', serial)
    # Not emulate_tpws: a WRITE SAME that unmaps need not read back as zeros
    # (LBPRZ is 0), which an initiator may expect of it.
    try:
        (backstore / 'attrib').ensure('emulate_tpu', '1')
    except errors.ConfigfsError as exc:
        if exc.errno not in _NO_DISCARD:
            raise
    return backstore


def _make_hba(undo: contextlib.ExitStack) -> configfs.Directory:
    """Return an HBA of our own for one backstore.

    One that a killed process left empty is used again, since rtslib would
    stumble over it at its next backstore.
    """
    for hba in _block_hbas():
        if not hba.directories():
            return hba
    used = {hba.name.rpartition('_')[2]
            for hba in (ROOT / 'core').directories()}
    index = 0
    while True:
        hba = ROOT / 'core' / f'iblock_{index}'
        if str(index) not in used and hba.make():
            undo.callback(_quietly, hba.remove)
            return hba
        index += 1


def _device_number(backstore: configfs.Directory) -> tuple[int, int] | None:
    """Return the number of the device the kernel has really opened."""
    if backstore.read('enable') != '1':
        return None
    found = _DEVICE_NUMBER.search(backstore.read('info'))
    return (int(found[1]), int(found[2])) if found else None


def _discards(backstore: configfs.Directory) -> bool:
    return (backstore / 'attrib').read('emulate_tpu') == '1'


def _vacate(target_iqn: str, device: str) -> None:
    """Remove a target of this name that serves another device.

    It is what is left of an export whose LV was replaced. It can go as long
    as nobody is logged in.

    :raises TargetInUse: somebody is
    """
    tpg = _tpg(target_iqn)
    backstore = ((tpg / 'lun' / 'lun_0').linked()
                 or _find_backstore(target_iqn))
    if backstore is None:
        return
    served = _device_number(backstore)
    if served in (None, validation.device_number(device)):
        return
    served_path = backstore.read('udev_path') + ' (%d:%d)' % served
    if _has_sessions(tpg):
        raise errors.TargetInUse(target_iqn, served_path, device)
    LOG.warning('Target %s serves %s to nobody, it is built again for %s',
                target_iqn, served_path, device)
    _delete(target_iqn)


def _has_sessions(tpg: configfs.Directory) -> bool:
    if not tpg.exists():
        return False
    return bool(tpg.read('dynamic_sessions')) or any(
        not acl.read('info').startswith('No active iSCSI Session')
        for acl in (tpg / 'acls').directories())


# --- ACLs --------------------------------------------------------------------

def _ensure_acl(tpg: configfs.Directory, initiator_iqn: str, username: str,
                secret: str, undo: contextlib.ExitStack) -> None:
    """Allow an initiator; the secret is set before the LUN can be seen."""
    acl = tpg / 'acls' / initiator_iqn
    _make(acl, undo)
    (acl / 'auth').ensure('userid', username)
    (acl / 'auth').ensure('password', secret)
    mapped = acl / 'lun_0'
    _make(mapped, undo)
    if mapped.linked() is None:
        mapped.link(_MAPPED_LINK, tpg / 'lun' / 'lun_0')
        undo.callback(_quietly, mapped.unlink, _MAPPED_LINK)


def _is_complete(acl: configfs.Directory) -> bool:
    auth = acl / 'auth'
    return bool((acl / 'lun_0').linked() and auth.read('userid')
                and auth.read('password'))


def _remove_acl(acl: configfs.Directory) -> None:
    for mapped in acl.directories():
        if mapped.name.startswith('lun_'):
            _remove_with_links(mapped)
    acl.remove()


def _remove_with_links(directory: configfs.Directory) -> None:
    for name in directory.links():
        directory.unlink(name)
    directory.remove()


# --- portals -----------------------------------------------------------------

def _ensure_portals(tpg: configfs.Directory, portals: Iterable[_Portal],
                    iser: bool, undo: contextlib.ExitStack,
                    ) -> list[tuple[str, str]]:
    """Listen on the portals; return those refused, with the reasons."""
    present = {_parse_portal(directory.name): directory
               for directory in (tpg / 'np').directories()}
    refused = []
    for portal in portals:
        directory = present.get(portal, tpg / 'np' / _format_portal(portal))
        try:
            _make(directory, undo)
            if iser:
                directory.ensure('iser', '1')
        except errors.ConfigfsError as exc:
            refused.append((directory.name, _why_refused(portal, exc)))
    return refused


def _why_refused(portal: _Portal, failure: errors.ConfigfsError) -> str:
    """Find out what the kernel keeps to itself: mkdir says only EINVAL."""
    if failure.action != 'create':
        return f'iSER is not to be had ({failure})'
    address, port = portal
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError as exc:
            return exc.strerror or str(exc)
    return str(failure)


def _format_portal(portal: _Portal) -> str:
    address, port = portal
    return f'[{address}]:{port}' if ':' in address else f'{address}:{port}'


def _parse_portal(text: str) -> _Portal:
    address, _, port = text.rpartition(':')
    return validation.portal((address.strip('[]'), int(port)))


# --- whole targets -----------------------------------------------------------

def _describe(target: configfs.Directory) -> dict[str, Any]:
    tpg = target / 'tpgt_1'
    if not tpg.exists():
        return {'device': None, 'portals': [], 'enabled': False,
                'closed': True, 'initiators': {}}
    backstore = (tpg / 'lun' / 'lun_0').linked()
    return {
        'device': _device_number(backstore) if backstore else None,
        'portals': [_parse_portal(directory.name)
                    for directory in (tpg / 'np').directories()],
        'enabled': tpg.read('enable') == '1',
        'closed': ((tpg / 'attrib').read('authentication') == '1'
                   and (tpg / 'attrib').read('generate_node_acls') == '0'),
        'initiators': {acl.name: _is_complete(acl)
                       for acl in (tpg / 'acls').directories()},
    }


def _delete(target_iqn: str) -> None:
    target = ROOT / 'iscsi' / target_iqn
    backstore = (target / 'tpgt_1' / 'lun' / 'lun_0').linked()
    if backstore is None or backstore.name != target_iqn:
        backstore = _find_backstore(target_iqn)
    for tpg in target.directories():
        if tpg.name.startswith('tpgt_'):
            _delete_tpg(tpg)
    target.remove()
    if backstore is not None:
        backstore.remove()
        if not backstore.parent.directories():
            backstore.parent.remove()


def _delete_tpg(tpg: configfs.Directory) -> None:
    tpg.ensure('enable', '0')
    for acl in (tpg / 'acls').directories():
        _remove_acl(acl)
    for lun in (tpg / 'lun').directories():
        _remove_with_links(lun)
    for portal in (tpg / 'np').directories():
        portal.remove()
    tpg.remove()
