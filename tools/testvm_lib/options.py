# SPDX-License-Identifier: Apache-2.0
"""The command line of testvm."""

import argparse
from collections.abc import Callable, Mapping, Sequence
import dataclasses
import os
import re
from typing import NoReturn

from testvm_lib import errors

DEFAULT_KERNEL = '6.12'
DEFAULT_MEMORY_MIB = 4096
DEFAULT_CPUS = 2
DEFAULT_TIMEOUT = 1200.0

MIN_MEMORY_MIB = 512
MAX_CPUS = 64
# A PCI bus has 32 slots and the machine's own devices use some of them.
MAX_DISKS = 20

EPILOG = """\
CMD runs as root in the folder that testvm was started in, with /dev/null as
its input.  What it prints, on either stream, comes out of testvm's standard
output as it is printed, and its exit status is testvm's.  Two more are
testvm's own: 124 when the time was up, 125 when the machine failed to boot
or died (one sentence and the end of its console are on standard error).

The machine's files are this machine's own: changes last only below a folder
given by --share, and on a disk given by --disk-file.  Of the environment only
what --env names is passed on.  The network is QEMU's user network: this
machine's loopback is 10.0.2.2, the test machine is 10.0.2.15.

The kernel is kept in $CINDER_LVM_CACHE, or $XDG_CACHE_HOME/cinder-lvm-driver,
or /var/cache/cinder-lvm-driver; remove that folder to fetch a newer one.
"""

_SIZE = re.compile(r'([0-9]+)([kKmMgGtT]?)(?:i?[bB])?')
_UNITS = {'': 0, 'K': 10, 'M': 20, 'G': 30, 'T': 40}
_NAME = re.compile(r'[A-Za-z_][A-Za-z0-9_]*')
_KERNEL = re.compile(r'[0-9]+\.[0-9]+')


@dataclasses.dataclass(frozen=True)
class Disk:
    """One extra disk.

    :ivar size: bytes; None for an existing file as large as it is
    :ivar path: the file that is kept, or None for one that lasts as long as
        the machine
    """

    size: int | None
    path: str | None = None


@dataclasses.dataclass(frozen=True)
class Forward:
    """A TCP port of this machine's loopback that leads into the guest."""

    host_port: int
    guest_port: int


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line asks for.

    :ivar memory: MiB
    :ivar timeout: seconds from the machine's start to CMD's end
    :ivar shares: absolute real paths of existing folders
    :ivar environment: names and values for CMD
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
    prepare: bool = False
    verbose: bool = False


def parse_size(text: str) -> int:
    """Return the bytes that a size such as ``8G`` or ``512MiB`` stands for.

    Units are powers of 1024; without a unit the number is bytes.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f'{text!r} is no size; write for example 8G or 512M')
    size = int(match[1]) << _UNITS[match[2].upper()]
    if size <= 0 or size % 512:
        raise ValueError(
            f'{text!r} is no disk size: it must be a positive multiple of '
            '512 bytes')
    return size


def parse_disk_file(text: str) -> Disk:
    """Return the kept disk that ``PATH`` or ``PATH:SIZE`` names.

    A file that is not there needs the size; of one that is, the size is
    ignored, so that the same command line works the second time.
    """
    path, colon, tail = text.rpartition(':')
    size: int | None = None
    if colon and _SIZE.fullmatch(tail):
        size = parse_size(tail)
    else:
        path = text
    if not path:
        raise ValueError(f'{text!r} names no file')
    path = os.path.realpath(path)
    if os.path.isfile(path):
        return Disk(None, path)
    if os.path.exists(path):
        raise ValueError(f'{path} is not a regular file')
    if size is None:
        raise ValueError(
            f'{path} does not exist; add a size, PATH:SIZE, to create it')
    if not os.path.isdir(os.path.dirname(path)):
        raise ValueError(f'there is no folder {os.path.dirname(path)}')
    return Disk(size, path)


def parse_forward(text: str) -> Forward:
    """Return the forward that ``HOSTPORT:GUESTPORT`` asks for."""
    ports = text.split(':')
    if len(ports) != 2:
        raise ValueError(
            f'{text!r} is no pair of ports; write HOSTPORT:GUESTPORT, for '
            'example 18022:22')
    for port in ports:
        if not (port.isascii() and port.isdigit()
                and 1 <= int(port) <= 65535):
            raise ValueError(
                f'{port!r} in {text!r} is no port: it must be a number from '
                '1 to 65535')
    return Forward(int(ports[0]), int(ports[1]))


def parse_share(text: str) -> str:
    """Return the real path of the folder that is to be shared."""
    path = os.path.realpath(text)
    if not os.path.isdir(path):
        raise ValueError(f'there is no folder {path}')
    if '\n' in path:
        raise ValueError('a folder with a line break in its name cannot be '
                         'shared')
    if path == '/':
        raise ValueError('/ itself cannot be shared: the machine would write '
                         'to this machine\'s file system')
    return path


def parse_environment(text: str,
                      environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the variable that ``NAME=VALUE`` or ``NAME`` stands for."""
    name, equals, value = text.partition('=')
    if not _NAME.fullmatch(name):
        raise ValueError(f'{name!r} is no name of a variable')
    if equals:
        return name, value
    if name not in environ:
        raise ValueError(
            f'{name} is not set here; set it or write {name}=VALUE')
    return name, environ[name]


def parse_count(text: str, least: int, most: int | None, what: str) -> int:
    """Return a whole number within its limits."""
    number = int(text) if text.isascii() and text.isdigit() else -1
    if number < least or (most is not None and number > most):
        limits = (f'of at least {least}' if most is None
                  else f'from {least} to {most}')
        raise ValueError(f'{text!r} is no {what}: it must be a whole number '
                         f'{limits}')
    return number


def parse_timeout(text: str) -> float:
    """Return a positive number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float('inf'):
        raise ValueError(
            f'{text!r} is no time limit: it must be a positive number of '
            'seconds')
    return seconds


def parse_kernel(text: str) -> str:
    """Return a kernel series such as ``6.12``."""
    if not _KERNEL.fullmatch(text):
        raise ValueError(
            f'{text!r} is no kernel series; write for example 6.12 or 6.1')
    return text


class _Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of leaving the process."""

    def error(self, message: str) -> NoReturn:
        raise errors.UsageError(message)


def _argument(function: Callable[[str], object]) -> Callable[[str], object]:
    """Make a function's ValueError the text of argparse's complaint."""
    def convert(text: str) -> object:
        try:
            return function(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return convert


def build_parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    """Return the parser of everything that stands before ``--``."""
    parser = _Parser(
        prog='testvm', usage='%(prog)s [option...] -- CMD [ARG...]',
        description='Run CMD as root in a small emulated machine with '
        'Debian\'s kernel.', epilog=EPILOG, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--disk', dest='disks', action='append', default=[], metavar='SIZE',
        type=_argument(lambda text: Disk(parse_size(text))),
        help='add an empty disk, for example 8G: /dev/vda, then /dev/vdb, '
        'and so on, with the serial numbers disk0, disk1, ...; repeatable')
    add('--disk-file', dest='disks', action='append',
        metavar='PATH[:SIZE]', type=_argument(parse_disk_file),
        help='the same, on a raw file that is kept; with SIZE it is created '
        'when it is not there; repeatable')
    add('--share', dest='shares', action='append', default=[], metavar='DIR',
        type=_argument(parse_share),
        help='let CMD write to this folder of this machine, at the same '
        'path; repeatable')
    add('--forward', dest='forwards', action='append', default=[],
        metavar='HOSTPORT:GUESTPORT', type=_argument(parse_forward),
        help='lead a TCP port of 127.0.0.1 into the machine; repeatable')
    add('--env', dest='environment', action='append', default=[],
        metavar='NAME[=VALUE]',
        type=_argument(lambda text: parse_environment(text, environ)),
        help='set a variable for CMD, or pass on the one that is set here; '
        'repeatable')
    add('--memory', metavar='MIB', default=DEFAULT_MEMORY_MIB,
        type=_argument(lambda text: parse_count(
            text, MIN_MEMORY_MIB, None, 'memory size in MiB')),
        help='memory, half of it for changed files (default: %(default)s)')
    add('--cpus', metavar='N', default=DEFAULT_CPUS,
        type=_argument(lambda text: parse_count(
            text, 1, MAX_CPUS, 'number of processors')),
        help='processors (default: %(default)s)')
    add('--timeout', metavar='SECONDS', default=DEFAULT_TIMEOUT,
        type=_argument(parse_timeout),
        help='end the machine, with status 124, after this time '
        '(default: %(default)g)')
    add('--kernel', metavar='SERIES', default=DEFAULT_KERNEL,
        type=_argument(parse_kernel),
        help='6.12 or 6.1 (default: %(default)s, or the newest cloud kernel '
        'of a Debian release without it)')
    add('--accel', choices=('auto', 'kvm', 'tcg'), default='auto',
        help='emulate with KVM or in software; auto takes KVM when a trial '
        'shows that it works here (default: %(default)s)')
    add('--prepare', action='store_true',
        help='only fetch and build what is kept, and end')
    add('--verbose', action='store_true',
        help='tell what is done and how long it took, and show the console')
    return parser


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options of a command line.

    :param argv: the arguments, without the program's name
    :param environ: where ``--env NAME`` takes the value from
    :raises errors.UsageError: in one sentence that names the option
    """
    argv = list(argv)
    command: list[str] = []
    if '--' in argv:
        split = argv.index('--')
        argv, command = argv[:split], argv[split + 1:]
    parser = build_parser(environ)
    names, rest = parser.parse_known_args(argv)
    if rest:
        kind = 'option' if rest[0].startswith('-') else 'argument'
        raise errors.UsageError(
            f'unknown {kind} {rest[0]!r}; the command goes after --')
    if not command and not names.prepare:
        raise errors.UsageError(
            'there is no command; write it after --, for example: '
            'testvm -- uname -r')
    if command and '=' in command[0]:
        raise errors.UsageError(
            f'{command[0]!r} is no command; pass variables with --env')
    if len(names.disks) > MAX_DISKS:
        raise errors.UsageError(
            f'there are more than {MAX_DISKS} --disk and --disk-file')
    return Options(
        command=tuple(command), disks=tuple(names.disks),
        shares=tuple(dict.fromkeys(names.shares)),
        forwards=tuple(names.forwards),
        environment=tuple(names.environment), memory=names.memory,
        cpus=names.cpus, timeout=names.timeout, kernel=names.kernel,
        accel=names.accel, prepare=names.prepare, verbose=names.verbose)
