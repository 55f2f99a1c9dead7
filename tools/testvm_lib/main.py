# SPDX-License-Identifier: Apache-2.0
"""The program ``tools/testvm``."""

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


def setup(word: str) -> str:
    """Run tools/setup and return its output."""
    done = subprocess.run([SETUP, word], check=False, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if done.returncode:
        raise errors.PrepareError(
            f'{SETUP} {word} exited with status {done.returncode}; see its '
            'messages above')
    return done.stdout.strip()


@contextlib.contextmanager
def prepared(chosen: options.Options,
             reporter: report.Reporter) -> Iterator[job.Parts]:
    """Yield the parts of a machine; remove its temporary files afterwards."""
    folder = os.path.join(setup('cache'), 'testvm')
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
    """Run a command line and return the exit status.

    :raises errors.TestVMError: the test machine failed
    """
    chosen = options.parse(argv, os.environ)
    reporter = report.Reporter(chosen.verbose)
    reporter.detail('checking the Debian packages')
    setup('packages')
    machine.check()
    with prepared(chosen, reporter) as parts:
        reporter.detail(f'Linux {parts.kernel.release}, {parts.accel}')
        return boot(chosen, parts, reporter)


def boot(chosen: options.Options, parts: job.Parts,
         reporter: report.Reporter) -> int:
    """Run the machine and return the exit status of the command.

    One emulated kernel in thirty panics in its first second, while it patches
    its own code (QEMU 7.2 with several emulation threads). Therefore the
    machine is started a second time.

    :raises errors.TestVMError: the test machine failed
    """
    try:
        with job.Job(chosen, parts, reporter) as one:
            return one.run()
    except errors.KernelDied as error:
        reporter.say(f'{error.sentence}; starting it once more')
    with job.Job(chosen, parts, reporter) as one:
        return one.run()


def main(argv: Sequence[str]) -> int:
    """Run the program; return its exit status."""
    for one in SIGNALS:
        # Respect signals that the caller ignores, see nohup(1).
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
        signum, = interrupt.args
        reporter.say(f'stopped by {signal.Signals(signum).name}')
        return 128 + signum
    except BrokenPipeError:
        return 128 + signal.SIGPIPE
