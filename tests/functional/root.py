# SPDX-License-Identifier: Apache-2.0
"""What the tests themselves need root for.

The tests run as user cinder, as the driver does in a deployment, and that
user becomes root through cinder-rootwrap only. What a test needs root for
(a loop device, a look at the kernel's state, an attached disk) is done by
this agent: it is forked before the tests give up root and is asked over a
socket that only they have.
"""

import collections
import contextlib
import dataclasses
import hashlib
import json
import mmap
import os
import re
import socket
import stat
import struct
import subprocess
import threading
import time

TRACING = '/sys/kernel/tracing'
_DEADLINE = 900
_FORK = re.compile(r'sched_process_fork: comm=(?P<comm>.*) '
                   r'pid=(?P<parent>\d+) child_comm=.* '
                   r'child_pid=(?P<child>\d+)')
_EXEC = re.compile(r'sched_process_exec: filename=(?P<program>\S+) '
                   r'pid=(?P<pid>\d+)')


class CommandError(Exception):
    """A command of a test ended with another status than 0."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A command that has ended."""

    code: int
    stdout: str
    stderr: str


class Agent:
    """Carries out requests as root, until the tests are over."""

    def __init__(self, stream):
        self._stream = stream
        self._watch = CommandLines()
        self._traces = False

    def serve(self):
        """Answer requests, one line of JSON each."""
        self._watch.start()
        for line in self._stream:
            request = json.loads(line)
            verb = getattr(self, 'do_' + request.pop('verb'))
            try:
                answer = verb(**request)
            except OSError as exc:
                answer = {'error': str(exc)}
            self._stream.write(json.dumps(answer) + '\n')
            self._stream.flush()

    def do_run(self, argv, text=None):
        """Run a command."""
        try:
            done = subprocess.run(argv, input=text, capture_output=True,
                                  timeout=_DEADLINE, text=True,
                                  errors='replace')
        except subprocess.TimeoutExpired as exc:
            return {'code': 124, 'stdout': '', 'stderr': str(exc)}
        except OSError as exc:
            return {'code': 127, 'stdout': '', 'stderr': str(exc)}
        return {'code': done.returncode, 'stdout': done.stdout,
                'stderr': done.stderr}

    def do_write(self, device, seed, offset, size):
        """Write bytes that a seed determines, past all caches."""
        data = hashlib.shake_128(seed.encode()).digest(size)
        with _direct(device, os.O_WRONLY, size) as (descriptor, buffer):
            buffer[:] = data
            return _all_of(os.pwritev, descriptor, buffer, offset)

    def do_checksum(self, device, offset, size):
        """Return a checksum of bytes on a device, past all caches."""
        with _direct(device, os.O_RDONLY, size) as (descriptor, buffer):
            return (_all_of(os.preadv, descriptor, buffer, offset)
                    or {'sum': hashlib.sha256(buffer).hexdigest()})

    def do_leaks(self, secrets):
        """Return the command lines and readable files that have a secret."""
        return {'started': len(self._watch.seen), 'argv': [
            argv for argv in self._watch.seen
            if any(secret in argv for secret in secrets)],
            'files': sorted(_readable_files_with(secrets))}

    def do_trace(self, on):
        """Start or stop recording which programs are executed.

        What udev starts when a device comes or goes is left out.
        """
        _write(f'{TRACING}/tracing_on', '0')
        if not on:
            with open(f'{TRACING}/trace') as file:
                return _executed(file)
        if not self._traces:
            # Once only: each change patches the code of the running kernel,
            # of which one that is emulated with several processors dies
            # sooner or later (Linux 6.12, QEMU 7.2).
            for event in 'exec', 'fork':
                _write(f'{TRACING}/events/sched/sched_process_{event}/enable',
                       '1')
            self._traces = True
        _write(f'{TRACING}/trace', '')
        _write(f'{TRACING}/tracing_on', '1')
        return []


class CommandLines(threading.Thread):
    """Remembers the command line of each program that is executed.

    The kernel tells of each (linux/connector.h, linux/cn_proc.h).

    :ivar seen: the command lines, words joined by blanks
    """

    _HEADER = struct.Struct('=IHHII' 'IIIIHH')
    _EVENT = struct.Struct('=IIQI')
    _CONNECTOR, _PROCESSES, _LISTEN, _EXEC = 11, 1, 1, 2

    def __init__(self):
        super().__init__(daemon=True)
        self.seen = set()

    def run(self):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM,
                           self._CONNECTOR) as events:
            events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2 ** 20)
            events.bind((0, self._PROCESSES))
            request = struct.pack('=I', self._LISTEN)
            events.send(self._HEADER.pack(
                self._HEADER.size + len(request), 3, 0, 0, os.getpid(),
                self._PROCESSES, self._PROCESSES, 0, 0, len(request),
                0) + request)
            while True:
                with contextlib.suppress(OSError):
                    self._take(events.recv(4096)[self._HEADER.size:])

    def _take(self, event):
        what, _cpu, _time, pid = self._EVENT.unpack_from(event)
        if what == self._EXEC:
            # A process may end before it is looked at.
            with open(f'/proc/{pid}/cmdline', errors='replace') as file:
                self.seen.add(file.read().replace('\0', ' '))


def _readable_files_with(secrets):
    """Yield the files with a secret that any user can read.

    The files of the machine that runs the test machine are left out. A folder
    in which the test machine has changed anything, however far below, has
    been copied since it was started (Documentation/filesystems/overlayfs.rst).
    """
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for top in '/etc', '/run', '/var/lib', '/var/log', '/tmp':
        for folder, folders, names in os.walk(top):
            folders[:] = [each for each in folders if os.lstat(
                os.path.join(folder, each)).st_ctime >= started]
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.lstat(path)
                    if (stat.S_ISREG(status.st_mode)
                            and status.st_ctime >= started
                            and status.st_mode & stat.S_IROTH
                            and status.st_size < 2 ** 24):
                        with open(path, errors='replace') as file:
                            text = file.read()
                        if any(secret in text for secret in secrets):
                            yield path


def _executed(trace):
    """Return programs and pids of the processes that were started meanwhile.

    Those of udev are left out, and those that existed before: what udev
    started a moment ago may come to execute its program only now.
    """
    ours, udevs, executed = set(), set(), []
    for line in trace:
        if fork := _FORK.search(line):
            is_udevs = 'udev' in fork['comm'] or fork['parent'] in udevs
            (udevs if is_udevs else ours).add(fork['child'])
        elif (execution := _EXEC.search(line)) and execution['pid'] in ours:
            executed.append((execution['program'], execution['pid']))
    return executed


@contextlib.contextmanager
def _direct(device, flags, size):
    """Give a descriptor of a device, and memory that suits its driver."""
    buffer = mmap.mmap(-1, size)
    descriptor = os.open(device, flags | os.O_DIRECT)
    try:
        yield descriptor, buffer
    finally:
        os.close(descriptor)


def _all_of(operation, descriptor, buffer, offset):
    """Read or write a whole buffer; return what went wrong, if anything."""
    done = 0
    with memoryview(buffer) as view:
        while done < len(view):
            with view[done:] as rest:
                count = operation(descriptor, [rest], offset + done)
            if not count:
                return {'error': f'it ends after {done} bytes'}
            done += count
    return {}


def _write(path, text):
    with open(path, 'w') as target:
        target.write(text)


class Root:
    """The tests' end of the socket."""

    def __init__(self, stream):
        self._stream = stream
        self._lock = threading.Lock()

    def ask(self, **request):
        """Have the agent carry out a request; return its answer."""
        with self._lock:
            self._stream.write(json.dumps(request) + '\n')
            self._stream.flush()
            answer = self._stream.readline()
        if not answer:
            raise CommandError('the root agent has died')
        return json.loads(answer)

    def try_run(self, *argv, text=None):
        """Run a command as root and return how it ended."""
        return Finished(**self.ask(verb='run', text=text,
                                   argv=[str(word) for word in argv]))

    def run(self, *argv, text=None):
        """Run a command as root and return its stdout.

        :raises CommandError: it ended with another status than 0
        """
        done = self.try_run(*argv, text=text)
        if done.code:
            raise CommandError('%s: exit status %d\n%s%s' % (
                ' '.join(map(str, argv)), done.code, done.stdout,
                done.stderr))
        return done.stdout

    def write(self, device, seed, offset, size):
        """Write bytes that a seed determines, past all caches.

        :raises CommandError: not all of them can be written
        """
        self._access('write', device=device, seed=str(seed), offset=offset,
                     size=size)

    def checksum(self, device, offset, size):
        """Return a checksum of bytes on a device, past all caches.

        :raises CommandError: not all of them can be read
        """
        return self._access('checksum', device=device, offset=offset,
                            size=size)['sum']

    def _access(self, verb, **request):
        answer = self.ask(verb=verb, **request)
        if 'error' in answer:
            raise CommandError(f'{verb} {request}: {answer["error"]}')
        return answer

    def leaks(self, secrets):
        """Return where any user of this machine could have seen a secret."""
        return self.ask(verb='leaks', secrets=sorted(secrets))

    def trace_programs(self):
        """Return a context in which executed programs are recorded."""
        return ProgramTrace(self.ask)


class ProgramTrace:
    """Counts processes by program, from the kernel's exec events.

    One process that executes twice (``env``, then what it starts) counts
    once, as the last program.
    """

    def __init__(self, ask):
        self._ask = ask
        self.programs = collections.Counter()

    def __enter__(self):
        self._ask(verb='trace', on=True)
        return self

    def __exit__(self, *exc_info):
        last = {pid: os.path.basename(program)
                for program, pid in self._ask(verb='trace', on=False)}
        self.programs.update(last.values())


def split(user, agent=Agent):
    """Fork: return in the child as a user, stay behind as root's agent.

    The parent serves the child and then exits with its exit status.

    :param agent: the class that serves it
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child:
        theirs.close()
        with ours.makefile('rw') as stream:
            agent(stream).serve()
        _pid, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xff)
    ours.close()
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name,
                      LOGNAME=user.pw_name)
    return Root(theirs.makefile('rw'))
