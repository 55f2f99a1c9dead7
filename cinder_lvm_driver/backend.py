# SPDX-License-Identifier: Apache-2.0
"""One back end: what the driver gives to each operation."""

import dataclasses
import os

from oslo_config import cfg

from cinder_lvm_driver import devices
from cinder_lvm_driver import errors
from cinder_lvm_driver import health
from cinder_lvm_driver import layouts
from cinder_lvm_driver.layouts import base as layouts_base
from cinder_lvm_driver.layouts import revert
from cinder_lvm_driver import lvm
from cinder_lvm_driver.lvm import command as lvm_command
from cinder_lvm_driver.lvm import record
from cinder_lvm_driver import options
from cinder_lvm_driver import process
from cinder_lvm_driver.targets import base as targets_base
from cinder_lvm_driver.targets import this_node
from cinder_lvm_driver import wiping
from cinder_lvm_driver import workarounds


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Backend:
    """A VG of this host, and all that serves volumes from it.

    :ivar writer: copies to and wipes block devices
    :ivar remover: removes LVs, and wipes thick ones first
    :ivar layout: lays out new LVs
    :ivar reverts: reverts LVs to their snapshots
    :ivar target: serves LVs to hosts
    :ivar this_node: recognizes hosts that open the devices of LVs themselves;
        None if none may
    :ivar watch: compares the state of the VG with that of the last stats
    """

    settings: options.Settings
    hostname: str
    runner: process.Runner
    lvm_version: tuple[int, ...]
    vg: lvm.LVM
    writer: devices.DeviceWriter
    remover: wiping.Remover
    layout: layouts_base.Layout
    reverts: revert.Reverts
    target: targets_base.Target
    this_node: this_node.ThisNode | None
    watch: health.Watch
    workarounds: workarounds.Workarounds

    def open_vg(self, vg_name: str) -> lvm.LVM:
        """Return the handle of another VG of this host."""
        return _open_vg(vg_name, self.settings, self.runner,
                        self.lvm_version)


def build(*, settings: options.Settings, hostname: str,
          runner: process.RootwrapRunner, target: targets_base.Target,
          vg: lvm.LVM | None) -> Backend:
    """Open the VG and choose the layout; changes nothing on the host.

    :param vg: the VG to use in place of the configured one
    :raises errors.ConfigurationError: LVM is not installed, or an option has
        an unusable value
    :raises lvm.LVMError: LVM failed to report the LVs, which ``lvm_type =
        auto`` depends on
    """
    try:
        version = lvm_command.installed_version(runner)
        runner.start_daemon(lvm_command.probe(settings.system_dir))
    except process.CommandNotFound as exc:
        raise errors.ConfigurationError(
            f'LVM is not installed: {exc}') from exc
    vg = vg or _open_vg(settings.volume_group, settings, runner, version)
    writer = devices.DeviceWriter(settings, runner)
    remover = wiping.Remover(vg, writer)
    return Backend(
        settings=settings, hostname=hostname, runner=runner,
        lvm_version=version, vg=vg, writer=writer, remover=remover,
        layout=layouts.load(settings.lvm_type, vg, writer, remover.remove,
                            settings.lvm_mirrors),
        reverts=revert.Reverts(vg),
        target=target,
        this_node=(this_node.ThisNode.ask() if settings.local_attach
                   else None),
        watch=health.Watch(settings.backend_name,
                           settings.autoextend_policy),
        workarounds=workarounds.Workarounds())


def _open_vg(vg_name: str, settings: options.Settings,
             runner: process.Runner, version: tuple[int, ...]) -> lvm.LVM:
    return lvm.LVM(vg_name, runner, version=version,
                   system_dir=settings.system_dir,
                   report_timeout=settings.report_timeout,
                   rules=lvm_command.device_rules(runner,
                                                  settings.system_dir),
                   kept=record.Record(os.path.join(
                       cfg.CONF.state_path, 'lvm-driver',
                       f'{vg_name}.json')))
