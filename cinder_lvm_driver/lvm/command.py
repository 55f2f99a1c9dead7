# SPDX-License-Identifier: Apache-2.0
"""Runs the LVM commands for one VG.

Each command names the only devices that LVM may scan: those of the VG's PVs.
Otherwise LVM scans every block device of the node, including volumes on
which guests have created VGs, and devices that do not respond.
"""

from collections.abc import Callable, Collection, Sequence
import functools
import logging
import os
import re

from cinder_lvm_driver.lvm import errors
from cinder_lvm_driver.lvm import finding
from cinder_lvm_driver.lvm import kernel
from cinder_lvm_driver.lvm import members
from cinder_lvm_driver.lvm import record
from cinder_lvm_driver.lvm import report
from cinder_lvm_driver.lvm import types
from cinder_lvm_driver import process

LOG = logging.getLogger(__name__)

# lvm2 WHATS_NEW: --devices and --devicesfile came with 2.03.12.
_DEVICES_OPTION_SINCE = (2, 3, 12)
# lvm2 WHATS_NEW: --fs came with 2.03.17. Without it, lvreduce refuses LVs that
# are inactive, encrypted, or the PV of a guest, even with --force.
_FS_OPTION_SINCE = (2, 3, 17)
_NO_FILTER = '["a|.*|"]'
# LVM prints this after a change, unless lvm.conf silences it.
_CHANGED = re.compile(r'successfully removed|Logical volume \S+ changed')
_WITH_MESSAGES = 'log/silent=0'
# PVs can be added while this service looks for the device of another one.
_TRIES = 3
_OLDEST = (2, 2, 163)  # --reportformat json
# SIGSEGV while devices appear and disappear: LP#1901783, LP#1932188.
_SEGFAULTS = (139, -11)

# LVM archives the VG's metadata before each change (vgcfgbackup(8)). Only what
# destroys an LV needs that: the backup has the state after every change.
_DESTRUCTIVE = ('lvremove', 'lvreduce', 'lvconvert')
NO_ARCHIVE = 'backup{archive=0}'

_Run = Callable[..., process.Completed]


def _environment(system_dir: str) -> tuple[str, ...]:
    # rootwrap's EnvFilter allows one set of variables per command, so all
    # three are always given.
    return ('env', 'LC_ALL=C', 'LVM_SUPPRESS_FD_WARNINGS=1',
            f'LVM_SYSTEM_DIR={system_dir}')


def _unprivileged(*words: str) -> tuple[str, ...]:
    # The PATH of an ordinary user may lack the directories of LVM.
    path = os.environ.get('PATH', os.defpath)
    return 'env', f'PATH={path}:/usr/sbin:/sbin', *words


def probe(system_dir: str) -> tuple[str, ...]:
    """Return a harmless command that only our rootwrap filters allow.

    Cinder's own filter file allows ``lvremove`` without these variables.
    """
    return (*_environment(system_dir), 'lvremove', '--version')


def installed_version(runner: process.Runner) -> tuple[int, ...]:
    """Return the version of the installed LVM, e.g. (2, 3, 16).

    :raises process.CommandNotFound: LVM is not installed
    :raises errors.ReportError: LVM does not print its version, or is too
        old for reports in JSON
    """
    done = runner.run_unprivileged(
        *_unprivileged('LC_ALL=C', 'lvm', 'version'))
    found = re.search(r'LVM version:\s+(\d+)\.(\d+)\.(\d+)', done.stdout)
    if found is None:
        raise errors.ReportError(
            "'lvm version' did not print a version: %r" % done.stdout[:200])
    version = tuple(int(number) for number in found.groups())
    if version < _OLDEST:
        raise errors.ReportError(
            'LVM %d.%02d.%d is too old: install 2.02.163 or newer' % version)
    return version


def settings(runner: process.Runner, system_dir: str,
             *names: str) -> dict[str, str]:
    """Return settings of lvm.conf, or LVM's defaults; needs no root.

    :param names: settings with their sections, or whole sections
        (lvmconfig(8))
    :returns: the values as they are written, by names without sections
    :raises process.CommandFailed: LVM cannot read its configuration
    """
    done = runner.run_unprivileged(*_unprivileged(
        *_environment(system_dir)[1:], 'lvmconfig', '--typeconfig', 'full',
        *names))
    return dict(re.findall(r'^\s*(\w+)=(.*)$', done.stdout, re.MULTILINE))


def autoextension(runner: process.Runner,
                  system_dir: str) -> types.Autoextension:
    """Return how lvm.conf has thin pools extended; needs no root.

    :raises process.CommandFailed: LVM cannot read its configuration
    :raises errors.ReportError: lvmconfig does not print the settings
    """
    found = settings(
        runner, system_dir, 'activation/thin_pool_autoextend_threshold',
        'activation/monitoring')
    try:
        return types.Autoextension(
            threshold_percent=int(found['thin_pool_autoextend_threshold']),
            is_monitored=found['monitoring'] != '0')
    except (KeyError, ValueError) as exc:
        raise errors.ReportError(
            f'lvmconfig did not print {exc}: {found}') from exc


def device_rules(runner: process.Runner,
                 system_dir: str) -> members.DeviceRules:
    """Return which devices lvm.conf lets LVM use; needs no root.

    Those are LVM's defaults if LVM cannot read its configuration.
    """
    try:
        found = settings(runner, system_dir, 'devices')
    except process.CommandFailed as exc:
        LOG.info('LVM cannot read which devices lvm.conf allows: %s', exc)
        return members.NO_DEVICE_RULES
    devices_file = os.path.join(system_dir, 'devices',
                                found.get('devicesfile', '').strip('"'))
    return members.DeviceRules(
        has_filter=any(found.get(name, _NO_FILTER) != _NO_FILTER
                       for name in ('filter', 'global_filter')),
        devices_file=(devices_file
                      if found.get('use_devicesfile') == '1'
                      and os.path.isfile(devices_file) else None))


def _archived(command: Sequence[str],
              settings: Sequence[str]) -> tuple[str, ...]:
    """Return settings by which LVM archives only before it destroys."""
    if command[0] in _DESTRUCTIVE:
        return tuple(settings)
    return (*settings, NO_ARCHIVE)


class Commands:
    """Runs LVM commands for one VG."""

    def __init__(self, vg_name: str, runner: process.Runner,
                 version: tuple[int, ...], system_dir: str,
                 report_timeout: float,
                 rules: members.DeviceRules = members.NO_DEVICE_RULES,
                 kept: record.Record | None = None) -> None:
        """Run no command yet.

        :param version: that of the installed LVM
        :param system_dir: the directory of lvm.conf (``LVM_SYSTEM_DIR``,
            lvm.conf(5))
        :param report_timeout: seconds; a report that takes longer waits for
            a device that does not respond
        :param rules: which devices lvm.conf lets LVM use
        :param kept: which VG it was before this service was started
        """
        self._runner = runner
        self._system_dir = system_dir
        self._has_devices_option = version >= _DEVICES_OPTION_SINCE
        # Has lvreduce ignore the file systems of guests.
        self.ignore_fs = (
            ('--fs', 'ignore') if version >= _FS_OPTION_SINCE else ())
        self._environment = _environment(system_dir)
        self._report_timeout = report_timeout
        self._finder = finding.Finder(vg_name, self._list_pvs, rules, kept)

    def locking_dir(self) -> str:
        """Return the directory of LVM's locks; needs no root.

        :raises errors.ReportError: lvmconfig does not print it
        """
        found = settings(self._runner, self._system_dir, 'global/locking_dir')
        folder = found.get('locking_dir', '').strip('"')
        if not folder:
            raise errors.ReportError(
                f'lvmconfig did not print locking_dir: {found}')
        return folder

    def ask(self, command: Sequence[str]) -> str:
        """Run a report and return its stdout.

        :raises errors.LVMError: see :func:`errors.classify`
        :raises process.CommandTimedOut: it took too long
        """
        return self.report(command).stdout

    def report(self, command: Sequence[str]) -> process.Completed:
        """Run a report; raises as :meth:`ask` does."""
        devices = self._finder.paths()
        try:
            done = self._report(command, devices)
        except errors.VolumeGroupNotFound:
            current = self._finder.look_again(devices)
            if current == devices:
                raise
        else:
            if not errors.lacks_device(done.stderr):
                return done
            current = self._finder.look_again(devices)
            if current == devices:
                return done
        return self._report(command, current)

    def change(self, *command: str, settings: Sequence[str] = ()) -> None:
        """Run a command that changes the VG.

        :param settings: replace those of lvm.conf, as in
            ``section{name=value}``
        :raises errors.LVMError: see :func:`errors.classify`
        """
        self._change(self._runner.run, command, settings)

    def change_at_length(self, *command: str) -> None:
        """Run a command that changes the VG and can take hours.

        :raises errors.LVMError: see :func:`errors.classify`
        """
        self._change(self._runner.run_long, command)

    def _change(self, run: _Run, command: tuple[str, ...],
                settings: Sequence[str] = ()) -> None:
        settings = _archived(command, settings)
        devices = self._finder.paths()
        try:
            self._checked(run, self._argv(command, devices, *settings))
        except (errors.PhysicalVolumeMissing, errors.VolumeGroupNotFound):
            current = self._finder.look_again(devices)
            if current == devices:
                raise
            self._checked(run, self._argv(command, current, *settings))

    def change_whole(self, *command: str,
                     settings: Sequence[str] = ()) -> None:
        """Run a change that LVM allows in a VG with missing PVs.

        LVM marks those PVs as missing until ``vgextend --restoremissing``,
        but they may only be new. So LVM first changes nothing unless it
        finds all PVs, and runs without this condition only if one of them
        is indeed lost.

        :raises errors.LVMError: see :func:`errors.classify`
        """
        settings = _archived(command, settings)
        devices = self._finder.paths()
        for _ in range(_TRIES):
            done = self._checked(self._runner.run, self._argv(
                (*command, '--select', 'vg_missing_pv_count=0'), devices,
                _WITH_MESSAGES, *settings))
            if _CHANGED.search(done.stdout):
                return
            used, devices = devices, self._finder.look_again(devices)
            if devices == used:
                break
        self._checked(self._runner.run,
                      self._argv(command, devices, *settings))

    @property
    def read_only_devices(self) -> tuple[str, ...]:
        """The paths of the VG's devices that accept no writes."""
        return tuple(kernel.read_only(self._finder.paths()))

    @property
    def has_lost_disks(self) -> bool:
        """Whether active LVs are on devices that no longer exist."""
        return self._finder.has_lost_disks

    def _list_pvs(self, devices: Collection[str]) -> members.Listing:
        done = self._report(report.members_command(),
                            tuple(sorted(devices)))
        return members.Listing(
            members=tuple(report.parse_members(done.stdout)),
            duplicates=errors.duplicates(done.stderr))

    def _argv(self, command: Sequence[str], devices: tuple[str, ...],
              *settings: str) -> tuple[str, ...]:
        """Return the complete command line of a command.

        :param devices: the only ones to scan; empty for all
        :param settings: replace those of lvm.conf
        """
        arguments: tuple[str, ...] = ()
        if devices and self._has_devices_option:
            arguments = ('--devices', ','.join(devices))
        elif devices:
            accept = ','.join(f'"a|^{re.escape(path)}$|"' for path in devices)
            settings += (f'devices{{filter=[{accept},"r|.*|"]}}',)
        if settings:
            # LVM accepts --config once.
            arguments += ('--config', ' '.join(settings))
        return (*self._environment, command[0], *arguments, *command[1:])

    def _report(self, command: Sequence[str],
                devices: tuple[str, ...] = ()) -> process.Completed:
        try:
            return self._checked(
                functools.partial(self._runner.run,
                                  timeout=self._report_timeout),
                self._argv(command, devices, report.SETTINGS))
        except process.CommandTimedOut as exc:
            hanging = kernel.hanging(devices)
            if not hanging:
                raise
            raise errors.DeviceHangs(
                f'LVM waits for {", ".join(hanging)}, which completes no '
                f'I/O: repair or remove the device ({exc})') from exc

    def _checked(self, run: _Run,
                 argv: tuple[str, ...]) -> process.Completed:
        try:
            try:
                return run(*argv)
            except process.CommandFailed as failure:
                if failure.exit_code not in _SEGFAULTS:
                    raise
                LOG.warning('LVM crashed; running it once more: %s', failure)
                return run(*argv)
        except (process.CommandRefused, process.CommandNotFound):
            raise
        except process.CommandFailed as failure:
            raise errors.classify(failure) from failure
