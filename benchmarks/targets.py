# SPDX-License-Identifier: Apache-2.0
"""An attachment with LIO, from the export of a volume to its removal."""

from unittest import mock

from benchmarks import bare_targets
from benchmarks import section

PORT = 3260
CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:benchmark',
             'host': 'benchmark', 'ip': '127.0.0.1', 'multipath': False}


class Targets(section.Section):
    """What the storage node does for an attachment."""

    def measure(self, rounds, in_tree_rounds):
        drivers = self.drivers(in_tree_rounds, target_helper='lioadm',
                               target_port=PORT)
        volume = self.volume()
        drivers[section.OURS].create_volume(volume)
        for name, subject in self.turns(drivers, rounds, in_tree_rounds):
            with self.recording('attach and detach', subject, 0):
                if name == section.BARE:
                    bare_targets.lio(self.root, self.device(volume.name),
                                     CONNECTOR['initiator'], PORT + 1)
                else:
                    self.serve(drivers[name], volume)
        drivers[section.OURS].delete_volume(volume)

    def serve(self, driver, volume):
        """Export a volume, admit a host and remove it, unexport it."""
        if hasattr(driver.target_driver, 'db'):
            # Replaces Cinder's database, which the in-tree target reads.
            driver.target_driver.db = mock.Mock(
                volume_get=lambda context, volume_id: volume)
        self.store(volume, driver.create_export(self.context, volume,
                                                CONNECTOR))
        driver.initialize_connection(volume, CONNECTOR)
        driver.terminate_connection(volume, CONNECTOR)
        driver.remove_export(self.context, volume)
