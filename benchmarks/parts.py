# SPDX-License-Identifier: Apache-2.0
"""Where the time of an operation goes: which command, and how much is ours."""

import time
from unittest import mock

from benchmarks import section
from benchmarks import verbs
from cinder_lvm_driver import process

# They change nothing: root's agent can run them again.
_QUESTIONS = 'lvs', 'vgs'


class Parts(verbs.Verbs):
    """The operations of this driver, taken apart.

    What is left of an operation without its commands is the driver's own
    code, and what it asks the kernel without a command.
    """

    def measure(self, rounds):
        self.most_listed_in_tree = 0
        driver = self.make_driver()
        self.commands = []
        with mock.patch.object(process.RootwrapRunner, '_timed',
                               self.timed(process.RootwrapRunner._timed)):
            for number in range(rounds + 1):
                for what, operation, *arguments in self.steps(
                        driver, 0, whole=True):
                    self.commands.clear()
                    began = time.monotonic()
                    operation(*arguments)
                    seconds = time.monotonic() - began
                    if number:
                        self.take_apart(what, seconds)

    def timed(self, run):
        """Return a function that runs a command and remembers its time."""
        def timed(runner, daemons, argv, timeout):
            began = time.monotonic()
            try:
                return run(runner, daemons, argv, timeout)
            finally:
                self.commands.append((argv, time.monotonic() - began))
        return timed

    def take_apart(self, what, seconds):
        """Record the parts of an operation that has just ended."""
        def add(part, subject, value):
            self.recorder.add(f'{what}: {part}', subject, 0, value)

        add('driver alone', section.OURS,
            seconds - sum(value for _argv, value in self.commands))
        for argv, value in self.commands:
            program = process._program(argv)
            add(program, section.OURS, value)
            if program in _QUESTIONS:
                began = time.monotonic()
                self.root.run(*argv)
                add(program, section.BARE, time.monotonic() - began)
