# SPDX-License-Identifier: Apache-2.0
"""Processes that never outlive testvm, however it ends."""

from collections.abc import Callable, Sequence
import ctypes
import os
import signal
import subprocess

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: between fork and exec little is allowed.
_LIBC = ctypes.CDLL(None, use_errno=True)


def ending_with_us(signum: signal.Signals) -> Callable[[], None]:
    """Return what a child calls so that our end, however it comes, is its.

    :param signum: what the kernel sends it then
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

    It is in a session of its own, so that Ctrl-C reaches only testvm, which
    then ends it in its own way.

    :param descriptors: open files that it inherits, under the same numbers
    """
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        pass_fds=tuple(descriptors), start_new_session=True,
        preexec_fn=ending_with_us(signal.SIGKILL))


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, if it still runs, and wait until it is gone."""
    if process.poll() is None:
        process.kill()
    process.wait()
