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


def _verbs(others: int, *, only_full: bool = False) -> Run:
    # The in-tree driver runs several commands for each LV that it lists.
    return Run(name=f'verbs-{others or 1}', section='verbs', arguments={
        'others': others, 'rounds': 3, 'in_tree_rounds': 1,
        'most_listed_in_tree': 20}, more={
            'rounds': 20, 'in_tree_rounds': 5, 'most_listed_in_tree': 1000},
        only_full=only_full)


def _targets(others: int, *, only_full: bool = False) -> Run:
    # The in-tree driver saves all targets of LIO with each change.
    return Run(name=f'targets-{others or 1}', section='targets', arguments={
        'others': others, 'rounds': 3, 'in_tree_rounds': 0 if others else 1},
        more={'rounds': 20, 'in_tree_rounds': 5}, only_full=only_full)


def _start(attached: int, *, only_full: bool = False) -> Run:
    return Run(name=f'start-{attached}', section='start', arguments={
        'attached': attached, 'rounds': 2, 'in_tree_rounds': 1}, more={
            'rounds': 10, 'in_tree_rounds': 3}, only_full=only_full)


def _idle(others: int, *, only_full: bool = False) -> Run:
    return Run(name=f'idle-{others}', section='idle', arguments={
        'others': others, 'reports': 20, 'in_tree_reports': 2}, more={
            'reports': 60, 'in_tree_reports': 60}, only_full=only_full)


def _copies(layout: str, percent: int, *, only_full: bool = False) -> Run:
    return Run(name=f'copies-{layout}-{percent}', section='copies',
               arguments={
                   'layout': layout, 'percent': percent, 'size': 1,
                   'image_mib': 256, 'rounds': 1, 'in_tree_rounds': 1}, more={
                       'size': 10, 'image_mib': 10240, 'rounds': 3,
                       'in_tree_rounds': 3}, only_full=only_full)


# The most important first.
RUNS = (
    _verbs(0),
    _verbs(100),
    _targets(0),
    _targets(100),
    _start(10),
    Run(name='workers', section='workers', arguments={
        'workers': 16, 'pairs': 1, 'rounds': 1, 'in_tree_rounds': 0}, more={
            'pairs': 10, 'rounds': 5, 'in_tree_rounds': 1}),
    Run(name='deletion', section='deletion', arguments={
        'sizes': [1, 10], 'rounds': 2, 'in_tree_rounds': 1}, more={
            'sizes': [1, 10, 100], 'rounds': 5}),
    _copies('thick', 10),
    Run(name='data-path', section='data_path', arguments={
        'volumes': [1], 'rounds': 3, 'seconds': 1}, more={
            'volumes': [1, 4], 'rounds': 5, 'seconds': 20}),
    _idle(100),
    Run(name='parts', section='parts', arguments={'rounds': 5},
        only_full=True),
    _copies('thick', 100, only_full=True),
    _copies('thin', 10, only_full=True),
    _verbs(1000, only_full=True),
    _verbs(4000, only_full=True),
    _targets(300, only_full=True),
    _start(100, only_full=True),
    _start(300, only_full=True),
    _idle(1000, only_full=True),
)
