# SPDX-License-Identifier: Apache-2.0
"""The keys of hosts for NVMe authentication (DH-HMAC-CHAP)."""

import json
import os
import stat

from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver.targets import errors

_OPTION = 'lvm_nvme_key_file'


class KeyFile:
    """The operator's key file; each ``read`` reads it again."""

    def __init__(self, path: str | None, required: bool) -> None:
        self._path = path
        self._required = required

    @property
    def is_used(self) -> bool:
        return self._required or self._path is not None

    def read(self) -> 'Keys':
        """Return the present keys.

        :raises TargetConfigurationError: the file is not valid
        """
        if self._path is None:
            if self._required:
                raise errors.TargetConfigurationError(
                    f'lvm_nvme_require_keys is set, but {_OPTION} is not: '
                    'set it to a file with the keys of all hosts')
            return Keys({}, required=False)
        return Keys(_parse(self._path, _read(self._path)), self._required)


class Keys:
    """The keys of hosts at one moment."""

    def __init__(self, keys: dict[str, str], required: bool) -> None:
        self._keys = keys
        self._required = required

    def find(self, host_nqn: str) -> str | None:
        """Return the key of a host, None if it needs none.

        :raises NoHostKey: the host has no key, but keys are required
        """
        key = self._keys.get(host_nqn)
        if key is None and self._required:
            raise errors.NoHostKey(host_nqn)
        return key


def _read(path: str) -> str:
    try:
        with open(path, encoding='utf-8') as file:
            status = os.fstat(file.fileno())
            text = file.read()
    except (OSError, UnicodeDecodeError) as exc:
        reason = getattr(exc, 'strerror', None) or 'it is not text'
        raise errors.TargetConfigurationError(
            f'{_OPTION} {path} cannot be read: {reason}') from None
    if (status.st_uid not in (0, os.geteuid())
            or stat.S_IMODE(status.st_mode) & 0o077):
        raise errors.TargetConfigurationError(
            f'{_OPTION} {path} is not private: set its owner to root or the '
            'user of cinder-volume, and its mode to 0600')
    return text


def _parse(path: str, text: str) -> dict[str, str]:
    """Read an object of host NQNs and keys; no key is part of an error."""
    try:
        keys = json.loads(text)
    except ValueError:
        keys = None
    if not isinstance(keys, dict):
        raise errors.TargetConfigurationError(
            f'{_OPTION} {path} is not a JSON object of host NQNs and keys')
    for number, (host_nqn, key) in enumerate(keys.items(), 1):
        try:
            validation.nqn('host', host_nqn)
        except errors.InvalidArgument:
            # The message leaves it out, because it may be a key.
            raise errors.TargetConfigurationError(
                f'{_OPTION} {path}, entry {number}: the name is not the NVMe '
                'Qualified Name of a host') from None
        try:
            validation.dhchap_key(key)
        except errors.InvalidArgument as exc:
            raise errors.TargetConfigurationError(
                f'{_OPTION} {path}, entry {host_nqn!r}: {exc}') from None
    return keys
