# SPDX-License-Identifier: Apache-2.0
"""What nova-compute does with a volume through os-brick."""

from collections.abc import Iterator
import contextlib
import dataclasses
import hashlib
import mmap
import os
import subprocess
from typing import Any

MIB = 1 << 20
LOCK_PATH = '/run/demo-compute'


@dataclasses.dataclass
class Device:
    """An attached volume.

    :ivar connection: the connection information of the attachments API
    :ivar info: the device information of os-brick, empty until connected
    """

    volume: str
    attachment: str
    connection: dict[str, Any]
    info: dict[str, Any]

    @property
    def path(self) -> str:
        """The block device."""
        return str(self.info['path'])


class _Keys:
    """A key manager with one key, for os-brick."""

    def __init__(self, key: bytes) -> None:
        from castellan.common.objects import symmetric_key
        self._key = symmetric_key.SymmetricKey('AES', len(key) * 8, key)

    def get(self, context: object, identity: str) -> Any:
        """Return the key, for every ID."""
        return self._key


class Host:
    """This machine as an initiator; the process must run as root.

    The privileged functions of os-brick run in this process: a privsep
    daemon would take seconds to start on an emulated processor.
    """

    def __init__(self) -> None:
        # As Cinder does: otherwise eventlet imports a DNS library.
        os.environ['EVENTLET_NO_GREENDNS'] = 'yes'
        import os_brick
        from os_brick.initiator import connector
        from os_brick import privileged
        from oslo_concurrency import lockutils
        from oslo_config import cfg
        os.makedirs(LOCK_PATH, exist_ok=True)
        cfg.CONF([], project='demo-compute', default_config_files=[])
        lockutils.set_defaults(LOCK_PATH)
        os_brick.setup(cfg.CONF)
        privileged.default.set_client_mode(False)
        self._connector = connector

    def properties(self) -> dict[str, Any]:
        """Return the connector properties of this machine."""
        return dict(self._connector.get_connector_properties(
            'sudo', '127.0.0.1', False, False))

    def _protocol(self, connection: dict[str, Any]) -> Any:
        return self._connector.InitiatorConnector.factory(
            connection['driver_volume_type'].upper(), None,
            use_multipath=False, device_scan_attempts=5)

    def attach(self, connection: dict[str, Any]) -> dict[str, Any]:
        """Connect to a volume; return the device information of os-brick."""
        return dict(self._protocol(connection).connect_volume(connection))

    def detach(self, device: Device) -> None:
        """Disconnect from a volume, which removes the device."""
        self._protocol(device.connection).disconnect_volume(
            device.connection, device.info)

    @contextlib.contextmanager
    def decrypted(self, device: Device, encryption: dict[str, Any],
                  key: bytes) -> Iterator[str]:
        """Open an encrypted device and yield the path of the decrypted one.

        A device that was never used is formatted.

        :param encryption: the encryption metadata of Cinder
        """
        from os_brick import encryptors
        encryptor = encryptors.get_volume_encryptor(
            'sudo', {'driver_volume_type':
                     device.connection['driver_volume_type'],
                     'serial': device.volume,
                     'data': {**device.connection,
                              'device_path': device.path}},
            _Keys(key), **encryption)
        encryptor.attach_volume(None, **encryption)
        try:
            yield f'/dev/mapper/{encryptor.dev_name}'
        finally:
            encryptor.detach_volume(**encryption)

    def extend(self, device: Device) -> int:
        """Rescan a device after an extend; return its size in bytes."""
        return int(self._protocol(device.connection).extend_volume(
            device.connection))


def size_of(path: str) -> int:
    """Return the size of a block device in bytes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)


def write_random(path: str, offset: int, size: int) -> str:
    """Write random bytes with direct I/O and return their checksum.

    :param offset: in bytes
    :param size: in bytes, a multiple of 1 MiB
    """
    digest = hashlib.blake2b(digest_size=16)
    descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_SYNC)
    # Direct I/O needs aligned memory, see open(2); mmap returns pages.
    with mmap.mmap(-1, MIB) as block:
        try:
            for start in range(offset, offset + size, MIB):
                block[:] = os.urandom(MIB)
                digest.update(block)
                if os.pwrite(descriptor, block, start) != MIB:
                    raise OSError(f'{path}: short write at {start}')
        finally:
            os.close(descriptor)
    return digest.hexdigest()


def checksum(path: str, offset: int, size: int) -> str:
    """Return the checksum of a part of a device, read with direct I/O.

    :param offset: in bytes
    :param size: in bytes, a multiple of 1 MiB
    """
    digest = hashlib.blake2b(digest_size=16)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECT)
    with mmap.mmap(-1, MIB) as block:
        try:
            for start in range(offset, offset + size, MIB):
                if os.preadv(descriptor, [block], start) != MIB:
                    raise OSError(f'{path}: short read at {start}')
                digest.update(block)
        finally:
            os.close(descriptor)
    return digest.hexdigest()


def discard(path: str, offset: int, size: int) -> None:
    """Discard a part of a device, given in bytes."""
    subprocess.run(['blkdiscard', '-o', str(offset), '-l', str(size), path],
                   check=True)
