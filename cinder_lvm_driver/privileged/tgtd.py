# SPDX-License-Identifier: Apache-2.0
"""One request to tgtd and its answer, over the socket of the daemon.

This is the protocol of ``tgtadm``: a request is a fixed structure and a text
of ``name=value`` pairs, an answer is a code and a text (``tgtadm_req`` and
``tgtadm_rsp`` in usr/tgtadm.h of tgt). The structure has no padding on any
architecture, and is older than the present path of the socket, so each
daemon at this path knows it. The daemon accepts requests from its own user
only, which is root.
"""

from collections.abc import Iterator
import contextlib
import enum
import socket
import struct

from cinder_lvm_driver.privileged import errors

SOCKET = '/var/run/tgtd/socket.0'

# mode, op, lld, len, tid, sid, lun, cid, host_no, device_type, ac_dir,
# pack, force; in the byte order of the machine.
REQUEST = struct.Struct('=II64sIiQQIIIIII')
ANSWER = struct.Struct('=II')

# tgtd answers a read at once, unless it hangs.
_READ_TIMEOUT = 60
_ALL_TARGETS = -1


class Mode(enum.IntEnum):
    """The subject of a request, named as in ``tgtadm --mode``."""

    SYS = 0
    TARGET = 1
    LOGICALUNIT = 2
    PORTAL = 3
    CONN = 6
    ACCOUNT = 7


class Op(enum.IntEnum):
    """The operation of a request, named as in ``tgtadm --op``."""

    NEW = 0
    DELETE = 1
    SHOW = 2
    BIND = 3
    UNBIND = 4
    UPDATE = 5


class Refusal(enum.IntEnum):
    """The codes of tgtd for what it refuses."""

    NO_TARGET = 4
    NO_LUN = 5
    NO_SESSION = 6
    NO_CONNECTION = 7
    TARGET_EXIST = 9
    LUN_EXIST = 10
    ACL_EXIST = 12
    ACL_NOEXIST = 13
    USER_EXIST = 14
    NO_USER = 15
    INVALID_REQUEST = 17
    TARGET_ACTIVE = 19
    LUN_ACTIVE = 20


def ask(mode: Mode, op: Op, *, lld: str = 'iscsi', tid: int = _ALL_TARGETS,
        lun: int = 0, sid: int = 0, cid: int = 0, parameters: str = '',
        ) -> str:
    """Send tgtd a request and return the text of its answer.

    :param parameters: ``name=value`` pairs separated by commas; they may
        have a secret and are never part of an error
    :raises TargetDaemonNotRunning: no process listens
    :raises TargetDaemonSilent: a process listens, but does not answer
    :raises TargetDaemonUnknown: the answer is not of this protocol
    :raises TargetDaemonRefused: tgtd refuses the request
    """
    text = parameters.encode() + b'\0' if parameters else b''
    packet = REQUEST.pack(
        mode, op, lld.encode(), REQUEST.size + len(text), tid, sid, lun, cid,
        0, 0, 0, 0, 0) + text
    # No timeout for changes: after a timeout, it would be unknown whether
    # the change was made.
    timeout = _READ_TIMEOUT if op is Op.SHOW else None
    try:
        answer = _exchange(packet, timeout)
    except (FileNotFoundError, ConnectionRefusedError) as exc:
        raise errors.TargetDaemonNotRunning(
            SOCKET, exc.strerror or str(exc)) from exc
    except OSError as exc:
        raise errors.TargetDaemonSilent(
            SOCKET, exc.strerror or str(exc)) from exc
    return _parse(answer, f'{op.name} {mode.name}'.lower(), tid)


def _parse(answer: bytes, action: str, tid: int) -> str:
    if not answer:
        raise errors.TargetDaemonUnknown(
            SOCKET, 'the connection ended without an answer: run tgtd as '
            'root, or start it again if it has just ended')
    if len(answer) < ANSWER.size:
        raise errors.TargetDaemonUnknown(SOCKET, 'its answer is too short')
    code, length = ANSWER.unpack_from(answer)
    if code:
        raise errors.TargetDaemonRefused(action, tid, code)
    if length != len(answer):
        raise errors.TargetDaemonUnknown(
            SOCKET, f'its answer has {len(answer)} bytes, not {length}')
    return answer[ANSWER.size:].rstrip(b'\0').decode(errors='replace')


def _exchange(packet: bytes, timeout: float | None) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(SOCKET)
        connection.sendall(packet)
        answer = bytearray()
        while chunk := connection.recv(65536):
            answer += chunk
        return bytes(answer)


@contextlib.contextmanager
def tolerating(*refusals: Refusal) -> Iterator[None]:
    """Ignore refusals which mean that there is nothing to do."""
    try:
        yield
    except errors.TargetDaemonRefused as exc:
        if exc.code not in refusals:
            raise
