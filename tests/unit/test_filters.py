# SPDX-License-Identifier: Apache-2.0
"""The filter file allows the driver's own program, and nothing else.

rootwrap's own classes judge.
"""

import pathlib
import shutil
import tempfile

import ddt
import fixtures
from oslo_rootwrap import filters as rootwrap_filters
from oslo_rootwrap import wrapper

from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import verbs
from tests.fakes import backend

FILE = (pathlib.Path(__file__).parents[2]
        / 'etc/cinder/rootwrap.d/lvm-driver.filters')
SOCKET = '/tmp/tmp1/privsep.sock'


@ddt.ddt
class TestFilters(backend.BackendTestCase):

    def setUp(self):
        super().setUp()
        folder = tempfile.mkdtemp()
        shutil.copy(FILE, folder)
        # rootwrap adds a filter of its own for privsep-helper.
        self.filters = [
            each for each in wrapper.load_filters([folder])
            if each.name.startswith('lvm-driver')]
        # What this machine has installed is of no matter.
        self.useFixture(fixtures.MockPatchObject(
            rootwrap_filters.CommandFilter, 'get_exec',
            lambda self, exec_dirs=None: self.exec_path))

    def allows(self, argv):
        """Return the name of the filter that allows a command, or None."""
        try:
            return wrapper.match_filter(self.filters, list(argv)).name
        except wrapper.NoFilterMatched:
            return None

    def test_what_the_driver_starts(self):
        self.make_driver()
        started = [argv[argv.index(naming.ROOT_PROGRAM):] for argv in (
            *self.machine.started,
            tuple(verbs.context.helper_command(SOCKET)))]
        started.append((naming.ROOT_PROGRAM, 'check'))
        self.assertEqual({each.name for each in self.filters},
                         {self.allows(argv) for argv in started})

    @ddt.data(
        (), ('commands', 'x'), ('commands', '/tmp/rootwrap.conf'), ('verbs',),
        ('verbs', '/etc/shadow'), ('verbs', SOCKET, '--config-file', '/x'),
        ('verbs', '--config-file', SOCKET), ('--config-file', '/tmp/x'),
        ('verbs', 'x y' + SOCKET))
    def test_other_arguments(self, arguments):
        self.assertIsNone(self.allows((naming.ROOT_PROGRAM, *arguments)))

    @ddt.data(
        ('dd', 'of=/etc/sudoers.d/x'), ('lvs',), ('env', 'LC_ALL=C', 'lvs'),
        ('/tmp/cinder-lvm-root', 'check'), ('sh',), ('privsep-helper',),
        ('oslo-rootwrap-daemon', '/etc/cinder/rootwrap.conf'))
    def test_other_programs(self, argv):
        self.assertIsNone(self.allows(argv))
