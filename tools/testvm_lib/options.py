# SPDX-License-Identifier: Apache-2.0
"""The command line of testvm."""

import argparse
from collections.abc import Mapping, Sequence
import dataclasses
import os
import re
import stat
from typing import NoReturn

from testvm_lib import errors

DEFAULT_KERNEL = '6.12'
DEFAULT_MEMORY_MIB = 4096
DEFAULT_CPUS = 2
DEFAULT_TIMEOUT = 1200.0

MIN_MEMORY_MIB = 512
MAX_MEMORY_MIB = 1 << 20
MAX_CPUS = 64
# A PCI bus has 32 slots, some of which the other devices use.
MAX_DISKS = 20

EPILOG = """\
CMD runs as root in the current folder, with /dev/null as its input. testvm
writes its output and its errors to standard output at once, and exits with its
status. Other statuses are 124 if the time is up, and 125 if the machine did
not boot or died (the reason and the end of the console are on standard error).

The machine sees the files of this machine. Changes last only in folders given
by --share and on disks given by --disk-file. Of the environment, CMD sees only
the variables given by --env. In QEMU's user network, the loopback of this
machine is 10.0.2.2 and the test machine is 10.0.2.15.

The kernel is kept in $CINDER_LVM_CACHE, or $XDG_CACHE_HOME/cinder-lvm-driver,
or /var/cache/cinder-lvm-driver. Remove that folder to download a newer one.
"""

_SIZE = re.compile(r'([0-9]+)([kKmMgGtT]?)(?:i?[bB])?')
_UNITS = {'': 0, 'K': 10, 'M': 20, 'G': 30, 'T': 40}
_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
_KERNEL = re.compile(r'[0-9]+\.[0-9]+')


@dataclasses.dataclass(frozen=True)
class Disk:
    """One disk.

    :ivar size: in bytes, None for an existing file
    :ivar path: the file to keep, None for a temporary one
    """

    size: int | None
    path: str | None = None


@dataclasses.dataclass(frozen=True)
class Forward:
    """A TCP port of the loopback that is forwarded to the guest."""

    host_port: int
    guest_port: int


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of a command line.

    :ivar memory: in MiB
    :ivar timeout: in seconds, from the start of the machine
    :ivar shares: absolute real paths of existing folders
    :ivar environment: names and values of variables for the command
    """

    command: tuple[str, ...]
    disks: tuple[Disk, ...] = ()
    shares: tuple[str, ...] = ()
    forwards: tuple[Forward, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    memory: int = DEFAULT_MEMORY_MIB
    cpus: int = DEFAULT_CPUS
    timeout: float = DEFAULT_TIMEOUT
    kernel: str = DEFAULT_KERNEL
    accel: str = 'auto'
    verbose: bool = False


def parse_size(text: str) -> int:
    """Return a size such as ``8G`` or ``512MiB`` in bytes.

    Units are powers of 1024; a number without a unit is in bytes.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a size such as 8G or 512M')
    size = int(match[1]) << _UNITS[match[2].upper()]
    if size <= 0 or size % 512:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a positive multiple of 512 bytes')
    return size


def parse_disk_file(text: str) -> Disk:
    """Return the kept disk of ``PATH`` or ``PATH:SIZE``.

    A new file needs the size. The size of an existing file is ignored, so
    that the same command line works again. The path of a socket is that of an
    NBD server.
    """
    path, colon, tail = text.rpartition(':')
    size: int | None = None
    if colon and _SIZE.fullmatch(tail):
        size = parse_size(tail)
    else:
        path = text
    if not path:
        raise argparse.ArgumentTypeError(f'{text!r} has no path')
    path = os.path.realpath(path)
    if os.path.isfile(path) or is_socket(path):
        return Disk(None, path)
    if os.path.exists(path):
        raise argparse.ArgumentTypeError(
            f'{path} is neither a regular file nor a socket')
    if size is None:
        raise argparse.ArgumentTypeError(
            f'{path} does not exist; write PATH:SIZE to create it')
    if not os.path.isdir(os.path.dirname(path)):
        raise argparse.ArgumentTypeError(
            f'there is no folder {os.path.dirname(path)}')
    return Disk(size, path)


def is_socket(path: str) -> bool:
    """Tell whether a path is that of a socket."""
    return os.path.exists(path) and stat.S_ISSOCK(os.stat(path).st_mode)


def parse_forward(text: str) -> Forward:
    """Return the forward of ``HOSTPORT:GUESTPORT``."""
    ports = text.split(':')
    if len(ports) != 2:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a pair of ports such as 18022:22')
    for port in ports:
        if not (port.isascii() and port.isdigit()
                and 1 <= int(port) <= 65535):
            raise argparse.ArgumentTypeError(
                f'{port!r} in {text!r} is not a port from 1 to 65535')
    return Forward(int(ports[0]), int(ports[1]))


def parse_share(text: str) -> str:
    """Return the real path of a folder to share."""
    path = os.path.realpath(text)
    if not os.path.isdir(path):
        raise argparse.ArgumentTypeError(f'there is no folder {path}')
    if '\n' in path:
        raise argparse.ArgumentTypeError(
            'a folder with a line break in its path cannot be shared')
    if path == '/':
        raise argparse.ArgumentTypeError(
            '/ cannot be shared: the test machine could overwrite all files '
            'of this machine')
    return path


def parse_environment(text: str,
                      environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable of ``NAME=VALUE`` or ``NAME``."""
    name, equals, value = text.partition('=')
    if not _NAME.fullmatch(name):
        raise argparse.ArgumentTypeError(
            f'{name!r} is not the name of a variable')
    if equals:
        return name, value
    if name not in environ:
        raise argparse.ArgumentTypeError(
            f'{name} is not set; set it or write {name}=VALUE')
    return name, environ[name]


def parse_count(text: str, least: int, most: int) -> int:
    """Return a whole number within limits."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a whole number from {least} to {most}')
    return number


def parse_timeout(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float('inf'):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a positive number of seconds')
    return seconds


def parse_kernel(text: str) -> str:
    """Return a kernel series such as ``6.12``."""
    if not _KERNEL.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f'{text!r} is not a kernel series such as 6.12 or 6.1')
    return text


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises an error instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise errors.UsageError(message)


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of the arguments before ``--``."""
    parser = _Parser(
        prog='testvm', usage='%(prog)s [option...] -- CMD [ARG...]',
        description='Run CMD as root in a small emulated machine with '
        'Debian\'s kernel.', epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--disk', dest='disks', action='append', default=[], metavar='SIZE',
        type=lambda text: Disk(parse_size(text)),
        help='add an empty disk, for example 8G: /dev/vda, /dev/vdb, ..., '
        'with the serial numbers disk0, disk1, ...; repeatable')
    add('--disk-file', dest='disks', action='append',
        metavar='PATH[:SIZE]', type=parse_disk_file,
        help='add a disk on a raw file, which is kept; with SIZE, create '
        'the file if it does not exist; on a socket, add the disk of an NBD '
        'server, with a volatile write cache; repeatable')
    add('--share', dest='shares', action='append', default=[], metavar='DIR',
        type=parse_share,
        help='let CMD write to this folder of this machine, at the same '
        'path; repeatable')
    add('--forward', dest='forwards', action='append', default=[],
        metavar='HOSTPORT:GUESTPORT', type=parse_forward,
        help='forward a TCP port of 127.0.0.1 to the test machine; repeatable')
    add('--env', dest='environment', action='append', default=[],
        metavar='NAME[=VALUE]',
        type=lambda text: parse_environment(text, environ),
        help='set a variable for CMD, by default to its value here; '
        'repeatable')
    add('--memory', metavar='MIB', default=DEFAULT_MEMORY_MIB,
        type=lambda text: parse_count(
            text, MIN_MEMORY_MIB, MAX_MEMORY_MIB),
        help='memory; half of it may hold changed files '
        '(default: %(default)s)')
    add('--cpus', metavar='N', default=DEFAULT_CPUS,
        type=lambda text: parse_count(
            text, 1, MAX_CPUS),
        help='processors (default: %(default)s)')
    add('--timeout', metavar='SECONDS', default=DEFAULT_TIMEOUT,
        type=parse_timeout,
        help='stop the machine after this time and exit with status 124 '
        '(default: %(default)g)')
    add('--kernel', metavar='SERIES', default=DEFAULT_KERNEL,
        type=parse_kernel,
        help='the kernel series, 6.12 or 6.1 (default: %(default)s, or the '
        'newest cloud kernel of the Debian release)')
    add('--accel', choices=('auto', 'kvm', 'tcg'), default='auto',
        help='use KVM or emulate in software; auto uses KVM if it works '
        'here (default: %(default)s)')
    add('--verbose', action='store_true',
        help='print each step with its time, and show the console')
    return parser


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options of a command line.

    :param argv: the arguments, without the program's name
    :param environ: the values for ``--env NAME``
    :raises errors.UsageError: an option is invalid
    """
    argv = list(argv)
    command: list[str] = []
    if '--' in argv:
        split = argv.index('--')
        argv, command = argv[:split], argv[split + 1:]
    parser = build_parser(environ)
    names, rest = parser.parse_known_args(argv)
    if rest:
        what = 'option' if rest[0].startswith('-') else 'argument'
        raise errors.UsageError(
            f'unknown {what} {rest[0]!r}; write the command after --')
    if not command:
        raise errors.UsageError(
            'there is no command; write it after --, for example: '
            'testvm -- uname -r')
    if '=' in command[0]:
        raise errors.UsageError(
            f'{command[0]!r} is not a command; set variables with --env')
    if len(names.disks) > MAX_DISKS:
        raise errors.UsageError(
            f'there are more than {MAX_DISKS} --disk and --disk-file')
    # --share may name a folder twice, which cannot be mounted twice.
    names.shares = dict.fromkeys(names.shares)
    return Options(command=tuple(command), **{
        name: tuple(value) if isinstance(value, (list, dict)) else value
        for name, value in vars(names).items()})
