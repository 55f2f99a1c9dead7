# SPDX-License-Identifier: Apache-2.0
"""What ``tools/testvm`` does, from the command line to the exit status."""

from collections.abc import Iterator, Sequence
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import NoReturn

from testvm_lib import accel
from testvm_lib import cache
from testvm_lib import errors
from testvm_lib import initramfs
from testvm_lib import job
from testvm_lib import kernel as kernels
from testvm_lib import machine
from testvm_lib import options
from testvm_lib import report

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SETUP = os.path.join(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'setup')


def _interrupt(signum: int, _frame: object) -> NoReturn:
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise errors.Interrupted(signum)


def install_packages(reporter: report.Reporter) -> None:
    """Let tools/setup install the Debian packages that are missing."""
    if not os.access(SETUP, os.X_OK):
        return
    reporter.detail('looking for the packages that bindep.txt lists')
    done = subprocess.run([SETUP, 'packages'], check=False,
                          stdin=subprocess.DEVNULL, stdout=sys.stderr)
    if done.returncode:
        raise errors.PrepareError(
            f'{SETUP} packages failed with status {done.returncode}')


@contextlib.contextmanager
def prepared(chosen: options.Options,
             reporter: report.Reporter) -> Iterator[job.Parts]:
    """Yield what a run is made of; remove its job folder afterwards."""
    folder = cache.folder(os.environ)
    jobs = os.path.join(folder, 'jobs')
    cache.make_folder(jobs)
    with contextlib.ExitStack() as stack:
        with cache.lock(folder, reporter):
            cache.remove_leftovers(folder)
            for abandoned in os.listdir(jobs):
                cache.remove_unused(os.path.join(jobs, abandoned))
            kernel = kernels.ensure(folder, chosen.kernel,
                                    options.DEFAULT_KERNEL, reporter)
            first = initramfs.ensure(folder, kernel)
            chosen_accel = accel.choose(chosen.accel, folder, kernel,
                                        reporter)
            own = tempfile.mkdtemp(dir=jobs)
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            stack.enter_context(cache.in_use(own))
            stack.enter_context(cache.in_use(kernel.folder))
        yield job.Parts(kernel, first, chosen_accel, own)


def run(argv: Sequence[str]) -> int:
    """Do what a command line asks for and return the exit status.

    :raises errors.TestVMError: when it cannot be done
    """
    chosen = options.parse(argv, os.environ)
    reporter = report.Reporter(chosen.verbose)
    install_packages(reporter)
    machine.check()
    with prepared(chosen, reporter) as parts:
        reporter.detail(f'Linux {parts.kernel.release}, {parts.accel}')
        if chosen.prepare:
            reporter.say(f'ready: Linux {parts.kernel.release}, '
                         f'{parts.accel}')
            return 0
        return boot(chosen, parts, reporter)


def boot(chosen: options.Options, parts: job.Parts,
         reporter: report.Reporter) -> int:
    """Run the machine and return the command's exit status.

    An emulated kernel panics in its first second at times (one start in
    some thirty, QEMU 7.2 with several emulation threads, while the kernel
    patches its own code); the second start is another throw of the dice.

    :raises errors.TestVMError: when it cannot be run
    """
    try:
        with job.Job(chosen, parts, reporter) as one:
            return one.run()
    except errors.KernelDied as error:
        reporter.say(f'{error.sentence}; it is started once more')
    with job.Job(chosen, parts, reporter) as one:
        return one.run()


def main(argv: Sequence[str]) -> int:
    """Be the program; return its exit status."""
    for one in SIGNALS:
        # Under nohup a terminal may go: who ignores a signal means it.
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _interrupt)
    reporter = report.Reporter()
    try:
        return run(argv)
    except errors.TestVMError as error:
        reporter.say(error.sentence)
        if error.detail:
            sys.stderr.write(error.detail + '\n')
        return error.status
    except errors.Interrupted as interrupt:
        reporter.say(f'ended by {signal.Signals(interrupt.signum).name}')
        return 128 + interrupt.signum
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
