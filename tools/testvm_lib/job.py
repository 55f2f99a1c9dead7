# SPDX-License-Identifier: Apache-2.0
"""One run: start the machine, wait for the command, stop everything."""

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
    """The parts of a machine.

    :ivar initramfs: without the files of the run
    :ivar accel: ``kvm`` or ``tcg``
    :ivar folder: for temporary files; the caller removes it
    """

    kernel: kernels.Kernel
    initramfs: bytes
    accel: str
    folder: str


def settings(chosen: options.Options, token: str, modules: str,
             folder: str) -> dict[str, tuple[str, ...]]:
    """Return the variables of the guest's scripts.

    :param modules: the folder for /lib/modules
    :param folder: the working folder of the command
    """
    keep = any(disk.path for disk in chosen.disks)
    return {'TOKEN': (token,), 'MODULES': (modules,), 'FOLDER': (folder,),
            'SHARES': chosen.shares, 'REQUIRED': kernels.REQUIRED_MODULES,
            'OPTIONAL': kernels.OPTIONAL_MODULES,
            'KEEP': ('1' if keep else '0',)}


def environment(chosen: options.Options) -> list[tuple[str, str]]:
    """Return the variables of the command."""
    values = {'PATH': SYSTEM_PATH, 'HOME': '/root', 'USER': 'root',
              'LOGNAME': 'root', 'SHELL': '/bin/bash', 'LANG': 'C.UTF-8',
              'TERM': 'dumb'}
    values.update(chosen.environment)
    return list(values.items())


def make_disks(chosen: options.Options, folder: str) -> list[str]:
    """Create the files of the disks that do not exist; return all paths."""
    paths = []
    for number, disk in enumerate(chosen.disks):
        path = disk.path or os.path.join(folder, f'disk{number}')
        if disk.size is not None:
            try:
                with open(path, 'xb') as file:
                    file.truncate(disk.size)
            except FileExistsError:
                # Another run created it after the options were parsed.
                pass
            except OSError as error:
                raise errors.MachineError(
                    f'the disk {path} cannot be created: {error.strerror}'
                ) from error
        paths.append(path)
    return paths


def check_forwards(chosen: options.Options) -> None:
    """Check that the forwarded ports are free; QEMU's message is unclear.

    :raises errors.UsageError: a port is taken
    """
    for forward in chosen.forwards:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(('127.0.0.1', forward.host_port))
            except OSError as error:
                raise errors.UsageError(
                    f'argument --forward: port {forward.host_port} of '
                    f'127.0.0.1 cannot be used: {error.strerror}') from error


def _connection(folder: str) -> tuple[socket.socket, socket.socket]:
    """Return a listening socket and one that is connected to it.

    virtiofsd and QEMU inherit one each, so that neither waits for the other.
    A path through /proc is short enough for any folder.
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
    """One run of the machine; a context manager that stops it.

    :param chosen: the options of the command line
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
        # virtiofsd always logs an error when QEMU ends: its output is shown
        # only if it ended first.
        self._shown = {title: self._pump.tails[title]
                         for title in (pumps.CONSOLE, pumps.QEMU)}
        self._processes: list[subprocess.Popen[bytes]] = []
        self._started = 0.0

    def __enter__(self) -> 'Job':
        return self

    def __exit__(self, *_details: object) -> None:
        self._end()
        self._pump.close()

    def _end(self) -> None:
        """Stop QEMU, then virtiofsd."""
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
        """Write the complete initramfs and return its path."""
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
        # Close our copies: the end of a program then closes its sockets.
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
        """Return the seconds until the next time limit.

        :raises errors.TestVMError: it has passed
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
        """Raise an error if the machine died or failed to boot."""
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
            self._shown[pumps.VIRTIOFSD] = (
                self._pump.tails[pumps.VIRTIOFSD])
            raise errors.MachineError(f'virtiofsd ended {when}')

    def _how_qemu_ended(self) -> str:
        """Return the exit status of QEMU as a clause, empty for success."""
        try:
            status = self._processes[-1].wait(5.0) if self._processes else 0
        except subprocess.TimeoutExpired:
            return ''
        if status < 0:
            return f'; QEMU was killed by {signal.Signals(-status).name}'
        return f'; QEMU exited with status {status}' if status else ''

    def _follow(self) -> int:
        """Forward the output until the command ends; return its status."""
        progress = self._reader.progress
        announced = False
        while progress.status is None:
            self._pump.step(self._remaining())
            if self._pump.closed:
                self._pump.drain()
            self._check()
            if progress.running and not announced:
                announced = True
                self._reporter.say(
                    f'up after {time.monotonic() - self._started:.1f} s '
                    f'(Linux {self._parts.kernel.release}, '
                    f'{self._parts.accel})')
        return progress.status

    def run(self) -> int:
        """Run the machine and return the exit status of the command.

        :raises errors.TestVMError: with the last output of the machine
        """
        self._started = time.monotonic()
        self._start()
        try:
            status = self._follow()
        except errors.TestVMError as error:
            self._end()
            self._pump.drain()
            self._pump.flush()
            error.detail = pumps.diagnosis(self._shown)
            raise
        self._end()
        self._pump.flush()
        self._reporter.detail(f'the command exited with status {status}')
        return status
