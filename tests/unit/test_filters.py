# SPDX-License-Identifier: Apache-2.0
"""The filter file allows what the driver runs as root, and no more.

rootwrap's own classes judge. That the list of commands is complete, the
functional tests prove: they run under this filter file and no other.
"""

import itertools
import pathlib
import re
import shutil
import tempfile
from unittest import mock

from cinder.volume import throttling
import ddt
import fixtures
from oslo_privsep import priv_context
from oslo_rootwrap import filters as rootwrap_filters
from oslo_rootwrap import wrapper

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import devices
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver import privileged
from cinder_lvm_driver.privileged import configfs
from cinder_lvm_driver.targets import lio
from tests.fakes import backend
from tests.unit import test_devices

FILE = (pathlib.Path(__file__).parents[2]
        / 'etc/cinder/rootwrap.d/lvm-driver.filters')
ENVIRONMENT = ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
               'LVM_SYSTEM_DIR=/etc/lvm')
DAEMON = ('oslo-rootwrap-daemon', '/etc/cinder/rootwrap.conf')
HELPER = ('privsep-helper', '--config-file', '/etc/cinder/cinder.conf',
          '--privsep_context', 'cinder_lvm_driver.privileged.context',
          '--privsep_sock_path', '/tmp/tmp1/privsep.sock')
IMAGE = ('prlimit', '--as=5', 'qemu-img', 'convert', '-n',
         '--target-is-zero', '-t', 'none', '-O', 'raw', '-f', 'qcow2',
         '/var/lib/cinder/conversion/image_fetch_1_2',
         '/dev/mapper/vg-volume--1')
DD = ('dd', 'if=/a', 'of=/b', 'count=1', 'bs=1M')


class FilterTestCase(backend.BackendTestCase):

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


class TestAllowed(FilterTestCase):

    def commands(self):
        """Return every kind of command that the driver runs as root."""
        self.run_volume_verbs()
        self.run_copies()
        self.run_modprobe()
        return [*self.machine.as_root, *(
            argv[argv.index('oslo-rootwrap-daemon'):]
            for argv in self.machine.started), self.privsep_helper()]

    def run_volume_verbs(self):
        for lvm_type in ('default', 'thin'):
            driver = self.construct(lvm_type=lvm_type)
            driver.check_for_setup_error()
            volume, copy = self.volume(), self.volume(2)
            snapshot = self.snapshot(volume)
            driver.create_volume(volume)
            driver.create_snapshot(snapshot)
            driver.create_volume_from_snapshot(copy, snapshot)
            driver.extend_volume(volume, 2)
            driver.revert_to_snapshot(self.context, volume, snapshot)
            driver.vg.reduce_volume(copy.name, backend.GIB)
            driver.vg.rename_volume(copy.name, lvm_type)
            driver.create_export(self.context, volume, None)
            with mock.patch.object(blockdev, 'why_not_lv', lambda path: 'x'):
                self.assertRaises(lvm.DeviceNodeWrong,
                                  driver.vg.ensure_nodes, volume.name)
            driver.get_volume_stats(refresh=True)
            driver.delete_snapshot(snapshot)
            driver.delete_volume(volume)

    def run_copies(self):
        runner = mock.Mock()
        lv = self.lvm.add('volume-1')
        for ionice, limit, attribute in itertools.product(
                (None, '-c3', '-c2 -n7'), (None, test_devices.Throttle()),
                (0, 1)):
            self.machine.write_zeroes_max_bytes = attribute
            writer = devices.DeviceWriter(
                mock.Mock(volume_clear_size=0, dd_blocksize='1M', wipe_rate=0,
                          volume_clear_ionice=ionice), runner)
            with mock.patch.object(throttling.Throttle, 'DEFAULT', limit):
                writer.copy(f'/dev/vg/{lv.name}', f'/dev/vg/{lv.name}', 5,
                            sparse=True)
                writer.wipe(f'/dev/vg/{lv.name}')
                writer.zero_from(f'/dev/vg/{lv.name}', 5)
                writer.write_image(IMAGE[-2], 'qcow2', IMAGE[-1])
        self.machine.as_root += [
            call.args for call in runner.run_long.mock_calls]

    def run_modprobe(self):
        self.machine.as_root += [
            ('modprobe', module) for module in (
                *lio._MODULES, 'nvmet', 'nvmet_tcp', 'nvmet_rdma')]
        self.machine.as_root += [
            ('mount', '-t', 'configfs', 'configfs', configfs.MOUNT),
            ('ss', '-Hltnp', 'sport = :3260')]

    def privsep_helper(self):
        """Return the command that starts the daemon of our context."""
        conf = mock.Mock(config_file=['/etc/cinder/cinder.conf'],
                         config_dir=None)
        with mock.patch.object(priv_context.cfg, 'CONF', conf), \
                mock.patch.object(priv_context.PrivContext, 'conf',
                                  mock.Mock(helper_command=None)), \
                mock.patch.object(priv_context, '_HELPER_COMMAND_PREFIX', []):
            return tuple(privileged.context.helper_command(HELPER[-1]))

    def test_what_the_driver_runs(self):
        commands = self.commands()
        for argv in commands:
            self.assertIsNotNone(self.allows(argv), argv)

    def test_no_filter_is_superfluous(self):
        used = {self.allows(argv) for argv in self.commands()}
        self.assertEqual({each.name for each in self.filters}, used)

    def test_every_program_of_lvm_is_among_them(self):
        named = set()
        for path in pathlib.Path(lvm.__file__).parent.glob('*.py'):
            named |= set(re.findall(r"'((?:lv|vg|pv)[a-z]+)', ",
                                    path.read_text()))
        # These the driver runs as itself.
        self.assertEqual(named - {'lvm', 'lvmconfig'},
                         {argv[4] for argv in self.commands()
                          if argv[0] == 'env'})


@ddt.ddt
class TestRefused(FilterTestCase):

    @ddt.data(*(each for name in ('lvs', 'vgs', 'lvcreate', 'lvextend',
                                  'lvremove', 'lvrename', 'lvchange',
                                  'lvconvert', 'vgmknodes')
                for each in ((name, 'vg'), ('env', 'X=1', name, 'vg'),
                             ('env', 'LC_ALL=C', name, 'vg'),
                             (*ENVIRONMENT, 'LD_PRELOAD=/tmp/x', name, 'vg'))))
    def test_lvm_in_another_environment(self, argv):
        self.assertIsNone(self.allows(argv))

    @ddt.data((*ENVIRONMENT, 'sh', '-c', 'true'), (*ENVIRONMENT, 'lvm'),
              (*ENVIRONMENT, 'vgremove', 'vg'), (*ENVIRONMENT, 'pvs'),
              (*ENVIRONMENT, '/tmp/lvs'), ENVIRONMENT, ('sh',), ('env',))
    def test_other_programs(self, argv):
        self.assertIsNone(self.allows(argv))

    @ddt.data(DAEMON[:1], (DAEMON[0], '/tmp/x'), (*DAEMON, '/tmp/x'),
              (DAEMON[0], '/etc/cinder/rootwrap_conf'),
              (DAEMON[0], '/etc/cinder/rootwrap.conf/../../../tmp/x'),
              ('/tmp/oslo-rootwrap-daemon', DAEMON[1]))
    def test_daemon_with_another_configuration(self, argv):
        self.assertIsNotNone(self.allows(DAEMON))
        self.assertIsNone(self.allows(argv))

    @ddt.data((4, 'os_brick.privileged.default'), (4, 'cinder_lvm_driver'),
              (4, 'cinder_lvm_driverXprivileged.context'),
              (2, '/tmp/cinder.conf'), (2, '/etc/../tmp/cinder.conf'),
              (2, '/etc/cinder/../../tmp/cinder.conf'),
              (6, '/tmp/../etc/shadow'), (6, '/etc/x'), (3, '--config-dir'))
    @ddt.unpack
    def test_privsep_helper_with_other_arguments(self, position, word):
        argv = list(HELPER)
        self.assertIsNotNone(self.allows(argv))
        argv[position] = word
        self.assertIsNone(self.allows(argv))

    @ddt.data(('modprobe', 'nvmet_fc'), ('modprobe', '-r', 'iscsi_target_mod'),
              ('modprobe', 'target_core_mod', 'x=1'), ('modprobe',),
              ('modprobe', '-C', '/tmp/x', 'target_core_mod'),
              ('modprobe', 'target_core_mod_user'))
    def test_other_kernel_modules(self, argv):
        self.assertIsNone(self.allows(argv))

    @ddt.data(('ionice', '-c3', 'sh'), ('ionice', '-c4', *DD),
              ('ionice', *DD), ('ionice', '-p', '1'),
              ('cgexec', '-g', 'cpu:x', *DD),
              ('cgexec', '-g', 'blkio:x', 'sh'), ('cgexec', *DD))
    def test_other_programs_at_low_priority(self, argv):
        self.assertIsNone(self.allows(argv))

    @ddt.data((-1, '/dev/sda'), (-1, '/dev/mapper/../sda'), (11, 'vmdk'),
              (3, 'dd'), (-2, '/etc/shadow'), (4, '-S'), (2, 'sh'),
              (1, '--pid=1'), (1, '--as=5:'), (0, 'qemu-img'),
              (-2, '/x/../image_fetch_1'), (-2, '/image_fetch_1/../shadow'))
    @ddt.unpack
    def test_other_conversions_of_images(self, position, word):
        self.assertIsNotNone(self.allows(IMAGE))
        argv = list(IMAGE)
        argv[position] = word
        self.assertIsNone(self.allows(argv))

    def test_probe_is_refused_where_the_file_is_missing(self):
        """Cinder's own filters must not allow it, or it proves nothing."""
        stock = wrapper.build_filter(
            'CommandFilter', 'lvremove', 'root')
        self.filters = [stock]
        self.assertIsNone(self.allows(command.probe('/etc/lvm')))
