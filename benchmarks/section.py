# SPDX-License-Identifier: Apache-2.0
"""What the sections of a benchmark have in common."""

import contextlib
from unittest import mock

from benchmarks import population
from tests.functional import base
from tests.functional import initiator

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

    @staticmethod
    def turns(rounds, in_tree_rounds, *, warm_up=True):
        """Yield who is next and the name to record it under.

        :param in_tree_rounds: in how many the in-tree driver takes part
        :param warm_up: whether a round comes first that is not recorded,
            under None, in which daemons start
        """
        for number in range(0 if warm_up else 1, rounds + 1):
            in_tree = 0 < number <= in_tree_rounds
            for each in (OURS, THEIRS, BARE) if in_tree else (OURS, BARE):
                yield each, each if number else None

    def recording(self, what, subject, beside):
        """Return a context that is recorded; not for subject None."""
        if subject is None:
            return contextlib.nullcontext()
        return self.recorder.measured(what, subject, beside)

    def export(self, driver, volume, connector):
        """Export a volume, and keep what Cinder would store of it."""
        if hasattr(driver.target_driver, 'db'):
            # Replaces Cinder's database, which the in-tree target reads.
            driver.target_driver.db = mock.Mock(
                volume_get=lambda context, volume_id: volume)
        update = driver.create_export(self.context, volume, connector)
        for key, value in (update or {}).items():
            setattr(volume, key, value)

    def attached(self, stack, driver, volume):
        """Attach a volume to this machine until a stack ends.

        :return: the path of the disk
        """
        host = initiator.Host()
        connector = host.connector()
        self.export(driver, volume, connector)
        stack.callback(driver.remove_export, self.context, volume)
        connection = driver.initialize_connection(volume, connector)
        stack.callback(driver.terminate_connection, volume, connector)
        return stack.enter_context(host.connected(connection))[1]

    def populated(self, count):
        """Add volumes to the VG, as ``population.fill``; return them."""
        return [self.volume(id=name.removeprefix('volume-'))
                for name in population.fill(
                    self.root, self.vg_name, f'{self.vg_name}-pool', count)]
