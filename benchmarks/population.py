# SPDX-License-Identifier: Apache-2.0
"""Fills a VG with thin LVs, faster than one lvcreate for each.

The LVs are added to the metadata of the VG as LVM (2.03.16) writes it, with
one message for each that has LVM create it in the kernel's pool. LVM sends
them when it creates the next LV.
"""

import random
import string
import uuid

GIB_EXTENTS = 256
_ALPHABET = string.digits + string.ascii_letters
_LV = '''
{name} {{
id = "{id}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "thin"
thin_pool = "{pool}"
transaction_id = {transaction}
device_id = {device}
}}
}}
'''
# udev would examine each new device, which takes an emulated machine minutes.
_WITHOUT_UDEV = 'activation{udev_sync=0 udev_rules=0}'


def fill(root, vg_name, pool, count):
    """Add active thin LVs of 1 GiB to a VG.

    :return: their names
    """
    if not count:
        return []
    names = [f'volume-{uuid.uuid4()}' for _ in range(count)]
    root.run('vgchange', '-qq', '-an', vg_name)
    path = f'/run/{vg_name}.metadata'
    root.run('vgcfgbackup', '-qq', '-f', path, vg_name)
    root.run('tee', path, text=_with_lvs(
        root.run('cat', path), pool, names[1:]))
    root.run('vgcfgrestore', '-qq', '-y', '--force', '-f', path, vg_name)
    root.run('rm', path)
    root.run('lvcreate', '-qq', '--type', 'thin', '--virtualsize', '1g',
             '--name', names[0], '--thinpool', pool, vg_name)
    udevd = root.run('pidof', 'systemd-udevd').split()
    root.run('udevadm', 'settle')
    root.run('kill', *udevd)
    root.run('vgchange', '-qq', '-ay', '--config', _WITHOUT_UDEV, vg_name)
    root.run('/lib/systemd/systemd-udevd', '--daemon')
    return names


def _with_lvs(metadata, pool, names):
    """Return the metadata of a VG with more LVs in its pool."""
    before, of_pool, rest = metadata.partition(f'\t{pool} {{')
    head, transaction, tail = rest.partition('transaction_id = ')
    number, newline, tail = tail.partition('\n')
    first = 1 + max([0, *(int(line.rpartition('=')[2])
                          for line in metadata.splitlines()
                          if 'device_id =' in line)])
    messages = ''.join(f'message{place} {{\ncreate = "{name}"\n}}\n'
                       for place, name in enumerate(names, 1))
    lvs = ''.join(_LV.format(
        name=name, id=_lvm_uuid(), extents=GIB_EXTENTS, pool=pool,
        transaction=number, device=first + place)
        for place, name in enumerate(names))
    head_of_lvs, opening, others = before.partition('logical_volumes {')
    return (head_of_lvs + opening + lvs + others + of_pool + head
            + transaction + str(int(number) + 1) + newline + messages + tail)


def _lvm_uuid():
    """Return a new UUID as LVM writes them."""
    letters = ''.join(random.choices(_ALPHABET, k=32))
    return '-'.join([letters[:6], *(letters[at:at + 4]
                                    for at in range(6, 26, 4)), letters[26:]])
