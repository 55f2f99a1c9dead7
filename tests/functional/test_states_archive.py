# SPDX-License-Identifier: Apache-2.0
"""What LVM keeps of old metadata."""

from tests.functional import base

ARCHIVE = '/etc/lvm/archive'


class ArchiveTest(base.BackendTestCase):

    settings = {'lvm_type': 'default', 'volume_clear': 'zero',
                'volume_clear_size': 8}
    pv_sizes = (4 * base.GIB,)

    def archived(self):
        """Return the descriptions of all archived metadata of the VG."""
        return self.root.run(
            'bash', '-c', f'grep -h ^description {ARCHIVE}/{self.vg_name}_*'
            ' || true').splitlines()

    def test_life_of_a_volume(self):
        before = self.archived()
        volume = self.create()
        self.driver.extend_volume(volume, 2)
        self.driver.delete_volume(volume)
        self.wait_until_wiped()
        new = [line for line in self.archived() if line not in before]
        self.assertEqual(1, len(new), new)
        self.assertIn('lvremove', new[0])
        backup = self.root.run('cat', f'/etc/lvm/backup/{self.vg_name}')
        self.assertNotIn(volume.name, backup)
