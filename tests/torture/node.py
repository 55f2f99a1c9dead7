# SPDX-License-Identifier: Apache-2.0
"""All that a driver can leave on a storage node, as one comparable value."""

import contextlib
import dataclasses
import glob
import json
import os
import re
import subprocess

from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import dm_control
from cinder_lvm_driver.privileged import tgt_report
from cinder_lvm_driver.privileged import tgtd

CONFIGFS = '/sys/kernel/config'
_TREES = {'lioadm': ('target/core', 'target/iscsi'), 'nvmet': ('nvmet',)}
_LV_FIELDS = ('segtype', 'lv_size', 'lv_permissions', 'lv_tags',
              'pool_lv', 'lv_skip_activation', 'lv_merging',
              'lv_health_status')
_THIN_FIELDS = 'thin_id', 'transaction_id'
# Attributes whose values are compared, beside all folders and links.
_VALUES = ('enable', 'device_path', 'attr_allow_any_host', 'userid',
           'addr_traddr', 'udev_path')
# The names of users are random.
_VOLATILE = re.compile(r'\b[A-Za-z0-9]{20}\b')


def run(*argv):
    """Run a command; return its stdout.

    :raises subprocess.CalledProcessError: it ended with another status than 0
    """
    return subprocess.run(list(map(str, argv)), check=True, text=True,
                          capture_output=True).stdout


@dataclasses.dataclass(frozen=True)
class State:
    """What there is.

    :ivar things: all names, with what is known of each
    :ivar faults: what is wrong in itself: a suspended device, a thin id that
        only one side knows, ...
    """

    things: frozenset
    faults: tuple

    def differences(self, other):
        """Return what only one of two states has, in words."""
        return ([f'more: {each}' for each in sorted(
                    self.things - other.things)]
                + [f'less: {each}' for each in sorted(
                    other.things - self.things)])


def look(vg_names, helper, volumes_dir):
    """Return the state of the node.

    :param volumes_dir: the folder of tgt's files
    """
    things, faults = set(), []
    known = devices()
    for vg_name in vg_names:
        rows = report(vg_name)
        things |= _lvs(rows)
        faults += _pool_faults(vg_name, rows)
        own = naming.device_mapper_name(vg_name, '')
        for name, suspended in known.items():
            if name.startswith(own):
                things.add(f'device {name}')
                faults += [f'{name} is suspended'] * suspended
    for folder in _TREES.get(helper, ()):
        things |= _tree(f'{CONFIGFS}/{folder}')
    if helper == 'tgtadm':
        things |= _tgt()
    if volumes_dir and os.path.isdir(volumes_dir):
        things |= {f'file {name}' for name in os.listdir(volumes_dir)}
    return State(frozenset(things), tuple(faults))


def devices():
    """Return which devices are suspended, by the names of all."""
    found = {}
    for folder in glob.glob('/sys/block/dm-*/dm'):
        # A device may go meanwhile.
        with contextlib.suppress(OSError):
            name = _text(f'{folder}/name')
            found[name] = _text(f'{folder}/suspended') == '1'
    return found


def _text(path):
    with open(path) as file:
        return file.read().strip()


def report(vg_name):
    fields = ('lv_full_name', 'lv_name', 'lv_active', 'origin', *_LV_FIELDS,
              *_THIN_FIELDS)
    return json.loads(run(
        'lvs', '-a', '--reportformat', 'json', '--units', 'b', '-o',
        ','.join(fields), vg_name))['report'][0]['lv']


def _lvs(rows):
    found = set()
    for row in rows:
        values = [row[field] for field in _LV_FIELDS]
        # Whatever a thin LV was a snapshot of, it is complete by itself.
        if not row['pool_lv']:
            values.append(row['origin'])
        # The drivers leave a snapshot active that they have read.
        if not row['lv_skip_activation']:
            values.append(row['lv_active'])
        found.add(f'LV {row["lv_full_name"]} '
                  + ' '.join(filter(None, values)))
    return found


def _pool_faults(vg_name, rows):
    """Compare the pool of a VG as LVM and the kernel know it."""
    pool = naming.device_mapper_name(vg_name, f'{vg_name}-pool')
    known = {row['thin_id'] for row in rows if row['thin_id']}
    reported = {row['transaction_id'] for row in rows
                if row['lv_name'] == f'{vg_name}-pool'}
    if not reported:
        return
    with dm_control.opened() as control:
        device = dm_control.ask(control, dm_control.Command.STATUS,
                                name=f'{pool}-tpool')
        if device is None:
            # Without this device, a pool has never had an LV.
            yield from [f'{pool} is not active'] * bool(known)
            return
        _kind, status = dm_control.target(control, device.number)
        if {status.split()[0]} != reported:
            yield f'transaction ids: kernel {status}, LVM {reported}'
        dm_control.message(control, device.number, 'reserve_metadata_snap')
        try:
            found = set(run(
                'thin_ls', '--no-headers', '--metadata-snap', '-o', 'DEV',
                f'/dev/mapper/{pool}_tmeta').split())
        finally:
            dm_control.message(control, device.number,
                               'release_metadata_snap')
    for number in sorted(found - known):
        yield f'thin id {number} is only in the pool'
    for number in sorted(known - found):
        yield f'thin id {number} is only in the metadata of LVM'


def _tree(top):
    """Return folders, links and some values of a tree in configfs."""
    found = set()
    for folder, folders, files in os.walk(top):
        if 'discovery' in folder or '/statistics' in folder:
            continue
        relative = os.path.relpath(folder, CONFIGFS)
        for name in folders:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found.add(f'{relative}/{name} -> '
                          f'{os.path.basename(os.readlink(path))}')
            elif 'discovery' not in name and name != 'statistics':
                found.add(f'{relative}/{name}')
        for name in set(_VALUES) & set(files):
            with contextlib.suppress(OSError):
                text = _VOLATILE.sub('...', _text(os.path.join(folder, name)))
                found.add(f'{relative}/{name} = {text}')
    return found


def _tgt():
    """Return what tgtd has."""
    accounts = tgtd.ask(tgtd.Mode.ACCOUNT, tgtd.Op.SHOW).split()[2:]
    return ({f'tgt {_VOLATILE.sub("...", str(target))}'
             for target in tgt_report.targets().values()}
            | {f'account {number} of tgt' for number in range(len(accounts))})
