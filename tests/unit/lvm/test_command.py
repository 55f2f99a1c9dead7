# SPDX-License-Identifier: Apache-2.0
"""How a command gets its devices, and what is done when it fails."""

import json

import ddt
import fixtures

from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver import process
from tests import base
from tests.fakes import process as fake_process

ENVIRONMENT = ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
               'LVM_SYSTEM_DIR=/other/lvm')
SETTINGS = (
    'report/binary_values_as_numeric=0 report/compact_output=0 '
    'report/compact_output_cols="" report/list_item_separator="," '
    'report/prefixes=0 log/command_names=0 log/prefix="  "')
SCAN = (*ENVIRONMENT, 'vgs', '--config', SETTINGS, '--foreign', '--shared',
        '--reportformat', 'json', '--units', 'b', '--nosuffix',
        '-o', 'vg_name,vg_uuid,pv_name,pv_uuid')
REMOVED = '  Logical volume "x" successfully removed.\n'
MISSING = '  Cannot change VG vg while PVs are missing.\n'


def devices(*paths, vg_name='vg'):
    return json.dumps({'report': [{'vg': [
        {'vg_name': vg_name, 'vg_uuid': f'uuid-of-{vg_name}',
         'pv_name': path, 'pv_uuid': f'uuid-of-{path}'}
        for path in paths]}]})


class CommandTestCase(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = fake_process.ScriptedRunner(self)
        self.commands = self.make_commands((2, 3, 16))

    def make_commands(self, version):
        return command.Commands('vg', self.runner, version, '/other/lvm', 7)

    def expect_scan(self, *paths, **keywords):
        self.runner.expect(*SCAN, stdout=devices(*paths, **keywords))

    def expect(self, program, paths, *words, **answer):
        settings = ('--config', SETTINGS) if program == 'lvs' else ()
        self.runner.expect(*ENVIRONMENT, program, '--devices', paths,
                           *settings, *words, **answer)


@ddt.ddt
class TestDevices(CommandTestCase):

    def test_devices_are_looked_for_once(self):
        self.expect_scan('/dev/b', '/dev/a')
        self.expect('lvs', '/dev/a,/dev/b', 'vg', stdout='answer')
        self.expect('lvremove', '/dev/a,/dev/b', 'vg/x')
        self.assertEqual('answer', self.commands.ask(['lvs', 'vg']))
        self.commands.change('lvremove', 'vg/x')
        self.assertEqual([7, 7, None], self.runner.timeouts)

    def test_devices_of_other_vgs_are_left_out(self):
        self.runner.expect(*SCAN, stdout=json.dumps({'report': [
            json.loads(devices(f'/dev/{name}', vg_name=name))['report'][0]
            for name in ('v', 'vg', 'vg2')]}))
        self.assertEqual(('/dev/vg',), self.commands._finder.paths())

    def test_device_that_is_missing_is_not_named(self):
        self.expect_scan('/dev/a', '[unknown]')
        self.assertEqual(('/dev/a',), self.commands._finder.paths())

    def test_no_such_vg(self):
        self.expect_scan('/dev/a', vg_name='other')
        error = self.assertRaises(lvm.VolumeGroupNotFound,
                                  self.commands.ask, ['lvs', 'vg'])
        self.assertIn('option volume_group', str(error))

    def test_vg_that_comes_later(self):
        self.expect_scan()
        self.assertRaises(lvm.VolumeGroupNotFound,
                          self.commands._finder.paths)
        self.expect_scan('/dev/a')
        self.assertEqual(('/dev/a',), self.commands._finder.paths())

    @ddt.data((2, 2, 163), (2, 3, 11))
    def test_old_lvm_is_given_a_filter(self, version):
        commands = self.make_commands(version)
        self.expect_scan('/dev/sd+a', '/dev/b')
        only = r'devices{filter=["a|^/dev/b$|","a|^/dev/sd\+a$|","r|.*|"]}'
        self.runner.expect(*ENVIRONMENT, 'lvs', '--config',
                           f'{SETTINGS} {only}', 'vg')
        self.runner.expect(*ENVIRONMENT, 'lvremove', '--config', only, 'vg/x')
        commands.ask(['lvs', 'vg'])
        commands.change('lvremove', 'vg/x')

    def test_old_lvm_takes_the_filter_and_other_settings_as_one(self):
        commands = self.make_commands((2, 3, 11))
        self.expect_scan('/dev/a')
        self.runner.expect(
            *ENVIRONMENT, 'lvextend', '--config',
            'section{name=1} backup{archive=0} '
            'devices{filter=["a|^/dev/a$|","r|.*|"]}', 'vg/a')
        commands.change('lvextend', 'vg/a', settings=['section{name=1}'])


@ddt.ddt
class TestChangedDevices(CommandTestCase):
    """The VG was extended, or moved to other PVs, while it was in hand."""

    @ddt.data(MISSING, '  Volume group "vg" not found\n')
    def test_change_is_tried_with_the_new_devices(self, stderr):
        self.expect_scan('/dev/a')
        self.expect('lvremove', '/dev/a', 'vg/x', stderr=stderr, error=5)
        self.expect_scan('/dev/a', '/dev/b')
        self.expect('lvremove', '/dev/a,/dev/b', 'vg/x')
        self.commands.change('lvremove', 'vg/x')
        self.assertIn('The PVs of VG vg are now on /dev/a, /dev/b',
                      self.log.output)

    def test_change_while_somebody_else_sees_the_new_devices_first(self):
        def other_thread(*argv, **keywords):
            if '/dev/a,/dev/b' in argv:
                return run(*argv, **keywords)
            finder = self.commands._finder
            finder._other_paths = frozenset(('/dev/a', '/dev/b'))
            raise process.CommandFailed(argv, 5, '', MISSING)

        self.addCleanup(self.runner.forget)
        self.expect_scan('/dev/a')
        self.commands._finder.paths()
        run, self.runner.run = self.runner.run, other_thread
        self.expect('lvremove', '/dev/a,/dev/b', 'vg/x')
        self.commands.change('lvremove', 'vg/x')

    def test_report_of_a_vg_that_moved(self):
        self.addCleanup(self.runner.forget)
        self.expect_scan('/dev/a')
        self.expect('lvs', '/dev/a', 'vg', error=5,
                    stderr='  Volume group "vg" not found\n')
        self.expect_scan('/dev/b')
        self.expect('lvs', '/dev/b', 'vg', stdout='new')
        self.assertEqual('new', self.commands.ask(['lvs', 'vg']))

    def test_change_while_a_device_is_missing(self):
        self.expect_scan('/dev/a', '[unknown]')
        self.expect('lvremove', '/dev/a', 'vg/x', stderr=MISSING, error=5)
        self.expect_scan('/dev/a', '[unknown]')
        self.assertRaises(lvm.LVMError, self.commands.change, 'lvremove',
                          'vg/x')

    def test_change_of_a_vg_that_is_gone(self):
        self.expect_scan('/dev/a')
        self.expect('lvremove', '/dev/a', 'vg/x', error=5,
                    stderr='  Volume group "vg" not found\n')
        self.expect_scan()
        self.assertRaises(lvm.VolumeGroupNotFound, self.commands.change,
                          'lvremove', 'vg/x')

    def test_other_failure_is_not_tried_again(self):
        self.expect_scan('/dev/a')
        self.expect('lvremove', '/dev/a', 'vg/x', error=5,
                    stderr='  Failed to find logical volume "vg/x"\n')
        self.assertRaises(lvm.LogicalVolumeNotFound, self.commands.change,
                          'lvremove', 'vg/x')

    def test_report_that_lacks_a_device(self):
        warning = "  WARNING: Couldn't find device with uuid 1-2-3.\n"
        self.expect_scan('/dev/a')
        self.expect('lvs', '/dev/a', 'vg', stdout='old', stderr=warning)
        self.expect_scan('/dev/a', '/dev/b')
        self.expect('lvs', '/dev/a,/dev/b', 'vg', stdout='new')
        self.assertEqual('new', self.commands.ask(['lvs', 'vg']))

    def test_report_while_a_device_is_missing(self):
        warning = "  WARNING: Couldn't find device with uuid 1-2-3.\n"
        self.expect_scan('/dev/a', '[unknown]')
        self.expect('lvs', '/dev/a', 'vg', stdout='all', stderr=warning)
        self.expect_scan('/dev/a', '[unknown]')
        self.assertEqual('all', self.commands.ask(['lvs', 'vg']))


class TestChangeWhole(CommandTestCase):
    """Changes that LVM would also make without a PV."""

    def setUp(self):
        super().setUp()
        self.expect_scan('/dev/a')

    def expect_try(self, paths, **answer):
        self.expect('lvremove', paths, '--config', 'log/silent=0', 'vg/x',
                    '--select', 'vg_missing_pv_count=0', **answer)

    def test_all_pvs_are_there(self):
        self.expect_try('/dev/a', stdout=REMOVED)
        self.commands.change_whole('lvremove', 'vg/x')

    def test_pv_that_is_new(self):
        self.expect_try('/dev/a')
        self.expect_scan('/dev/a', '/dev/b')
        self.expect_try('/dev/a,/dev/b', stdout=REMOVED)
        self.commands.change_whole('lvremove', 'vg/x')

    def test_pv_that_is_lost(self):
        self.expect_try('/dev/a')
        self.expect_scan('/dev/a', '[unknown]')
        self.expect('lvremove', '/dev/a', 'vg/x')
        self.commands.change_whole('lvremove', 'vg/x')

    def test_old_lvm_is_given_one_config(self):
        commands = self.make_commands((2, 3, 11))
        only = 'devices{filter=["a|^/dev/a$|","r|.*|"]}'
        self.runner.expect(
            *ENVIRONMENT, 'lvremove', '--config',
            f'log/silent=0 section{{name=1}} {only}', 'vg/x',
            '--select', 'vg_missing_pv_count=0', stdout=REMOVED)
        commands.change_whole('lvremove', 'vg/x',
                              settings=['section{name=1}'])


@ddt.ddt
class TestFailures(CommandTestCase):

    def setUp(self):
        super().setUp()
        self.expect_scan('/dev/a')

    @ddt.data(139, -11)
    def test_crash_is_tried_once_more(self, exit_code):
        self.expect('lvs', '/dev/a', error=exit_code)
        self.expect('lvs', '/dev/a', stdout='answer')
        self.assertEqual('answer', self.commands.ask(['lvs']))
        self.assertIn('LVM crashed', self.log.output)

    def test_crash_after_crash(self):
        for _ in range(2):
            self.expect('lvs', '/dev/a', error=139)
        self.assertRaises(lvm.CommandOfLVMFailed, self.commands.ask, ['lvs'])

    def test_failure_is_typed_and_keeps_its_cause(self):
        self.expect('lvconvert', '/dev/a', error=5, stderr='  already exists '
                    'in volume group "vg"')
        error = self.assertRaises(lvm.LogicalVolumeExists,
                                  self.commands.change, 'lvconvert')
        self.assertEqual(5, error.__cause__.exit_code)

    @ddt.data(process.CommandRefused(('lvs',), 99, '', ''),
              process.CommandNotFound(('lvs',), 96, '', ''),
              process.CommandTimedOut(('lvs',), 7))
    def test_what_lvm_did_not_say_is_passed_on(self, failure):
        self.expect('lvs', '/dev/a', error=failure)
        self.assertIs(failure, self.assertRaises(
            type(failure), self.commands.ask, ['lvs']))


    def test_device_that_hangs(self):
        hanging = self.useFixture(fixtures.MockPatchObject(
            kernel, 'hanging', return_value=['/dev/a'])).mock
        self.expect('lvs', '/dev/a', error=process.CommandTimedOut(
            ('lvs',), 7))
        error = self.assertRaises(lvm.errors.DeviceHangs, self.commands.ask,
                                  ['lvs'])
        self.assertIn('waits for /dev/a', str(error))
        self.assertIn('within 7 seconds', str(error))
        hanging.assert_called_once_with(('/dev/a',))


class TestLockingDir(CommandTestCase):

    def ask(self, stdout):
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/bin'))
        self.runner.expect(
            'env', 'PATH=/bin:/usr/sbin:/sbin', *ENVIRONMENT[1:],
            'lvmconfig', '--typeconfig', 'full', 'global/locking_dir',
            stdout=stdout)
        return self.commands.locking_dir()

    def test_printed(self):
        self.assertEqual('/run/lock/lvm',
                         self.ask('locking_dir="/run/lock/lvm"\n'))

    def test_not_printed(self):
        for stdout in '', 'locking_dir=""\n':
            self.assertRaises(lvm.ReportError, self.ask, stdout)


@ddt.ddt
class TestDeviceRules(base.TestCase):

    def rules(self, **answer):
        runner = fake_process.ScriptedRunner(self)
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/bin'))
        self.folder = self.useFixture(fixtures.TempDir()).path
        runner.expect(
            'env', 'PATH=/bin:/usr/sbin:/sbin', *ENVIRONMENT[1:3],
            f'LVM_SYSTEM_DIR={self.folder}', 'lvmconfig', '--typeconfig',
            'full', 'devices', **answer)
        return command.device_rules(runner, self.folder)

    @ddt.data(('', False), ('\tfilter=["a|.*|"]\n', False),
              ('\tfilter=["r|/dev/sda|"]\n', True),
              ('\tglobal_filter="r|/dev/sda|"\n', True))
    @ddt.unpack
    def test_filter(self, text, has_filter):
        rules = self.rules(stdout='devices {\n' + text + '}\n')
        self.assertEqual((has_filter, has_filter),
                         (rules.has_filter, rules.hide_devices))

    def test_devices_file(self):
        path = 'devices/system.devices'
        stdout = ('\tuse_devicesfile=1\n'
                  '\tdevicesfile="system.devices"\n')
        # LVM goes without it until there is one.
        self.assertIsNone(self.rules(stdout=stdout).devices_file)
        self.useFixture(fixtures.MockPatchObject(
            command.os.path, 'isfile', lambda file: file.endswith(path)))
        self.assertIn(path, self.rules(stdout=stdout).devices_file)

    def test_configuration_that_cannot_be_read(self):
        self.assertFalse(self.rules(error=5).hide_devices)
        self.assertIn('cannot read', self.log.output)


@ddt.ddt
class TestVersion(base.TestCase):

    def setUp(self):
        super().setUp()
        self.runner = fake_process.ScriptedRunner(self)

        # That of a user of Debian.
        self.useFixture(fixtures.EnvironmentVariable('PATH', '/bin'))

    def answer(self, stdout='', **answer):
        self.runner.expect('env', 'PATH=/bin:/usr/sbin:/sbin', 'LC_ALL=C',
                           'lvm', 'version', stdout=stdout, **answer)

    @ddt.data(('2.03.16(2) (2022-05-18)', (2, 3, 16)),
              ('2.02.163(2)-RHEL7', (2, 2, 163)),
              ('2.03.31(2) (2025-02-27)', (2, 3, 31)))
    @ddt.unpack
    def test_version(self, text, version):
        self.answer(f'  LVM version:     {text}\n  Library version: 1.02.185')
        self.assertEqual(version, command.installed_version(self.runner))

    @ddt.data('', '  Library version: 1.02.185\n')
    def test_no_version(self, stdout):
        self.answer(stdout)
        self.assertRaises(lvm.ReportError, command.installed_version,
                          self.runner)

    def test_too_old(self):
        self.answer('  LVM version:     2.02.98(2)\n')
        error = self.assertRaises(lvm.ReportError, command.installed_version,
                                  self.runner)
        self.assertIn('LVM 2.02.98 is too old', str(error))

    def test_not_installed(self):
        self.answer(error=process.CommandNotFound(('lvm',), 127, '', ''))
        self.assertRaises(process.CommandNotFound, command.installed_version,
                          self.runner)

    def test_probe_is_what_other_filters_refuse(self):
        self.assertEqual((*ENVIRONMENT, 'lvremove', '--version'),
                         command.probe('/other/lvm'))
