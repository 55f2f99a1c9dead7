# SPDX-License-Identifier: Apache-2.0
"""The reports of tgtd, read into values.

The texts are those of ``tgtadm --op show``; they are indented by four
spaces a level (``tgt_target_show_all`` in usr/target.c of tgt).
"""

from collections.abc import Iterator
import dataclasses
import functools
import re

from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import tgtd
from cinder_lvm_driver.privileged import validation

# Controllers are LUN 0 of each target, so this is the first disk.
LUN = 1

_INDENT = 4
_TRANSPORTS = ('', 'iscsi', 'iser')
_OUTGOING = ' (outgoing)'
_SECTIONS = ('System', 'I_T nexus', 'LUN', 'Account', 'ACL')
# One answer has hundreds of targets: reading it line by line takes too long.
_TARGET = re.compile(r'Target (\d+): (.*)\n' + ''.join(
    fr'(?:    {name} information:\n((?: {{8}}.*\n)*))?'
    for name in _SECTIONS))
_LUN = re.compile(fr'^ {{8}}LUN: {LUN}\n((?: {{12}}.*\n)*)', re.MULTILINE)
_SESSION = re.compile(r'^ {8}I_T nexus: ', re.MULTILINE)
_FIELD = re.compile(r'^ *([^:\n]*): *(.*?) *$', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Lun:
    """The disk of a target."""

    device: str
    scsi_id: str
    bsoflags: str
    read_only: bool


@dataclasses.dataclass(frozen=True)
class Target:
    """A target at one moment; its sections are parsed when they are needed.

    :ivar sections: the text of each of _SECTIONS
    """

    tid: int
    target_iqn: str
    sections: tuple[str, ...]

    @classmethod
    def new(cls, tid: int, target_iqn: str, lld: str) -> 'Target':
        """Return a target without disk, accounts and initiators."""
        return cls(tid, target_iqn,
                   (f'Driver: {lld}\nState: ready\n', '', '', '', ''))

    @functools.cached_property
    def _system(self) -> dict[str, str]:
        return _fields(self.sections[0])

    @property
    def lld(self) -> str:
        return self._system.get('Driver', '')

    @property
    def ready(self) -> bool:
        return self._system.get('State') == 'ready'

    @property
    def in_use(self) -> bool:
        return bool(self.sections[1])

    @property
    def sessions(self) -> int:
        """How many initiators are logged in."""
        return len(_SESSION.findall(self.sections[1]))

    @functools.cached_property
    def lun(self) -> Lun | None:
        found = _LUN.search(self.sections[2])
        if found is None:
            return None
        fields = _fields(found[1])
        return Lun(fields.get('Backing store path', ''),
                   fields.get('SCSI ID', ''),
                   fields.get('Backing store flags', ''),
                   fields.get('Readonly') == 'Yes')

    @functools.cached_property
    def accounts(self) -> tuple[str, ...]:
        """The names that initiators log in with."""
        return tuple(name for name in _words(self.sections[3])
                     if not name.endswith(_OUTGOING))

    @functools.cached_property
    def acl(self) -> tuple[str, ...]:
        """Names of initiators, addresses and the word ALL."""
        return tuple(_words(self.sections[4]))

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
    """Tell whether an entry of an ACL is a name and not an address."""
    return entry.lower().startswith(validation.ISCSI_NAME_TYPES)


def targets() -> dict[str, Target]:
    """Return all targets by IQN.

    tgtd has no request for one target by its name.
    """
    found: dict[str, Target] = {}
    numbers = set()
    text = tgtd.ask(tgtd.Mode.TARGET, tgtd.Op.SHOW)
    end = 0
    for match in _TARGET.finditer(text):
        target = _target(match)
        # An initiator chooses its alias, which is part of this text and may
        # look like another target.
        if (match.start() != end or target.target_iqn in found
                or target.tid in numbers):
            break
        found[target.target_iqn] = target
        numbers.add(target.tid)
        end = match.end()
    if end != len(text):
        raise _unknown(text[end:].partition('\n')[0])
    return found


def _target(match: re.Match[str]) -> Target:
    tid, target_iqn, *sections = match.groups()
    target = Target(int(tid), target_iqn,
                    tuple(section or '' for section in sections))
    # Targets of other transports have no accounts; the driver ignores them.
    if None in sections and target.lld in _TRANSPORTS:
        raise _unknown(f'Target {tid}: {target_iqn}')
    return target


def _words(section: str) -> list[str]:
    return [line.strip() for line in section.split('\n') if line]


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
    for line, section in _sections(text):
        session = _value(line, 'Session: ')
        for connection, fields in _sections(section):
            found.append(Connection(
                int(session), int(_value(connection, 'Connection: ')),
                _fields(fields).get('Initiator', '').lower()))
    return found


def portals() -> list[listening.Portal]:
    """Return the portals that tgtd listens on."""
    text = tgtd.ask(tgtd.Mode.PORTAL, tgtd.Op.SHOW)
    return [listening.Portal.parse(
                _value(line, 'Portal: ').partition(',')[0]).validated()
            for line in text.splitlines()]


def drivers() -> dict[str, str]:
    """Return the state of each transport (LLD) that tgtd was built with."""
    sections = dict(_sections(tgtd.ask(tgtd.Mode.SYS, tgtd.Op.SHOW)))
    if 'System:' not in sections:
        raise _unknown(next(iter(sections), ''))
    return _fields(sections.get('LLDs:', ''))


def _sections(text: str) -> Iterator[tuple[str, str]]:
    """Return each line of the first level with the text below it."""
    heading: str | None = None
    section: list[str] = []
    for line in text.splitlines():
        if line.startswith(' ' * _INDENT):
            section.append(line[_INDENT:])
        else:
            if heading is not None:
                yield heading, '\n'.join(section)
            heading, section = line, []
    if heading is not None:
        yield heading, '\n'.join(section)


def _fields(text: str) -> dict[str, str]:
    return dict(_FIELD.findall(text))


def _value(line: str, prefix: str) -> str:
    if not line.startswith(prefix):
        raise _unknown(line)
    return line.removeprefix(prefix)


def _unknown(line: str) -> errors.TargetDaemonUnknown:
    return errors.TargetDaemonUnknown(
        tgtd.SOCKET, f'unexpected line {line!r}')
