# SPDX-License-Identifier: Apache-2.0
"""Checks of the arguments that the service sends to the privileged daemon.

Each function returns its argument in the form that the kernel gets, or
raises ``InvalidArgument``. Verbs call them before they change anything.
"""

import base64
import binascii
from collections.abc import Iterable
import ipaddress
import os
import pathlib
import re
import stat
import zlib

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import ownership

# The characters are those of RFC 3722, section 6.2. The form is the one that
# rtslib can parse (utils.normalize_wwn): one name that it cannot parse makes
# targetcli and cinder-rtstool fail for every target of this node.
_ISCSI_NAME = re.compile(
    r'iqn\.[0-9]{4}-[01][0-9]\.[a-z0-9:-]*\.[a-z0-9.:-]*[a-z0-9]'
    r'|eui\.[0-9a-f]{16}'
    r'|naa\.[125c][0-9a-f]{15}')
_ISCSI_NAME_LENGTH = 223    # RFC 7143, section 4.2.7.1
ISCSI_NAME_TYPES = ('iqn.', 'eui.', 'naa.')     # the same, section 4.2.7.3
_DEVICE = re.compile(r'(/[A-Za-z0-9_+.#@%:=-]+)+')
_DEVICE_LENGTH = 511        # SE_UDEV_PATH_LEN in target_core_base.h
# lvm(8), VALID NAMES; linux/dm-ioctl.h, DM_NAME_LEN with a NUL.
_DEVICE_MAPPER_NAME = re.compile(r'[A-Za-z0-9+_.-]{1,127}')
# lvm2, lib/locking/file_locking.c: V_ and the name of a VG.
_LVM_LOCK_FILE = re.compile(r'(/[A-Za-z0-9_+.#@%:=-]+)+/V_[A-Za-z0-9+_.-]+')
# Kernel, drivers/md/dm-thin-metadata.h: MAX_DEV_ID is (1 << 24) - 1.
_THIN_ID_LAST = 2 ** 24 - 1
_TRANSACTION_ID_LAST = 2 ** 63
_MILLISECONDS_MOST = 60_000
_CHAP_TEXT = re.compile(r'[\x21-\x7e]{1,255}')  # MAX_USER_LEN, MAX_PASS_LEN
# The names that tgtd accepts for a target (tgt_target_create in usr/target.c
# of tgt), as far as they are iSCSI names.
_TGT_TARGET = re.compile(
    r'(iqn|eui|naa)\.[A-Za-z0-9.:-]{1,219}', re.IGNORECASE | re.ASCII)
# tgtd allows any name; these characters need no quotes in the file that
# tgt-admin reads and in the commands that it runs.
_TGT_INITIATOR = re.compile(
    r'(iqn|eui|naa)\.[A-Za-z0-9._:-]{1,219}', re.IGNORECASE | re.ASCII)
# Needs no quotes in a file of tgt-admin or in a shell.
_PLAIN_TEXT = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}')
_BSOFLAGS = re.compile(r'((sync|direct)(:(sync|direct))*)?')
_LLDS = ('iscsi', 'iser')
# Looser than the NVMe base specification (2.0, section 4.5), which requires a
# date and a domain: Cinder's default target_prefix gives names that begin
# with nqn.iqn.2010-10.
_NQN = re.compile(r'nqn\.[\x21-\x2e\x30-\x7e]+')
_NQN_LENGTH = 223           # NVMF_NQN_SIZE in include/linux/nvme.h
_DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
NVME_TRANSPORTS = ('tcp', 'rdma')
_NSID_LAST = 0xfffffffe
# Hash number -> bytes of the secret before its CRC-32 (NVMe TCP and RDMA
# transport specifications, section 'Secret representation').
_DHCHAP_BYTES = {'00': (32, 48, 64), '01': (32,), '02': (48,), '03': (64,)}


def _matching(pattern: re.Pattern[str], argument: str, value: object,
              what: str) -> str:
    """Return a text that matches a pattern; an error repeats the text."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise errors.InvalidArgument(argument, f'{value!r} is not {what}')
    return value


def iscsi_name(argument: str, value: object) -> str:
    """Return the name of a target or an initiator: an IQN, EUI or NAA."""
    if (not isinstance(value, str) or len(value) > _ISCSI_NAME_LENGTH
            or not _ISCSI_NAME.fullmatch(value)):
        raise errors.InvalidArgument(
            argument, f'{value!r} is not an iSCSI name of digits, dots, '
            'colons, dashes and letters in lower case')
    return value


def spelled_iscsi_name(argument: str, value: object) -> str:
    """Return an iSCSI name, in upper or lower case as it came."""
    iscsi_name(argument, value.lower() if isinstance(value, str)
               and value.isascii() else value)
    return str(value)


def tgt_target(argument: str, value: object) -> str:
    """Return a target name that tgt accepts; its case matters."""
    return _matching(_TGT_TARGET, argument, value, 'an iSCSI name of digits, '
                     'dots, colons, dashes and letters')


def tgt_initiator(argument: str, value: object) -> str:
    """Return an initiator name that tgt accepts.

    This includes nonstandard names, because hosts with such names may have
    volumes attached through the in-tree driver.
    """
    return _matching(
        _TGT_INITIATOR, argument, value, 'an iSCSI name of letters, digits, '
        'dots, colons, dashes and underscores')


def serial(value: object) -> str:
    return uuid('serial', value)


def uuid(argument: str, value: object) -> str:
    return _matching(naming.UUID, argument, value, 'a UUID')


def device_mapper_name(value: object) -> str:
    """Return what can be device-mapper's name of a device of LVM."""
    return _matching(_DEVICE_MAPPER_NAME, 'device', value,
                     "device-mapper's name of an LV")


def own_device_mapper_names(values: Iterable[object]) -> list[str]:
    """Return the names of devices of LVs that belong to this driver."""
    names = [device_mapper_name(value) for value in values]
    for name in ownership.foreign_names(names):
        raise errors.InvalidArgument(
            'device', f'{name} belongs to no VG that Cinder is configured '
            f'for')
    return names


def lvm_lock_file(value: object) -> str:
    """Return the path of the file of LVM's lock of a VG."""
    path = pathlib.Path(_matching(
        _LVM_LOCK_FILE, 'lock file', value, "the file of LVM's lock of a VG"))
    folder = path.parent.resolve()
    for each in (folder, *folder.parents):
        if not ownership.keeps_what_is_roots(each):
            raise errors.InvalidArgument(
                'lock file', f'{path} could be replaced by another user than '
                f'root: see the owner and the mode of {each}')
    return str(folder / path.name)


def thin_id(value: object) -> int:
    """Return the id of a thin LV in its pool."""
    return _number('thin id', value, 0, _THIN_ID_LAST)


def transaction_id(value: object) -> int:
    """Return the number of changes that a thin pool has counted."""
    return _number('transaction id', value, 0, _TRANSACTION_ID_LAST)


def milliseconds(value: object) -> int:
    """Return a time limit."""
    return _number('limit', value, 1, _MILLISECONDS_MOST)


def device_path(value: object) -> str:
    """Return the path of a device, which need not exist."""
    if (not isinstance(value, str) or len(value) > _DEVICE_LENGTH
            or not value.startswith('/dev/') or not _DEVICE.fullmatch(value)
            or {'.', '..'} & set(value.split('/'))):
        raise errors.InvalidArgument(
            'device', f'{value!r} is not the path of a device')
    return value


def device(value: object) -> str:
    """Return the path of an LV.

    :raises DeviceNotUsable: the device is not an LV of this driver, or
        another user than root could replace it
    """
    path = device_path(value)
    # The target opens the path later, and must find the same device.
    folder = os.path.dirname(path)
    if not ownership.is_only_roots(folder):
        raise errors.DeviceNotUsable(
            path, 'could be replaced by another user than root: see the '
            f'owners and the modes of {folder} and the folders above it')
    device_number(path)
    reason = blockdev.why_not_lv(path)
    if reason is not None:
        raise errors.DeviceNotUsable(path, reason)
    if not ownership.is_own_lv(path):
        raise errors.DeviceNotUsable(
            path, 'is not in a VG of this driver: name its VG as volume_group '
            'in cinder.conf, which root reads from /etc/cinder')
    return path


def device_number(path: str) -> str:
    """Return the number of a block device, such as ``253:4``.

    :raises DeviceNotUsable: there is no such block device
    """
    try:
        status = os.stat(path)
    except OSError as exc:
        raise errors.DeviceNotUsable(
            path, f'cannot be examined: {exc.strerror}') from exc
    if not stat.S_ISBLK(status.st_mode):
        raise errors.DeviceNotUsable(path, 'is not a block device')
    return blockdev.spell(status.st_rdev)


def is_another_device(served: str, number: str | None, path: str) -> bool:
    """Tell whether a target serves a device other than the one at a path.

    :param served: the path that the target was given
    :param number: the number of the served device, None if it is gone
    :param path: need not exist, for example if its LV is not active
    """
    if number is None:
        return False
    wanted = blockdev.number(path)
    return served != path if wanted is None else number != wanted


def address(value: object) -> str:
    """Return the canonical spelling of an IP address."""
    try:
        if not isinstance(value, str) or '%' in value:
            raise ValueError
        return str(ipaddress.ip_address(value))
    except ValueError as exc:
        raise errors.InvalidArgument(
            'portal', f'{value!r} is not an IP address') from exc


def port(value: object) -> int:
    """Return a TCP port."""
    return _number('port', value, 1, 65535)


def nqn(argument: str, value: object) -> str:
    """Return the name of a subsystem or of a host; its case matters."""
    if (not isinstance(value, str) or len(value) > _NQN_LENGTH
            or not _NQN.fullmatch(value) or value == _DISCOVERY_NQN):
        raise errors.InvalidArgument(
            argument, f'{value!r} is not an NVMe Qualified Name of at most '
            f'{_NQN_LENGTH} printable characters without spaces and slashes')
    return value


def nvme_transport(value: object) -> str:
    """Return a transport of NVMe over IP."""
    if value not in NVME_TRANSPORTS:
        raise errors.InvalidArgument(
            'portal', f'{value!r} is none of the transports '
            + ', '.join(NVME_TRANSPORTS))
    return str(value)


def nsid(value: object) -> int:
    """Return the id of a namespace."""
    return _number('namespace id', value, 1, _NSID_LAST)


def port_id(value: object) -> int:
    """Return the id of a port of nvmet."""
    return _number('port id', value, 0, 65535)


def _number(argument: str, value: object, first: int, last: int) -> int:
    if (not isinstance(value, int) or isinstance(value, bool)
            or not first <= value <= last):
        raise errors.InvalidArgument(
            argument, f'{value!r} is not a number from {first} to {last}')
    return value


def dhchap_key(value: object) -> str:
    """Return the key of a host, which is never part of an error.

    The kernel checks the whole key only when the host connects.
    """
    words = value.split(':') if isinstance(value, str) else []
    try:
        prefix, number, text, end = words
        secret = base64.b64decode(text.encode('ascii'), validate=True)
        sizes = _DHCHAP_BYTES[number]
    except (ValueError, KeyError, binascii.Error):
        valid = False
    else:
        valid = (prefix == 'DHHC-1' and not end and len(secret) - 4 in sizes
                 and secret[-4:] == zlib.crc32(secret[:-4]).to_bytes(
                     4, 'little'))
    if not valid:
        raise errors.InvalidArgument(
            'DH-HMAC-CHAP key', 'is not of the form DHHC-1:NN:BASE64: with a '
            'correct checksum: make one with nvme gen-dhchap-key') from None
    return ':'.join(words)


def chap_text(argument: str, value: object) -> str:
    """Return a CHAP name or secret for LIO; it is never part of an error.

    The kernel takes a text that begins with NULL as 'none'
    (``__DEF_NACL_AUTH_STR`` in iscsi_target_configfs.c).
    """
    if (not isinstance(value, str) or not _CHAP_TEXT.fullmatch(value)
            or value.startswith('NULL')):
        raise errors.InvalidArgument(
            argument, 'is not 1 to 255 printable characters without spaces, '
            'or it begins with NULL')
    return value


def tgt_chap_text(argument: str, value: object) -> str:
    """Return a CHAP name or secret for tgt; it is never part of an error."""
    if not isinstance(value, str) or not _PLAIN_TEXT.fullmatch(value):
        raise errors.InvalidArgument(
            argument, 'is not 1 to 255 letters, digits, dots, dashes and '
            'underscores that begin with a letter or digit')
    return value


def scsi_id(value: object) -> str:
    """Return the identifier that a disk's WWID is derived from."""
    return _matching(_PLAIN_TEXT, 'scsi_id', value,
                     'letters, digits, dots, dashes and underscores')


def bsoflags(value: object) -> str:
    """Return the flags with which tgt opens a device."""
    return _matching(_BSOFLAGS, 'iscsi_target_flags', value,
                     "'sync', 'direct' or 'sync:direct'")


def transport(value: object) -> str:
    """Return the transport of a target of tgt (its LLD)."""
    if value not in _LLDS:
        raise errors.InvalidArgument(
            'transport', f"{value!r} is not 'iscsi' or 'iser'")
    return str(value)
