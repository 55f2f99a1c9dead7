# SPDX-License-Identifier: Apache-2.0
"""Plots of the results, as SVG: ``python -m bench_lib.plots FOLDER``."""

from collections.abc import Container
import io
import os
import statistics
import sys
from typing import Any

from bench_lib import figures
from bench_lib import plan
import matplotlib
import matplotlib.pyplot as plt

matplotlib.rcParams.update({
    'svg.fonttype': 'none', 'svg.hashsalt': 'cinder-lvm-driver',
    'font.family': 'sans-serif', 'font.size': 9, 'axes.grid': True,
    'axes.grid.axis': 'x', 'axes.axisbelow': True, 'grid.color': '#dddddd',
    'axes.spines.top': False, 'axes.spines.right': False})
_COLOURS = {figures.THEIRS: '#a8541f', figures.OURS: '#35618f',
            figures.BARE: '#8a8a8a'}
# File, title, label of the values, sections and the unit of their rows.
_PLOTS = (
    ('verbs', 'Operations on thin volumes, and the number of other LVs',
     'seconds', ('verbs',), 's'),
    ('targets', 'Attach and detach, and the number of other targets; start, '
     'and the number of attached volumes', 'seconds', ('targets', 'start'),
     's'),
    ('copies', 'Copies, and the size in GiB', 'seconds', ('copies',), 's'),
    ('data-path', 'fio on attached disks, and the number of volumes',
     'requests per second', ('data_path',), '1/s'),
)
_LICENCE = '<!-- SPDX-License-Identifier: Apache-2.0 -->\n'


def bars(path: str, title: str, label: str,
         groups: dict[str, dict[str, float]]) -> None:
    """Draw the medians of each quantity, a bar for each subject."""
    if not groups:
        return
    height = 0.8 / len(_COLOURS)
    figure, axes = plt.subplots(figsize=(7, 1.2 + 0.6 * len(groups)))
    for place, (subject, colour) in enumerate(_COLOURS.items()):
        found = [(row + place * height, values[subject])
                 for row, values in enumerate(groups.values())
                 if subject in values]
        if found:
            container = axes.barh(*zip(*found, strict=True), height=height,
                                  label=subject, color=colour)
            axes.bar_label(container, fmt='%.3g', padding=2, fontsize=7)
    axes.set_yticks([row + height for row in range(len(groups))],
                    list(groups))
    axes.set_xscale('log')
    axes.invert_yaxis()
    axes.set_xlabel(label)
    axes.set_title(title, fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: str) -> None:
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, format='svg', metadata={'Date': None,
                                                 'Creator': None})
    head, *lines = text.getvalue().splitlines()
    with open(path, 'w') as file:
        file.write(f'{head}\n{_LICENCE}' + ''.join(
            line.rstrip() + '\n' for line in lines))
    plt.close(figure)


def _medians(results: dict[str, Any], sections: Container[str],
             unit: str) -> dict[str, dict[str, float]]:
    """Return the medians in a unit of sections, by quantity and subject."""
    groups: dict[str, dict[str, float]] = {}
    for run in plan.RUNS:
        if run.section in sections and run.name in results:
            for row in results[run.name]['rows']:
                if row['unit'] == unit:
                    groups.setdefault(f'{row["what"]}, {row["beside"]}', {})[
                        row['subject']] = statistics.median(row['values'])
    return groups


def main(folder: str) -> None:
    """Draw all plots of the results in a folder."""
    results = figures.read(folder)
    for name, title, label, sections, unit in _PLOTS:
        bars(os.path.join(folder, f'{name}.svg'), title, f'{label}, median',
             _medians(results, sections, unit))


if __name__ == '__main__':
    main(sys.argv[1])
