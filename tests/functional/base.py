# SPDX-License-Identifier: Apache-2.0
"""A back end of the driver on a VG of its own, for each test."""

import contextlib
import functools
import itertools
import json
import os
import time
import unittest
from unittest import mock
import uuid

from cinder import context
from cinder import objects
from cinder.objects import fields
from cinder import utils as cinder_utils
from cinder.volume import configuration
from cinder.volume import driver as cinder_driver
from cinder.volume.drivers import lvm as in_tree
from oslo_config import cfg
from oslo_log import log
from oslo_privsep import priv_context
from oslo_utils import units

from cinder_lvm_driver import driver
from cinder_lvm_driver import naming
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from tests.functional import fixtures

CONF = cfg.CONF
GIB = units.Gi
MIB = units.Mi
# What a deleted thick LV is called until it is wiped.
WIPED_LATER = 'cinder-wipe-'
ROOT_COMMANDS = set()
SECRETS = set()

_agent = None
_runners = []
_named = set()
_numbers = itertools.count(1)


def use(agent, results, state_path='/var/lib/cinder',
        conf_path='/etc/cinder/cinder.conf'):
    """Make this process what cinder-volume is after its start."""
    global _agent
    _agent = agent
    log.register_options(CONF)
    with open(os.path.join(results, 'cinder.conf'), 'w') as conf:
        conf.write('[DEFAULT]\n'
                   'rootwrap_config = /etc/cinder/rootwrap.conf\n'
                   f'state_path = {state_path}\n'
                   'my_ip = 127.0.0.1\n'
                   f'log_file = {results}/driver.log\n'
                   'debug = true\n'
                   '[oslo_concurrency]\n'
                   f'lock_path = {state_path}/lock\n'
                   '[bad-lvm_type]\nlvm_type = nonsense\n'
                   '[bad-target_helper]\ntarget_helper = nonsense\n')
    agent.run('install', '-o', 'root', '-g', 'cinder', '-m', '640',
              conf.name, conf_path)
    CONF(['--config-file', conf_path], project='cinder')
    log.setup(CONF, 'cinder')
    _record_commands(process.RootwrapRunner)
    priv_context.init(root_helper=cinder_utils.get_root_helper().split())


def agent():
    """Return what the tests ask to do something as root."""
    return _agent


def _record_commands(runner_class):
    """Keep every argv that the driver has run as root, for the filters."""
    run = runner_class._timed

    def recording(runner, daemons, argv, timeout):
        ROOT_COMMANDS.add(argv)
        return run(runner, daemons, argv, timeout)

    runner_class._timed = recording


def write_evidence(results):
    """Leave behind what ``whole_run`` looks at, for root only."""
    path = os.path.join(results, 'evidence.json')
    with open(path, 'w', opener=lambda *how: os.open(*how, 0o600)) as file:
        json.dump({'commands': sorted(ROOT_COMMANDS),
                   'secrets': sorted(SECRETS),
                   'leaks': [_agent.leaks(SECRETS)]}, file)


def slow(test):
    """Mark a test method or class that only ``guest-all`` runs.

    A shorter test of the same rule is not marked.
    """
    test.slow = True
    return test


class TestCase(unittest.TestCase):
    """A test with root's help and one VG, which all tests of a class use.

    :cvar seconds: roughly, of each test; the longest classes are run first
    :cvar slow_tests: inherited ones that are marked as slow in this class
    :cvar direct: see ``fixtures.loop_device``
    :cvar vg_options: of vgcreate
    """

    maxDiff = None
    seconds = 10
    slow_tests = ()
    pv_sizes = (2 * GIB,)
    direct = True
    vg_options = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = _agent
        cls.context = context.get_admin_context()
        name = 'test-vg-%d' % next(_numbers)
        cls.vg_name = cls.enterClassContext(
            fixtures.volume_group(_agent, name, cls.pv_sizes,
                                  direct=cls.direct,
                                  options=cls.vg_options))
        cls.name_vg(name)

    # Drivers --------------------------------------------------------------

    @classmethod
    def make_driver(cls, driver_class=driver.LVMVolumeDriver, **settings):
        """Return a driver of a class that has been set up."""
        made = cls.construct_driver(driver_class, **settings)
        if issubclass(driver_class, driver.LVMVolumeDriver):
            cls.share_daemons(made.runner)
        made.do_setup(cls.context)
        made.check_for_setup_error()
        return made

    @classmethod
    def share_daemons(cls, runner):
        """Let a runner use the rootwrap daemons of the first one.

        The emulated machine takes long to start them.
        """
        if _runners:
            runner.start_daemon = functools.partial(
                _adopt_daemons, runner, _runners[0])
        else:
            _runners.append(runner)

    @classmethod
    def name_vg(cls, name):
        """Name a VG in Cinder's configuration, from which root knows it."""
        if name not in _named:
            _named.add(name)
            cls.root.run('tee', '-a', '/etc/cinder/vgs.conf',
                         text=f'volume_group = {name}\n')

    @classmethod
    def construct_driver(cls, driver_class=driver.LVMVolumeDriver,
                         group=None, **settings):
        """Return a driver of a class that has only been constructed."""
        config = cls.configure(group, **settings)
        return driver_class(configuration=config,
                            host=f'testvm@{config.config_group}')

    @classmethod
    def configure(cls, group=None, **settings):
        """Return the configuration of a back end.

        :param group: a section of cinder.conf to take as it is
        """
        values = {'volume_group': cls.vg_name,
                  'volume_backend_name': cls.vg_name,
                  'target_helper': 'lioadm', 'lvm_type': 'thin',
                  'target_ip_address': '127.0.0.1', **settings}
        cls.name_vg(values['volume_group'])
        if group:
            values = {}
        group = group or 'backend-%d' % next(_numbers)
        config = configuration.Configuration(
            [*cinder_driver.volume_opts, *cinder_driver.nvmeof_opts,
             *cinder_driver.nvmet_opts, *in_tree.volume_opts,
             *options.OWN_OPTIONS], config_group=group)
        for option, value in values.items():
            CONF.set_override(option, value, group=group)
        return config

    # Cinder's objects -----------------------------------------------------

    def volume(self, size=1, **values):
        """Return a volume object, not stored anywhere."""
        values = {'id': str(uuid.uuid4()), 'size': size, 'status': 'available',
                  'display_name': 'test', 'provider_location': None,
                  'provider_auth': None, 'multiattach': False,
                  'host': f'testvm@{self.vg_name}#{self.vg_name}',
                  'encryption_key_id': None, '_name_id': None,
                  'provider_geometry': None, 'volume_type_id': None,
                  **values}
        volume = objects.Volume(self.context, **values)
        volume.volume_attachment = objects.VolumeAttachmentList(objects=[])
        volume.volume_type = None
        volume.obj_reset_changes()
        return volume

    def snapshot(self, volume):
        """Return a snapshot object of a volume, not stored anywhere."""
        snapshot = objects.Snapshot(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            volume_size=volume.size, volume=volume, status='available',
            display_name='test', provider_location=None, provider_auth=None,
            encryption_key_id=None)
        snapshot.obj_reset_changes()
        return snapshot

    def attachment(self, volume, connector):
        """Add an attachment of a host to a volume object."""
        attachment = objects.VolumeAttachment(
            self.context, id=str(uuid.uuid4()), volume_id=volume.id,
            connector=connector, connection_info={},
            attach_status=fields.VolumeAttachStatus.ATTACHED)
        volume.volume_attachment.objects.append(attachment)
        volume.status = 'in-use'
        return attachment

    # The state of the machine, asked without the driver -------------------

    @classmethod
    def lvs(cls, fields='lv_name', *arguments):
        """Return a report of the test's VG as rows of values."""
        out = cls.root.run('lvs', '--noheadings', '--separator', '|',
                           '--units', 'b', '--nosuffix', '-o', fields,
                           *arguments, cls.vg_name)
        return [tuple(value.strip() for value in line.split('|'))
                for line in out.splitlines()]

    @classmethod
    def lv_names(cls):
        """Return the names of all visible LVs but those being wiped."""
        return {name for name, in cls.lvs()
                if not name.startswith(WIPED_LATER)}

    def lv(self, name, fields):
        """Return values of one LV."""
        rows = self.lvs(fields, '-S', f'lv_name={name}')
        self.assertEqual(1, len(rows), f'no LV {name} in {self.lv_names()}')
        return rows[0]

    def device(self, name):
        """Return the device path of an LV."""
        return f'/dev/{self.vg_name}/{name}'

    # Data -----------------------------------------------------------------

    def write(self, device, seed, offset=0, size=4 * MIB):
        """Write bytes that a seed determines, past all caches."""
        self.root.write(device, seed, offset, size)

    def checksum(self, device, offset=0, size=4 * MIB):
        """Return a checksum of bytes on a device, past all caches."""
        return self.root.checksum(device, offset, size)

    def legs(self, volume, offset=0):
        """Return checksums of a mirrored volume's copies, each by itself."""
        names = {name.strip('[]') for name, in self.lvs(
            'lv_name', '-a', '-S', f'lv_name=~^{volume.name}_rimage')}
        return [self.checksum(naming.device_mapper_path(self.vg_name, name),
                              offset) for name in names]

    def assert_zeroes(self, device, offset=0, size=4 * MIB):
        """Fail unless bytes on a device are all zero."""
        self.root.run('cmp', '-n', size, '-i', f'{offset}:0', device,
                      '/dev/zero')

    @contextlib.contextmanager
    def slow_raid(self):
        """Have the kernel take its time to make copies equal."""
        limit = 'dev.raid.speed_limit_max'
        was = self.root.run('sysctl', '-n', limit).strip()
        self.root.run('sysctl', '-q', f'{limit}=1000')
        try:
            yield
        finally:
            self.root.run('sysctl', '-q', f'{limit}={was}')

    @contextlib.contextmanager
    def assert_raises_with(self, error, pattern):
        """Fail unless a block raises an error whose text matches.

        The text is one line that starts with the reason.
        """
        with self.assertRaises(error) as caught:
            yield caught
        text = str(caught.exception)
        self.assertRegex(text, pattern)
        self.assertNotRegex(text, '\n|^Bad or unexpected')


class BackendTestCase(TestCase):
    """A test of one back end of our driver, shared by a class."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.driver = cls.make_driver(**cls.settings)
        cls.names_at_start = cls.lv_names()

    def setUp(self):
        super().setUp()
        self.addCleanup(self._assert_nothing_left)

    def wait_until_wiped(self):
        """Wait for what the driver does after it has deleted something.

        :return: the names of the LVs that are left
        """
        names = set()

        def wiped():
            names.clear()
            names.update(name for name, in self.lvs())
            return not any(name.startswith(WIPED_LATER) for name in names)

        wait_until(wiped, 'deleted LVs are wiped')
        return names

    def _assert_nothing_left(self):
        left = self.wait_until_wiped() - self.names_at_start
        if not left:
            return
        seen = self.root.try_run(
            'bash', '-c', 'dmsetup info -c -o name,open,suspended; '
            'fuser -v /dev/dm-* 2>&1; dmesg | tail -n 40').stdout
        for name in left:
            self.root.try_run('lvremove', '-ff', '-y', self.device(name))
        self.fail(f'LVs were left behind: {left}\n{seen}')

    def create(self, size=1, **values):
        """Create a volume that is deleted after the test."""
        volume = self.volume(size, **values)
        self.driver.create_volume(volume)
        self.addCleanup(self.driver.delete_volume, volume)
        return volume

    def create_small(self, size=64 * MIB):
        """Create a volume smaller than Cinder's, deleted after the test.

        Whatever reads or writes all of a volume takes the emulated machine
        long.
        """
        if self.settings.get('lvm_type', 'thin') == 'thin':
            kind = '-V', f'{size}b', '--thinpool', f'{self.vg_name}-pool'
        elif self.settings.get('lvm_mirrors'):
            kind = '--type', 'raid1', '-m', 1, '-L', f'{size}b'
        else:
            kind = '-L', f'{size}b'
        self.root.run('lvcreate', '-qq', '-y', *kind, '-n', 'small',
                      self.vg_name)
        volume = self.volume()
        self.driver.manage_existing(volume, {'source-name': 'small'})
        self.addCleanup(self.driver.delete_volume, volume)
        return volume

    def create_snapshot(self, volume):
        """Create a snapshot that is deleted after the test."""
        snapshot = self.snapshot(volume)
        self.driver.create_snapshot(snapshot)
        self.addCleanup(self.driver.delete_snapshot, snapshot)
        return snapshot


def wait_until(condition, what, seconds=300):
    """Wait for a condition.

    :param what: the condition in words, for the failure
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f'not so after {seconds} s: {what}')
        time.sleep(0.2)


_start_daemon = process.RootwrapRunner.start_daemon


def daemons_shared():
    """Have all runners use the rootwrap daemons of the first one."""
    def start_daemon(runner, probe):
        TestCase.share_daemons(runner)
        if 'start_daemon' in vars(runner):
            runner.start_daemon(probe)
        else:
            _start_daemon(runner, probe)

    return mock.patch.object(process.RootwrapRunner, 'start_daemon',
                             start_daemon)


def _adopt_daemons(runner, other, _probe):
    runner._commands, runner._copies = other._commands, other._copies


@contextlib.contextmanager
def opened(root, device):
    """Have a device open."""
    pid = root.run('bash', '-c', f'tail -f /dev/null < {device} '
                                 '> /dev/null 2>&1 & echo $!').strip()
    try:
        yield
    finally:
        root.run('kill', pid)
        wait_until(lambda: root.try_run('test', '-e', f'/proc/{pid}').code,
                   f'process {pid} has ended')


@contextlib.contextmanager
def mounted(root, device):
    """Have a new file system on a device mounted."""
    folder = root.run('mktemp', '-d').strip()
    root.run('mkfs.ext4', '-q', device)
    root.run('mount', device, folder)
    try:
        yield folder
    finally:
        root.run('umount', folder)
        root.run('rmdir', folder)
