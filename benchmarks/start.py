# SPDX-License-Identifier: Apache-2.0
"""The start of the service with attached volumes."""

from unittest import mock

from benchmarks import section
from benchmarks import targets
from tests.functional import base


class Start(section.Section):
    """Starts of both drivers over the same targets of LIO, which are whole."""

    pv_sizes = (8 * base.GIB,)

    def measure(self, attached, rounds, in_tree_rounds):
        driver = self.make_driver()
        volumes = self.populated(attached)
        for volume in volumes:
            self.export(driver, volume, targets.CONNECTOR)
            self.attachment(
                volume, targets.CONNECTOR).connection_info = dict(
                    driver.initialize_connection(volume, targets.CONNECTOR)[
                        'data'])
        for name, subject in self.turns(rounds, in_tree_rounds,
                                        warm_up=False):
            if name != section.BARE:
                with self.recording('start', subject, attached):
                    self.start(name, volumes)
        for volume in volumes:
            driver.terminate_connection(volume, targets.CONNECTOR)
            driver.remove_export(self.context, volume)

    def start(self, name, volumes):
        """Set up a driver and have it serve volumes, as cinder-volume does.

        It starts daemons of its own, unlike those of ``make_driver``.
        """
        in_tree = name == section.THEIRS
        driver = self.construct_driver(
            *[base.in_tree.LVMVolumeDriver] if in_tree else [])
        driver.do_setup(self.context)
        driver.check_for_setup_error()
        if in_tree:
            stored = {volume.id: volume for volume in volumes}
            driver.target_driver.db = mock.Mock(
                volume_get=lambda context, volume_id: stored[volume_id])
        driver.update_provider_info(volumes, [])
        for volume in volumes:
            driver.ensure_export(self.context, volume)
