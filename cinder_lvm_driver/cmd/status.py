# SPDX-License-Identifier: Apache-2.0
"""Show the state of the back ends on one screen.

The exit status is 0 if all back ends are up, and 2 if one is down.
"""

import argparse
from collections.abc import Iterator
import decimal
import json
import threading
from typing import Any

from oslo_upgradecheck import upgradecheck
from oslo_utils import units
import tabulate

from cinder_lvm_driver.cmd import backends
from cinder_lvm_driver.cmd import survey

_SECONDS = 2.0
_BAR = 20
# ECMA-48: the cursor goes to the top left, and all below it is erased.
_CLEAR = '\x1b[H\x1b[J'
_UNKNOWN = '-'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the form of the output."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument('--json', action='store_true',
                      help='print one JSON object, with sizes in bytes')
    form.add_argument('--watch', action='store_true',
                      help=f'show the state again every {_SECONDS:g} seconds')


def run(arguments: argparse.Namespace) -> int:
    """Print the state; return the exit status."""
    try:
        surveyors = [survey.Surveyor(section)
                     for section in backends.sections(arguments.backend)]
    except backends.NoBackend as exc:
        print(exc)
        return int(upgradecheck.Code.FAILURE)
    while True:
        surveys = [surveyor.look() for surveyor in surveyors]
        if arguments.json:
            text = json.dumps({'backends': [*map(_as_json, surveys)]},
                              indent=2)
        else:
            text = '\n\n'.join('\n'.join(_screen(each)) for each in surveys)
        print(_CLEAR + text if arguments.watch else text, flush=True)
        if not arguments.watch:
            return int(upgradecheck.Code.SUCCESS
                       if all(each.is_up for each in surveys)
                       else upgradecheck.Code.FAILURE)
        threading.Event().wait(_SECONDS)


# JSON -----------------------------------------------------------------------

def _as_json(seen: survey.Survey) -> dict[str, Any]:
    return {
        'name': seen.section.name, 'host': seen.section.host,
        'is_up': seen.is_up, 'fault': seen.fault,
        'pools': [_pool_as_json(pool) for pool in seen.pools],
        'volume_groups': [_vg_as_json(vg) for vg in seen.vgs],
        'exports': None if seen.exports is None else [
            {'lv': export.lv_name, 'target': export.target,
             'hosts': export.hosts, 'sessions': export.sessions}
            for export in seen.exports],
        'failures': seen.failures}


def _pool_as_json(pool: survey.PoolFacts) -> dict[str, Any]:
    capacity = pool.capacity
    return {
        'name': pool.name, 'volume_group': pool.vg_name,
        'layout': pool.layout, 'fault': pool.fault,
        **({} if capacity is None else {
            'total_bytes': capacity.total_bytes,
            'free_bytes': capacity.free_bytes,
            'provisioned_bytes': capacity.provisioned_bytes})}


def _vg_as_json(facts: survey.VGFacts) -> dict[str, Any]:
    vg = facts.picture.vg
    return {
        'name': vg.name, 'size_bytes': vg.size_bytes,
        'free_bytes': vg.free_bytes,
        'metadata_percent': float(vg.metadata_percent),
        'physical_volumes': [
            {'path': pv.path, 'size_bytes': pv.size_bytes,
             'free_bytes': pv.free_bytes, 'is_missing': pv.missing,
             'is_allocatable': pv.allocatable} for pv in facts.pvs],
        'thin_pools': [
            {'name': pool.name, 'size_bytes': pool.size_bytes,
             'data_percent': _as_float(pool.data_percent),
             'metadata_size_bytes': pool.metadata_size_bytes,
             'metadata_percent': _as_float(pool.metadata_percent)}
            for pool in facts.thin_pools],
        'logical_volumes': [
            {'kind': kind, 'segtype': segtype, 'count': count,
             'size_bytes': size_bytes}
            for (kind, segtype), (count, size_bytes)
            in survey.count_lvs(facts.picture.lvs).items()],
        'work': [
            {'lv': work.lv_name, 'what': work.what,
             'size_bytes': work.size_bytes,
             'percent': _as_float(work.percent),
             'bytes_per_second': work.rate} for work in facts.work]}


def _as_float(percent: decimal.Decimal | None) -> float | None:
    return None if percent is None else float(percent)


# For people -----------------------------------------------------------------

def _screen(seen: survey.Survey) -> Iterator[str]:
    yield (f'{seen.section.name} ({seen.section.host}): '
           f'{"up" if seen.is_up else "DOWN"}')
    for fault in filter(None, (seen.fault,
                               *(pool.fault for pool in seen.pools))):
        yield f'  {fault}'
    yield from _table(
        ['Pool', 'VG', 'LVs', 'GiB', 'free', 'provisioned', ''],
        [[pool.name, pool.vg_name, pool.layout, *_capacity(pool),
          'DOWN' if pool.fault else 'up'] for pool in seen.pools])
    for vg in seen.vgs:
        yield from _vg_screen(vg)
    yield from _table(
        ['Export of LV', 'target', 'hosts', 'sessions'],
        [[export.lv_name, export.target, export.hosts,
          _UNKNOWN if export.sessions is None else export.sessions]
         for export in seen.exports or ()])
    yield from _table(['Operation', 'failed'],
                      [list(each) for each in seen.failures.items()])


def _capacity(pool: survey.PoolFacts) -> list[str]:
    capacity = pool.capacity
    if capacity is None:
        return [_UNKNOWN] * 3
    return [_gib(capacity.total_bytes), _gib(capacity.free_bytes),
            _gib(capacity.provisioned_bytes)]


def _vg_screen(facts: survey.VGFacts) -> Iterator[str]:
    vg = facts.picture.vg
    used = decimal.Decimal(vg.size_bytes - vg.free_bytes)
    bars = [_bar(f'VG {vg.name}', 100 * used / max(1, vg.size_bytes),
                 vg.size_bytes),
            _bar('metadata', vg.metadata_percent, None)]
    for pool in facts.thin_pools:
        bars += [_bar(f'Thin pool {pool.name}', pool.data_percent,
                      pool.size_bytes),
                 _bar('metadata', pool.metadata_percent,
                      pool.metadata_size_bytes)]
    yield from _table([], bars)
    yield from _table(
        ['PV', 'GiB', 'free', ''],
        [[pv.path, _gib(pv.size_bytes), _gib(pv.free_bytes),
          'MISSING' if pv.missing else
          '' if pv.allocatable else 'not allocatable'] for pv in facts.pvs])
    yield from _table(
        ['LVs', 'type', 'number', 'GiB'],
        [[kind, segtype, count, _gib(size_bytes)]
         for (kind, segtype), (count, size_bytes)
         in survey.count_lvs(facts.picture.lvs).items()])
    yield from _table(
        ['To do', 'LV', 'GiB', 'done', 'MiB/s'],
        [[work.what, work.lv_name, _gib(work.size_bytes),
          _UNKNOWN if work.percent is None else f'{work.percent:.1f} %',
          _UNKNOWN if work.rate is None else f'{work.rate / units.Mi:.1f}']
         for work in facts.work])


def _table(headers: list[str], rows: list[list[Any]]) -> Iterator[str]:
    """Yield the lines of a table; none without rows."""
    if rows:
        yield ''
        text = tabulate.tabulate(rows, headers, tablefmt='plain',
                                 disable_numparse=True)
        yield from (f'  {line}' for line in text.splitlines())


def _bar(label: str, percent: decimal.Decimal | None,
         size_bytes: int | None) -> list[str]:
    """Return a row: a label, how full it is, and its size."""
    size = '' if size_bytes is None else f'of {_gib(size_bytes)} GiB'
    if percent is None:
        return [label, '', 'inactive', size]
    full = min(_BAR, round(percent * _BAR / 100))
    return [label, f'[{"#" * full}{"." * (_BAR - full)}]',
            f'{percent:.1f} %', size]


def _gib(size_bytes: int) -> str:
    return f'{size_bytes / units.Gi:.2f}'
