# SPDX-License-Identifier: Apache-2.0
"""What root runs for a hostile user of cinder-volume.

That root runs every command of the driver, each test of a verb shows: the
fake machine judges what it is told (``tests/fakes/machine.py``).
"""

import contextlib
from unittest import mock

import ddt
import fixtures

from cinder_lvm_driver import blockdev
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver.lvm import finding
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver.privileged import errors
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver.privileged import validation
from cinder_lvm_driver import process
from tests import base

ENVIRONMENT = ('env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 '
               'LVM_SYSTEM_DIR=/etc/lvm ')
REPORT = '--reportformat json --units b --nosuffix -o lv_name '
VOLUMES = ('/dev/vg/volume-1', '/dev/mapper/vg-volume--1',
           '/dev/mapper/vg-volume--2')
DISKS = ('/dev/sda', '/dev/disk/by-id/x.y', '/dev/shm/link')
COPY = ('dd if=/dev/vg/volume-1 of=/dev/mapper/vg-volume--2 bs=1M count=5 '
        'iflag=count_bytes,direct oflag=direct conv=nocreat,fsync')
WIPE = ('dd if=/dev/zero of=/dev/vg/volume-1 bs=1M count=5 seek=0 '
        'iflag=count_bytes oflag=seek_bytes,direct conv=nocreat,fsync')
DISCARD = ('blkdiscard --zeroout --force --offset 0 --length 5 --step 9 '
           '/dev/vg/volume-1')


class CommandsTestCase(base.TestCase):
    """A host on which some paths are LVs of the driver's VG."""

    def setUp(self):
        super().setUp()
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_own_lv', VOLUMES.__contains__))
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_only_roots', lambda path: not path.startswith(
                ('/dev/shm', '/tmp', '/home'))))
        self.useFixture(fixtures.MockPatchObject(
            validation, 'device', self.device))
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'number', lambda path: (
                '8:0' if path in (*VOLUMES, *DISKS) else None)))

    def device(self, path):
        if path not in VOLUMES:
            raise errors.DeviceNotUsable(path, 'is not there')
        return path

    def is_allowed(self, command, *more):
        return commands.is_allowed((*command.split(), *more), {'vg', 'a.b'})

    def lvm(self, command, *more):
        return self.is_allowed(ENVIRONMENT + command, *more)


@ddt.ddt
class TestLVM(CommandsTestCase):

    @ddt.data(
        'lvs ' + REPORT + 'vg', 'lvremove --force vg/volume-1',
        'lvremove --force a.b/volume-1', 'lvextend --size 5b vg/volume-1',
        'lvrename vg volume-1 volume-2',
        'lvchange --yes --activate y --ignoreactivationskip vg/a vg/b',
        'lvconvert --yes --merge --interval 1 @cinder.merge=snapshot-1')
    def test_forms_of_the_driver(self, command):
        self.assertTrue(self.lvm(command))
        program, _, rest = command.partition(' ')
        self.assertTrue(self.lvm(f'{program} --devices /dev/sda,/dev/sdb '
                                 + rest))
        for config in ('backup{archive=0}', 'log/silent=0 backup{archive=0}',
                       'devices{filter=["a|^/dev/sda$|","r|.*|"]}',
                       r'devices{filter=["a|^/dev/disk/by\-id/x\.y$|",'
                       '"a|^/dev/sdb$|","r|.*|"]}',
                       'report/prefixes=0 log/prefix="  "'):
            self.assertTrue(self.lvm(program, '--config', config,
                                     *rest.split()), config)

    @ddt.data(
        'global{thin_check_executable="/tmp/x"}',
        'global/fsadm_executable="/tmp/x"', 'log{file="/etc/cron.d/x"}',
        'devices{dir="/tmp"}', 'backup{archive=0} log{file="/x"}',
        'backup{archive=0 backup_dir="/tmp"}',
        'devices{filter=["a|^/dev/sda$|","r|.*|"] dir="/tmp"}',
        'devices{filter=["a|.*|","r|.*|"]}',
        'devices{filter=["a|^/dev/.*$|","r|.*|"]}',
        'devices{filter=["a|^/dev/mapper/vg\\-volume\\-\\-1$|","r|.*|"]}',
        'activation{retry_deactivation=1 udev_sync=0}',
        'report/prefixes=0\nlog{file="/x"}', '', ' ')
    def test_settings(self, config):
        self.assertFalse(self.lvm('lvchange', '--config', config,
                                  '--refresh', 'vg/volume-1'))

    @ddt.data('--conf', '--confi', '--config=log{file="/x"}', '--profile',
              '--commandprofile', '--metadataprofile', '--logfile',
              '--devicesfile', '--driverloaded', '--lockopt', '--noudevsync',
              '-r', '--resizefs', '-f', '-y', '-v', '-d', '--debug', '--test',
              '--nolocking', '--ignoremonitoring', '--verifyudev')
    def test_options(self, option):
        for words in ((option,), (option, 'x'), (option, '/tmp/x')):
            self.assertFalse(self.lvm('lvextend', *words, '--size', '5b',
                                      'vg/volume-1'), words)
            self.assertFalse(self.lvm('lvextend --size 5b vg/volume-1',
                                      *words), words)

    @ddt.data(
        'lvremove --force host/root', 'lvremove --force vg', 'lvremove vg/a',
        'lvremove --force vg/a host/root', 'lvremove --force @tag',
        'lvremove --force /dev/host/root', 'lvremove --force vg/../host/root',
        'lvremove --force aXb/volume-1', 'lvremove --force --select all=1',
        'lvextend --size 5b host/root', 'lvextend --size +5b vg/a',
        'lvrename host root volume-1', 'lvrename vg a b c',
        'lvrename /dev/a b',
        'lvcreate --snapshot --permission rw --setactivationskip n --name a '
        'host/root', 'lvcreate --yes --snapshot --size 5b --name a host/root',
        'lvcreate --yes --wipesignatures y --size 5b --name a host',
        'lvcreate --yes --wipesignatures y --size 5b --name ../a vg',
        'lvcreate --yes --wipesignatures y --size 5b --name -r vg',
        'lvcreate --type thin --virtualsize 5b --name a --thinpool host/p vg',
        'lvconvert --yes --merge --interval 1 @tag',
        'lvconvert --yes --merge --interval 1 host/snapshot',
        'lvchange --addtag cinder.merge=a host/root',
        'lvchange --addtag other vg/a', 'lvchange --activate n host/swap',
        'lvchange --refresh --select lv_active=active host',
        'vgmknodes', 'vgmknodes host/root', 'vgremove vg', 'pvs', 'lvm',
        'sh -c true', '/tmp/lvs ' + REPORT + 'vg', 'lvs ' + REPORT + 'host',
        'lvs ' + REPORT, 'dmsetup remove_all', 'LD_PRELOAD=/tmp/x lvs '
        + REPORT + 'vg', '-S x', '-i sh', '-C /tmp lvs ' + REPORT + 'vg')
    def test_other_objects_and_programs(self, command):
        self.assertFalse(self.lvm(command))

    @ddt.data(
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 LVM_SYSTEM_DIR=/tmp ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 LVM_SYSTEM_DIR=/home/x ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 LVM_SYSTEM_DIR=x ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 LVM_SYSTEM_DIR=/ ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 '
        'LVM_SYSTEM_DIR=/proc/5/root/etc/lvm ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 '
        'LVM_SYSTEM_DIR=/etc/../proc/5/root/etc/lvm ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 '
        'LVM_SYSTEM_DIR=//proc/5/root/etc/lvm ',
        'env LC_ALL=C LVM_SUPPRESS_FD_WARNINGS=1 ', 'env LC_ALL=C ', '',
        'env LD_PRELOAD=/tmp/x ' + ENVIRONMENT[4:],
        ENVIRONMENT + 'DM_DEFAULT_NAME_MANGLING_MODE=none ',
        ENVIRONMENT + 'LVM_RUN_BY_DMEVENTD=1 ')
    def test_other_environments(self, environment):
        self.assertFalse(self.is_allowed(
            f'{environment}lvs {REPORT}vg'))

    @ddt.data('/dev/vg/volume-1', '/dev/sda,/dev/mapper/vg-volume--1',
              '/dev/shm/link', '/dev/sda,/dev/shm/link', '/dev/../tmp/x',
              '/tmp/x', '/dev/sda,', '/dev/sda,/etc/shadow', '',
              '/dev/dm-7', '/dev/mapper/vg-inactive', '/dev/vg/inactive',
              '/dev/disk/by-id/dm-name-vg-inactive', '/dev/block/253:7')
    def test_devices_that_the_user_could_craft(self, paths):
        self.assertFalse(self.lvm('lvs', '--devices', paths, *REPORT.split(),
                                  'vg'))

    def test_extents(self):
        create = ('lvcreate --yes --snapshot --size 5b --name a vg/b '
                  '/dev/sda:0-1 ')
        for wanted, extents in (
                (True, '/dev/sda:5-9'), (False, '/dev/vg/volume-1:5-9'),
                (False, '/dev/sda'), (False, '/dev/shm/link:5-9')):
            self.assertIs(wanted, self.lvm(create + extents), extents)

    def test_selections(self):
        for wanted, selection in (
                (True, 'lv_name="volume-1"'), (True, 'lv_role=spare'),
                (True, 'lv_name="volume-1" || segtype="thin-pool"'),
                (False, 'lv_name="a" || lv_name="b"'), (False, 'all=1')):
            self.assertIs(wanted, self.lvm('lvs ' + REPORT + '-S', selection,
                                           'vg'))

    def test_words_with_the_mark_between_words(self):
        self.assertFalse(self.lvm('lvremove', '--force\0vg/volume-1'))

    def test_driver_without_vgs(self):
        self.assertFalse(commands.is_allowed(
            (*ENVIRONMENT.split(), 'lvremove', '--force', '/a'), set()))


@ddt.ddt
class TestData(CommandsTestCase):

    @ddt.data(
        COPY, COPY + ',sparse', WIPE, 'ionice -c3 ' + WIPE, DISCARD,
        'ionice -c2 -n7 ' + DISCARD, 'cgexec -g blkio:cinder-1_2 ' + COPY,
        'cgexec -g blkio:a ionice -c2 -n7 ' + WIPE,
        DISCARD.replace('--force ', ''))
    def test_forms_of_the_driver(self, command):
        self.assertTrue(self.is_allowed(command))

    @ddt.data(
        'dd of=/etc/sudoers.d/x', 'dd if=/etc/shadow', 'dd',
        COPY.replace('/dev/vg/volume-1', '/etc/shadow'),
        COPY.replace('/dev/vg/volume-1', '/dev/sda'),
        COPY.replace('/dev/vg/volume-1', '/dev/host/root'),
        COPY.replace('/dev/vg/volume-1', '/dev/mem'),
        COPY.replace('/dev/mapper/vg-volume--2', '/dev/shm/link'),
        COPY.replace('/dev/mapper/vg-volume--2', '/dev/vg/../sda'),
        COPY.replace('/dev/mapper/vg-volume--2', '/dev/zero'),
        COPY.replace('/dev/mapper/vg-volume--2', '/etc/sudoers.d/x'),
        COPY.replace('conv=nocreat,', 'conv=notrunc,'), COPY + ' of=/dev/sda',
        COPY + ' status=none', 'ionice -c3', 'ionice -c3 sh',
        'ionice -c4 ' + COPY, 'ionice -p 1', 'ionice ' + COPY,
        'cgexec -g cpu:x ' + COPY, 'cgexec -g blkio:../x ' + COPY,
        'cgexec -g blkio:x sh', 'cgexec -g blkio:x cgexec -g blkio:y ' + COPY,
        'ionice -c3 cgexec -g blkio:x ' + COPY, 'prlimit --as=5 ' + COPY,
        DISCARD.replace('/dev/vg/volume-1', '/dev/sda'),
        DISCARD.replace('--zeroout', '--secure'), DISCARD + ' /dev/sda',
        'ionice -c3 ' + ENVIRONMENT + 'lvremove --version')
    def test_others(self, command):
        self.assertFalse(self.is_allowed(command))


@ddt.ddt
class TestOthers(CommandsTestCase):

    def test_forms_of_the_driver(self):
        for module in ('target_core_mod', 'iscsi_target_mod', 'nvmet',
                       'nvmet_tcp', 'nvmet_rdma'):
            self.assertTrue(self.is_allowed(f'modprobe {module}'))
        self.assertTrue(self.is_allowed(
            'mount -t configfs configfs /sys/kernel/config'))
        self.assertTrue(self.is_allowed('ss -Hltnp', 'sport = :3260'))

    @ddt.data(
        'modprobe', 'modprobe nvmet_fc', 'modprobe -r nvmet',
        'modprobe target_core_mod x=1', 'modprobe -C /tmp/x nvmet',
        'modprobe -d /tmp nvmet', 'modprobe target_core_user',
        'mount', 'mount /dev/sda /mnt', 'mount -t configfs configfs /etc',
        'mount -t configfs -o bind configfs /sys/kernel/config',
        'mount -t configfs configfs /sys/kernel/config/../../etc',
        'ss -K', 'ss -Hltnp', 'ss -D /etc/x', 'qemu-img convert /etc/shadow '
        '/dev/vg/volume-1', 'sh', 'prlimit sh', '', 'cinder-lvm-root check',
        'privsep-helper')
    def test_others(self, command):
        self.assertFalse(self.is_allowed(command))

    def test_programs_have_filters(self):
        started = {line.split()[0] for form in (
            commands._DATA, commands._OTHER)
            for line in form.strip().splitlines()}
        self.assertLessEqual(started, set(commands.PROGRAMS))


class Recorder:
    """Remembers commands; a VG has no room for what a policy asks for."""

    def __init__(self):
        self.ran = set()

    def run(self, *argv, timeout=None):
        self.ran.add(argv)
        if '--use-policies' in argv:
            raise lvm.InsufficientSpace('full')
        return process.Completed(argv, '', '')

    run_long = run


class TestTable(CommandsTestCase):
    """The table has the commands of the driver, and no others."""

    def setUp(self):
        super().setUp()
        self.runner = Recorder()
        self.useFixture(fixtures.MockPatchObject(
            finding.Finder, 'paths', lambda finder: ('/dev/sda',)))
        self.useFixture(fixtures.MockPatchObject(
            finding.Finder, 'look_again', lambda finder, used: used))

    def run_all(self, version):
        """Run each command of LVM that the driver can run."""
        vg = lvm.LVM('vg', self.runner, version=version)
        vg._pools = mock.Mock(is_blank=lambda *_: True)
        vg.get_vg = lambda: mock.Mock(free_bytes=2 ** 40,
                                      extent_size_bytes=2 ** 22)
        lv = mock.Mock(size_bytes=5, data_percent=90)
        lv.configure_mock(name='a', pool=None, is_thin=False,
                          is_thin_pool=False)
        policy = lvm.AutoextendPolicy(threshold_percent=80, percent=20)
        for method, *arguments in (
                (vg.create_thin_pool, 'p'), (vg.create_volume, 'a', 5),
                *((vg.create_shaped_volume, 'a', 5, shape, pvs)
                  for pvs in ([], ['/dev/sda', '/dev/sdb'])
                  for shape in (
                      types.Shape('striped', 2), types.Shape('raid1', 1, 1),
                      types.Shape('raid10', 2, 1),
                      types.Shape('raid6', 3, 0, 2))),
                (vg.create_thin_volume, 'a', 5, 'p'), (vg.settle_pool, 'p'),
                (vg._set_aside, 'a', 'p'), (vg.create_cow_snapshot, 'a', 'b',
                                            5),
                (vg.create_cow_snapshot, 'a', 'b', 5,
                 ['/dev/sda:0-1', '/dev/sda:5-9']),
                (vg.extend_volume, 'a', 5), (vg.extend_pool, lv, policy),
                (vg.reduce_volume, 'a', 5), (vg.delete, 'a'),
                (vg.split_snapshot, 'a'), (vg.merge_tagged,
                                           naming.MERGE_TAG + 'a'),
                (vg.resume_merge, 'a'), (vg.convert_to_raid1, 'a', 1),
                (vg.add_tag, 'a', naming.EXTEND_TAG + '5-6'),
                (vg.delete_tag, 'a', naming.REVERT_TAG + 'snapshot-1'),
                (vg.convert_mirror_to_raid1, 'a'), (vg.split_copy, 'a', 'b'),
                (vg.convert_to_linear, 'a'), (vg.rename_volume, 'a', 'b'),
                (vg.make_writable, 'a'), (vg.activate_lv, 'a', 'b'),
                (vg.refresh, 'a'), (vg.follow_disks,),
                (vg.deactivate_lv, 'a'), (vg.get_volumes,),
                (vg.get_volume, 'a'), (vg.get_extents, 'a'),
                (vg.get_physical_volumes,), (vg.has_spare_metadata,),
                (vg._commands._list_pvs, ['/dev/sda']),
                (vg._commands._list_pvs, [])):
            with contextlib.suppress(lvm.LVMError):
                method(*arguments)
        for activate in True, False:
            vg.create_thin_snapshot('a', lv, activate=activate)
        tag = naming.SNAPSHOT_SET_TAG + '0a1b2c3d'
        vg.create_thin_snapshot('a', lv, activate=False, tags=[tag])
        vg.delete_tag_of(['a', 'b'], tag)
        with contextlib.suppress(lvm.LVMError):
            vg.thin_ids()
        with mock.patch.object(blockdev, 'has_nodes', return_value=False), \
                contextlib.suppress(lvm.errors.DeviceNodeWrong):
            vg.ensure_nodes('a', 'b')
        self.runner.run(*lvm_command.probe('/etc/lvm'))

    def test_all_commands_are_in_it(self):
        for version in (2, 2, 163), (2, 3, 16), (2, 3, 31):
            self.run_all(version)
        for argv in self.runner.ran:
            self.assertTrue(commands.is_allowed(argv, {'vg'}), argv)

    def test_nothing_else_is_in_it(self):
        self.run_all((2, 3, 16))
        self.run_all((2, 3, 31))
        self.addCleanup(commands._patterns.cache_clear)
        for form in commands._LVM.strip().splitlines():
            commands._patterns.cache_clear()
            with mock.patch.object(commands, '_LVM', form):
                self.assertTrue(any(commands.is_allowed(argv, {'vg'})
                                    for argv in self.runner.ran), form)
