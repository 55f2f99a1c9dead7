# SPDX-License-Identifier: Apache-2.0
"""A tgtd for tests, on a port that LIO does not use."""

import re

from tests.functional import base
from tests.functional import initiator

PORT = 3262
CONFIGURATION = '/etc/tgt/conf.d/cinder-lvm-driver-test.conf'


class Daemon:
    """The daemon of this machine, as root's agent runs it."""

    def __init__(self, root):
        self._root = root
        self._pid = None

    def start(self):
        """Start it without any target, and wait until it answers."""
        self._pid = self._root.run(
            'bash', '-c',
            f'setsid tgtd -f --iscsi portal=127.0.0.1:{PORT} '
            '>> /var/log/tgtd.log 2>&1 < /dev/null & echo $!').strip()
        base.wait_until(lambda: not self.try_ask('sys').code,
                        'tgtd answers')

    def kill(self):
        """Let it die with everything that it knows."""
        if self._pid:
            self._root.run('kill', '-9', self._pid)
            base.wait_until(
                lambda: self._root.try_run('kill', '-0', self._pid).code,
                'tgtd has ended')
            self._pid = None

    def restart(self):
        self.kill()
        self.start()

    def restart_as_service(self):
        """Let it die, and do what Debian's tgt.service does at a start.

        Hosts log in when that is done.
        """
        with initiator.logins_held(self._root):
            self.restart()
            state = ('tgtadm', '--op', 'update', '--mode', 'sys', '--name',
                     'State', '-v')
            self._root.run(*state, 'offline')
            self._root.run('tgt-admin', '-e', '-c', '/etc/tgt/targets.conf')
            self._root.run(*state, 'ready')

    def try_ask(self, mode):
        return self._root.try_run('tgtadm', '--lld', 'iscsi', '--op', 'show',
                                  '--mode', mode)

    def targets(self):
        """Return the IQNs of all targets."""
        return re.findall(r'^Target \d+: (\S+)$',
                          self.try_ask('target').stdout, re.M)

    def accounts(self):
        """Return the names of all accounts."""
        return self.try_ask('account').stdout.split()[2:]
