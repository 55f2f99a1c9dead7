# SPDX-License-Identifier: Apache-2.0
"""The runs of a benchmark, each in a test machine of its own.

What is compared is measured in one run: times of two runs differ, also on
one machine.
"""

from collections.abc import Mapping
import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """One boot of the test machine.

    :ivar name: in the results, and for --only
    :ivar section: of the package ``benchmarks``
    :ivar arguments: of the section
    :ivar more: what --full changes in the arguments
    :ivar only_full: whether only --full includes it
    """

    name: str
    section: str
    arguments: Mapping[str, Any]
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    only_full: bool = False

    def values(self, full: bool) -> dict[str, Any]:
        """Return the arguments of the section."""
        return {**self.arguments, **(self.more if full else {})}


def _verbs(others: int, *, rounds: int, only_full: bool = False) -> Run:
    # The in-tree driver runs several commands for each LV that it lists.
    return Run(name=f'verbs-{others or 1}', section='verbs', arguments={
        'others': others, 'rounds': rounds, 'in_tree_rounds': 1,
        'most_listed_in_tree': 20}, more={
            'rounds': 20, 'in_tree_rounds': 5, 'most_listed_in_tree': 1000},
        only_full=only_full)


# The most important first.
RUNS = (
    _verbs(0, rounds=3),
    Run(name='targets', section='targets', arguments={
        'rounds': 3, 'in_tree_rounds': 1}, more={
            'rounds': 20, 'in_tree_rounds': 5}),
    Run(name='deletion', section='deletion', arguments={
        'sizes': [1], 'rounds': 2, 'in_tree_rounds': 1}, more={
            'sizes': [1, 10, 100], 'rounds': 5}),
    _verbs(20, rounds=2),
    _verbs(1000, rounds=2),
    _verbs(100, rounds=2, only_full=True),
    _verbs(4000, rounds=2, only_full=True),
)
