# SPDX-License-Identifier: Apache-2.0
"""``cinder-lvm check``: a line for each thing that an operator got wrong."""

import argparse
import contextlib
import io
import os
import re
import socket
import sys
from unittest import mock

from cinder.volume import manager

from cinder_lvm_driver.cmd import check
from cinder_lvm_driver.cmd import database
from tests.functional import base

CONF = base.CONF
MIB = base.MIB
ETC = '/etc/cinder'
FILTERS = f'{ETC}/rootwrap.d/lvm-driver.filters'
OURS = 'cinder_lvm_driver.driver.LVMVolumeDriver'
IN_TREE = 'cinder.volume.drivers.lvm.LVMVolumeDriver'
PROGRAM = ('import sys; from cinder_lvm_driver.cmd import main; '
           'sys.exit(main.main())')


class CheckTestCase(base.TestCase):
    """A test of the checks in this process, with the daemons of others."""

    seconds = 5
    pv_sizes = (256 * MIB,)
    settings = {'lvm_type': 'default'}
    daemons = staticmethod(base.daemons_shared)

    def setUp(self):
        super().setUp()
        self.enterContext(self.daemons())
        self.enterContext(mock.patch.object(
            database, 'Database', return_value=mock.Mock(
                volumes=[], lv_names=set())))

    def check(self, volume_driver=OURS, **settings):
        """Return the exit status and the lines of the checks."""
        config = self.configure(**{**self.settings, **settings})
        config.append_config_values(manager.volume_backend_opts)
        group = config.config_group
        CONF.set_override('volume_driver', volume_driver, group=group)
        CONF.set_override('enabled_backends', [group])
        self.addCleanup(CONF.clear_override, 'enabled_backends')
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = check.run(argparse.Namespace(backend=None))
        return code, out.getvalue().splitlines()

    def fails(self, pattern, **settings):
        """Fail unless exactly one line is a failure, and says this."""
        code, lines = self.check(**settings)
        failures = [line for line in lines if line.startswith('Failure')]
        self.assertEqual((2, 1), (code, len(failures)), '\n'.join(lines))
        self.assertRegex(failures[0], pattern)

    def warns(self, *patterns, **settings):
        """Fail unless there are warnings that say this, and no failure."""
        code, lines = self.check(**settings)
        self.assertEqual(1, code, '\n'.join(lines))
        for pattern in patterns:
            self.assertRegex('\n'.join(lines),
                             re.compile(f'^Warning .*{pattern}', re.M))

    @contextlib.contextmanager
    def away(self, path):
        """Take a file away."""
        self.root.run('mv', path, '/root/away')
        try:
            yield
        finally:
            self.root.run('mv', '/root/away', path)

    @contextlib.contextmanager
    def changed(self, path, *command):
        """Have a file changed by a command."""
        self.root.run('cp', '-a', path, '/root/copy')
        self.root.run(*command, path)
        try:
            yield
        finally:
            self.root.run('cp', '-a', '/root/copy', path)

    @contextlib.contextmanager
    def lvm_conf(self, text, devices=None):
        """Give another lvm.conf than that of the machine."""
        # Not below /tmp: LVM must not read what others than root can change.
        folder = self.root.run('mktemp', '-d', '-p', '/etc').strip()
        self.root.run('chmod', '755', folder)
        self.root.run('tee', f'{folder}/lvm.conf', text=text)
        if devices is not None:
            self.root.run('mkdir', f'{folder}/devices')
            self.root.run('tee', f'{folder}/devices/system.devices',
                          text=devices)
        yield f'{folder}/lvm.conf'
        self.root.run('rm', '-r', folder)

    def lvcreate(self, *arguments):
        self.root.run('lvcreate', '-qq', '-y', *arguments, self.vg_name)
        self.addCleanup(self.root.run, 'lvremove', '-qq', '-ff', '-y',
                        self.vg_name)


class NodeTest(CheckTestCase):
    """What is wrong with the node, whatever its back ends are."""

    def test_nothing_is_wrong(self):
        for volume_driver in OURS, IN_TREE:
            code, lines = self.check(volume_driver=volume_driver)
            self.assertEqual(0, code, lines)
            self.assertLess(10, len(lines))

    def test_no_filter_file(self):
        with self.away(FILTERS):
            self.fails('has no file lvm-driver.filters: copy /.* to '
                       f'{ETC}/rootwrap.d')

    def test_old_filter_file(self):
        with self.changed(FILTERS, 'sed', '-i', '/^lvm-driver-verbs:/d'):
            self.fails('lacks or changes lvm-driver-verbs: copy /')

    def test_filter_file_of_another_user(self):
        with self.changed(FILTERS, 'chown', 'cinder'):
            self.fails('Another user than root can change .*: run chown root')

    def test_no_rootwrap_conf(self):
        CONF.set_override('rootwrap_config', '/nowhere/rootwrap.conf')
        self.addCleanup(CONF.clear_override, 'rootwrap_config')
        self.fails('rootwrap filters: /nowhere/rootwrap.conf cannot be read')

    def test_no_udev(self):
        with self.away('/run/udev/control'):
            self.warns('udev does not answer.*: start systemd-udevd')

    def test_no_lvm(self):
        with self.away('/usr/sbin/lvm'):
            self.fails('node: LVM: .* was not found: install it')

    def test_file_that_the_service_cannot_read(self):
        with self.changed(f'{ETC}/cinder.conf', 'chmod', '600'):
            self.fails(f'User cinder cannot read {ETC}/cinder.conf: run chgr')

    def test_another_driver(self):
        self.fails('No enabled back end has volume_driver = cinder_lvm',
                   volume_driver='cinder.volume.drivers.rbd.RBDDriver')


class RootTest(CheckTestCase):
    """How user cinder becomes root; each test starts its own daemons."""

    daemons = contextlib.nullcontext

    def test_no_sudo(self):
        with self.away('/etc/sudoers.d/cinder'):
            self.fails('root access: sudo does not run cinder-rootwrap for '
                       'user cinder .*password.*NOPASSWD.*/etc/sudoers.d')

    def test_no_daemon(self):
        with self.changed(f'{ETC}/rootwrap.conf', 'sed', '-i',
                          's#^exec_dirs=[^,]*,#exec_dirs=#'):
            code, lines = self.check()
        self.assertLess(0, code)
        self.assertTrue(any(
            "root access: 'cinder-lvm-root' was not found: install it, and "
            'add its directory to exec_dirs' in line for line in lines),
            lines)


class VolumeGroupTest(CheckTestCase):
    """What is wrong with LVM's configuration, the VG and its PVs."""

    pv_sizes = (128 * MIB, 128 * MIB)

    def pvs(self):
        return self.root.run('vgs', '--noheadings', '-o', 'pv_name',
                             self.vg_name).split()

    @base.slow
    def test_no_such_vg(self):
        self.fails('volume group: VG nope was not found: create it with '
                   'vgcreate, or set option volume_group',
                   volume_group='nope')

    @base.slow
    def test_foreign_system_id(self):
        self.root.run('vgchange', '-qq', '-y', '--systemid', 'other-host',
                      self.vg_name)
        try:
            self.fails('system ID other-host.*lvmsystemid')
        finally:
            self.root.run(
                'vgchange', '-qq', '-y', '--systemid', '', '--config',
                'global{system_id_source="lvmlocal"} '
                'local{system_id="other-host"}', self.vg_name)

    @base.slow
    def test_exported(self):
        self.root.run('vgexport', '-qq', self.vg_name)
        try:
            self.fails('is exported.*vgimport')
        finally:
            self.root.run('vgimport', '-qq', self.vg_name)

    @base.slow
    def test_hidden_by_a_filter(self):
        with self.lvm_conf('devices{global_filter=["r|.*loop.*|"]}') as path:
            self.fails('filter in lvm.conf rejects: accept it there',
                       lvm_conf_file=path)

    @base.slow
    def test_hidden_by_the_devices_file(self):
        with self.lvm_conf('devices{use_devicesfile=1}',
                           'VERSION=1.1.1\n') as path:
            self.fails('devices file .* does not list: add it with lvmdev',
                       lvm_conf_file=path)

    def test_bad_lvm_conf(self):
        with self.lvm_conf('devices { filter = \n') as path:
            code, lines = self.check(lvm_conf_file=path)
        self.assertEqual(2, code)
        self.assertTrue(any(re.search(
            'Failure .* lvm.conf: LVM cannot read .*lvm.conf.*Correct', line)
            for line in lines), lines)

    @base.slow
    def test_volume_list(self):
        with self.lvm_conf('activation{volume_list=["other"]}') as path:
            self.fails('activates no LV of VG .*volume_list.*: add "',
                       lvm_conf_file=path)

    def test_settings_that_are_not_safe(self):
        with self.lvm_conf('activation{udev_sync=0} global{'
                           'thin_check_executable="/no/check"}') as path:
            self.warns('udev_sync is 0 .*: set it to 1',
                       'no /no/check: install thin-provisioning-tools',
                       lvm_conf_file=path)

    def test_lost_pv(self):
        lost = self.pvs()[1]
        file = self.root.run('losetup', '-n', '-O', 'BACK-FILE',
                             lost).strip()
        self.root.run('losetup', '-d', lost)
        self.root.run('udevadm', 'settle')
        try:
            self.fails('lacks the devices of PVs .*bring them back')
        finally:
            self.root.run('losetup', lost, file)
            self.root.run('udevadm', 'settle')

    def test_pv_on_two_devices(self):
        file = self.root.run('losetup', '-n', '-O', 'BACK-FILE',
                             self.pvs()[0]).strip()
        second = self.root.run('losetup', '--find', '--show', file).strip()
        self.root.run('udevadm', 'settle')
        try:
            self.fails(f'volume group: .*{second}')
        finally:
            self.root.run('losetup', '-d', second)
            self.root.run('udevadm', 'settle')

    @base.slow
    def test_too_few_pvs_for_the_copies(self):
        self.warns('no raid1 volume, which needs 3 PVs, can be created',
                   lvm_mirrors=2)

    def test_no_room_for_a_pool(self):
        self.lvcreate('-l', '100%FREE', '-n', 'all')
        self.fails('layout: VG .* has no free space for thin pool .*vgextend',
                   lvm_type='thin')

    def test_lv_in_the_place_of_the_pool(self):
        self.lvcreate('-L', '8M', '-n', f'{self.vg_name}-pool')
        self.fails('not a thin pool: rename it', lvm_type='thin')

    def test_pool_of_another_name(self):
        self.lvcreate('-L', '8M', '--type', 'thin-pool', '-n', 'pool')
        self.fails('has no thin pool .*: rename the pool .* lvrename',
                   lvm_type='thin')

    def test_no_pool_yet(self):
        code, lines = self.check(lvm_type='thin')
        self.assertEqual(0, code, lines)
        self.assertTrue(any('creates pool' in line for line in lines), lines)


class PoolTest(CheckTestCase):
    """What is wrong with the thin pool."""

    settings = {'lvm_type': 'thin', 'lvm_thin_pool_autoextend_threshold': 80}

    def setUp(self):
        super().setUp()
        self.pool = f'{self.vg_name}-pool'
        self.lvcreate('--type', 'thin-pool', '-L', '16M', '-Z', 'y', '-n',
                      self.pool)

    def test_nothing_is_wrong(self):
        code, lines = self.check()
        self.assertEqual(0, code, lines)

    def test_full(self):
        self.root.run('lvcreate', '-qq', '-y', '-V', '64M', '-T',
                      f'{self.vg_name}/{self.pool}', '-n', 'filler')
        self.write(self.device('filler'), 'full', size=16 * MIB)
        self.fails('is out of data space: extend it')

    def test_inactive(self):
        self.root.run('lvchange', '-an', f'{self.vg_name}/{self.pool}')
        self.fails('is inactive: activate it with lvchange')

    def test_does_not_zero(self):
        self.root.run('lvchange', '--zero', 'n',
                      f'{self.vg_name}/{self.pool}')
        self.warns('does not zero blocks.*lvchange --zero y')

    def test_no_spare(self):
        self.root.run('lvremove', '-y', f'{self.vg_name}/lvol0_pmspare')
        self.warns('no spare LV.*: create one with lvextend')

    def test_nobody_extends_it(self):
        self.warns('is not extended when it fills up',
                   lvm_thin_pool_autoextend_threshold=100)


class TargetTest(CheckTestCase):
    """What is wrong with the target helper."""

    def test_address_of_another_node(self):
        self.fails('portals: No network interface .*203.0.113.7:3260: add',
                   target_ip_address='203.0.113.7')

    def test_port_of_another_program(self):
        with socket.create_server(('127.0.0.1', 0)) as server:
            self.fails(f'portals: Portal .* is in use by .*{os.getpid()}',
                       target_port=server.getsockname()[1])

    def test_no_lock_path(self):
        CONF.set_override('lock_path', None, group='oslo_concurrency')
        self.addCleanup(CONF.clear_override, 'lock_path',
                        group='oslo_concurrency')
        self.fails('target helper: .*Set lock_path in section')

    def test_no_daemon(self):
        self.fails('target helper: .*tgtd', target_helper='tgtadm')

    def test_wrong_protocol(self):
        self.fails("target_protocol is 'nvmet_tcp'",
                   target_protocol='nvmet_tcp')

    def test_keys_that_others_can_read(self):
        path = f'{CONF.state_path}/tmp/keys.json'
        with open(path, 'w') as file:
            file.write('{}')
        self.addCleanup(os.unlink, path)
        nvmet = {'target_helper': 'nvmet', 'target_protocol': 'nvmet_tcp',
                 'target_prefix': '2014-08.org.example:cinder',
                 'lvm_nvme_key_file': path}
        os.chmod(path, 0o644)
        self.fails('keys.json is not private: set its owner', **nvmet)
        self.root.run('chown', 'root', path)
        self.root.run('chmod', '600', path)
        self.fails('keys.json cannot be read: Permission denied', **nvmet)

    def test_no_module(self):
        loaded = 'cinder_lvm_driver.targets.node._LOADED'
        modules = f'/lib/modules/{os.uname().release}'
        self.enterContext(mock.patch(loaded, '/nowhere'))
        # The files of the kernel cannot be moved in the test machine.
        covered = f'{modules}/modules.dep.bin'
        self.root.run('mount', '--bind', '/dev/null', covered)
        self.addCleanup(self.root.run, 'umount', covered)
        self.fails('the kernel module .* cannot be loaded')

    def test_wrong_option(self):
        self.fails("options: volume_clear_ionice is '-c9'",
                   volume_clear_ionice='-c9')


class CommandLineTest(base.TestCase):
    """The program itself, started by root with files of its own."""

    pv_sizes = (64 * MIB,)

    def test_two_files(self):
        folder = self.enterContext(_folder(self.root))
        section = (f'volume_driver = {OURS}\nvolume_group = {self.vg_name}\n'
                   'target_helper = lioadm\ntarget_ip_address = 127.0.0.1\n'
                   'lvm_type = default\n')
        self.root.run('tee', f'{folder}/more.conf', text=(
            '[DEFAULT]\nenabled_backends = one, two\n'
            f'[one]\n{section}lvm_tpye = thin\n[two]\n{section}'))
        done = self.root.try_run(
            sys.executable, '-W', 'ignore', '-c', PROGRAM,
            '--config-file', f'{ETC}/cinder.conf',
            '--config-file', f'{folder}/more.conf', 'check',
            '--backend', 'one')
        self.assertEqual('', done.stderr)
        for pattern in (
                '^Success node: configuration files: .*cinder.conf, .*more',
                '^Success node: root access: sudo -n cinder-rootwrap',
                '^Warning one: options: .*sets lvm_tpye.*: set lvm_type',
                '^Warning one: options: Back ends one and two use one VG',
                "^Warning one: database: Cinder's database cannot be asked"):
            self.assertRegex(done.stdout, re.compile(pattern, re.M))
        self.assertNotIn(' two: ', done.stdout)
        self.assertEqual(1, done.code)


@contextlib.contextmanager
def _folder(root):
    path = root.run('mktemp', '-d').strip()
    root.run('chmod', '755', path)
    try:
        yield path
    finally:
        root.run('rm', '-r', path)
