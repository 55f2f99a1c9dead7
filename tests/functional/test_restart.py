# SPDX-License-Identifier: Apache-2.0
"""Attached volumes whose targets are lost, one of them and at a reboot.

Twenty volumes take the emulated machine long; that many are lost with::

    tools/testvm --share RESULTS --disk 64G --env RESTART_VOLUMES=20 -- \\
        tests/functional/run VENV RESULTS RestartTest

On 2026-11-28 that passed over LIO, nvmet and tgtd, in three to five minutes
each.
"""

import contextlib
import os
import re

from tests.functional import base
from tests.functional import initiator
from tests.functional import test_attach
from tests.functional import test_nvmet
from tests.functional import test_tgt

VOLUMES = int(os.environ.get('RESTART_VOLUMES', 3))
# open-iscsi's default; the test machine's is shorter, to fail sooner.
RECOVERY_SECONDS = 120
# A host with Linux 6.11 or later gives a subsystem up that is not there when
# it comes back, so that it is to come back later than it would by default.
RECONNECT_SECONDS = 30


class RestartCases:
    """Give ``lose(volume)`` and ``identities()`` beside the attach cases."""

    seconds = 10 + 10 * VOLUMES

    def wait_longer(self):
        """Have the initiator wait for its targets as hosts do."""

    def logins_held(self):
        """Keep hosts from coming back too early."""
        return contextlib.nullcontext()

    def test_io_goes_on(self):
        volumes = [self.export() for _ in range(VOLUMES)]
        with contextlib.ExitStack() as stack:
            paths = [stack.enter_context(
                self.host.connected(self.attach(volume)))[1]
                for volume in volumes]
            self.wait_longer()
            io = stack.enter_context(self.writing(paths))
            io.wait_for_more('at the start')
            before = self.identities()
            self.assertEqual(VOLUMES, len(before))
            with self.logins_held():
                self.lose(volumes[VOLUMES // 2])
                self.driver.update_provider_info(volumes, [])
            io.wait_for_more('after one target was lost')
            after = self.identities()
            self.assertEqual(set(before), set(after))
            self.assertEqual(
                1, sum(before[name] != after[name] for name in before),
                'targets that were whole were made anew')
            with self.logins_held():
                self.forget_targets()
                base.wait_until(self.is_deactivated, 'nobody has an LV open')
                self.driver.update_provider_info(volumes, [])
            io.wait_for_more('after a reboot')
            restored = self.identities()
            self.assertEqual(set(before), set(restored))
            for volume in volumes:
                self.driver.ensure_export(self.context, volume)
            self.assertEqual(restored, self.identities())

    def is_deactivated(self):
        # LVM would wait for the disks of the lost targets.
        loops = 'devices/filter=["a|^/dev/loop|", "r|.*|"]'
        return not self.root.try_run('vgchange', '-an', '--config', loops,
                                     self.vg_name).code

    def inodes(self, folder, pattern):
        """Return the identities of directories of configfs, by name."""
        found = self.root.run('find', folder, '-mindepth', 1, '-maxdepth', 1,
                              '-name', pattern, '-printf', '%f %i\\n')
        return dict(line.split() for line in found.splitlines())


class ISCSIRestartCases(RestartCases):

    pv_sizes = (6 * base.GIB,)

    def wait_longer(self):
        self.root.run(
            'bash', '-c', 'for file in /sys/class/iscsi_session/*/'
            f'recovery_tmo; do echo {RECOVERY_SECONDS} > $file; done')

    def logins_held(self):
        return initiator.logins_held(self.root)

    def lose(self, volume):
        self.driver.remove_export(self.context, volume)


class LioRestartTest(ISCSIRestartCases, test_attach.AttachTestCase):

    def identities(self):
        return self.inodes(f'{test_attach.CONFIGFS}/iscsi', 'iqn.*')


class NvmetRestartTest(RestartCases, test_nvmet.NvmetTestCase):

    pv_sizes = (6 * base.GIB,)

    def wait_longer(self):
        self.root.run(
            'bash', '-c', 'for file in /sys/class/nvme/*/reconnect_delay; '
            f'do echo {RECONNECT_SECONDS} > $file; done')

    def lose(self, volume):
        # A host that sees its namespace go gives the disk up; one that
        # loses the connection first waits for it.
        nqn = volume.provider_location.split(' ')[2]
        self.root.run(
            'bash', '-c', f'cd {test_nvmet.CONFIGFS} && '
            f'rm ports/*/subsystems/{nqn} && cd subsystems/{nqn} && '
            'rm allowed_hosts/* && rmdir namespaces/* && rmdir $PWD')

    def identities(self):
        return self.inodes(f'{test_nvmet.CONFIGFS}/subsystems', 'nqn.iqn*')


@base.slow
class TgtRestartTest(ISCSIRestartCases, test_tgt.TgtTestCase):

    def identities(self):
        """Return the numbers of each target's sessions."""
        shown = self.daemon.try_ask('target').stdout
        # What tgtd says of a target that lets everybody in.
        self.assertNotIn('ALL', shown)
        return {block.split(None, 2)[1]: re.findall(r'I_T nexus: (\d+)', block)
                for block in re.split(r'(?m)^Target ', shown)[1:]}
