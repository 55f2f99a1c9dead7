# SPDX-License-Identifier: Apache-2.0
"""The cpio format "newc" of an initramfs.

The kernel unpacks concatenated archives (initramfs buffer format in the
kernel's documentation): testvm appends the files of a run as a second one.
"""

import stat


class Archive:
    """An archive; the same entries give the same bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._inode = 0

    def _add(self, name: str, mode: int, data: bytes = b'') -> None:
        encoded = name.encode() + b'\0'
        self._inode += 1
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(encoded), 0)
        header = b'070701' + b''.join(b'%08X' % field for field in fields)
        for part in (header + encoded, data):
            self._parts.append(part + b'\0' * (-len(part) % 4))

    def folder(self, name: str, mode: int = 0o755) -> None:
        """Add a folder; its parents must have been added before."""
        self._add(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._add(name, stat.S_IFREG | mode, data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, stat.S_IFLNK | 0o777, target.encode())

    def render(self) -> bytes:
        """Return the archive, padded so that another can follow."""
        self._add('TRAILER!!!', 0)
        data = b''.join(self._parts)
        return data + b'\0' * (-len(data) % 512)
