# SPDX-License-Identifier: Apache-2.0
"""Rollback of a change that fails halfway."""

from collections.abc import Callable
import contextlib

from cinder_lvm_driver import errors


class Undo(contextlib.ExitStack):
    """Undoes the steps of a block when the block ends, unless they are kept.

    A step that cannot be undone is logged, so that the caller sees the
    failure that came first.
    """

    def __init__(self, complaint: str = 'While undoing what could not be '
                                        'completed') -> None:
        """Create a rollback.

        :param complaint: the log message if a step cannot be undone: what is
            left, and what to do
        """
        super().__init__()
        self._complaint = complaint

    def later(self, step: Callable[..., object], *arguments: object) -> None:
        """Call a function with these arguments at the end of the block."""
        self.callback(errors.attempt, self._complaint, step, *arguments)

    def keep(self) -> None:
        """Leave everything as it is now."""
        self.pop_all()
