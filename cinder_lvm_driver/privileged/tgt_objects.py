# SPDX-License-Identifier: Apache-2.0
"""The objects of a tgtd target.

A target has a disk (LUN 1), an account to log in with and a list of the
allowed initiators, which allows none if it is empty. Accounts and portals
belong to the daemon and not to one target.

The ``undo`` of a caller removes the objects that ``ensure_x`` creates, unless
the caller keeps them.
"""

from collections.abc import Callable, Iterable, Mapping
import dataclasses
import logging
import time
import zlib

from cinder_lvm_driver.privileged.chap import Chap
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.privileged import verbs
from cinder_lvm_driver import rollback

LOG = logging.getLogger(__name__)

# tgt-admin opens a target to ALL unless its file names an address; no host
# has this one.
NOBODY = '255.255.255.255'
ANYBODY = 'ALL'

_LUN = tgt_report.LUN
SCSI_ID_LENGTH = 36        # SCSI_ID_LEN in usr/tgtd.h
# tgt-admin takes the highest number plus one, so ours stay far below the
# limit of 32 bits.
_NUMBERS = 1 << 24
_TRIES = 8
# The caching page without its bit WCE, as tgt-admin sets it for
# 'write-cache off'.
_WRITE_THROUGH = ('mode_page=8:0:18:0x10:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:'
                  '0x80:0x14:0:0:0:0:0:0')
_PATIENCE = 30              # seconds that I/O in flight may take
_PAUSE = 0.05


@verbs.value
class Disk:
    """A device and its properties for initiators.

    :ivar scsi_id: initiators derive the WWID from its first 36 characters
    """

    _: dataclasses.KW_ONLY
    device: str
    scsi_id: str
    write_cache: bool
    bsoflags: str
    read_only: bool

    def validated(self) -> 'Disk':
        """Return the disk if tgtd can serve it.

        :raises DeviceNotUsable: the device is not usable
        :raises InvalidArgument: another field is not
        """
        return dataclasses.replace(
            self, device=validation.device(self.device),
            scsi_id=validation.scsi_id(self.scsi_id),
            bsoflags=validation.bsoflags(self.bsoflags))

    @property
    def parameters(self) -> str:
        """All properties for one request: tgtd sets all of them or none."""
        words = [f'scsi_id={self.scsi_id}', f'scsi_sn={self.scsi_id}',
                 f'readonly={int(self.read_only)}']
        if not self.write_cache:
            words.append(_WRITE_THROUGH)
        return ','.join(words)

    def is_shown_by(self, lun: tgt_report.Lun) -> bool:
        return (lun.scsi_id == self.scsi_id[:SCSI_ID_LENGTH]
                and lun.read_only == self.read_only)


def _ask(target: tgt_report.Target, mode: tgtd.Mode, op: tgtd.Op,
         parameters: str = '', **values: int) -> str:
    return tgtd.ask(mode, op, lld=target.lld, tid=target.tid,
                    parameters=parameters, **values)


# --- targets -----------------------------------------------------------------

def make_target(target_iqn: str, lld: str,
                targets: Mapping[str, tgt_report.Target],
                undo: rollback.Undo) -> tgt_report.Target:
    """Create a target that allows no initiator.

    The number follows from the name: it is part of one of the identifiers of
    the disk, which must be the same after a restart.
    """
    taken = {target.tid for target in targets.values()}
    first = zlib.crc32(target_iqn.encode())
    numbers = [1 + (first + offset) % _NUMBERS for offset in range(_TRIES)]
    free = [tid for tid in numbers if tid not in taken] or [max(taken) + 1]
    target = tgt_report.Target.new(free[0], target_iqn, lld)
    undo.later(_remove_made, target_iqn)
    _ask(target, tgtd.Mode.TARGET, tgtd.Op.NEW, f'targetname={target_iqn}')
    return target


def _remove_made(target_iqn: str) -> None:
    """Remove a target that was made, perhaps without an answer."""
    target = tgt_report.targets().get(target_iqn)
    if target is not None:
        _ask(target, tgtd.Mode.TARGET, tgtd.Op.DELETE)


def remove_target(target: tgt_report.Target,
                  targets: Iterable[tgt_report.Target]) -> None:
    """Remove a target after its sessions, and its accounts.

    This does not use force: tgtd crashes if a session outlives its target.

    :raises TargetBusy: a session has I/O in flight
    """
    for entry in target.acl:
        deny(target, entry)
    cut(target)
    _remove_accounts(target, targets)

    def remove() -> None:
        with tgtd.tolerating(tgtd.Refusal.NO_TARGET):
            _ask(target, tgtd.Mode.TARGET, tgtd.Op.DELETE)

    patiently(target, remove)


def set_ready(target: tgt_report.Target, ready: bool) -> None:
    """Accept logins, or make tgtd tell initiators to log in later."""
    _ask(target, tgtd.Mode.TARGET, tgtd.Op.UPDATE,
         'state=' + ('ready' if ready else 'offline'))


def patiently(target: tgt_report.Target, step: Callable[[], None]) -> None:
    """Take a step when no I/O is in flight.

    :raises TargetBusy: I/O in flight does not end
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            step()
        except errors.TargetDaemonRefused as exc:
            if exc.code not in (tgtd.Refusal.LUN_ACTIVE,
                                tgtd.Refusal.TARGET_ACTIVE):
                raise
            if time.monotonic() > deadline:
                raise errors.TargetBusy(target.target_iqn,
                                        _PATIENCE) from exc
        else:
            return
        time.sleep(_PAUSE)


# --- the disk ----------------------------------------------------------------

def ensure_disk(target: tgt_report.Target, disk: Disk,
                undo: rollback.Undo) -> None:
    """Make LUN 1 show a device with its properties."""
    if target.lun is None:
        undo.later(remove_disk, target)
        make_disk(target, disk)
    elif not disk.is_shown_by(target.lun):
        _ask(target, tgtd.Mode.LOGICALUNIT, tgtd.Op.UPDATE, disk.parameters,
             lun=_LUN)


def make_disk(target: tgt_report.Target, disk: Disk) -> None:
    words = [f'path={disk.device}']
    if disk.bsoflags:
        words.append(f'bsoflags={disk.bsoflags}')
    try:
        _ask(target, tgtd.Mode.LOGICALUNIT, tgtd.Op.NEW, ','.join(words),
             lun=_LUN)
    except errors.TargetDaemonRefused as exc:
        if exc.code != tgtd.Refusal.INVALID_REQUEST:
            raise
        raise errors.DeviceNotUsable(
            disk.device, 'cannot be opened by tgtd, see its log') from exc
    _ask(target, tgtd.Mode.LOGICALUNIT, tgtd.Op.UPDATE, disk.parameters,
         lun=_LUN)


def remove_disk(target: tgt_report.Target) -> None:
    with tgtd.tolerating(tgtd.Refusal.NO_LUN):
        _ask(target, tgtd.Mode.LOGICALUNIT, tgtd.Op.DELETE, lun=_LUN)


# --- logins ------------------------------------------------------------------

def ensure_account(target: tgt_report.Target, chap: Chap,
                   targets: Iterable[tgt_report.Target],
                   undo: rollback.Undo) -> None:
    """Make one account the only one of a target.

    tgtd never tells a secret. A name that is bound to this target is assumed
    to have the right secret, because both are always set together.
    """
    if target.accounts == (chap.username,):
        return
    if chap.username in _accounts_elsewhere(target, targets):
        raise errors.InvalidArgument(
            'CHAP name', 'is also that of another target of tgtd: detach the '
            'volume and attach it again')
    # Without an account, all initiators in the list could log in.
    for entry in target.acl:
        deny(target, entry)
    _remove_accounts(target, targets)
    _remove_account(chap.username)
    undo.later(_remove_account, chap.username)
    tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.NEW,
             parameters=f'user={chap.username},password={chap.secret}')
    _ask(target, tgtd.Mode.ACCOUNT, tgtd.Op.BIND, f'user={chap.username}')
    for entry in target.acl:
        if _belongs(target, entry):
            allow(target, entry)


def _accounts_elsewhere(target: tgt_report.Target,
                        targets: Iterable[tgt_report.Target]) -> set[str]:
    return {username for other in targets if other.tid != target.tid
            for username in other.accounts}


def _remove_accounts(target: tgt_report.Target,
                     targets: Iterable[tgt_report.Target]) -> None:
    """Remove the accounts of a target, last one first.

    A gap in the list of accounts makes tgtd crash at the next 'show'
    (``tgt_target_show_all``).
    """
    elsewhere = _accounts_elsewhere(target, targets)
    for username in reversed(target.accounts):
        op = (tgtd.Op.UNBIND if username in elsewhere else tgtd.Op.DELETE)
        with tgtd.tolerating(tgtd.Refusal.NO_USER):
            _ask(target, tgtd.Mode.ACCOUNT, op, f'user={username}')


def remove_unbound_account(username: str,
                           targets: Iterable[tgt_report.Target]) -> None:
    """Remove an account that a process made and did not bind to a target."""
    if not any(username in target.accounts for target in targets):
        _remove_account(username)


def _remove_account(username: str) -> None:
    with tgtd.tolerating(tgtd.Refusal.NO_USER):
        tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.DELETE,
                 parameters=f'user={username}')


def address(lld: str) -> str:
    """Return the address to allow, so that only the names decide.

    Over iSCSI tgtd allows a host by its name or by its address
    (usr/iscsi/iscsid.c of tgt 1.0.85), over iSER it requires both
    (usr/iscsi/iser_text.c).
    """
    return ANYBODY if lld == 'iser' else NOBODY


def allows_by_name_only(target: tgt_report.Target) -> bool:
    """Tell whether exactly the hosts whose names are listed are allowed."""
    return ((target.lld != 'iser' or ANYBODY in target.acl)
            and all(_belongs(target, entry) for entry in target.acl))


def allows_nobody(target: tgt_report.Target) -> bool:
    """Tell whether no host can log in, and none is logged in."""
    return (not target.initiators and not target.in_use
            and all(_belongs(target, entry) for entry in target.acl))


def _belongs(target: tgt_report.Target, entry: str) -> bool:
    return (tgt_report.is_name(entry)
            or entry in (NOBODY, address(target.lld)))


def ensure_initiators(target: tgt_report.Target, initiators: Iterable[str],
                      undo: rollback.Undo) -> None:
    """Allow initiators, by name only."""
    # An empty list allows no host, so only files need NOBODY.
    addresses = {address(target.lld)} - {NOBODY}
    for entry in (*addresses, *initiators):
        if entry not in target.acl:
            undo.later(deny, target, entry)
            allow(target, entry)
    for entry in target.acl:
        if not _belongs(target, entry):
            LOG.info('Target %s no longer allows address %s',
                     target.target_iqn, entry)
            deny(target, entry)


def allow(target: tgt_report.Target, entry: str) -> None:
    with tgtd.tolerating(tgtd.Refusal.ACL_EXIST):
        _ask(target, tgtd.Mode.TARGET, tgtd.Op.BIND, _spell(entry))


def deny(target: tgt_report.Target, entry: str) -> None:
    with tgtd.tolerating(tgtd.Refusal.ACL_NOEXIST, tgtd.Refusal.NO_TARGET):
        _ask(target, tgtd.Mode.TARGET, tgtd.Op.UNBIND, _spell(entry))


def _spell(entry: str) -> str:
    kind = 'name' if tgt_report.is_name(entry) else 'address'
    return f'initiator-{kind}={entry}'


def cut(target: tgt_report.Target, initiator_iqn: str | None = None) -> None:
    """End the connections of one initiator or of all.

    :raises TargetBusy: a connection has I/O in flight and does not end
    """
    deadline = time.monotonic() + _PATIENCE
    told: set[tgt_report.Connection] = set()
    while left := [connection
                   for connection in tgt_report.connections(target)
                   if initiator_iqn in (None, connection.initiator_iqn)]:
        # Only once each: another connection may get the descriptor later.
        for connection in set(left) - told:
            with tgtd.tolerating(tgtd.Refusal.NO_SESSION,
                                 tgtd.Refusal.NO_CONNECTION,
                                 tgtd.Refusal.NO_TARGET):
                _ask(target, tgtd.Mode.CONN, tgtd.Op.DELETE,
                     sid=connection.sid, cid=connection.cid)
        told.update(left)
        if time.monotonic() > deadline:
            raise errors.TargetBusy(target.target_iqn, _PATIENCE)
        time.sleep(_PAUSE)


# --- portals -----------------------------------------------------------------

def ensure_portals(portals: Iterable[listening.Portal],
                   ) -> tuple[listening.Refused, ...]:
    """Listen on portals; return those that tgtd refuses.

    Portals belong to the daemon and serve all targets, so the driver never
    removes one.
    """
    served = set(tgt_report.portals())
    refused = []
    for portal in listening.unique(portals):
        any_address = '::' if portal.is_ipv6 else '0.0.0.0'  # noqa: S104
        if {portal, dataclasses.replace(portal, address=any_address)} & served:
            continue
        try:
            tgtd.ask(tgtd.Mode.PORTAL, tgtd.Op.NEW,
                     parameters=f'portal={portal}')
        except errors.TargetDaemonRefused as exc:
            refused.append(listening.Refused(
                str(portal), listening.why_not_bound(portal) or str(exc)))
    return tuple(refused)
