# SPDX-License-Identifier: Apache-2.0
"""A hostile user of cinder-volume, with the sudo rights of a deployment.

Cinder's own filter files are taken away: they give root by themselves.
"""

import contextlib
import glob
import os
import subprocess
import tempfile

from cinder.image import image_utils
from cinder import privsep as cinder_privsep
from cinder import utils as cinder_utils
from oslo_privsep import daemon as privsep_daemon

from cinder_lvm_driver import devices
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import chap
from cinder_lvm_driver.privileged import device_mapper
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import lending
from cinder_lvm_driver.privileged import lio
from cinder_lvm_driver.privileged import listening
from cinder_lvm_driver.privileged import nvmet
from cinder_lvm_driver.privileged import nvmet_report
from cinder_lvm_driver.privileged import verbs
from cinder_lvm_driver import process

from tests.functional import base
from tests.functional import fixtures
from tests.functional import test_images

MIB = base.MIB
FILTERS = '/etc/cinder/rootwrap.d'
SUDOERS = '/etc/sudoers.d/cinder'
CONFIGURATION = '/etc/cinder/cinder.conf'
HELPER = f'privsep-helper --config-file {CONFIGURATION}'
IQN = 'iqn.2010-10.org.openstack:volume-1'
NQN = 'nqn.2014-08.org.nvmexpress:volume-1'
SERIAL = '11111111-2222-4333-8444-555555555555'
HOST_VG = 'host-vg'
NEW_FILE = '/etc/sudoers.d/hostile'


class HostileTestCase(base.BackendTestCase):
    """A host with Cinder's VG, and one of its own."""

    pv_sizes = (4 * base.GIB,)

    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(only_our_filters())
        super().setUpClass()
        cls.enterClassContext(fixtures.volume_group(
            cls.root, HOST_VG, (64 * MIB,)))
        cls.root.run('lvcreate', '-qq', '-y', '-L', '16M', '-n', 'secret',
                     HOST_VG)

    @classmethod
    def share_daemons(cls, runner):
        """Have the driver start its own, with the filters as they are."""
        verbs.context.stop()

    def setUp(self):
        super().setUp()
        self.secret = f'/dev/{HOST_VG}/secret'
        before = self.checksum(self.secret)
        self.addCleanup(lambda: self.assertEqual(
            before, self.checksum(self.secret)))
        self.addCleanup(lambda: self.assertNotEqual(
            0, self.root.try_run('test', '-e', NEW_FILE).code))


@contextlib.contextmanager
def only_our_filters():
    """Take Cinder's own filter files away."""
    root = base.agent()
    folder = root.run('mktemp', '-d').strip()
    others = [path for path in glob.glob(f'{FILTERS}/*')
              if not path.endswith('lvm-driver.filters')]
    root.run('mv', *others, folder)
    try:
        yield
    finally:
        root.run('bash', '-c', f'mv {folder}/* {FILTERS}; rmdir {folder}')


class CommandsTest(HostileTestCase):

    def test_through_cinder_rootwrap(self):
        for argv in (
                ('dd', 'if=/dev/zero', f'of={NEW_FILE}', 'count=1'),
                ('ionice', '-c3', 'dd', f'of={NEW_FILE}'),
                ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
                 'LVM_SYSTEM_DIR=/tmp', 'lvs'),
                ('oslo-rootwrap-daemon', '/etc/cinder/rootwrap.conf'),
                ('mount', '/dev/sda', '/mnt'),
                (naming.ROOT_PROGRAM, 'commands', '/tmp/rootwrap.conf'),
                (naming.ROOT_PROGRAM, 'verbs', '/etc/shadow')):
            with self.subTest(argv=argv):
                done = subprocess.run(
                    [*cinder_utils.get_root_helper().split(), *argv],
                    capture_output=True, text=True,
                    env={**os.environ, 'MODPROBE_OPTIONS': '-C /tmp/x',
                         'PYTHONPATH': '/tmp', 'LVM_SYSTEM_DIR': '/tmp'})
                self.assertEqual(99, done.returncode, done.stderr)

    def test_through_the_daemon(self):
        volume = self.create()
        own = self.device(volume.name)
        link = tempfile.mktemp(dir='/dev/shm')
        os.symlink(own, link)
        self.addCleanup(os.remove, link)
        lvm = command._environment('/etc/lvm')
        name = f'{self.vg_name}/{volume.name}'
        copy = ('bs=1M', 'count=4096', 'iflag=count_bytes,direct',
                'oflag=direct', 'conv=nocreat,fsync')
        run = self.driver.runner.run
        # This is what must not fail for another reason.
        run(*lvm, 'lvchange', '--refresh', name)
        run('dd', f'if={own}', f'of={own}', *copy)
        for argv in (
                # Other devices and files.
                ('dd', f'if={self.secret}', f'of={own}', *copy),
                ('dd', f'if={own}', f'of={self.secret}', *copy),
                ('dd', f'if={own}', 'of=/dev/mapper/host--vg-secret', *copy),
                ('dd', 'if=/etc/shadow', f'of={own}', *copy),
                ('dd', f'if={own}', f'of={NEW_FILE}', *copy),
                ('dd', f'if={own}', f'of={link}', *copy),
                ('dd', f'if={own}', f'of=/dev/{self.vg_name}/../sda', *copy),
                ('dd', 'if=/dev/mem', f'of={own}', *copy),
                ('blkdiscard', '--zeroout', '--force', '--offset', '0',
                 '--length', '512', '--step', '512', self.secret),
                # Programs that LVM runs, files that it writes.
                *((*lvm, program, *words, name)
                  for program in ('lvchange', 'lvextend')
                  for words in (
                      ('--config', 'global{thin_check_executable="/tmp/x"}'),
                      ('--config', 'global{fsadm_executable="/tmp/x"}'),
                      ('--config', f'log{{file="{NEW_FILE}"}}'),
                      ('--conf', f'log/file="{NEW_FILE}"'),
                      ('--refresh', '--conf', f'log/file="{NEW_FILE}"'),
                      ('--profile', '/tmp/x'), ('--commandprofile', 'x'),
                      ('--metadataprofile', 'x'), ('--logfile', NEW_FILE),
                      ('--devicesfile', '/tmp/x'), ('-r', '-l', '+1'),
                      ('--size', '1b', '-r'))),
                *(('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
                   f'LVM_SYSTEM_DIR={folder}', 'lvchange', '--refresh', name)
                  for folder in ('/tmp', '/var/lib/cinder', '/dev/shm',
                                 '/etc/lvm/../../tmp')),
                # LVs of other VGs, PVs that this user has made.
                (*lvm, 'lvremove', '--force', f'{HOST_VG}/secret'),
                (*lvm, 'lvrename', HOST_VG, 'secret', 'volume-1'),
                (*lvm, 'lvchange', '--activate', 'n', f'{HOST_VG}/secret'),
                (*lvm, 'lvcreate', '--yes', '--snapshot', '--size', '4194304b',
                 '--name', 'x', f'{HOST_VG}/secret'),
                (*lvm, 'lvs', '--devices', own, '--reportformat', 'json',
                 '--units', 'b', '--nosuffix', '-o', 'lv_name', self.vg_name),
                (*lvm, 'lvchange', '--devices', f'/dev/sda,{link}',
                 '--refresh', name),
                # Other programs.
                (*lvm, 'sh', '-c', 'id'), ('sh', '-c', 'id'),
                ('ionice', '-c3', 'sh'), ('cgexec', '-g', 'blkio:x', 'sh'),
                ('qemu-img', 'convert', '/etc/shadow', own),
                ('prlimit', '--as=5', 'sh'), ('modprobe', 'loop'),
                ('modprobe', 'nvmet', 'x=1'), ('modprobe', '-C', '/tmp/x',
                                               'nvmet'),
                ('mount', '/dev/sda', '/mnt'), ('privsep-helper',)):
            with self.subTest(argv=argv):
                self.assertRaises(process.CommandRefused, run, *argv)

    def test_image_that_is_a_link(self):
        volume = self.create()
        device = naming.device_mapper_path(self.vg_name, volume.name)
        link = '/var/lib/cinder/conversion/image_fetch_link'
        os.symlink('/etc/shadow', link)
        self.addCleanup(os.remove, link)
        writer = devices.DeviceWriter(self.driver.settings,
                                      self.driver.runner)
        with lending.lent(device), self.assert_raises_with(
                process.CommandFailed, 'Permission denied'):
            writer.write_image(link, 'raw', device)


class VerbsTest(HostileTestCase):

    def test_devices(self):
        own = self.device(self.create().name)
        link = tempfile.mktemp(dir='/dev/shm')
        os.symlink(own, link)
        self.addCleanup(os.remove, link)
        portals = (listening.Portal('127.0.0.1', 3260),)
        for path in (self.secret, '/dev/mapper/host--vg-secret', link,
                     '/etc/shadow', '/dev/vda', '/dev/mem', f'{own}/../../sda',
                     f'/dev/{self.vg_name}/../{HOST_VG}/secret'):
            for verb, arguments in (
                    (lio.create_target, {
                        'target_iqn': IQN, 'device': path, 'serial': SERIAL,
                        'portals': portals, 'initiators': (), 'mode': 'create',
                        'chap': chap.Chap('name', 'secret')}),
                    (nvmet.create_subsystem, {
                        'subsystem_nqn': NQN, 'device': path, 'uuid': SERIAL,
                        'nsid': 1, 'hosts': (), 'portals': (),
                        'first_port_id': 1, 'mode': 'create'}),
                    (lending._lend, {'path': path, 'user': os.getuid()})):
                with self.subTest(path=path, verb=verb.__name__):
                    self.assertRaises(
                        (errors.InvalidArgument, errors.DeviceNotUsable),
                        verb, **arguments)
        with self.assertRaises(errors.InvalidArgument):
            device_mapper.stack('../x')
        self.assertFalse(os.access(own, os.R_OK))

    def test_functions_that_are_no_verbs(self):
        nvmet_report.list_subsystems()
        channel = verbs.context.channel
        for name in ('os.system', 'subprocess.check_output', 'os.chmod',
                     'shutil.copy', 'builtins.exec', 'oslo_config.cfg.CONF',
                     'cinder_lvm_driver.privileged.configfs.Directory',
                     'cinder_lvm_driver.privileged.ownership.serve_root',
                     'cinder_lvm_driver.privileged.program.main',
                     'os_brick.privileged.rootwrap.execute_root'):
            with self.subTest(name=name):
                self.assertRaises(
                    (NameError, privsep_daemon.ProtocolError, ImportError),
                    channel.remote_call, name, (f'id > {NEW_FILE}',), {},
                    None)

    def test_loan(self):
        device = self.device(self.create().name)
        self.assertFalse(os.access(device, os.W_OK))
        with lending.lent(device):
            self.assertTrue(os.access(device, os.R_OK | os.W_OK))
            self.root.run('udevadm', 'trigger', '--settle', '--action=change',
                          device)
            self.assertTrue(os.access(device, os.R_OK | os.W_OK))
        self.assertFalse(os.access(device, os.R_OK))


class ConfigurationTest(HostileTestCase):
    """What a file below /etc/cinder of this user gives."""

    def setUp(self):
        super().setUp()
        path = '/etc/cinder/hostile.conf'
        self.root.run('install', '-o', 'cinder', '-m', '600', '/dev/null',
                      path)
        self.addCleanup(self.root.run, 'rm', path)
        with open(path, 'w') as file:
            file.write(f'volume_group = {HOST_VG}\n')

    def refresh(self):
        return self.driver.runner.run(
            *command._environment('/etc/lvm'), 'lvchange', '--refresh',
            f'{HOST_VG}/secret')

    def test_vg_that_the_host_does_not_use(self):
        self.refresh()

    def test_name_that_is_an_option(self):
        option = f'--config=log{{file="{NEW_FILE}"}}'
        with open('/etc/cinder/hostile.conf', 'a') as file:
            file.write(f'volume_group = {option}\n')
        self.assertRaises(
            process.CommandRefused, self.driver.runner.run,
            *command._environment('/etc/lvm'), 'lvs', '--reportformat',
            'json', '--units', 'b', '--nosuffix', '-o', 'lv_name', option)

    def test_vg_of_the_host_itself(self):
        self.root.run('lvcreate', '-qq', '-y', '-L', '16M', '-n', 'home',
                      HOST_VG)
        self.addCleanup(self.root.run, 'lvremove', '-qq', '-f',
                        f'{HOST_VG}/home')
        with base.mounted(self.root, f'/dev/{HOST_VG}/home'):
            self.assertRaises(process.CommandRefused, self.refresh)
            self.assertRaises(errors.DeviceNotUsable, lending._lend,
                              f'/dev/{HOST_VG}/home', os.getuid())


@contextlib.contextmanager
def hardened():
    """Follow the recipe of the manual, for sudoers and cinder.conf."""
    root = base.agent()
    for path in SUDOERS, CONFIGURATION:
        root.run('cp', '-a', path, f'{path}.before')
    root.run('sed', '-i', r's#\(\S*rootwrap.*rootwrap\.conf\) \*$#'
             rf'\1 {naming.ROOT_PROGRAM} *, '
             r'\1 env LC_ALL\\=C qemu-img info *#', SUDOERS)
    root.run('tee', '-a', CONFIGURATION, text=(
        f'[cinder_sys_admin]\nhelper_command = {HELPER}\ncapabilities =\n'))
    cinder_privsep.sys_admin_pctxt.stop()
    base.CONF.set_override('helper_command', HELPER, 'cinder_sys_admin')
    try:
        yield
    finally:
        base.CONF.clear_override('helper_command', 'cinder_sys_admin')
        cinder_privsep.sys_admin_pctxt.stop()
        for path in SUDOERS, CONFIGURATION:
            root.run('mv', f'{path}.before', path)


class Hardened(test_images.ImageVerbs):
    """The recipe of the manual: no other program, no filter of Cinder."""

    disk_formats = ('raw', 'qcow2')

    @classmethod
    def setUpClass(cls):
        cls.enterClassContext(hardened())
        super().setUpClass()
        path = f'{FILTERS}/qemu-img.filters'
        root = base.agent()
        root.run('tee', path, text=(
            '[Filters]\nqemu-img: EnvFilter, env, cinder, LC_ALL=C, '
            'qemu-img\n'))
        cls.addClassCleanup(root.run, 'rm', path)

    def check_blocks(self, volume):
        """Other tests do."""

    def test_other_programs(self):
        for argv in (('privsep-helper', '--config-file', '/tmp/x'),
                     ('oslo-rootwrap-daemon', '/etc/cinder/rootwrap.conf')):
            done = subprocess.run(
                [*cinder_utils.get_root_helper().split(), *argv],
                capture_output=True, text=True, stdin=subprocess.DEVNULL)
            self.assertEqual(1, done.returncode, done)
            self.assertIn('password', done.stderr)

    def test_image_is_inspected_without_root(self):
        """Cinder asks root for it before it calls the driver."""
        _id, path = self.image('qcow2')
        self.root.run('qemu-img', 'create', '-f', 'qcow2', path, '8M')
        self.assertEqual(
            8 * MIB, image_utils.qemu_img_info(path).virtual_size)
        done = subprocess.run(
            [*cinder_utils.get_root_helper().split(), 'env', 'LC_ALL=C',
             'qemu-img', 'info', '/etc/shadow'],
            capture_output=True, text=True, stdin=subprocess.DEVNULL)
        self.assertEqual(1, done.returncode, done)
        self.assertIn('Permission denied', done.stderr)

    def test_verbs(self):
        volume = self.create_small()
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.driver.revert_to_snapshot(self.context, volume, snapshot)
        self.driver.create_export(self.context, volume, {})
        self.driver.remove_export(self.context, volume)
        self.driver.delete_snapshot(snapshot)
        self.driver.get_volume_stats(refresh=True)


@base.slow
class HardenedThickTest(Hardened, HostileTestCase):
    settings = {'lvm_type': 'default'}
    pv_sizes = (base.GIB,)


@base.slow
class HardenedThinTest(Hardened, HostileTestCase):
    settings = {'lvm_type': 'thin'}
    pv_sizes = (base.GIB,)
