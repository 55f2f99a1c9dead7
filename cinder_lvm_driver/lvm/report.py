# SPDX-License-Identifier: Apache-2.0
"""The command lines of reports, and their output as typed facts.

Reports are in JSON, in which all values are strings (lvmreport(7)), and in
bytes, so that LVM rounds nothing.
"""

from collections.abc import Mapping
import dataclasses
import decimal
import json
import re
from typing import Any

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import members
from cinder_lvm_driver.lvm import types

_FORM = ('--reportformat', 'json', '--units', 'b', '--nosuffix')
# Settings of lvm.conf(5) that would change the form of reports: 1 for
# "merging", no column where all values are empty, lines with a prefix.
SETTINGS = ('report/binary_values_as_numeric=0 report/compact_output=0 '
            'report/compact_output_cols="" report/list_item_separator="," '
            'report/prefixes=0 log/command_names=0 log/prefix="  "')
_LV_FIELDS = ('vg_name', 'lv_name', 'lv_size', 'origin_size', 'segtype',
              'lv_role', 'origin', 'pool_lv', 'lv_active', 'lv_device_open',
              'lv_skip_activation', 'data_percent', 'metadata_percent',
              'lv_tags', 'lv_merging', 'lv_permissions',
              'lv_health_status', 'lv_check_needed', 'zero',
              'lv_metadata_size', 'lv_snapshot_invalid', 'lv_suspended',
              'transaction_id')
_VG_FIELDS = ('vg_name', 'vg_size', 'vg_free', 'vg_extent_size',
              'vg_mda_size', 'vg_mda_free', 'max_lv', 'lv_count', 'pv_name',
              'pv_uuid', 'pv_free', 'pv_allocatable', 'pv_missing')
_THIN_ID_FIELDS = ('lv_name', 'thin_id')
_RANGES = re.compile(r'(/[^, ]+):([0-9]+)-([0-9]+)')
_PV_FIELDS = ('pv_name', 'pv_size', 'pv_free', 'pv_allocatable',
              'pv_missing')
_SYNC_FIELDS = ('lv_name', 'sync_percent')
_MEMBER_FIELDS = ('vg_name', 'vg_uuid', 'pv_name', 'pv_uuid')
# The name of a PV whose device LVM does not find.
_NO_DEVICE = '[unknown]'
# The start of a line of JSON; a message starts with a letter.
_JSON = re.compile(r'\s*[][{}",]')

Row = dict[str, str]


def volumes_command(vg_name: str, lv_name: str | None = None) -> list[str]:
    """Return the command that reports one LV, or all visible LVs of a VG.

    The LV is selected, not named as VG/LV, so that the report of a missing
    LV is empty instead of a failure. Thin pools are reported with it.
    """
    command = ['lvs', *_FORM, '-o', ','.join(_LV_FIELDS)]
    if lv_name is not None:
        command += ['-S', f'lv_name="{lv_name}" || '
                          f'segtype="{types.THIN_POOL}"']
    return [*command, vg_name]


def copies_command(vg_name: str, lv_name: str) -> list[str]:
    """Return the command that reports the copies of one mirrored LV."""
    return ['lvs', *_FORM, '-o', 'stripes', '-S', f'lv_name="{lv_name}"',
            vg_name]


def extents_command(vg_name: str, lv_name: str) -> list[str]:
    """Return the command that reports on which PVs an LV is."""
    return ['lvs', *_FORM, '-o', 'seg_pe_ranges', '-S',
            f'lv_name="{lv_name}"', vg_name]


def thin_ids_command(vg_name: str) -> list[str]:
    """Return the command that reports the ids of thin LVs in their pools."""
    return ['lvs', *_FORM, '-o', ','.join(_THIN_ID_FIELDS), vg_name]


def vg_command(vg_name: str) -> list[str]:
    """Return the command that reports one VG."""
    return ['vgs', *_FORM, '-o', ','.join(_VG_FIELDS), vg_name]


def physical_volumes_command(vg_name: str) -> list[str]:
    """Return the command that reports the PVs of one VG."""
    return ['vgs', *_FORM, '-o', ','.join(_PV_FIELDS), vg_name]


def synchronization_command(vg_name: str) -> list[str]:
    """Return the command that reports how equal the copies of LVs are."""
    return ['lvs', *_FORM, '-o', ','.join(_SYNC_FIELDS), vg_name]


def spare_command(vg_name: str) -> list[str]:
    """Return the command that reports a VG's spare for pool metadata."""
    return ['lvs', *_FORM, '--all', '-o', 'lv_name', '-S', 'lv_role=spare',
            vg_name]


def members_command() -> list[str]:
    """Return the command that reports the PVs of every VG.

    Includes VGs of other nodes (lvmsystemid(7), lvmlockd(8)).
    """
    return ['vgs', '--foreign', '--shared', *_FORM,
            '-o', ','.join(_MEMBER_FIELDS)]


def parse_volumes(stdout: str) -> dict[str, types.LogicalVolume]:
    """Return the LVs of a report by name.

    An LV of several segments has one row for each. They differ in nothing
    but the segtype, which the first row decides.
    """
    lvs: dict[str, types.LogicalVolume] = {}
    for row in _rows(stdout, 'lv', _LV_FIELDS):
        lvs.setdefault(row['lv_name'], _lv(row))
    return {name: (dataclasses.replace(
        lv, transaction_id=lvs[lv.pool].transaction_id)
        if lv.pool in lvs else lv) for name, lv in lvs.items()}


def parse_vg(stdout: str,
             duplicates: Mapping[str, tuple[str, ...]]) -> types.VolumeGroup:
    """Return the VG of a report, which has one row for each PV.

    :param duplicates: of any VG, see :func:`errors.duplicates`
    """
    rows = _rows(stdout, 'vg', _VG_FIELDS)
    names = {row['vg_name'] for row in rows}
    if len(names) != 1:
        raise errors.ReportError(
            f'vgs reported {len(names)} VGs instead of one')
    row = rows[0]
    missing = [row for row in rows if row['pv_missing']]
    closed_bytes = sum(_number(row, 'pv_free') for row in rows
                       if not row['pv_allocatable'])
    return types.VolumeGroup(
        name=row['vg_name'],
        size_bytes=_number(row, 'vg_size'),
        free_bytes=_number(row, 'vg_free') - closed_bytes,
        closed_bytes=closed_bytes,
        extent_size_bytes=_number(row, 'vg_extent_size'),
        lost_pvs=tuple(row['pv_uuid'] for row in missing
                       if row['pv_name'] == _NO_DEVICE),
        returned_pvs=tuple(row['pv_name'] for row in missing
                           if row['pv_name'] != _NO_DEVICE),
        duplicate_pvs={row['pv_uuid']: duplicates[row['pv_uuid']]
                       for row in rows if row['pv_uuid'] in duplicates},
        metadata_size_bytes=_number(row, 'vg_mda_size'),
        metadata_free_bytes=_number(row, 'vg_mda_free'),
        max_lvs=_number(row, 'max_lv'), lv_count=_number(row, 'lv_count'))


def parse_extents(stdout: str) -> list[types.Extents]:
    """Return where the segments of an LV are."""
    return [types.Extents(path=path, first=int(first), last=int(last))
            for row in _rows(stdout, 'lv', ('seg_pe_ranges',))
            for path, first, last in _RANGES.findall(row['seg_pe_ranges'])]


def parse_copies(stdout: str) -> int:
    """Return how many copies an LV has; 0 if there is no such LV."""
    return max((_number(row, 'stripes')
                for row in _rows(stdout, 'lv', ('stripes',))), default=0)


def parse_synchronization(stdout: str) -> dict[str, decimal.Decimal]:
    """Return how far the copies of each LV are equal, in percent, by name."""
    return {row['lv_name']: percent
            for row in _rows(stdout, 'lv', _SYNC_FIELDS)
            if (percent := _percent(row, 'sync_percent')) is not None}


def parse_thin_ids(stdout: str) -> dict[str, int]:
    """Return the ids of thin LVs in their pools, by name."""
    return {row['lv_name']: _number(row, 'thin_id')
            for row in _rows(stdout, 'lv', _THIN_ID_FIELDS)
            if row['thin_id']}


def parse_spare(stdout: str) -> bool:
    """Return whether a report names a spare LV."""
    return bool(_rows(stdout, 'lv', ('lv_name',)))


def parse_physical_volumes(stdout: str) -> list[types.PhysicalVolume]:
    """Return the PVs of a report, also those that are missing."""
    return [types.PhysicalVolume(
        path=row['pv_name'],
        size_bytes=_number(row, 'pv_size'),
        free_bytes=_number(row, 'pv_free'),
        allocatable=bool(row['pv_allocatable']),
        missing=bool(row['pv_missing']))
        for row in _rows(stdout, 'vg', _PV_FIELDS)]


def parse_members(stdout: str) -> list[members.Member]:
    """Return the PVs of all VGs of a report."""
    return [members.Member(
        vg_name=row['vg_name'],
        vg_uuid=row['vg_uuid'],
        pv_uuid=row['pv_uuid'],
        path=None if row['pv_name'] == _NO_DEVICE else row['pv_name'])
        for row in _rows(stdout, 'vg', _MEMBER_FIELDS)]


def _rows(stdout: str, section: str, fields: tuple[str, ...]) -> list[Row]:
    """Return the rows of a section.

    LVM prints some messages to stdout, before the report and inside it:
    "Retrying metadata scan." (2.03.16).
    """
    text = '\n'.join(filter(_JSON.match, stdout.splitlines()))
    try:
        rows: Any = [row for report in json.loads(text)['report']
                     for row in report[section]]
    except (ValueError, KeyError, TypeError) as exc:
        raise errors.ReportError(
            f'LVM did not print a JSON report of {section}s: '
            f'{stdout[:200]!r}') from exc
    for row in rows:
        missing = [field for field in fields if field not in row]
        if missing:
            raise errors.ReportError(
                'The report of LVM lacks the fields ' + ', '.join(missing))
    return list(rows)


def _lv(row: Row) -> types.LogicalVolume:
    return types.LogicalVolume(
        name=row['lv_name'],
        vg_name=row['vg_name'],
        size_bytes=_number(row, 'lv_size'),
        origin_size_bytes=(_number(row, 'origin_size')
                           if row['origin_size'] else None),
        segtype=row['segtype'],
        role=_words(row['lv_role']),
        origin=row['origin'] or None,
        pool=row['pool_lv'] or None,
        active=row['lv_active'] == 'active',
        skips_activation=bool(row['lv_skip_activation']),
        is_open={'open': True, '': False}.get(row['lv_device_open']),
        data_percent=_percent(row, 'data_percent'),
        metadata_percent=_percent(row, 'metadata_percent'),
        tags=_words(row['lv_tags']),
        is_merging=bool(row['lv_merging']),
        is_read_only=row['lv_permissions'].startswith('read-only'),
        health=row['lv_health_status'] or None,
        needs_check=row['lv_check_needed'] == 'check needed',
        zeroes_blocks=row['zero'] == 'zero',
        metadata_size_bytes=(_number(row, 'lv_metadata_size')
                             if row['lv_metadata_size'] else None),
        is_invalid=row['lv_snapshot_invalid'] == 'snapshot invalid',
        is_suspended=row['lv_suspended'] == 'suspended',
        transaction_id=(_number(row, 'transaction_id')
                        if row['segtype'] == types.THIN_POOL else None))


def _number(row: Row, field: str) -> int:
    try:
        return int(row[field])
    except ValueError as exc:
        raise errors.ReportError(
            f'LVM reported {field} as {row[field]!r}, which is not a '
            f'number') from exc


def _percent(row: Row, field: str) -> decimal.Decimal | None:
    if not row[field]:
        return None
    try:
        return decimal.Decimal(row[field])
    except decimal.InvalidOperation as exc:
        raise errors.ReportError(
            f'LVM reported {field} as {row[field]!r}, which is not a '
            f'percentage') from exc


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split(',')) if text else frozenset()
