# SPDX-License-Identifier: Apache-2.0
"""The LVM commands that an operation needs, as root, and nothing else.

Where the segment type of an LV decides how to go on, that is one ``lvs``.
"""


class Bare:
    """Takes the place of a driver of thin volumes; the floor of its times."""

    def __init__(self, root, vg_name):
        self._root = root
        self._vg = vg_name

    def _look_at(self, name):
        self._root.run('lvs', '--reportformat', 'json',
                       '-o', 'segtype,lv_active,lv_device_open,pool_lv',
                       f'{self._vg}/{name}')

    def _branch(self, source, name, *options):
        self._look_at(source)
        self._root.run('lvcreate', '-qq', '--snapshot', *options,
                       '--name', name, f'{self._vg}/{source}')

    def create_volume(self, volume):
        self._root.run('lvcreate', '-qq', '--type', 'thin',
                       '--virtualsize', f'{volume.size}g',
                       '--name', volume.name,
                       '--thinpool', f'{self._vg}-pool', self._vg)

    def create_snapshot(self, snapshot):
        self._branch(snapshot.volume_name, _lv_name(snapshot),
                     '--setactivationskip', 'y')

    def create_volume_from_snapshot(self, volume, snapshot):
        self._branch(_lv_name(snapshot), volume.name,
                     '--setactivationskip', 'n')

    def create_cloned_volume(self, volume, source):
        self._branch(source.name, volume.name, '--setactivationskip', 'n')

    def extend_volume(self, volume, size):
        self._look_at(volume.name)
        self._root.run('lvextend', '-qq', '--size', f'{size}g',
                       f'{self._vg}/{volume.name}')

    def revert_to_snapshot(self, _context, volume, snapshot):
        self._branch(_lv_name(snapshot), 'reverted', '--setactivationskip',
                     'n')
        for old, new in ((volume.name, 'replaced'),
                         ('reverted', volume.name)):
            self._root.run('lvrename', '-qq', self._vg, old, new)
        self._remove('replaced')

    def _remove(self, name):
        self._root.run('lvremove', '-qq', '--force', f'{self._vg}/{name}')

    def delete_snapshot(self, snapshot):
        self._look_at(_lv_name(snapshot))
        self._remove(_lv_name(snapshot))

    def delete_volume(self, volume):
        self._look_at(volume.name)
        self._remove(volume.name)

    def get_volume_stats(self, _refresh):
        self._root.run('vgs', '--reportformat', 'json',
                       '-o', 'vg_size,vg_free', self._vg)
        self._list()

    def get_manageable_volumes(self, *_paging):
        self._list()

    def _list(self):
        self._root.run('lvs', '--reportformat', 'json',
                       '-o', 'lv_name,lv_size,segtype,data_percent', self._vg)


def _lv_name(snapshot):
    return '_' + snapshot.name
