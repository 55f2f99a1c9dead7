# SPDX-License-Identifier: Apache-2.0
"""Tables of the results, for the manual and the terminal."""

import os
from typing import Any

from bench_lib import figures
from bench_lib import plan

FILE = 'tables.txt'
_NONE = 'n/a'
_HEAD = ('operation', 'beside', 'in-tree', 'this driver', 'p99', 'bare',
         'processes', 'Python', 'ours / bare', 'in-tree / ours')


def write(folder: str, results: dict[str, Any]) -> None:
    """Write one table for each run, in reStructuredText."""
    with open(os.path.join(folder, FILE), 'w') as file:
        file.write('.. SPDX-License-Identifier: Apache-2.0\n\n'
                   '.. Written by tools/bench.\n')
        for name, found in _in_order(results):
            file.write(f'\n.. rubric:: {name}\n\n{_facts(found)}\n\n'
                       '.. list-table::\n   :header-rows: 1\n\n')
            for row in _rows(found):
                file.write('   * - ' + '\n     - '.join(row) + '\n')


def text(results: dict[str, Any]) -> str:
    """Return the same for the terminal."""
    lines = []
    for name, found in _in_order(results):
        rows = _rows(found)
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ['', f'{name}: {_facts(found)}']
        lines += ['  '.join(map(str.ljust, row, widths)).rstrip()
                  for row in rows]
    return '\n'.join(lines)


def _in_order(results: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(run.name, results[run.name]) for run in plan.RUNS
            if run.name in results]


def _facts(found: dict[str, Any]) -> str:
    return ', '.join(f'{name} {value}'
                     for name, value in found['facts'].items())


def _rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of a table, without columns that hold nothing."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for first, subjects in figures.by_subject(found['rows']):
        bare = subjects.get(figures.BARE)
        theirs = subjects.get(figures.THEIRS)
        ours = subjects[figures.OURS]
        rows.append((
            first['what'], str(first['beside']), _number(theirs),
            _number(ours), _percentile_99(ours),
            _number(bare), _counts('processes', theirs, ours, bare),
            _counts('pythons', theirs, ours, bare),
            _ratio(ours, bare), _ratio(theirs, ours)))
    columns = [column for column in zip(*rows, strict=True)
               if set(' / '.join(column[1:]).split(' / ')) != {_NONE}]
    return list(zip(*columns, strict=True))


def _number(row: figures.Row | None) -> str:
    value = figures.median(row)
    if value is None or row is None:
        return _NONE
    digits = '.3g' if abs(value) < 1000 else '.0f'
    return f'{value:{digits}} {row["unit"]}'.rstrip()


def _percentile_99(row: figures.Row) -> str:
    """Return the slowest of all but 1 %; of rates, there is no such thing."""
    return (f'{figures.percentile_99(row):.3g}' if row['unit'] == 's'
            else _NONE)


def _counts(key: str, *rows: figures.Row | None) -> str:
    counts = [figures.median(row, key) for row in rows]
    return ' / '.join(_NONE if count is None else f'{count:.0f}'
                      for count in counts)


def _ratio(row: figures.Row | None, other: figures.Row | None) -> str:
    found = figures.ratio(row, other)
    return _NONE if found is None else f'{found:.2f}'
