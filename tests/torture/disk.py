# SPDX-License-Identifier: Apache-2.0
"""A disk with a volatile write cache, as an NBD server.

Half of the blocks that are written, chosen at random, stay in the memory of
this process until the next flush. Whoever kills it cuts the power: these
blocks are lost, and the others, which may be later ones, are not. A block is
written as a whole.

The protocol: https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
"""

import contextlib
import os
import random
import socket
import struct
import sys

_BLOCK = 4096
_MAGIC, _OPTION = 0x4e42444d41474943, 0x49484156454F5054
_FIXED_NEWSTYLE = 1
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA = 1, 4, 8
_EXPORT_NAME, _ABORT = 1, 2
_REPLY, _UNSUPPORTED = 0x3e889045565a9, 0x80000001
_REQUEST, _ANSWER = 0x25609513, 0x67446698
_READ, _WRITE, _DISCONNECT, _FLUSH = range(4)
_FUA = 1


class Disk:
    """The blocks of a file, and those that would be lost.

    :param path: of a file whose size is a multiple of a block
    """

    def __init__(self, path, seed):
        self._file = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._file).st_size
        self._random = random.Random(seed)
        self._volatile = {}

    def read(self, offset, size):
        first, last = offset // _BLOCK, (offset + size - 1) // _BLOCK
        data = b''.join(map(self._block, range(first, last + 1)))
        return data[offset - first * _BLOCK:][:size]

    def _block(self, number):
        return self._volatile.get(number) or os.pread(
            self._file, _BLOCK, number * _BLOCK)

    def write(self, offset, data, is_durable):
        """Write data, of which half would be lost, or none."""
        while data:
            number, start = divmod(offset, _BLOCK)
            part, data = data[:_BLOCK - start], data[_BLOCK - start:]
            block = self._block(number)
            block = block[:start] + part + block[start + len(part):]
            if not is_durable and self._random.random() < .5:
                self._volatile[number] = block
            else:
                self._volatile.pop(number, None)
                os.pwrite(self._file, block, number * _BLOCK)
            offset += len(part)

    def flush(self):
        for number, block in self._volatile.items():
            os.pwrite(self._file, block, number * _BLOCK)
        self._volatile.clear()


def _negotiate(stream, size):
    stream.write(struct.pack('>QQH', _MAGIC, _OPTION, _FIXED_NEWSTYLE))
    stream.flush()
    stream.read(4)
    while True:
        _magic, option, length = struct.unpack('>QII', stream.read(16))
        stream.read(length)
        if option == _EXPORT_NAME:
            stream.write(struct.pack(
                '>QH124x', size, _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA))
            stream.flush()
            return True
        stream.write(struct.pack('>QIII', _REPLY, option, _UNSUPPORTED, 0))
        stream.flush()
        if option == _ABORT:
            return False


def _serve(stream, disk):
    while request := stream.read(28):
        _magic, flags, kind, handle, offset, size = struct.unpack(
            '>IHHQQI', request)
        data = b''
        if kind == _DISCONNECT:
            return
        if kind == _READ:
            data = disk.read(offset, size)
        elif kind == _WRITE:
            disk.write(offset, stream.read(size), flags & _FUA)
        elif kind == _FLUSH:
            disk.flush()
        stream.write(struct.pack('>IIQ', _ANSWER, 0, handle) + data)
        stream.flush()


def main(path, seed, descriptor):
    """Serve a disk to one machine.

    :param descriptor: of a socket that listens
    """
    disk = Disk(path, seed)
    with socket.socket(fileno=int(descriptor)) as listening:
        client, _address = listening.accept()
    with client, client.makefile('rwb') as stream:
        # The machine may end in the middle of a request.
        with contextlib.suppress(OSError, struct.error):
            if _negotiate(stream, disk.size):
                _serve(stream, disk)


if __name__ == '__main__':
    main(*sys.argv[1:])
