# SPDX-License-Identifier: Apache-2.0
"""The configfs objects of a LIO target.

They have the same structure as those of rtslib, so that targetcli and
cinder-rtstool can read this driver's objects and the driver theirs: an HBA
``iblock_N`` with one backstore that has the target's name, TPG 1 with LUN 0,
no access without an ACL.

The ``undo`` of a caller removes the objects that ``ensure_x`` creates, unless
the caller keeps them.
"""

from collections.abc import Iterable
import errno
import re
import zlib

from cinder_lvm_driver import openers
from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import validation

ROOT = configfs.tree('target')

_DEVICE_NUMBER = re.compile(r'Major: (\d+) Minor: (\d+)')
# rtslib takes the lowest free index below this one.
_HBA_INDEXES = 1048576
_SLOTS = 8
_NO_DISCARD = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def tpg(target_iqn: str) -> configfs.Directory:
    return ROOT / 'iscsi' / target_iqn / 'tpgt_1'


# --- backstores --------------------------------------------------------------

def slots(target_iqn: str) -> list[configfs.Directory]:
    """Return the HBAs that may have the backstore of a target.

    They follow from the name, so that no other HBA needs to be searched.
    """
    first = zlib.crc32(target_iqn.encode())
    return [ROOT / 'core' / f'iblock_{(first + offset) % _HBA_INDEXES}'
            for offset in range(_SLOTS)]


def empty_hbas(target_iqn: str) -> list[configfs.Directory]:
    """Return the HBAs of :func:`slots` that have no backstore.

    A process that ended between two steps has left them.
    """
    return [hba for hba in slots(target_iqn)
            if hba.exists() and not hba.directories()]


def find_backstore(target_iqn: str) -> configfs.Directory | None:
    return _first_with(target_iqn, slots(target_iqn))


def search_backstore(target_iqn: str) -> configfs.Directory | None:
    """Search all HBAs: rtslib may have put a backstore into any of them."""
    return _first_with(target_iqn, [
        hba for hba in (ROOT / 'core').directories()
        if hba.name.startswith('iblock_')])


def _first_with(name: str, hbas: Iterable[configfs.Directory],
                ) -> configfs.Directory | None:
    return next((hba / name for hba in hbas if (hba / name).exists()), None)


def ensure_backstore(target_iqn: str, device: str, serial: str,
                     read_only: bool,
                     undo: configfs.Undo) -> configfs.Directory:
    """Return the backstore for a target that has no LUN yet."""
    backstore = find_backstore(target_iqn)
    if backstore is None:
        backstore = _make_hba(target_iqn, undo) / target_iqn
        undo.make(backstore)
    if backstore.read('enable') != '1':
        backstore = _open_device(backstore, device, read_only)
    # The kernel lets the serial change only while there is no LUN.
    (backstore / 'wwn').write('vpd_unit_serial', serial)
    # Not emulate_tpws: blocks that WRITE SAME unmaps need not read as zeros
    # (LBPRZ is 0), but an initiator may rely on that.
    try:
        (backstore / 'attrib').ensure('emulate_tpu', '1')
    except errors.ConfigfsError as exc:
        if exc.errno not in _NO_DISCARD:
            raise
    return backstore


def _make_hba(target_iqn: str,
              undo: configfs.Undo) -> configfs.Directory:
    """Return an HBA for one backstore: a new one or an empty one."""
    for hba in slots(target_iqn):
        if not hba.directories():
            undo.make(hba)
            return hba
    raise errors.ConfigfsError('create', hba.path, errno.EEXIST)


def _open_device(backstore: configfs.Directory, device: str,
                 read_only: bool) -> configfs.Directory:
    """Open the device of a new backstore exclusively.

    :returns: the backstore, or one that rtslib made of the same name and
        device for a target that was never completed
    """
    # The keys are those of drivers/target/target_core_iblock.c.
    backstore.write('control', f'udev_path={device}'
                    + (',readonly=1' if read_only else ''))
    backstore.write('udev_path', device)
    try:
        backstore.write('enable', '1')
    except errors.ConfigfsError as exc:
        if exc.errno != errno.EBUSY:
            raise errors.DeviceNotUsable(
                device, f'cannot be opened: {exc}') from exc
        remove_backstore(backstore)
        older = search_backstore(backstore.name)
        if (older is None or device_number(older)
                != validation.device_number(device)):
            raise errors.DeviceNotUsable(
                device, f'is {openers.describe(device)}: end that'
            ) from exc
        return older
    return backstore


def remove_backstore(backstore: configfs.Directory) -> None:
    backstore.remove()
    if not backstore.parent.directories():
        backstore.parent.remove()


def device_number(backstore: configfs.Directory) -> str | None:
    """Return the number of the device that the kernel has opened."""
    found = _DEVICE_NUMBER.search(backstore.read('info'))
    number = f'{found[1]}:{found[2]}' if found else '0:0'
    return None if number == '0:0' else number


def discards(backstore: configfs.Directory) -> bool:
    return (backstore / 'attrib').read('emulate_tpu') == '1'


# --- ACLs --------------------------------------------------------------------

def ensure_acl(tpg: configfs.Directory, initiator_iqn: str,
               chap: Chap, undo: configfs.Undo) -> None:
    """Allow an initiator; set the secret before the LUN is visible."""
    acl = tpg / 'acls' / initiator_iqn
    undo.make(acl)
    (acl / 'auth').ensure('userid', chap.username)
    (acl / 'auth').ensure('password', chap.secret)
    mapped = acl / 'lun_0'
    undo.make(mapped)
    if mapped.linked() is None:
        undo.link(mapped, 'lun', tpg / 'lun' / 'lun_0')


def is_complete(acl: configfs.Directory) -> bool:
    auth = acl / 'auth'
    return bool((acl / 'lun_0').linked() and auth.read('userid')
                and auth.read('password'))


def has_lun(acl: configfs.Directory) -> bool:
    """Tell whether an initiator can use any LUN."""
    return any(mapped.linked() for mapped in acl.directories()
               if mapped.name.startswith('lun_'))


def remove_acl(acl: configfs.Directory) -> None:
    for mapped in acl.directories():
        if mapped.name.startswith('lun_'):
            remove_with_links(mapped)
    acl.remove()


def remove_with_links(directory: configfs.Directory) -> None:
    for name in directory.links():
        directory.unlink(name)
    directory.remove()


# --- portals -----------------------------------------------------------------

def ensure_portals(tpg: configfs.Directory,
                   portals: Iterable[listening.Portal], iser: bool,
                   undo: configfs.Undo) -> list[listening.Refused]:
    """Listen on portals; return those that the kernel refuses."""
    present = listening.parse_ours(
        directory.name for directory in (tpg / 'np').directories())
    refused = []
    for portal in portals:
        directory = tpg / 'np' / present.get(portal, str(portal))
        try:
            undo.make(directory)
            if iser:
                directory.ensure('iser', '1')
        except errors.ConfigfsError as exc:
            refused.append(listening.Refused(
                directory.name, _why_refused(portal, exc)))
    return refused


def _why_refused(portal: listening.Portal,
                 failure: errors.ConfigfsError) -> str:
    """Return why mkdir failed: the kernel itself says only EINVAL."""
    if failure.action != 'create':
        return f'iSER is not available ({failure})'
    return listening.why_not_bound(portal) or str(failure)
