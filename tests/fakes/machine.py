# SPDX-License-Identifier: Apache-2.0
"""A host: its LVM, its ``dd``, and the ways to become root on it."""

import contextlib
import json

import fixtures
from oslo_concurrency import processutils

from cinder_lvm_driver import background
from cinder_lvm_driver import blockdev
from cinder_lvm_driver import devices
from cinder_lvm_driver.lvm import kernel_thin
from cinder_lvm_driver import naming
from cinder_lvm_driver.privileged import commands
from cinder_lvm_driver.privileged import lending
from cinder_lvm_driver.privileged import ownership
from cinder_lvm_driver import process
from tests.fakes import lvm

_PREFIXES = {'ionice': 2, 'cgexec': 3, 'prlimit': 2}


def work_at_once():
    """Return a fixture in which background work is over at once."""
    return fixtures.MockPatchObject(background, 'start',
                                    lambda name, work: work())


class FakeClient:
    """A rootwrap daemon of the host, and the client that talks to it."""

    def __init__(self, machine, start_command):
        self._machine = machine
        machine.started.append(tuple(start_command))

    def execute(self, argv, stdin=None):
        if not self._machine.daemon_starts:
            raise Exception('Failed to spawn rootwrap process.')
        return self._machine.answer(tuple(argv))


class FakeMachine(fixtures.Fixture):
    """The host; only ``lvm`` and ``dd`` do something there.

    :ivar lvm: the VG of the tests
    :ivar vgs: all VGs by name
    :ivar as_root: every command that was run as root
    :ivar one_by_one: those among them that had a rootwrap of their own
    :ivar as_user: every command that was not run as root
    :ivar started: the commands with which daemons were started
    :ivar wiped: LV, first byte and number of bytes of each wipe
    :ivar write_zeroes_max_bytes: whether disks can write zeroes themselves
    :ivar daemon_starts: whether rootwrap daemons come up
    :ivar refused: programs that rootwrap has no filter for
    :ivar missing: programs that are not installed
    :ivar named_vgs: VGs that cinder.conf names and that do not exist
    :ivar on_loan: devices that are lent to the user of the service
    :ivar unexpected: commands that the driver's own program would refuse
    :ivar lvm_conf: what lvmconfig prints
    """

    def __init__(self, vg_name='vg', **facts):
        super().__init__()
        self.vgs = {}
        self.lvm = self.add_vg(vg_name, **facts)
        self.as_root = []
        self.one_by_one = []
        self.as_user = []
        self.started = []
        self.wiped = []
        self.write_zeroes_max_bytes = 2 ** 20
        self.daemon_starts = True
        self.refused = set()
        self.missing = set()
        self.named_vgs = set()
        self.on_loan = []
        self.unexpected = []
        self.lvm_conf = ('thin_pool_autoextend_threshold=70\n'
                         'monitoring=1\n'
                         'locking_dir="/run/lock/lvm"\n')
        self._steps_left = None

    def _setUp(self):
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_only_roots', lambda path: True))
        self.useFixture(fixtures.MockPatchObject(
            ownership, 'is_own_lv', lambda path: bool(self._device(path))))
        self.useFixture(fixtures.MockPatchObject(
            commands, '_is_own_lv', lambda path: bool(self._device(path))))
        self.useFixture(fixtures.MockPatchObject(
            lending, 'lent', self.lent))
        self.addCleanup(self._assert_root_runs_all)
        self.useFixture(fixtures.MockPatchObject(
            process.rootwrap_client, 'Client',
            lambda command: FakeClient(self, command)))
        self.useFixture(fixtures.MockPatchObject(
            devices, '_attribute', self.block_attribute))
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, '_stack', self.stack))
        self.useFixture(fixtures.MockPatchObject(
            kernel_thin, 'retake', self.retake))
        self.useFixture(fixtures.MockPatchObject(
            blockdev, 'why_not_lv', self.why_not_lv))
        self.useFixture(fixtures.MockPatchObject(process, '_is_root',
                                                 lambda: False))
        self.useFixture(work_at_once())
        self.useFixture(lvm.never_waiting())

    # What tests ask for ---------------------------------------------------

    def add_vg(self, vg_name, **facts):
        """Add a VG and return it."""
        return self.vgs.setdefault(vg_name, lvm.FakeLVM(vg_name, **facts))

    def fail_after(self, steps):
        """Let that many more commands succeed, and fail the next one.

        Only one fails; what undoes the others is to work. A command that
        removes an LV does not count.
        """
        self._steps_left = steps

    @property
    def has_failed(self):
        return self._steps_left == -1

    def programs(self):
        """Return the programs that were run as root, without their words."""
        return [lvm.parse(argv)[0] for argv in self.as_root]

    def names(self):
        """Return the names of all LVs."""
        return set(self.lvm.volumes)

    # The two ways to run commands -----------------------------------------

    def execute(self, *argv, run_as_root=False, root_helper=None,
                timeout=None, **_kwargs):
        """Run a command as ``processutils.execute`` does."""
        program = lvm.parse(argv)[0]
        if program in self.missing and not run_as_root:
            raise FileNotFoundError(program)
        if run_as_root:
            self.one_by_one.append(argv)
            code, stdout, stderr = self.answer(argv)
        else:
            self.as_user.append(argv)
            code, stdout, stderr = self._answer(program, argv)
        if code:
            raise processutils.ProcessExecutionError(
                stdout, stderr, code, ' '.join(argv))
        return stdout, stderr

    @contextlib.contextmanager
    def lent(self, path):
        """Lend a device to the user of the service."""
        self.on_loan.append(path)
        try:
            yield
        finally:
            self.on_loan.remove(path)

    def _assert_root_runs_all(self):
        """Fail if the driver's own program would refuse a command."""
        if self.unexpected:
            raise AssertionError(f'root does not run {self.unexpected}')

    def answer(self, argv):
        """Run a command as root."""
        self.as_root.append(argv)
        if argv != (naming.ROOT_PROGRAM, 'check') and not commands.is_allowed(
                argv, {*self.vgs, *self.named_vgs}):
            self.unexpected.append(argv)
        program = lvm.parse(argv)[0]
        if program in self.refused:
            return 99, '', ''
        if program in self.missing:
            return 96, '', ''
        if program != 'lvremove' and (
                self._steps_left is not None and self._steps_left >= 0):
            self._steps_left -= 1
            if self._steps_left < 0:
                return 5, '', '  Broken by the test.'
        return self._answer(program, argv)

    def _answer(self, program, argv):
        while program in _PREFIXES:
            argv = argv[_PREFIXES[program]:]
            program = argv[0]
        if program == 'blkdiscard':
            return self._blkdiscard(dict(zip(argv[-7:-1:2], argv[-6:-1:2],
                                             strict=True)), argv[-1])
        if program == 'dd':
            return self._dd(dict(word.partition('=')[::2]
                                 for word in argv[1:]))
        if program == 'lvm':
            return 0, '  LVM version:     2.03.16(2) (2022-05-18)\n', ''
        if program in ('modprobe', naming.ROOT_PROGRAM):
            return 0, '', ''
        if program == 'lvmconfig':
            return 0, self.lvm_conf, ''
        if program == 'qemu-img':
            return self._qemu_img(argv)
        try:
            return 0, self._lvm(argv), ''
        except process.CommandFailed as failure:
            return failure.exit_code, failure.stdout, failure.stderr

    def _lvm(self, argv):
        program, _options, words = lvm.parse(argv)
        if program == 'vgs' and not words:
            return json.dumps({'report': [
                report for vg in self.vgs.values()
                for report in json.loads(vg.run(*argv).stdout)['report']]})
        names = [word.partition('/')[0] for word in words]
        vg, = [vg for name, vg in self.vgs.items()
                  if name in names] or [self.lvm]
        return vg.run(*argv).stdout

    def _dd(self, words):
        target = self._device(words['of'])
        source = self._device(words['if'])
        if target is None or source is None:
            return 1, '', f"dd: failed to open '{words['of']}'"
        if words['count'] == '0':
            # Only flushes.
            return 0, '', ''
        target.content = source.content
        if words['if'] == '/dev/zero':
            self._zero(target, words.get('seek', 0), words['count'])
        return 0, '', ''

    def _blkdiscard(self, options, path):
        target = self._device(path)
        if target is None:
            return 1, '', f'blkdiscard: cannot open {path}'
        self._zero(target, options['--offset'], options['--length'])
        return 0, '', ''

    def _zero(self, volume, offset, size):
        if not int(offset):
            volume.content = ''
        self.wiped.append((volume.name, int(offset), int(size)))

    def stack(self, name):
        """Return what device-mapper tells of the device of a name."""
        return [device for group in self.vgs.values()
                for device in group.stack(name)]

    def retake(self, lock_file, members, limit_ms):
        """Take thin snapshots again, all of one moment."""
        return self.vgs[lock_file.rpartition('/V_')[2]].retake(
            lock_file, members, limit_ms)

    def why_not_lv(self, path):
        """Return why a path does not lead to an LV."""
        return None if self._device(path) else 'is not a block device'

    def block_attribute(self, path, name):
        """Return what the kernel tells of the device of an LV."""
        volume = self._device(path)
        if volume is None:
            raise devices.DeviceNotFound(path)
        if name == 'size':
            return volume.size // 512
        return self.write_zeroes_max_bytes

    def _qemu_img(self, argv):
        target = self._device(argv[-1])
        if target is None:
            return 1, '', f"qemu-img: Could not open '{argv[-1]}'"
        target.content = 'image'
        return 0, '', ''

    def _device(self, path):
        """Return the LV behind a device path, if it is active."""
        if path == '/dev/zero':
            return lvm.Volume('zero', 0)
        for vg_name, vg in self.vgs.items():
            for name, volume in vg.volumes.items():
                if path in (naming.device_path(vg_name, name),
                            naming.device_mapper_path(vg_name, name)):
                    return volume if volume.active else None
        return None
