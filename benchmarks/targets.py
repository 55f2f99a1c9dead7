# SPDX-License-Identifier: Apache-2.0
"""An attachment with each target helper, from export to removal."""

from benchmarks import bare_targets
from benchmarks import section
from tests.functional import base
from tests.functional import test_nvmet
from tests.functional import tgt_daemon

HELPERS = {
    'lioadm': {'target_helper': 'lioadm', 'target_port': 3260},
    'nvmet': {**test_nvmet.NvmetTestCase.nvmet_settings,
              'target_port': 4420},
    'tgtadm': {'target_helper': 'tgtadm', 'target_port': tgt_daemon.PORT},
}
CONNECTOR = {'initiator': 'iqn.1993-08.org.debian:01:benchmark',
             'nqn': 'nqn.2014-08.org.nvmexpress:uuid:'
                    '11111111-2222-3333-4444-555555555555',
             'host': 'benchmark', 'ip': '127.0.0.1', 'multipath': False}
_BARE = {'lioadm': bare_targets.lio, 'nvmet': bare_targets.nvmet,
         'tgtadm': bare_targets.tgt}


def start_tgtd(section_class):
    """Have a tgtd, for both drivers, until a section ends."""
    daemon = tgt_daemon.Daemon(section_class.root)
    section_class.root.run('tee', tgt_daemon.CONFIGURATION,
                           text='include /var/lib/cinder/volumes/*\n')
    section_class.addClassCleanup(daemon.kill)
    daemon.start()


class Targets(section.Section):
    """What the storage node does for an attachment, beside other targets."""

    pv_sizes = (8 * base.GIB,)

    def measure(self, others, rounds, in_tree_rounds):
        start_tgtd(type(self))
        neighbours = None
        for helper, settings in HELPERS.items():
            # The in-tree one of nvmet needs a library that Debian lacks.
            in_tree = 0 if helper == 'nvmet' else in_tree_rounds
            drivers = self.drivers(in_tree, **settings)
            ours = drivers[section.OURS]
            if neighbours is None:
                neighbours = self.populated(others)
            for each in neighbours:
                self.export(ours, each, CONNECTOR)
            volume = self.volume()
            ours.create_volume(volume)
            for name, subject in self.turns(rounds, in_tree):
                with self.recording(f'attach and detach, {helper}', subject,
                                    others):
                    if name == section.BARE:
                        _BARE[helper](self.root, self.device(volume.name),
                                      CONNECTOR, settings['target_port'] + 1)
                    else:
                        self.serve(drivers[name], volume)
            for each in neighbours:
                ours.remove_export(self.context, each)
            ours.delete_volume(volume)

    def serve(self, driver, volume):
        """Export a volume, admit a host and remove it, unexport it."""
        self.export(driver, volume, CONNECTOR)
        driver.initialize_connection(volume, CONNECTOR)
        driver.terminate_connection(volume, CONNECTOR)
        driver.remove_export(self.context, volume)
