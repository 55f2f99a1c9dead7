# SPDX-License-Identifier: Apache-2.0
"""What tgtd says of itself, read into values.

The texts are those of ``tgtadm --op show``; they are indented by four
spaces a level (``tgt_target_show_all`` in usr/target.c of tgt).
"""

from collections.abc import Iterator
import dataclasses
import re

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgtd

# Controllers are LUN 0 of each target, so this is the first disk.
LUN = 1

_INDENT = 4
_TRANSPORTS = ('', 'iscsi', 'iser')
_OUTGOING = ' (outgoing)'
_TARGET = re.compile(r'Target (\d+): (.*)')
_SECTIONS = ('System information:', 'I_T nexus information:',
             'LUN information:', 'Account information:', 'ACL information:')
_NAMES = ('iqn.', 'eui.', 'naa.')


@dataclasses.dataclass(frozen=True)
class Lun:
    """The disk of a target."""

    device: str
    scsi_id: str
    bsoflags: str
    read_only: bool


@dataclasses.dataclass(frozen=True)
class Target:
    """A target, as it was at one moment.

    :ivar acl: names of initiators, addresses and the word ALL
    """

    tid: int
    target_iqn: str
    lld: str
    ready: bool = True
    in_use: bool = False
    lun: Lun | None = None
    accounts: tuple[str, ...] = ()
    acl: tuple[str, ...] = ()

    @property
    def initiators(self) -> tuple[str, ...]:
        return tuple(filter(is_name, self.acl))


@dataclasses.dataclass(frozen=True)
class Connection:
    """A connection of an initiator that has logged in."""

    sid: int
    cid: int
    initiator_iqn: str


def is_name(entry: str) -> bool:
    """Tell an initiator's name in an ACL from an address."""
    return entry.startswith(_NAMES)


def targets() -> dict[str, Target]:
    """Return all targets by IQN.

    There is no question for one target by its name.
    """
    found: dict[str, Target] = {}
    text = tgtd.ask(tgtd.Mode.TARGET, tgtd.Op.SHOW)
    for line, section in _sections(text.splitlines()):
        header = _TARGET.fullmatch(line)
        if header is None:
            raise _unknown(line)
        target = _target(int(header[1]), header[2], section)
        # The alias that an initiator gives itself is in this text, and may
        # try to look like another target.
        if (target.target_iqn in found
                or target.tid in {other.tid for other in found.values()}):
            raise _unknown(line)
        found[target.target_iqn] = target
    return found


def _target(tid: int, target_iqn: str, lines: list[str]) -> Target:
    found = list(_sections(lines))
    sections = dict(found)
    system = _fields(sections.get('System information:', []))
    # Other transports have no accounts, and are none of our concern.
    if system.get('Driver', '') in _TRANSPORTS and (
            tuple(heading for heading, _ in found) != _SECTIONS):
        raise _unknown(f'Target {tid}: {target_iqn}')
    accounts = sections.get('Account information:', [])
    return Target(
        tid, target_iqn, system.get('Driver', ''),
        system.get('State') == 'ready',
        bool(sections.get('I_T nexus information:')),
        _lun(dict(_sections(sections.get('LUN information:', [])))),
        tuple(name for name in accounts if not name.endswith(_OUTGOING)),
        tuple(sections.get('ACL information:', [])))


def _lun(luns: dict[str, list[str]]) -> Lun | None:
    lines = luns.get(f'LUN: {LUN}')
    if lines is None:
        return None
    fields = _fields(lines)
    return Lun(fields.get('Backing store path', ''),
               fields.get('SCSI ID', ''),
               fields.get('Backing store flags', ''),
               fields.get('Readonly') == 'Yes')


def connections(target: Target) -> list[Connection]:
    """Return the connections to one target."""
    try:
        text = tgtd.ask(tgtd.Mode.CONN, tgtd.Op.SHOW, lld=target.lld,
                        tid=target.tid)
    except errors.TargetDaemonRefused as exc:
        if exc.code == tgtd.Refusal.NO_TARGET:
            return []
        raise
    found = []
    session = ''
    for line, section in _sections(text.splitlines()):
        session = _value(line, 'Session: ')
        for connection, fields in _sections(section):
            found.append(Connection(
                int(session), int(_value(connection, 'Connection: ')),
                _fields(fields).get('Initiator', '').lower()))
    return found


def portals() -> list[tuple[str, int]]:
    """Return the addresses and ports that the daemon listens on."""
    text = tgtd.ask(tgtd.Mode.PORTAL, tgtd.Op.SHOW)
    found = []
    for line in text.splitlines():
        found.append(listening.parse(
            _value(line, 'Portal: ').partition(',')[0]))
    return found


def drivers() -> dict[str, str]:
    """Return the state of each transport (LLD) that the daemon has."""
    sections = dict(_sections(
        tgtd.ask(tgtd.Mode.SYS, tgtd.Op.SHOW).splitlines()))
    if 'System:' not in sections:
        raise _unknown(next(iter(sections), ''))
    return _fields(sections.get('LLDs:', []))


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Return each line of the first level with those below it."""
    heading: str | None = None
    section: list[str] = []
    for line in lines:
        if line.startswith(' ' * _INDENT):
            section.append(line[_INDENT:])
        else:
            if heading is not None:
                yield heading, section
            heading, section = line, []
    if heading is not None:
        yield heading, section


def _fields(lines: list[str]) -> dict[str, str]:
    fields = {}
    for line in lines:
        name, _, value = line.partition(':')
        fields[name] = value.strip()
    return fields


def _value(line: str, prefix: str) -> str:
    if not line.startswith(prefix):
        raise _unknown(line)
    return line.removeprefix(prefix)


def _unknown(line: str) -> errors.TargetDaemonUnknown:
    return errors.TargetDaemonUnknown(
        tgtd.SOCKET, f'this line was not expected: {line!r}')
