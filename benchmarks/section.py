# SPDX-License-Identifier: Apache-2.0
"""What the sections of a benchmark have in common."""

import contextlib

from tests.functional import base

# Who does it: drivers, or commands without a driver.
OURS, THEIRS, BARE = 'this driver', 'in-tree', 'bare'


class Section(base.TestCase):
    """One section. It runs as a test does, with a VG that is removed.

    :cvar recorder: takes the figures
    :cvar arguments: of ``measure``
    """

    recorder = None
    arguments = {}

    def runTest(self):
        self.measure(**self.arguments)

    def drivers(self, in_tree, **settings):
        """Return the drivers by name, set up.

        :param in_tree: whether Cinder's own is wanted
        """
        found = {OURS: self.make_driver(**settings)}
        if in_tree:
            found[THEIRS] = self.make_driver(
                base.in_tree.LVMVolumeDriver, **settings)
        return found

    def turns(self, drivers, rounds, in_tree_rounds):
        """Yield who is next and the name to record it under.

        Daemons start in the first round: it is not recorded, under None.
        """
        for number in range(rounds + 1):
            for each in self.subjects(0 < number <= in_tree_rounds):
                if each in drivers or each == BARE:
                    yield each, each if number else None

    @staticmethod
    def subjects(in_tree):
        """Return whose turn it is in a round.

        :param in_tree: whether it is also that of the in-tree driver
        """
        return (OURS, THEIRS, BARE) if in_tree else (OURS, BARE)

    def recording(self, what, subject, beside):
        """Return a context that is recorded; not for subject None."""
        if subject is None:
            return contextlib.nullcontext()
        return self.recorder.measured(what, subject, beside)

    def store(self, volume, update):
        """Keep what Cinder would store in its database."""
        for key, value in (update or {}).items():
            setattr(volume, key, value)
