# SPDX-License-Identifier: Apache-2.0
"""The operations on thin volumes, stats and the list of manageable volumes."""

from benchmarks import bare
from benchmarks import section
from tests.functional import base

PAGE = (None, 100, 0, ['reference'], ['asc'])


class Verbs(section.Section):
    """The life of a thin volume, beside other LVs in its VG."""

    pv_sizes = (8 * base.GIB,)
    # For the metadata of thousands of LVs.
    vg_options = '--metadatasize', '64m'

    def measure(self, others, rounds, in_tree_rounds, most_listed_in_tree):
        self.most_listed_in_tree = most_listed_in_tree
        drivers = self.drivers(in_tree_rounds)
        self.populated(others)
        drivers[section.BARE] = bare.Bare(self.root, self.vg_name)
        for name, subject in self.turns(rounds, in_tree_rounds):
            self.live(drivers[name], subject, others)

    def live(self, driver, subject, others):
        """Run each operation once.

        :param subject: None to record nothing
        """
        for what, operation, *arguments in self.steps(
                driver, others, whole=subject != section.THEIRS):
            with self.recording(what, subject, others):
                operation(*arguments)

    def steps(self, driver, others, *, whole):
        """Yield the name, function and arguments of each operation.

        :param whole: with those that the in-tree driver does not have, or
            for which it takes hours
        """
        volume, copy, clone = self.volume(), self.volume(), self.volume()
        snapshot = self.snapshot(volume)
        yield 'create a volume', driver.create_volume, volume
        yield 'create a snapshot', driver.create_snapshot, snapshot
        yield ('volume from a snapshot', driver.create_volume_from_snapshot,
               copy, snapshot)
        yield 'clone', driver.create_cloned_volume, clone, volume
        if whole:
            yield ('revert', driver.revert_to_snapshot, self.context, volume,
                   snapshot)
        yield 'extend', driver.extend_volume, volume, 2
        yield 'stats', driver.get_volume_stats, True
        if whole or others <= self.most_listed_in_tree:
            yield 'list manageable', driver.get_manageable_volumes, [], *PAGE
        yield 'delete a snapshot', driver.delete_snapshot, snapshot
        for each in copy, clone, volume:
            yield 'delete a volume', driver.delete_volume, each
