# SPDX-License-Identifier: Apache-2.0
"""The rootwrap daemons of a driver end at any time, and it goes on."""

from cinder_lvm_driver import naming

from tests.functional import base


class DaemonTest(base.TestCase):
    pv_sizes = (256 * base.MIB,)

    @classmethod
    def share_daemons(cls, runner):
        """Have the driver start its own: that is what is tested."""

    def daemons(self):
        return set(self.root.try_run(
            'pgrep', '-f', f'{naming.ROOT_PROGRAM} commands').stdout.split())

    def test_daemon_that_has_ended(self):
        """One also ends by itself when nobody asks it for a while."""
        others = self.daemons()
        driver = self.make_driver(lvm_type='default')
        # Its connection does not keep it, and it ends in an orderly way.
        for signal in 'INT', 'KILL':
            ended = self.daemons() - others
            self.assertTrue(ended)
            self.root.try_run('kill', f'-{signal}', *ended)
            base.wait_until(lambda ended=ended: not ended & self.daemons(),
                            'the daemons have ended')
            self.assertEqual(1, len(driver.get_volume_stats(True)['pools']))
