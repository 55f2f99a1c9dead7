# SPDX-License-Identifier: Apache-2.0
"""The objects that a target of tgtd consists of.

A target has a disk (LUN 1), an account to log in with and a list of those
who may try: without an entry, nobody. Accounts and portals belong to the
daemon, so both are looked at as a whole.

What ``ensure_x`` makes goes away again unless the caller keeps it.
"""

from collections.abc import Callable, Iterable, Mapping
import contextlib
import dataclasses
import logging
import time
from typing import Any
import zlib

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.privileged import validation

LOG = logging.getLogger(__name__)

# tgt-admin opens a target to ALL unless its file names some address; no
# host has this one.
NOBODY = '255.255.255.255'
ANYBODY = 'ALL'

_LUN = tgt_report.LUN
_SCSI_ID_LENGTH = 36        # SCSI_ID_LEN in usr/tgtd.h
# tgt-admin takes the highest number and one more, so ours stay far from the
# end of 32 bits.
_NUMBERS = 1 << 24
_TRIES = 8
# Of the caching page, without its bit WCE: what tgt-admin sets for
# 'write-cache off'.
_WRITE_THROUGH = ('mode_page=8:0:18:0x10:0:0xff:0xff:0:0:0xff:0xff:0xff:0xff:'
                  '0x80:0x14:0:0:0:0:0:0')
_PATIENCE = 30              # seconds that I/O in flight may take
_PAUSE = 0.05


@dataclasses.dataclass(frozen=True)
class Disk:
    """A device and how it is shown to initiators.

    :ivar scsi_id: what initiators make the WWID of; the daemon takes the
        first 36 characters
    """

    device: str
    scsi_id: str
    write_cache: bool
    bsoflags: str
    read_only: bool

    @classmethod
    def validated(cls, device: object, scsi_id: object, write_cache: object,
                  bsoflags: object, read_only: object) -> 'Disk':
        """Return what the service asks for, or refuse it."""
        return cls(validation.device(device), validation.scsi_id(scsi_id),
                   bool(write_cache), validation.bsoflags(bsoflags),
                   bool(read_only))

    @property
    def parameters(self) -> str:
        """What is set in one question, so that all of it is or nothing."""
        words = [f'scsi_id={self.scsi_id}', f'scsi_sn={self.scsi_id}',
                 f'readonly={int(self.read_only)}']
        if not self.write_cache:
            words.append(_WRITE_THROUGH)
        return ','.join(words)

    def is_shown_by(self, lun: tgt_report.Lun) -> bool:
        return (lun.scsi_id == self.scsi_id[:_SCSI_ID_LENGTH]
                and lun.read_only == self.read_only)


class Undo(contextlib.ExitStack):
    """Steps that are taken back at the end of the block, unless kept."""

    def later(self, step: Callable[..., Any], *args: Any,
              **kwargs: Any) -> None:
        self.callback(_quietly, step, *args, **kwargs)

    def keep(self) -> None:
        """Leave everything as it is now."""
        self.pop_all()


def _quietly(step: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
    """Take a step back; the failure that led here is the one to be told."""
    try:
        step(*args, **kwargs)
    except errors.TargetError as exc:
        LOG.warning('While undoing what could not be completed: %s', exc)


def _ask(target: tgt_report.Target, mode: tgtd.Mode, op: tgtd.Op,
         parameters: str = '', **values: int) -> str:
    return tgtd.ask(mode, op, lld=target.lld, tid=target.tid,
                    parameters=parameters, **values)


# --- targets -----------------------------------------------------------------

def make_target(target_iqn: str, lld: str,
                targets: Mapping[str, tgt_report.Target],
                undo: Undo) -> tgt_report.Target:
    """Create a target that nobody may use.

    The number follows from the name: initiators can see it in one of the
    identifiers of the disk, which is the same then after a restart.
    """
    taken = {target.tid for target in targets.values()}
    first = zlib.crc32(target_iqn.encode())
    numbers = [1 + (first + offset) % _NUMBERS for offset in range(_TRIES)]
    free = [tid for tid in numbers if tid not in taken] or [max(taken) + 1]
    target = tgt_report.Target.new(free[0], target_iqn, lld)
    _ask(target, tgtd.Mode.TARGET, tgtd.Op.NEW, f'targetname={target_iqn}')
    undo.later(_ask, target, tgtd.Mode.TARGET, tgtd.Op.DELETE)
    return target


def remove_target(target: tgt_report.Target,
                  targets: Iterable[tgt_report.Target]) -> None:
    """Remove a target after its sessions, with its accounts.

    Not by force: the daemon ends itself when a session outlives that.

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
    """Let initiators log in, or have them come back later."""
    _ask(target, tgtd.Mode.TARGET, tgtd.Op.UPDATE,
         'state=' + ('ready' if ready else 'offline'))


def patiently(target: tgt_report.Target, step: Callable[[], None]) -> None:
    """Take a step as soon as no I/O is in flight.

    :raises TargetBusy: it does not end
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

def ensure_disk(target: tgt_report.Target, disk: Disk, undo: Undo) -> None:
    """Have LUN 1 show a device as it should be shown."""
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


# --- who may log in ----------------------------------------------------------

def ensure_account(target: tgt_report.Target, username: str, secret: str,
                   targets: Iterable[tgt_report.Target], undo: Undo) -> None:
    """Have one account only log in to a target.

    The daemon never tells a secret. A name that is bound to this target is
    trusted to have its own, as both are always made together.
    """
    if target.accounts == (username,):
        return
    if username in _accounts_elsewhere(target, targets):
        raise errors.InvalidArgument(
            'CHAP name', 'is that of another target of tgtd as well')
    # Without any account everybody could log in who is in the list.
    for entry in target.acl:
        deny(target, entry)
    _remove_accounts(target, targets)
    with tgtd.tolerating(tgtd.Refusal.NO_USER):
        tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.DELETE,
                 parameters=f'user={username}')
    tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.NEW,
             parameters=f'user={username},password={secret}')
    undo.later(tgtd.ask, tgtd.Mode.ACCOUNT, tgtd.Op.DELETE,
               parameters=f'user={username}')
    _ask(target, tgtd.Mode.ACCOUNT, tgtd.Op.BIND, f'user={username}')
    for entry in target.acl:
        if _belongs(target, entry):
            allow(target, entry)


def _accounts_elsewhere(target: tgt_report.Target,
                        targets: Iterable[tgt_report.Target]) -> set[str]:
    return {username for other in targets if other.tid != target.tid
            for username in other.accounts}


def _remove_accounts(target: tgt_report.Target,
                     targets: Iterable[tgt_report.Target]) -> None:
    """Remove the accounts of a target, from the last one on.

    The daemon dies of the next 'show' when there is a gap in its list of
    them (``tgt_target_show_all``).
    """
    elsewhere = _accounts_elsewhere(target, targets)
    for username in reversed(target.accounts):
        op = (tgtd.Op.UNBIND if username in elsewhere else tgtd.Op.DELETE)
        with tgtd.tolerating(tgtd.Refusal.NO_USER):
            _ask(target, tgtd.Mode.ACCOUNT, op, f'user={username}')


def address(lld: str) -> str:
    """Return what is let in by address, so that the names alone decide.

    Over iSCSI a host gets in by its name or by its address
    (usr/iscsi/iscsid.c of tgt 1.0.85), over iSER it takes both
    (usr/iscsi/iser_text.c).
    """
    return ANYBODY if lld == 'iser' else NOBODY


def lets_names_decide(target: tgt_report.Target) -> bool:
    """Tell whether those hosts get in whose names are in the list."""
    return ((target.lld != 'iser' or ANYBODY in target.acl)
            and all(_belongs(target, entry) for entry in target.acl))


def _belongs(target: tgt_report.Target, entry: str) -> bool:
    return (tgt_report.is_name(entry)
            or entry in (NOBODY, address(target.lld)))


def ensure_initiators(target: tgt_report.Target, initiators: Iterable[str],
                      undo: Undo) -> None:
    """Let initiators in, by name only."""
    # Without any entry nobody gets in, so NOBODY is of use in files only.
    addresses = {address(target.lld)} - {NOBODY}
    for entry in (*addresses, *initiators):
        if entry not in target.acl:
            allow(target, entry)
            undo.later(deny, target, entry)
    for entry in target.acl:
        if not _belongs(target, entry):
            LOG.info('Target %s is closed to address %s',
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

    :raises TargetBusy: one does not end, as it has I/O in flight
    """
    deadline = time.monotonic() + _PATIENCE
    told: set[tgt_report.Connection] = set()
    while left := [connection
                   for connection in tgt_report.connections(target)
                   if initiator_iqn in (None, connection.initiator_iqn)]:
        # Once each: its descriptor may be that of another one by then.
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
                   ) -> list[tuple[str, str]]:
    """Listen on portals; return those refused, with the reasons.

    They are the daemon's and serve all targets, so none is ever removed.
    """
    served = set(tgt_report.portals())
    refused = []
    for portal in dict.fromkeys(portals):
        address, port = portal
        if {portal, (_wildcard(address), port)} & served:
            continue
        name = listening.spell(portal)
        try:
            tgtd.ask(tgtd.Mode.PORTAL, tgtd.Op.NEW,
                     parameters=f'portal={name}')
        except errors.TargetDaemonRefused as exc:
            refused.append(
                (name, listening.why_not_bound(portal) or str(exc)))
    return refused


def _wildcard(address: str) -> str:
    return '::' if ':' in address else '0.0.0.0'  # noqa: S104
