# SPDX-License-Identifier: Apache-2.0
"""Child processes that end with testvm, even if it is killed."""

from collections.abc import Callable, Sequence
import ctypes
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec only little is safe.
_LIBC = ctypes.CDLL(None, use_errno=True)


def ending_with_us(signum: signal.Signals) -> Callable[[], None]:
    """Return a preexec_fn that ties a child to this process.

    :param signum: the kernel sends it when this process ends (PR_SET_PDEATHSIG
        in prctl(2))
    """
    parent = os.getpid()

    def before_exec() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return before_exec


def start(command: Sequence[str], *, stdout: int, stderr: int,
          descriptors: Sequence[int] = ()) -> subprocess.Popen[bytes]:
    """Start a process that the kernel kills when testvm ends.

    It has its own session: Ctrl-C reaches only testvm, which then stops it.

    :param descriptors: file descriptors to inherit, with the same numbers
    """
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        pass_fds=tuple(descriptors), start_new_session=True,
        preexec_fn=ending_with_us(signal.SIGKILL))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process if it runs, and wait for it."""
    if process.poll() is None:
        process.kill()
    process.wait()
