# SPDX-License-Identifier: Apache-2.0
"""A runner that knows its commands beforehand."""

import collections

from cinder_lvm_driver import process


class ScriptedRunner:
    """Answers exactly the commands of its script, in their order.

    A command that is not next in the script fails the test, and so does the
    end of the test while commands are left.

    :ivar timeouts: the deadline of each command that was run
    """

    def __init__(self, test):
        self._steps = collections.deque()
        self.timeouts = []
        test.addCleanup(self._assert_finished)

    def expect(self, *argv, stdout='', stderr='', error=None):
        """Add a command, and its answer or the error it raises.

        :param error: an exception, or the exit status of a failure
        """
        if isinstance(error, int):
            error = process.CommandFailed(argv, error, stdout, stderr)
        self._steps.append(
            (argv, error or process.Completed(argv, stdout, stderr)))

    def run(self, *argv, timeout=None):
        """See :class:`process.Runner`."""
        if not self._steps:
            raise AssertionError(f'nothing more was expected, not {argv}')
        expected, outcome = self._steps.popleft()
        if argv != expected:
            raise AssertionError(f'{expected} was expected, not {argv}')
        self.timeouts.append(timeout)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    run_long = run_unprivileged = run

    def forget(self):
        """Expect nothing more."""
        self._steps.clear()

    def _assert_finished(self):
        if self._steps:
            raise AssertionError(f'never run: {[s[0] for s in self._steps]}')
