# SPDX-License-Identifier: Apache-2.0
"""What LVM keeps of old metadata."""

from tests.functional import base

ARCHIVE = '/etc/lvm/archive'


class ArchiveTest(base.BackendTestCase):

    settings = {'lvm_type': 'default', 'volume_clear': 'zero'}
    pv_sizes = (2 * base.GIB,)

    def archived(self):
        """Return the descriptions of all archived metadata of the VG."""
        return self.root.run(
            'bash', '-c', f'grep -h ^description {ARCHIVE}/{self.vg_name}_*'
            ' || true').splitlines()

    def test_life_of_a_volume(self):
        before = self.archived()
        volume = self.create_small()
        self.driver.extend_volume(volume, 1)
        self.driver.delete_volume(volume)
        self.wait_until_wiped()
        new = [line for line in self.archived() if line not in before
               and 'name small' not in line and "'small'" not in line]
        # lvcreate of the test itself aside.
        self.assertEqual(['lvremove'], [
            verb for line in new for verb in ('lvremove', 'lvrename',
                                              'lvextend', 'lvchange')
            if verb in line], new)
        backup = self.root.run('cat', f'/etc/lvm/backup/{self.vg_name}')
        self.assertNotIn(volume.name, backup)
