# SPDX-License-Identifier: Apache-2.0
"""The command lines of QEMU and virtiofsd."""

from collections.abc import Sequence
import dataclasses
import os
import platform
import shutil

from testvm_lib import errors
from testvm_lib import options

QEMU = 'qemu-system-x86_64'
# Of Debian's package virtiofsd, and of qemu-system-common in Debian 12.
VIRTIOFSD = ('/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd')

# norandmaps: emulated processes start 20 % faster without address space
# randomization. rcu_expedited: device-mapper waits for RCU at each change, a
# fifth of the time to create and remove an LV.
KERNEL_COMMAND_LINE = (
    'console=ttyS0 quiet panic=-1 mitigations=off nokaslr norandmaps '
    'audit=0 selinux=0 apparmor=0 rcupdate.rcu_expedited=1')
ADDRESS = '10.0.2.15'

_ACCEL = {
    'tcg': ('-accel', 'tcg,thread=multi,tb-size=1024', '-cpu', 'Nehalem-v1'),
    'kvm': ('-accel', 'kvm', '-cpu', 'host'),
}


@dataclasses.dataclass(frozen=True)
class Descriptors:
    """The descriptors of the sockets that QEMU inherits.

    :ivar files: connected to virtiofsd
    :ivar output: the messages of the guest
    :ivar console: the serial console
    """

    files: int
    output: int
    console: int


def escape(value: str) -> str:
    """Return a value for a QEMU option, with commas doubled."""
    return value.replace(',', ',,')


def basic(accel: str, image: str, initramfs: str) -> list[str]:
    """Return the part of the command line that a trial boot shares."""
    return [QEMU, '-nodefaults', '-no-user-config', '-no-reboot',
            '-display', 'none', *_ACCEL[accel],
            '-kernel', image, '-initrd', initramfs,
            '-append', KERNEL_COMMAND_LINE]


def qemu(accel: str, image: str, initramfs: str, chosen: options.Options,
         drives: Sequence[str], descriptors: Descriptors) -> list[str]:
    """Return QEMU's command line.

    :param accel: ``kvm`` or ``tcg``
    :param drives: the paths of the raw disk files, or sockets, in order
    """
    command = basic(accel, image, initramfs)
    command += ['-name', 'testvm', '-smp', str(chosen.cpus),
                '-machine', 'pc,usb=off,memory-backend=memory',
                '-m', f'{chosen.memory}M', '-object',
                f'memory-backend-memfd,id=memory,size={chosen.memory}M,'
                'share=on']
    command += ['-chardev', f'socket,id=files,fd={descriptors.files}',
                '-device', 'vhost-user-fs-pci,queue-size=1024,'
                'chardev=files,tag=machine']
    command += ['-chardev', f'socket,id=console,fd={descriptors.console}',
                '-serial', 'chardev:console']
    command += ['-chardev', f'socket,id=output,fd={descriptors.output}',
                '-device', 'virtio-serial-pci',
                '-device', 'virtserialport,chardev=output,name=testvm']
    forwards = ''.join(
        f',hostfwd=tcp:127.0.0.1:{forward.host_port}-'
        f'{ADDRESS}:{forward.guest_port}' for forward in chosen.forwards)
    command += ['-netdev', f'user,id=network,ipv6=off{forwards}',
                '-device', 'virtio-net-pci,netdev=network,romfile=',
                '-device', 'virtio-rng-pci']
    for number, path in enumerate(drives):
        # Of these, only an NBD server is to see what the guest flushes.
        source = (f'cache=writeback,file=nbd:unix:{escape(path)}'
                  if options.is_socket(path) else
                  f'cache=unsafe,discard=unmap,file={escape(path)}')
        command += [
            '-drive', f'if=none,id=disk{number},format=raw,{source}',
            # By default QEMU silently pauses the machine when the file
            # system is full.
            '-device', f'virtio-blk-pci,drive=disk{number},'
            f'serial=disk{number},werror=report']
    return command


def find_virtiofsd() -> str:
    """Return the path of virtiofsd."""
    for path in VIRTIOFSD:
        if os.access(path, os.X_OK):
            return path
    raise errors.PrepareError(
        'virtiofsd is missing; install the package virtiofsd, or '
        'qemu-system-common on Debian 12')


def virtiofsd(path: str, usage: str, listening: int) -> list[str]:
    """Return virtiofsd's command line.

    Two programs have that name: one of QEMU, in C, until Debian 12, and a
    later one in Rust.

    :param usage: the output of ``virtiofsd --help``
    :param listening: the descriptor of a listening socket
    """
    command = [path, f'--fd={listening}']
    if '--shared-dir' in usage:
        command += ['--shared-dir=/', '--cache=always', '--xattr',
                    '--sandbox=chroot']
        # overlayfs refuses submounts that are announced.
        if '--no-announce-submounts' in usage:
            command.append('--no-announce-submounts')
        return command
    return command + ['-o', 'source=/', '-o', 'cache=always', '-o', 'xattr',
                      '-o', 'sandbox=chroot', '-o', 'log_level=warn']


def check() -> None:
    """Raise an error if testvm cannot work on this machine."""
    if platform.machine() != 'x86_64':
        raise errors.PrepareError(
            f'this machine is {platform.machine()}, but testvm needs x86_64')
    if os.geteuid() != 0:
        raise errors.PrepareError(
            'not root; run testvm as root, because the test machine reads '
            'all files of this machine')
    if shutil.which(QEMU) is None:
        raise errors.PrepareError(
            f'{QEMU} is missing; install the package qemu-system-x86')
