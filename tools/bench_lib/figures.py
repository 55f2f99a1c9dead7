# SPDX-License-Identifier: Apache-2.0
"""The results of all runs, in one file."""

from collections.abc import Iterator
import json
import math
import os
import statistics
from typing import Any

OURS, THEIRS, BARE = 'this driver', 'in-tree', 'bare'
FILE = 'results.json'

Row = dict[str, Any]


def read(folder: str) -> dict[str, Any]:
    """Return the results in a folder by run; none if there are none."""
    try:
        with open(os.path.join(folder, FILE)) as file:
            found: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return {}
    return found


def write(folder: str, results: dict[str, Any]) -> None:
    """Replace the results in a folder."""
    with open(os.path.join(folder, FILE), 'w') as file:
        json.dump(_rounded(results), file, indent=1, sort_keys=True)
        file.write('\n')


def _rounded(item: Any) -> Any:
    """Return results with as many digits as they are good for."""
    if isinstance(item, float):
        return float(f'{item:.4g}')
    if isinstance(item, dict):
        return {key: _rounded(each) for key, each in item.items()}
    if isinstance(item, list):
        return [_rounded(each) for each in item]
    return item


def median(row: Row | None, key: str = 'values') -> float | None:
    """Return the median of a row; None if it is missing."""
    return statistics.median(row[key]) if row and key in row else None


def percentile_99(row: Row) -> float:
    """Return the value that 99 % of a row do not exceed.

    That is the largest of less than a hundred.
    """
    ordered = sorted(row['values'])
    return float(ordered[math.ceil(0.99 * len(ordered)) - 1])


def by_subject(rows: list[Row]) -> Iterator[tuple[Row, dict[str, Row]]]:
    """Yield each quantity, as its first row, and its rows by subject."""
    found: dict[tuple[Any, ...], dict[str, Row]] = {}
    for row in rows:
        key = row['what'], row['beside'], row['unit']
        found.setdefault(key, {})[row['subject']] = row
    for subjects in found.values():
        yield next(iter(subjects.values())), subjects


def ratio(row: Row | None, other: Row | None) -> float | None:
    """Return the ratio of two medians; None if one is missing."""
    above, below = median(row), median(other)
    return above / below if above is not None and below else None
