# SPDX-License-Identifier: Apache-2.0
"""One run: start the machine, wait for CMD's end, end everything."""

import contextlib
import dataclasses
import os
import secrets
import signal
import socket
import subprocess
import sys
import time

from testvm_lib import errors
from testvm_lib import initramfs
from testvm_lib import kernel as kernels
from testvm_lib import machine
from testvm_lib import options
from testvm_lib import processes
from testvm_lib import pump as pumps
from testvm_lib import report
from testvm_lib import stream

BOOT_SECONDS = 300.0
SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


@dataclasses.dataclass(frozen=True)
class Parts:
    """What was found or built for a run.

    :ivar initramfs: the part that is the same for every run
    :ivar accel: ``kvm`` or ``tcg``
    :ivar folder: the job folder, which the caller removes
    """

    kernel: kernels.Kernel
    initramfs: bytes
    accel: str
    folder: str


def settings(chosen: options.Options, token: str, modules: str,
             folder: str) -> dict[str, tuple[str, ...]]:
    """Return what the guest's scripts are told.

    :param modules: the folder that is to be /lib/modules
    :param folder: where CMD runs
    """
    keep = any(disk.path for disk in chosen.disks)
    return {'TOKEN': (token,), 'MODULES': (modules,), 'FOLDER': (folder,),
            'SHARES': chosen.shares, 'REQUIRED': kernels.REQUIRED_MODULES,
            'OPTIONAL': kernels.OPTIONAL_MODULES,
            'KEEP': ('1' if keep else '0',)}


def environment(chosen: options.Options) -> list[tuple[str, str]]:
    """Return CMD's variables."""
    values = {'PATH': SYSTEM_PATH, 'HOME': '/root', 'USER': 'root',
              'LOGNAME': 'root', 'SHELL': '/bin/bash', 'LANG': 'C.UTF-8',
              'TERM': 'dumb'}
    values.update(chosen.environment)
    return list(values.items())


def make_disks(chosen: options.Options, folder: str) -> list[str]:
    """Create the disks' files where they are not there; return the paths."""
    paths = []
    for number, disk in enumerate(chosen.disks):
        path = disk.path or os.path.join(folder, f'disk{number}')
        if disk.size is not None:
            try:
                with open(path, 'xb') as file:
                    file.truncate(disk.size)
            except FileExistsError:
                # Made since the command line was read, by another run.
                pass
            except OSError as error:
                raise errors.MachineError(
                    f'the disk {path} cannot be made: {error.strerror}'
                ) from error
        paths.append(path)
    return paths


def check_forwards(chosen: options.Options) -> None:
    """Complain about a port that is taken, which QEMU would do less well.

    :raises errors.UsageError: naming the port
    """
    for forward in chosen.forwards:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(('127.0.0.1', forward.host_port))
            except OSError as error:
                raise errors.UsageError(
                    f'argument --forward: port {forward.host_port} of '
                    f'127.0.0.1 cannot be had: {error.strerror}') from error


def _connection(folder: str) -> tuple[socket.socket, socket.socket]:
    """Return a listening socket and one that is connected to it.

    virtiofsd and QEMU inherit one each, so neither has to wait for the
    other.  The path is short however deep the folder is.
    """
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        path = f'/proc/self/fd/{descriptor}/files'
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(path)
        listening.listen(1)
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(path)
        os.unlink(path)
    finally:
        os.close(descriptor)
    return listening, connected


class Job:
    """One run of the machine; a context manager that leaves none running.

    :param chosen: the command line's options
    :param parts: what the machine is made of
    """

    def __init__(self, chosen: options.Options, parts: Parts,
                 reporter: report.Reporter) -> None:
        self._chosen = chosen
        self._parts = parts
        self._reporter = reporter
        self._token = f'testvm-{secrets.token_hex(16)}'
        self._reader = stream.Reader(self._token, self._on_stage,
                                     reporter.say)
        self._pump = pumps.Pump(self._reader, sys.stdout.fileno(),
                                self._on_console)
        # virtiofsd complains about QEMU's end, which tells nothing; it is
        # heard only when it was the first to end.
        self._told_by = {title: self._pump.tails[title]
                         for title in (pumps.CONSOLE, pumps.QEMU)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._started = 0.0

    def __enter__(self) -> 'Job':
        return self

    def __exit__(self, *_details: object) -> None:
        self._end()
        self._pump.close()

    def _end(self) -> None:
        """End QEMU, then virtiofsd."""
        while self._processes:
            processes.end(self._processes[-1])
            self._processes.pop()

    def _on_stage(self, name: str, uptime: str) -> None:
        self._reporter.detail(f'guest at {uptime} s: {name}')

    def _on_console(self, data: bytes) -> None:
        if self._reporter.verbose:
            tail = pumps.Tail()
            tail.add(data)
            for line in tail.lines():
                self._reporter.say(f'| {line}')

    def _initramfs(self) -> str:
        """Write the initramfs of this run and return its path."""
        addition = initramfs.job(
            settings(self._chosen, self._token, self._parts.kernel.modules,
                     os.getcwd()),
            self._chosen.command, environment(self._chosen))
        path = os.path.join(self._parts.folder, 'initramfs')
        with open(path, 'wb') as file:
            file.write(self._parts.initramfs + addition)
        return path

    def _start(self) -> None:
        """Start virtiofsd and QEMU."""
        check_forwards(self._chosen)
        drives = make_disks(self._chosen, self._parts.folder)
        path = self._initramfs()
        program = machine.find_virtiofsd()
        usage = subprocess.run(
            [program, '--help'], check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        # With our copies closed, a program's end closes its sockets.
        with contextlib.ExitStack() as given:
            listening, connected = map(
                given.enter_context, _connection(self._parts.folder))
            log = given.enter_context(self._pump.watch(pumps.VIRTIOFSD))
            self._processes.append(processes.start(
                machine.virtiofsd(program, usage, listening.fileno()),
                stdout=log.fileno(), stderr=log.fileno(),
                descriptors=[listening.fileno()]))

            log = given.enter_context(self._pump.watch(pumps.QEMU))
            output = given.enter_context(self._pump.watch(pumps.OUTPUT))
            console = given.enter_context(self._pump.watch(pumps.CONSOLE))
            descriptors = machine.Descriptors(
                connected.fileno(), output.fileno(), console.fileno())
            command = machine.qemu(
                self._parts.accel, self._parts.kernel.image, path,
                self._chosen, drives, descriptors)
            self._reporter.detail(' '.join(command))
            self._processes.append(processes.start(
                command, stdout=log.fileno(), stderr=log.fileno(),
                descriptors=dataclasses.astuple(descriptors)))

    def _remaining(self) -> float:
        """Return the seconds until the next limit.

        :raises errors.TestVMError: when it has passed
        """
        progress = self._reader.progress
        elapsed = time.monotonic() - self._started
        if elapsed >= self._chosen.timeout:
            what = ('the command had not ended' if progress.running else
                    f'the machine was still booting ({progress.stage})')
            raise errors.MachineTimeout(
                f'{what} after {self._chosen.timeout:g} seconds (--timeout)')
        if progress.running:
            return self._chosen.timeout - elapsed
        if elapsed >= BOOT_SECONDS:
            raise errors.MachineError(
                f'the machine did not boot within {BOOT_SECONDS:.0f} seconds '
                f'(it was at: {progress.stage})')
        return min(self._chosen.timeout, BOOT_SECONDS) - elapsed

    def _check(self) -> None:
        """Complain if the machine is gone, or gave up."""
        progress, closed = self._reader.progress, self._pump.closed
        if progress.status is not None:
            return
        if progress.failure is not None:
            raise errors.MachineError(progress.failure)
        when = ('while the command ran' if progress.running else
                f'while booting (it was at: {progress.stage})')
        if pumps.OUTPUT in closed or pumps.QEMU in closed:
            died = (errors.KernelDied if progress.stage == stream.KERNEL
                    else errors.MachineError)
            raise died(
                f'the machine died {when}{self._how_qemu_ended()}')
        if pumps.VIRTIOFSD in closed:
            self._told_by[pumps.VIRTIOFSD] = (
                self._pump.tails[pumps.VIRTIOFSD])
            raise errors.MachineError(f'virtiofsd ended {when}')

    def _how_qemu_ended(self) -> str:
        """Return what its status tells, beyond the guest's own doing."""
        try:
            status = self._processes[-1].wait(5.0) if self._processes else 0
        except subprocess.TimeoutExpired:
            return ''
        if status < 0:
            return f'; QEMU was ended by {signal.Signals(-status).name}'
        return f'; QEMU ended with status {status}' if status else ''

    def _follow(self) -> int:
        """Pass on the output until CMD has ended; return its status."""
        progress = self._reader.progress
        told = False
        while progress.status is None:
            self._pump.step(self._remaining())
            if self._pump.closed:
                self._pump.drain()
            self._check()
            if progress.running and not told:
                told = True
                self._reporter.say(
                    f'up after {time.monotonic() - self._started:.1f} s '
                    f'(Linux {self._parts.kernel.release}, '
                    f'{self._parts.accel})')
        return progress.status

    def run(self) -> int:
        """Run the machine and return CMD's exit status.

        :raises errors.TestVMError: with the machine's last words
        """
        self._started = time.monotonic()
        self._start()
        try:
            status = self._follow()
        except errors.TestVMError as error:
            self._end()
            self._pump.drain()
            self._pump.flush()
            error.detail = pumps.diagnosis(self._told_by)
            raise
        self._end()
        self._pump.flush()
        self._reporter.detail(f'the command ended with status {status}')
        return status
