# SPDX-License-Identifier: Apache-2.0
"""All that a driver can leave on a storage node, as one comparable value."""

import dataclasses
import json
import os
import re
import subprocess

from cinder_lvm_driver import naming

CONFIGFS = '/sys/kernel/config'
_LV_FIELDS = ('segtype', 'lv_size', 'lv_permissions', 'lv_tags', 'origin',
              'pool_lv', 'lv_skip_activation', 'lv_merging',
              'lv_health_status')
_THIN_FIELDS = ('lv_name', 'thin_id', 'transaction_id')
# Attributes whose values are compared, beside all folders and links.
_VALUES = ('enable', 'device_path', 'attr_allow_any_host', 'userid',
           'addr_traddr', 'udev_path')
_VOLATILE = re.compile(r'password=\S+|(Size: )\d+ MB')


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


def look(vg_names, volumes_dir):
    """Return the state of the node.

    :param volumes_dir: the folder of tgt's files
    """
    things, faults = set(), []
    for vg_name in vg_names:
        things |= _lvs(vg_name)
        faults += _pool_faults(vg_name)
        things |= {f'device {name}' for name in devices(vg_name)}
        faults += [f'{name} is suspended'
                   for name in devices(vg_name, 'suspended=1')]
    for folder in 'target/core', 'target/iscsi', 'nvmet':
        things |= _tree(f'{CONFIGFS}/{folder}')
    things |= _tgt()
    if volumes_dir and os.path.isdir(volumes_dir):
        things |= {f'file {name}' for name in os.listdir(volumes_dir)}
    return State(frozenset(things), tuple(faults))


def devices(vg_name, *selection):
    """Return the names of the devices of a VG, or of some of them."""
    prefix = naming.device_mapper_name(vg_name, '')
    found = run('dmsetup', 'info', '-c', '--noheadings', '-o', 'name',
                *(('-S', *selection) if selection else ()))
    return [name for name in found.split() if name.startswith(prefix)]


def _report(vg_name, fields, *arguments):
    rows = json.loads(run(
        'lvs', '-a', '--reportformat', 'json', '--units', 'b', '-o',
        ','.join(fields), *arguments, vg_name))['report'][0]['lv']
    return [tuple(row[field] for field in fields) for row in rows]


def _lvs(vg_name):
    found = set()
    for name, active, *values in _report(
            vg_name, ('lv_name', 'lv_active', *_LV_FIELDS)):
        # The drivers leave a snapshot active that they have read.
        if 'skip activation' not in values:
            values.append(active)
        found.add(f'LV {vg_name}/{name} ' + ' '.join(filter(None, values)))
    return found


def _pool_faults(vg_name):
    """Compare the pool of a VG as LVM and the kernel know it."""
    pool = naming.device_mapper_name(vg_name, f'{vg_name}-pool')
    rows = _report(vg_name, _THIN_FIELDS, '-S',
                   'segtype=thin || segtype=thin-pool')
    known = {number for _name, number, _transaction in rows if number}
    reported = {transaction for name, _number, transaction in rows
                if name == f'{vg_name}-pool'}
    if not reported:
        return
    status = run('dmsetup', 'status', '--noflush', f'{pool}-tpool').split()
    if {status[3]} != reported:
        yield f'transaction ids: kernel {status[3]}, LVM {reported}'
    message = 'dmsetup', 'message', f'{pool}-tpool', '0'
    run(*message, 'reserve_metadata_snap')
    try:
        found = set(run('thin_ls', '--no-headers', '--metadata-snap', '-o',
                        'DEV', f'/dev/mapper/{pool}_tmeta').split())
    finally:
        run(*message, 'release_metadata_snap')
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
            try:
                with open(os.path.join(folder, name)) as file:
                    found.add(f'{relative}/{name} = {file.read().strip()}')
            except OSError:
                continue
    return found


def _tgt():
    """Return what tgtd has; nothing if none is running."""
    found = set()
    for mode in 'target', 'account':
        done = subprocess.run(
            ['tgtadm', '--lld', 'iscsi', '--op', 'show', '--mode', mode],
            text=True, capture_output=True)
        if done.returncode:
            continue
        target = ''
        for line in done.stdout.splitlines():
            if line.startswith('Target '):
                target = line.partition(': ')[2]
            elif mode == 'target' and re.match(r' {4}\S', line):
                continue
            text = _VOLATILE.sub(r'\1', line.strip())
            if text:
                found.add(f'tgt {mode} {target} {text}')
    return found
