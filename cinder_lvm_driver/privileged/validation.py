# SPDX-License-Identifier: Apache-2.0
"""Checks of what the unprivileged service asks the privileged daemon for.

Each function returns its argument in the form the kernel gets, or raises
``InvalidArgument`` before anything was touched.
"""

import base64
import binascii
from collections.abc import Sequence
import ipaddress
import os
import pathlib
import re
import stat
import zlib

from cinder_lvm_driver.privileged import errors

# The characters are those of RFC 3722, section 6.2. The rest is what
# rtslib (utils.normalize_wwn) can read back: one name it cannot parse makes
# targetcli and cinder-rtstool fail for every target of the host.
_ISCSI_NAME = re.compile(
    r'iqn\.[0-9]{4}-[01][0-9]\.[a-z0-9:-]*\.[a-z0-9.:-]*[a-z0-9]'
    r'|eui\.[0-9a-f]{16}'
    r'|naa\.[125c][0-9a-f]{15}')
_ISCSI_NAME_LENGTH = 223    # RFC 7143, section 4.2.7.1
ISCSI_NAME_TYPES = ('iqn.', 'eui.', 'naa.')     # the same, section 4.2.7.3
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_DEVICE = re.compile(r'(/[A-Za-z0-9_+.#@%:=-]+)+')
_DEVICE_LENGTH = 511        # SE_UDEV_PATH_LEN in target_core_base.h
_CHAP_TEXT = re.compile(r'[\x21-\x7e]{1,255}')  # MAX_USER_LEN, MAX_PASS_LEN
# What tgtd calls a target (tgt_target_create in usr/target.c of tgt), if the
# name is one of iSCSI.
_TGT_TARGET = re.compile(
    r'(iqn|eui|naa)\.[A-Za-z0-9.:-]{1,219}', re.IGNORECASE | re.ASCII)
# tgtd lets in any name; these letters need no quotes in the file that
# tgt-admin reads and in the commands that it starts.
_TGT_INITIATOR = re.compile(
    r'(iqn|eui|naa)\.[A-Za-z0-9._:-]{1,219}', re.IGNORECASE | re.ASCII)
# What tgt-admin can read in a file and hand to a shell.
_PLAIN_TEXT = re.compile(r'[A-Za-z0-9][A-Za-z0-9._-]{0,254}')
_BSOFLAGS = re.compile(r'((sync|direct)(:(sync|direct))*)?')
_LLDS = ('iscsi', 'iser')
_SYS_DEVICES = '/sys/dev/block'
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
# Looser than the NVMe base specification (2.0, section 4.5), which wants a
# date and a domain: the name that Cinder makes of its default target_prefix
# begins with nqn.iqn.2010-10.
_NQN = re.compile(r'nqn\.[\x21-\x2e\x30-\x7e]+')
_NQN_LENGTH = 223           # NVMF_NQN_SIZE in include/linux/nvme.h
_DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
NVME_TRANSPORTS = ('tcp', 'rdma')
_NSID_LAST = 0xfffffffe
# Hash number -> bytes of the secret, which CRC-32 follows (NVMe TCP and
# RDMA transport specifications, section 'Secret representation').
_DHCHAP_BYTES = {'00': (32, 48, 64), '01': (32,), '02': (48,), '03': (64,)}


def _matching(pattern: re.Pattern[str], argument: str, value: object,
              what: str) -> str:
    """Return a text that is of a form; it is repeated in the error."""
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
    """Return an iSCSI name in its owner's spelling, whatever its case is."""
    iscsi_name(argument, value.lower() if isinstance(value, str)
               and value.isascii() else value)
    return str(value)


def tgt_target(argument: str, value: object) -> str:
    """Return the name of a target that tgt can have; its case matters."""
    return _matching(_TGT_TARGET, argument, value, 'an iSCSI name of digits, '
                     'dots, colons, dashes and letters')


def tgt_initiator(argument: str, value: object) -> str:
    """Return the name of an initiator that tgt can be told.

    Hosts with names that no standard knows have attached volumes through the
    in-tree driver, and keep them.
    """
    return _matching(
        _TGT_INITIATOR, argument, value, 'an iSCSI name of letters, digits, '
        'dots, colons, dashes and underscores')


def serial(value: object) -> str:
    return uuid('serial', value)


def uuid(argument: str, value: object) -> str:
    return _matching(_UUID, argument, value, 'a UUID')


def device_path(value: object) -> str:
    """Return what can be the path of a device, which may be gone."""
    if (not isinstance(value, str) or len(value) > _DEVICE_LENGTH
            or not value.startswith('/dev/') or not _DEVICE.fullmatch(value)
            or {'.', '..'} & set(value.split('/'))):
        raise errors.InvalidArgument(
            'device', f'{value!r} is not the path of a device')
    return value


def device(value: object) -> str:
    """Return the path of a logical volume of LVM."""
    path = device_path(value)
    # The target opens the path later on, and has to find the same device.
    for folder in pathlib.PurePath(path).parents:
        if not _is_only_roots(folder):
            raise errors.DeviceNotUsable(
                path, f'could be changed by others than root in {folder}')
    if not _is_logical_volume(device_number(path)):
        raise errors.DeviceNotUsable(path, 'is not a logical volume of LVM')
    return path


def device_number(path: str) -> tuple[int, int]:
    """Return the major and minor number of a block device.

    :raises DeviceNotUsable: there is no such block device
    """
    try:
        status = os.stat(path)
    except OSError as exc:
        raise errors.DeviceNotUsable(
            path, f'cannot be examined: {exc.strerror}') from exc
    if not stat.S_ISBLK(status.st_mode):
        raise errors.DeviceNotUsable(path, 'is not a block device')
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def found_device_number(path: str) -> tuple[int, int] | None:
    """Return the number of a block device, None if there is none."""
    try:
        return device_number(path)
    except errors.DeviceNotUsable:
        return None


def is_another_device(served: str, number: tuple[int, int] | None,
                      path: str) -> bool:
    """Tell whether a target serves a device, and not the one of a path.

    :param served: the path that the target was told
    :param number: of the device there, None if it is gone
    :param path: may lead nowhere, as that of an LV that is not active
    """
    if number is None:
        return False
    wanted = found_device_number(path)
    return served != path if wanted is None else number != wanted


def portal(value: Sequence[object]) -> tuple[str, int]:
    """Return the canonical address and the port of a portal."""
    address, port = value
    try:
        if not isinstance(address, str) or '%' in address:
            raise ValueError
        canonical = str(ipaddress.ip_address(address))
    except ValueError as exc:
        raise errors.InvalidArgument(
            'portal', f'{address!r} is not an IP address') from exc
    if not isinstance(port, int) or not 0 < port < 65536:
        raise errors.InvalidArgument(
            'portal', f'{port!r} is not a port from 1 to 65535')
    return canonical, port


def nqn(argument: str, value: object) -> str:
    """Return the name of a subsystem or of a host; its case matters."""
    if (not isinstance(value, str) or len(value) > _NQN_LENGTH
            or not _NQN.fullmatch(value) or value == _DISCOVERY_NQN):
        raise errors.InvalidArgument(
            argument, f'{value!r} is not an NVMe Qualified Name of at most '
            f'{_NQN_LENGTH} printable characters without spaces and slashes')
    return value


def nvme_portal(value: Sequence[object]) -> tuple[str, str, int]:
    """Return transport, canonical address and port of a portal."""
    transport, address, port = value
    if transport not in NVME_TRANSPORTS:
        raise errors.InvalidArgument(
            'portal', f'{transport!r} is none of the transports '
            + ', '.join(NVME_TRANSPORTS))
    return (str(transport), *portal((address, port)))


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

    The kernel looks at all of it only when the host connects.
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
            'right checksum, as nvme gen-dhchap-key makes it') from None
    return ':'.join(words)


def chap(username: object, secret: object) -> tuple[str, str]:
    """Return a CHAP name and secret; neither is ever part of an error.

    The kernel takes what begins with NULL as 'none'
    (``__DEF_NACL_AUTH_STR`` in iscsi_target_configfs.c).
    """
    return _chap_text('CHAP name', username), _chap_text('CHAP secret', secret)


def _chap_text(argument: str, value: object) -> str:
    if (not isinstance(value, str) or not _CHAP_TEXT.fullmatch(value)
            or value.startswith('NULL')):
        raise errors.InvalidArgument(
            argument, 'is not 1 to 255 printable characters without spaces, '
            'or it begins with NULL')
    return value


def plain_chap(username: object, secret: object) -> tuple[str, str]:
    """Return a CHAP name and secret that tgt can be told."""
    for argument, value in ('CHAP name', username), ('CHAP secret', secret):
        if not isinstance(value, str) or not _PLAIN_TEXT.fullmatch(value):
            raise errors.InvalidArgument(
                argument, 'is not 1 to 255 letters and digits, or later on '
                'dots, dashes and underscores')
    return str(username), str(secret)


def scsi_id(value: object) -> str:
    """Return the identifier that the WWID of a disk is made of."""
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


def _is_only_roots(folder: pathlib.PurePath) -> bool:
    try:
        status = os.stat(folder)
    except FileNotFoundError:
        return True
    return status.st_uid == 0 and not status.st_mode & _WRITABLE_BY_OTHERS


def _is_logical_volume(number: tuple[int, int]) -> bool:
    """Tell LVM's devices from all others, which are nobody's to export."""
    uuid_path = '%s/%d:%d/dm/uuid' % (_SYS_DEVICES, *number)
    try:
        with open(uuid_path) as file:
            return file.read().startswith('LVM-')
    except FileNotFoundError:
        return False
